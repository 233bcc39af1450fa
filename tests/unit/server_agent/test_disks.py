"""Lent disks are asked for more at once: decided for each, done to none but the disk at that port."""

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from qvd_usbip.ids import DevNum, HubId, VmId
from server_agent import actions, events, settings
from server_agent.draft import Draft
from server_agent.kernel.disks import Disks
from server_agent.reconcile import reconcile
from server_agent.state import Container, Phase, Port, Right, State
from tests.unit.server_agent.fake_vhci import FakeVhci
from tests.unit.server_agent.steps import FIRST, in_use, started
from tests.unit.server_agent.test_executor import Bench, bench
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_hubs import busid_of

__all__ = ["bench"]

DISK, PARTITION = Right(kind="b", number=DevNum(8, 0)), Right(kind="b", number=DevNum(8, 1))
TTY = Right(kind="c", number=DevNum(166, 0))
PORT = Port(hub=HubId(1), half="hs", rhport=1)
BELOW = "5-2:1.0/host0/target0:0:0/0:0:0:0"
STOCK = {
    "device/max_sectors": 240,
    "queue/max_hw_sectors_kb": 120,
    "queue/max_sectors_kb": 120,
    "queue/read_ahead_kb": 128,
}


class FakeDisk:
    """A disk on a port of hub 1, as sysfs shows it; its files take what is written, and nothing reacts."""

    def __init__(self, root: Path, most_kib: int) -> None:
        self.kernel = FakeVhci(root=root).make()
        usb = self.kernel.plug(1, "hs", 1)
        self.kernel.child(usb, f"{BELOW}/block/sda", "block", "8:0", "sda")
        self.kernel.child(usb, f"{BELOW}/block/sda/sda1", "block", "8:1", "sda1")
        self.folder = usb / BELOW / "block/sda"
        (self.folder / "queue").mkdir()
        (self.folder / "device").symlink_to("../..")
        for name, value in {**STOCK, "queue/max_hw_sectors_kb": most_kib}.items():
            (self.folder / name).write_text(f"{value}\n")
        (root / "dev/block").mkdir(parents=True)
        for number, folder in (("8:0", self.folder), ("8:1", self.folder / "sda1")):
            (root / "dev/block" / number).symlink_to(os.path.relpath(folder, root / "dev/block"))
        self.disks = Disks(sysfs=root)

    def limits(self) -> dict[str, int]:
        return {name: int((self.folder / name).read_text()) for name in STOCK}


@pytest.fixture
def disk(tmp_path: Path) -> FakeDisk:
    return FakeDisk(tmp_path / "sys", most_kib=4096)


# decided --------------------------------------------------------------------------------------------------------------


def with_disks(request_kib: int) -> World:
    world = started()
    world.state = replace(world.state, disk_request_kib=request_kib)
    in_use(world)
    world.slow.clear()
    return world


def appears(world: World, right: Right, name: str) -> list[actions.Action]:
    world.submit(events.NodeAdded(at=world.now, port=FIRST, right=right, name=name))
    return [action for action in world.slow if isinstance(action, actions.RaiseLimits)]


def test_a_disk_that_appears_is_asked_for_more() -> None:
    world = with_disks(1024)
    assert appears(world, DISK, "sda") == [actions.RaiseLimits(port=FIRST, right=DISK, request_kib=1024)]
    world.slow.clear()
    assert appears(world, DISK, "sda") == [], "once"


def test_another_kind_of_node_has_nothing_to_ask() -> None:
    assert appears(with_disks(1024), TTY, "ttyACM0") == []


def test_switched_off_nothing_is_asked() -> None:
    assert appears(with_disks(0), DISK, "sda") == []


def test_a_restarted_agent_sees_to_the_disks_that_it_finds() -> None:
    one, usb = VmId("one"), Right(kind="c", number=DevNum(189, 257))
    hub = events.HubSeen(buses=World().state.hubs[HubId(1)], gate_closed=True, used=frozenset({FIRST}))
    found = events.DeviceSeen(
        port=FIRST, busid=busid_of(FIRST), number=usb, name="bus/usb/003/002", authorised=True, children={DISK: "sda"}
    )
    seen = events.Observed(
        at=10, hubs={HubId(1): hub}, ports_per_half=2, devices={FIRST: found},
        rights={one: frozenset({usb, DISK})}, running=frozenset({one}), leftovers={},
    )  # fmt: skip
    container = Container(name=one, hub=HubId(1), phase=Phase.IN_FORCE, broker_open=True)
    draft = Draft(State(containers={one: container}, disk_request_kib=512), 10)
    reconcile(draft, seen)
    asked = [action for action in draft.actions if isinstance(action, actions.RaiseLimits)]
    assert asked == [actions.RaiseLimits(port=FIRST, right=DISK, request_kib=512)]
    again = Draft(draft.state, 20)
    reconcile(again, replace(seen, at=20))
    assert again.actions == [], "a second look finds nothing to do"


# done -----------------------------------------------------------------------------------------------------------------


def test_the_disk_takes_larger_requests_and_reads_ahead(disk: FakeDisk) -> None:
    assert disk.disks.raise_limits(PORT, DISK.number, 1024)
    assert disk.limits() == {
        "device/max_sectors": 2048, "queue/max_hw_sectors_kb": 4096, "queue/max_sectors_kb": 1024,
        "queue/read_ahead_kb": 4096,
    }  # fmt: skip
    assert not disk.disks.raise_limits(PORT, DISK.number, 1024), "nothing is written twice"


def test_no_more_is_asked_than_the_queue_takes(tmp_path: Path) -> None:
    disk = FakeDisk(tmp_path / "sys", most_kib=512)
    (disk.folder.parent.parent / "max_sectors").unlink()  # another driver than usb-storage
    assert disk.disks.raise_limits(PORT, DISK.number, 1024)
    assert (disk.folder / "queue/max_sectors_kb").read_text() == "512\n"


def test_what_is_larger_already_stays(disk: FakeDisk) -> None:
    (disk.folder / "queue/read_ahead_kb").write_text("8192\n")
    disk.disks.raise_limits(PORT, DISK.number, 1024)
    assert disk.limits()["queue/read_ahead_kb"] == 8192


@pytest.mark.parametrize(
    ("port", "number"),
    [
        (PORT, PARTITION.number),
        (PORT, DevNum(8, 16)),  # gone
        (replace(PORT, rhport=0), DISK.number),  # the number is another device's by now
        (replace(PORT, hub=HubId(2)), DISK.number),
    ],
)
def test_anything_but_the_disk_at_that_port_is_left_alone(disk: FakeDisk, port: Port, number: DevNum) -> None:
    assert not disk.disks.raise_limits(port, number, 1024)
    assert disk.limits() == {**STOCK, "queue/max_hw_sectors_kb": 4096}


def test_a_disk_of_the_host_itself_is_left_alone(disk: FakeDisk) -> None:
    own = disk.kernel.root / "devices/pci0000:00/block/sdb"
    (own / "queue").mkdir(parents=True)
    (disk.kernel.root / "dev/block/8:16").symlink_to(own)
    assert not disk.disks.raise_limits(PORT, DevNum(8, 16), 1024)


def test_a_disk_that_goes_meanwhile_is_no_failure(disk: FakeDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> int:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(Path, "write_text", gone)
    assert not disk.disks.raise_limits(PORT, DISK.number, 1024)


def test_a_kernel_that_refuses_is_said_and_the_device_stays(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "queue/max_sectors_kb")

    monkeypatch.setattr(Disks, "raise_limits", refuse)
    with caplog.at_level(logging.WARNING):
        assert bench.executor.perform(actions.RaiseLimits(port=PORT, right=DISK, request_kib=1024)) is None
    assert "queue/max_sectors_kb: Invalid argument" in caplog.text


# set ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "size"), [("off", 0), ("128", 128), ("1024", 1024), ("32767", 32767)])
def test_the_administrator_says_how_large(tmp_path: Path, value: str, size: int) -> None:
    (tmp_path / "node.conf").write_text(f"vm.lxc.usb.disk_request_kb={value}\n")
    assert settings.load(tmp_path / "node.conf").disk_request_kib == size


@pytest.mark.parametrize("value", ["", "0", "127", "32768", "1M", "on"])
def test_a_size_that_is_none_is_named(value: str) -> None:
    (fault,) = settings.faults(f"vm.lxc.usb.disk_request_kb={value}\n")
    assert fault.text == f"vm.lxc.usb.disk_request_kb={value} is no number from 128 to 32767, nor off"
