"""Walking below a folder without following links."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vma_hooks.beneath import NOT_THERE, descend, open_folder


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    descriptor = open_folder(str(tmp_path))
    yield descriptor
    os.close(descriptor)


def test_missing_folders_are_made_for_everyone_to_enter(tmp_path: Path, top: int) -> None:
    before = os.umask(0o022)
    try:
        os.close(descend(top, ("bus", "usb", "007"), make=True))
    finally:
        os.umask(before)
    assert (tmp_path / "bus/usb/007").stat().st_mode & 0o777 == 0o755


def test_a_link_in_the_way_is_never_followed(tmp_path: Path, top: int) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "bus").symlink_to("elsewhere")
    for make in (False, True):
        with pytest.raises(OSError, match=r"Not a directory|symbolic") as refused:
            descend(top, ("bus", "usb"), make=make)
        assert refused.value.errno in NOT_THERE
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_descriptor_is_left_open(tmp_path: Path, top: int) -> None:
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus/file").touch()
    before = open_descriptors()
    os.close(descend(top, ("bus",)))
    for path in (("bus", "file"), ("bus", "none"), ("none",)):
        with pytest.raises(OSError, match=r"Not a directory|No such file"):
            descend(top, path)
    assert open_descriptors() == before


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
