"""Records and locks: whole or not there, one helper a device, readable whatever a device calls itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.helper.device import Identity
from client_gui.helper.ownership import (
    BINDING,
    BOUND,
    CALLED,
    LENT,
    RETURNING,
    Claim,
    Record,
    format_record,
    parse_record,
    recorded,
)
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId

BUSID = BusId.parse("1-4")
ROOT = Path(__file__).parents[4]
RECORDS = st.builds(
    Record,
    busid=st.just(BUSID),
    uid=st.integers(0, 2**32 - 1),
    boot=st.uuids().map(str),
    devnum=st.integers(1, 127),
    identity=st.builds(Identity, st.just("0bda:58c2"), st.text(max_size=126)),
    mode=st.sampled_from([LENT, CALLED]),
    phase=st.sampled_from([BINDING, BOUND, RETURNING]),
)


def record(boot: str = "boot", serial: str = "1234") -> Record:
    return Record(
        busid=BUSID, uid=1000, boot=boot, devnum=5, identity=Identity("0bda:58c2", serial), mode=LENT, phase=BOUND
    )


@given(RECORDS)
def test_a_record_reads_back_as_it_was(before: Record) -> None:
    after = parse_record(BUSID, format_record(before))
    assert after is not None
    assert format_record(after) == format_record(before)
    assert after.identity == before.identity


@given(st.binary(max_size=300) | RECORDS.map(format_record), st.integers(0, 300))
def test_a_torn_record_is_none_or_ours(data: bytes, end: int) -> None:
    found = parse_record(BUSID, data[:end])
    assert found is None or found.phase in {BINDING, BOUND, RETURNING}


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "run").mkdir()
    return f"{tmp_path}/"


def test_a_record_is_roots_own_and_of_this_boot(root: str) -> None:
    claim = Claim(root, BUSID)
    claim.save(record())
    path = Path(root, "run/qvd-usbip/1-4")
    assert path.stat().st_mode & 0o777 == 0o600
    found = claim.load("boot")
    assert found is not None
    assert found.uid == 1000
    assert claim.load("another boot") is None
    assert not path.exists()
    claim.release()
    assert list(path.parent.iterdir()) == []


def test_a_link_in_the_place_of_a_lock_is_not_followed(root: str) -> None:
    folder = Path(root, "run/qvd-usbip")
    folder.mkdir()
    (folder / "1-4.lock").symlink_to(folder / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Claim(root, BUSID)
    assert not (folder / "elsewhere").exists()


def test_one_helper_a_device_and_none_after_a_kill(root: str) -> None:
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from client_gui.helper.ownership import Claim\n"
        "from qvd_usbip.ids import BusId\n"
        f"claim = Claim({root!r}, BusId.parse('1-4')); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(QvdUsbError) as caught:
            Claim(root, BUSID)
        assert caught.value.problem.code == "already-in-use"
        Claim(root, BusId.parse("1-5")).release()
        other.send_signal(signal.SIGKILL)
        other.wait(10)
    claim = Claim(root, BUSID)
    claim.release()
    claim.release()


def test_a_lock_taken_on_a_file_that_was_just_removed(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder before us removes it between our open and our lock: we take the lock on the new file instead."""
    lock = Path(root, "run/qvd-usbip/1-4.lock")
    plain, removed = os.open, list[int]()

    def racing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        fd = plain(path, flags, mode, dir_fd=dir_fd)
        if str(path) == str(lock) and not removed:
            removed.append(fd)
            lock.unlink()
        return fd

    monkeypatch.setattr(os, "open", racing)
    claim = Claim(root, BUSID)
    assert removed
    assert lock.exists()
    claim.release()
    assert not lock.exists()


def test_what_is_recorded(root: str) -> None:
    assert recorded(root) == []
    folder = Path(root, "run/qvd-usbip")
    folder.mkdir()
    for name in ("1-10", "1-4.lock", "1-4.1", "broker", "control.sock", ".1-7.abc.new", "1-4", "usb1"):
        (folder / name).touch()
    assert [str(busid) for busid in recorded(root)] == ["1-4", "1-4.1", "1-10"]
