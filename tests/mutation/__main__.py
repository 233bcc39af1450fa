"""EFFECT: `make mutation [ONLY=module]`: breaks each module (modules.py) and judges what no test noticed.

It works on copies below build/mutation, a folder for each module; `mutmut browse` in one of them shows every mutant.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.mutation.modules import MODULES, Module
from tests.mutation.survivors import Change, change_of, judge, parse_explained

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "build/mutation"
MUTMUT = Path(sys.executable).with_name("mutmut")
EXPLAINED = Path(__file__).parent / "equivalent.toml"
SECONDS = 10  # between two words about how far it is
#: What mutmut calls what a test noticed: by failing, by not ending, or by the end of the whole process.
NOTICED = {"killed", "timeout", "segfault"}
SURVIVED = {"survived", "no tests"}
_COPIED = ("qvd_usbip", "server_agent", "tests")
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "lab", "gui", "bench", "client_gui", "tooling")
_TABLE = "{:<12} {:>8} {:>8} {:>9} {:>10} {:>8}"


class MutationError(Exception):
    """mutmut did not do what was asked."""


def say(text: str) -> None:
    """A line of progress, seen at once."""
    print(f"mutation: {text}", flush=True)


def lay(name: str, module: Module) -> Path:
    """The folder in which a module is mutated: fresh copies, and the repository's settings with mutmut's own."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    for package in _COPIED:
        shutil.copytree(REPOSITORY / package, folder / package, ignore=_LEFT_OUT)
    settings = {
        "source_paths": ["qvd_usbip", "server_agent"],
        "only_mutate": list(module.files),
        "pytest_add_cli_args_test_selection": list(module.tests),
        "pytest_add_cli_args": ["-p", "tests.mutation.small", "-m", "not deep"],
        # Seconds for one mutant, beside thrice what its tests take: on a busy machine slow is not endless.
        "timeout_constant": 10.0,
        "timeout_multiplier": 3.0,
    }
    lines = "".join(f"{key} = {value}\n" for key, value in settings.items())  # in TOML these are written as in Python
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(f"{text}\n[tool.mutmut]\n{lines}", encoding="utf-8")
    return folder


def mutmut(folder: Path, *words: str) -> str:
    """What one of mutmut's commands prints."""
    return subprocess.run([MUTMUT, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def mutate(name: str, folder: Path) -> None:
    """Tries every mutant, and says now and then how far it is."""
    log = folder / "run.log"
    with log.open("w", encoding="utf-8") as out:
        running = subprocess.Popen([MUTMUT, "run"], cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        while (status := _ended(running)) is None:
            say(f"{name}: {_last_line(log)}")
    finally:
        running.terminate()
    if status:
        raise MutationError(f"mutmut could not try {name}: its last words are in {log}: {_last_line(log)}")


def _ended(running: subprocess.Popen[bytes]) -> int | None:
    try:
        return running.wait(SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "").strip()


def statuses(folder: Path) -> dict[str, str]:
    """How each mutant ended, by its name."""
    lines = mutmut(folder, "results", "--all", "True").splitlines()
    found = dict(line.strip().rsplit(": ", 1) for line in lines if line.startswith("    "))
    unknown = {status for status in found.values() if status not in NOTICED | SURVIVED}
    if not found or unknown:
        raise MutationError(f"mutmut did not try every mutant in {folder}: {sorted(unknown) or 'there is none'}")
    return found


def survivors(name: str, folder: Path, found: dict[str, str]) -> list[Change]:
    """What the mutants changed that no test noticed."""
    return [change_of(name, mutmut(folder, "show", mutant)) for mutant, status in found.items() if status in SURVIVED]


def main(names: list[str]) -> int:
    """Tries the modules with these names, all of them without any; the exit status."""
    if unknown := set(names) - set(MODULES):
        say(f"there is no module {', '.join(sorted(unknown))}: name one of {', '.join(MODULES)}")
        return 2
    explained = parse_explained(EXPLAINED.read_text(encoding="utf-8"))
    tried = names or list(MODULES)
    rows, wrong = [], []
    for name in tried:
        start = time.monotonic()
        folder = lay(name, MODULES[name])
        say(f"{name}: {', '.join(MODULES[name].files)}")
        mutate(name, folder)
        found = statuses(folder)
        left = survivors(name, folder, found)
        wrong += judge(left, explained, [name])
        ended = Counter("noticed" if status in NOTICED else "survived" for status in found.values())
        known = sum(change in explained for change in left)
        seconds = f"{time.monotonic() - start:.0f} s"
        rows.append((name, len(found), ended["noticed"], ended["survived"], known, seconds))
    print(_TABLE.format("module", "mutants", "killed", "survived", "explained", "took"))
    for row in rows:
        print(_TABLE.format(*row))
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends with it
    sys.exit(main(sys.argv[1:]))
