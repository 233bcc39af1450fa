"""What is on a stick, where it is mounted, and how it is let go of."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from client_gui import unmount as unmounting
from client_gui.inputs import Inputs
from client_gui.state import Volume
from client_gui.unmount import holder_of, unmount
from client_gui.volumes import Filesystem, Mounts, filesystems_of
from tests.unit.client_gui.devices import KEYBOARD, STORAGE, device

if TYPE_CHECKING:
    from pathlib import Path

STICK = device(interfaces=(STORAGE,))
PLACE = "/media/user/MY BACKUP"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A stick with two partitions, the first mounted twice, the second encrypted and opened."""
    disk = tmp_path / "sys/bus/usb/devices/1-4/1-4:1.0/host6/target6:0:0/6:0:0:0/block/sdb"
    for folder, number, size in ((disk, "8:16", 100), (disk / "sdb1", "8:17", 60), (disk / "sdb2", "8:18", 40)):
        folder.mkdir(parents=True)
        (folder / "dev").write_text(number + "\n")
        (folder / "size").write_text(f"{size}\n")
    (disk / "sdb2/holders/dm-0").mkdir(parents=True)
    opened = tmp_path / "sys/class/block/dm-0"
    opened.mkdir(parents=True)
    (opened / "dev").write_text("253:0\n")
    udev = tmp_path / "run/udev/data"
    udev.mkdir(parents=True)
    (udev / "b8:17").write_text("S:disk/by-label/BACKUP\nE:ID_FS_LABEL=BACK\x1bUP\nE:ID_FS_USAGE=filesystem\n")
    (udev / "b8:18").write_text("E:ID_FS_USAGE=crypto\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "40 21 8:17 / /media/user/MY\\040BACKUP rw - vfat /dev/sdb1 rw\n"
        "41 21 8:17 / /mnt rw - vfat /dev/sdb1 rw\n"
        "42 21 253:0 / /media/user/safe rw - ext4 /dev/mapper/safe rw\n"
    )
    return tmp_path


def found(root: Path) -> tuple[Filesystem, ...]:
    return filesystems_of(STICK, root / "sys/bus/usb/devices", Mounts(root), root)


def test_volumes_are_found_with_label_size_and_every_place(root: Path) -> None:
    backup, safe = found(root)
    assert backup.volume == Volume(name="BACK\\x1bUP", path=PLACE, size=60 * 512)
    assert (backup.node, backup.places, backup.crypt) == ("/dev/sdb1", (PLACE, "/mnt"), "")
    assert (safe.node, safe.places, safe.crypt) == ("/dev/dm-0", ("/media/user/safe",), "/dev/sdb2")


def test_a_device_that_is_no_storage_has_none(root: Path) -> None:
    assert filesystems_of(device(), root / "sys/bus/usb/devices", Mounts(root), root) == ()


def test_a_stick_that_is_not_mounted_has_volumes_all_the_same(root: Path) -> None:
    (root / "proc/self/mountinfo").write_text("")
    assert [(each.volume.path, each.places) for each in found(root)] == [("", ()), ("", ())]


class Udisks:
    """Stands for udisksctl: notes what it is asked, and answers."""

    def __init__(self, folder: Path, status: int = 0, said: str = "") -> None:
        self.diary = folder / "asked"
        path = folder / "udisksctl"
        path.write_text(f'#!/bin/sh\necho "$@" >>{self.diary}\necho "{said}" >&2\nexit {status}\n')
        path.chmod(0o755)
        self.path = str(path)


def test_every_mount_is_undone_and_what_was_opened_is_closed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    udisks = Udisks(root)
    monkeypatch.setattr(unmounting, "UDISKSCTL", udisks.path)
    assert unmount(found(root)) is None
    assert udisks.diary.read_text().splitlines() == [
        "unmount --no-user-interaction --block-device /dev/sdb1",
        "unmount --no-user-interaction --block-device /dev/sdb1",
        "unmount --no-user-interaction --block-device /dev/dm-0",
        "lock --no-user-interaction --block-device /dev/sdb2",
    ]


def test_a_busy_volume_is_told_with_who_uses_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Error unmounting /dev/sdb1: GDBus.Error:org.freedesktop.UDisks2.Error.DeviceBusy: target is busy"
    monkeypatch.setattr(unmounting, "UDISKSCTL", Udisks(root, 1, said).path)
    monkeypatch.setattr(unmounting, "holder_of", lambda _: ("ba\x1bsh", 42))
    fault = unmount(found(root))
    assert fault is not None
    assert (fault.code, fault.text) == ("storage-in-use", "ba\\x1bsh (42) still uses BACK\\x1bUP.")


def test_a_refused_unmount_is_told_with_its_reason(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "Error unmounting: GDBus.Error:org.freedesktop.UDisks2.Error.NotAuthorized: Not authorized to do that"
    monkeypatch.setattr(unmounting, "UDISKSCTL", Udisks(root, 1, said).path)
    fault = unmount(found(root))
    assert fault is not None
    assert "Not authorized to do that" in fault.text
    assert "umount /dev/sdb1" in fault.remedy


def test_an_unmount_that_takes_for_ever_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    udisks = Udisks(root)
    (root / "udisksctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(unmounting, "UDISKSCTL", udisks.path)
    monkeypatch.setattr(unmounting, "UNMOUNT_LIMIT", 0.2)
    fault = unmount(found(root))
    assert fault is not None
    assert "did not answer" in fault.text


def test_without_udisks_the_command_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unmounting, "UDISKSCTL", str(root / "no-such-program"))
    fault = unmount(found(root))
    assert fault is not None
    assert "no udisks2" in fault.text
    assert fault.remedy == "Unmount it, as root: umount /dev/sdb1; umount /dev/dm-0"
    assert unmount(()) is None


def test_the_program_that_uses_a_volume_is_found(tmp_path: Path) -> None:
    place = tmp_path / "volume"
    place.mkdir()
    assert holder_of([str(place)]) is None
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        user.stdout.readline()
        found = holder_of([str(tmp_path / "volum"), str(place)])
        assert found is not None
        assert found[1] == user.pid
        user.communicate()


BOARD = """I: Bus=0003 Vendor=046a Product=0011
S: Sysfs=/devices/pci0000:00/usb1/1-4/1-4:1.0/0003:046A:0011.0001/input/input5
H: Handlers=sysrq kbd event3 leds
B: EV=120013
"""
BUTTON = """S: Sysfs=/devices/LNXSYSTM:00/LNXPWRBN:00/input/input0
H: Handlers=kbd event0
B: EV=3
"""
BUILT_IN = BOARD.replace("/1-4/", "/i8042/").replace("/1-4:1.0", "")


def test_the_only_keyboard_is_known_for_one(tmp_path: Path) -> None:
    table = tmp_path / "proc/bus/input/devices"
    table.parent.mkdir(parents=True)
    board = device(interfaces=(KEYBOARD,))
    assert not Inputs(tmp_path).has_only(board)
    table.write_text(f"{BOARD}\n{BUTTON}")
    assert Inputs(tmp_path).has_only(board)
    assert not Inputs(tmp_path).has_only(device())
    table.write_text(f"{BOARD}\n{BUTTON}\n{BUILT_IN}")
    assert not Inputs(tmp_path).has_only(board)
