"""EFFECT: fuzzes one target in this process: one.py MODULE NAME, then libFuzzer's own arguments."""

import importlib
import sys

import atheris

from tests.fuzz.target import TARGETS

PACKAGES = ["qvd_usbip", "client_gui", "server_agent", "vma_hooks", "h11"]


def main() -> None:
    """Runs until libFuzzer has had enough, or has a finding; it ends the process itself."""
    program, module, name, *arguments = sys.argv
    with atheris.instrument_imports(include=PACKAGES, enable_loader_override=False):
        importlib.import_module(module)
    atheris.Setup([program, *arguments], TARGETS[name].run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
