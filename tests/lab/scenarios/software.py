"""Devices without hardware, in a guest: the kit's folder there, and how to start one."""

import io
import shlex
import tarfile
from pathlib import Path

from tests.lab import Guest

ROOT = Path(__file__).resolve().parents[3]
PLACE = "/usr/local/lib/kit"
FILES = ("tests/__init__.py", "tests/kit/__init__.py", "tests/kit/kernel_word.py")


def put_kit(guest: Guest) -> None:
    """Copies what of tests/kit a guest has a use for to where `words` finds it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in (*map(ROOT.joinpath, FILES), *sorted((ROOT / "tests/kit/usbip_device").glob("*.py"))):
            tar.add(path, arcname=path.relative_to(ROOT).as_posix())
    guest.unpack(buffer.getvalue(), PLACE)


def words(arguments: str) -> str:
    """PURE: the bash command that runs the kit with these arguments."""
    return f"cd {PLACE} && exec python3 -m tests.kit.usbip_device {arguments}"


def plug(guest: Guest, unit: str, kind: str, target: str, key: str = "") -> None:
    """Gives a device of a kind to a container of this guest, or by HOST:PORT and key to one elsewhere.

    It stays until `unplug`; what became of it is in the journal of the unit.
    """
    feed = f"(echo {shlex.quote(key)}; exec sleep infinity)" if key else "sleep infinity"
    guest.spawn(f"{feed} | ({words(f'serve {kind} {target}')})", unit)


def unplug(guest: Guest, unit: str) -> None:
    """Takes the device away, as if it was pulled out."""
    guest.run(f"systemctl stop {unit}")
