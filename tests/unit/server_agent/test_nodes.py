"""The folders of nodes: rights before the name, nothing of another's removed, names that stay inside."""

import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import DevNum, VmId
from server_agent.kernel import acl
from server_agent.kernel.nodes import NodeFolders, parts_of, right_of
from server_agent.state import HostNodes, Right

NAME = VmId("three")
ACCESS = HostNodes(root=100000, group=100997)
USB = Right(kind="c", number=DevNum(189, 257))
OTHER = Right(kind="c", number=DevNum(189, 258))
NODE = "bus/usb/003/002"


class FakeNodes:
    """Nodes as plain files; their size stands for the number, for which one needs no rights."""

    def __init__(self, root: Path) -> None:
        self.mounted: list[tuple[Path, str, str]] = []
        self.made: list[str] = []
        self.root = root
        self.folders = NodeFolders(root=root, mount=self.mount, make_node=self.make, identify=self.identify)

    def mount(self, point: Path, name: str, options: str) -> None:
        self.mounted.append((point, name, options))

    def make(self, name: str, folder: int, right: Right) -> None:
        self.made.append(name)
        fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder)
        os.truncate(fd, right.number.major * 1000 + right.number.minor)
        os.close(fd)

    def identify(self, found: os.stat_result) -> Right | None:
        if not stat.S_ISREG(found.st_mode):
            return None
        return Right(kind="c", number=DevNum(found.st_size // 1000, found.st_size % 1000))


@pytest.fixture
def nodes(tmp_path: Path) -> FakeNodes:
    fake = FakeNodes(tmp_path / "nodes")
    fake.folders.create(NAME)
    return fake


def listed(path: Path) -> bytes:
    return os.getxattr(path, acl.ATTRIBUTE)


def test_a_folder_is_on_a_tmpfs_of_its_own_and_lets_the_container_through(nodes: FakeNodes) -> None:
    ((point, _, options),) = nodes.mounted
    assert point == nodes.root
    assert "mode=0755" in options
    for folder in (nodes.root / "three", nodes.root / "three/bus/usb"):
        assert folder.stat().st_mode & 0o777 == 0o755
    assert nodes.folders.known() == {NAME}


def test_a_node_has_its_list_before_its_name(nodes: FakeNodes) -> None:
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert nodes.made == [".c189:257"]
    path = nodes.root / "three" / NODE
    assert listed(path) == acl.encode(ACCESS)
    assert path.stat().st_mode & 0o777 == acl.MODE
    assert nodes.folders.held(NAME) == {NODE: USB}
    assert [entry.name for entry in path.parent.iterdir()] == ["002"]


def test_a_node_that_is_right_is_left_as_it_is_and_another_replaced(nodes: FakeNodes) -> None:
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    before = (nodes.root / "three" / NODE).stat().st_ino
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert (nodes.root / "three" / NODE).stat().st_ino == before
    nodes.folders.make(NAME, NODE, USB, HostNodes(root=200000, group=200997))
    assert listed(nodes.root / "three" / NODE) == acl.encode(HostNodes(root=200000, group=200997))
    nodes.folders.make(NAME, NODE, OTHER, ACCESS)
    assert nodes.folders.held(NAME) == {NODE: OTHER}


def test_what_could_not_get_its_list_does_not_get_its_name(nodes: FakeNodes, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(OSError, match="not supported"):
        nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert nodes.folders.held(NAME) == {}
    assert list((nodes.root / "three/bus/usb/003").iterdir()) == []


def test_what_a_killed_agent_left_unfinished_is_no_node_and_is_replaced(nodes: FakeNodes) -> None:
    folder = nodes.root / "three/bus/usb/003"
    folder.mkdir()
    (folder / ".c189:257").write_bytes(b"")
    assert nodes.folders.held(NAME) == {}
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert nodes.folders.held(NAME) == {NODE: USB}


def test_only_the_number_that_is_meant_is_removed_and_what_is_bound_stays(nodes: FakeNodes) -> None:
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    nodes.folders.make(NAME, "input/event5", OTHER, ACCESS)
    nodes.folders.drop(NAME, NODE, OTHER)
    assert NODE in nodes.folders.held(NAME)
    nodes.folders.drop(NAME, NODE, USB)
    nodes.folders.drop(NAME, NODE, USB)
    nodes.folders.drop(NAME, "input/event5", OTHER)
    assert [path.relative_to(nodes.root).as_posix() for path in sorted(nodes.root.rglob("*"))] == [
        "three", "three/bus", "three/bus/usb",
    ]  # fmt: skip


def test_a_new_life_begins_without_nodes_and_an_end_leaves_nothing(nodes: FakeNodes) -> None:
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    nodes.folders.create(NAME)
    assert nodes.folders.held(NAME) == {}
    nodes.folders.make(NAME, NODE, USB, ACCESS)
    nodes.folders.remove(NAME)
    nodes.folders.remove(NAME)
    assert list(nodes.root.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "/dev/sda", "../sda", "bus/../sda", "a//b", "a b", ".hidden", "a/" * 8 + "b", "ä"]
)
def test_a_name_no_kernel_gives_is_refused(nodes: FakeNodes, name: str) -> None:
    with pytest.raises(QvdUsbError):
        nodes.folders.make(NAME, name, USB, ACCESS)
    with pytest.raises(QvdUsbError):
        nodes.folders.drop(NAME, name, USB)


@given(st.text())
def test_any_name_is_refused_or_stays_below_the_folder(name: str) -> None:
    try:
        parts = parts_of(name)
    except QvdUsbError:
        return
    assert "/".join(parts) == name
    assert not {"", ".", ".."} & set(parts)


def test_the_list_is_as_the_kernel_stores_it() -> None:
    data = acl.encode(ACCESS)
    entries = [struct.unpack_from("<HHI", data, place) for place in range(4, len(data), 8)]
    assert data[:4] == b"\x02\0\0\0"
    assert [tag for tag, _, _ in entries] == sorted(tag for tag, _, _ in entries)
    assert (acl.USER, 6, 100000) in entries
    assert (acl.GROUP, 6, 100997) in entries
    assert (acl.OTHER, 0, acl.NO_ID) in entries


def test_a_number_is_read_off_a_node() -> None:
    assert right_of(Path("/dev/null").stat()) == Right(kind="c", number=DevNum(1, 3))
    assert right_of(Path("/").stat()) is None
