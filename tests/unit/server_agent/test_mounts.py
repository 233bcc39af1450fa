"""Which mount a path lies in: what stands in the way is entered, whatever else is mounted below it."""

import os
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server_agent import mounts

ROOT = "1 0 8:1 / / rw - ext4 /dev/root rw"
DEV = "2 1 0:30 / /dev rw - tmpfs none rw"
QVD = "3 2 0:45 /three /dev/qvd rw,relatime master:7 - tmpfs qvd rw"


def at(path: str, *lines: str) -> str:
    found = mounts.find(mounts.parse("\n".join(lines)), path)
    return "" if found is None else f"{found.device}{found.within(path)}"


def test_the_deepest_mount_on_the_way_has_the_path() -> None:
    assert at("/dev/qvd/ttyACM0", ROOT, DEV, QVD) == "0:45/three/ttyACM0"
    assert at("/dev/qvd", ROOT, DEV, QVD) == "0:45/three"
    assert at("/dev/qvdx", ROOT, DEV, QVD) == "0:30/qvdx"
    assert at("/etc/passwd", ROOT, DEV, QVD) == "8:1/etc/passwd"


def test_what_was_mounted_over_a_place_hides_what_is_below() -> None:
    assert at("/dev/qvd/x", ROOT, DEV, QVD, "4 3 0:46 / /dev/qvd rw - tmpfs n rw") == "0:46/x"
    assert at("/dev/qvd/x", ROOT, DEV, QVD, "4 2 0:46 / /dev rw - tmpfs n rw") == "0:46/qvd/x"
    assert at("/dev/qvd/x", ROOT, DEV, QVD, "4 1 0:46 / / rw - tmpfs n rw") == "0:46/dev/qvd/x"


def test_of_no_mounts_nothing_is_found() -> None:
    assert at("/dev") == ""
    assert at("/dev", DEV) == ""


def test_nodev_is_the_mounts_own_option() -> None:
    dev = "2 1 0:30 / /dev rw,nodev - tmpfs none rw"
    assert [each.nodev for each in mounts.parse(f"{ROOT}\n{dev}")] == [False, True]


def test_of_this_process_it_finds_what_stat_finds() -> None:
    seen = mounts.parse(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    if not any(each.point == "/" for each in seen):  # below chroot: its folder is no mount, and so not in the list
        (top,) = {each.parent for each in seen} - {each.number for each in seen}
        seen = (*seen, replace(seen[0], number=top, parent=0, point="/"))
    for path in ("/proc/self", "/dev/null", "/sys/kernel"):
        found = mounts.find(seen, path)
        number = os.lstat(path).st_dev
        assert found is not None
        assert found.device == f"{os.major(number)}:{os.minor(number)}"


@given(st.text(st.sampled_from("01 /a-:,\n\\"), max_size=200), st.sampled_from(("/", "/a", "/a/1")))
def test_any_text_is_borne(text: str, path: str) -> None:
    mounts.find(mounts.parse(text), path)
