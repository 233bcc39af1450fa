"""Actions become effects and effects become events: what fails is said, what is begun is undone."""

import errno
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from qvd_usbip.errors import BACKEND_UNAVAILABLE, RIGHTS_FAILED, QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent import actions, events
from server_agent.backend import Backend
from server_agent.executor import Executor
from server_agent.kernel.disks import Disks
from server_agent.kernel.freezer import Freezer, Unified
from server_agent.kernel.gate import Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.inits import Inits
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.told import Told
from server_agent.kernel.uevents import Injector, Uevents
from server_agent.kernel.vhci import Vhci
from server_agent.state import HostNodes, Port, Right
from tests.unit.server_agent.fake_vhci import FakeVhci

ONE = VmId("one")
HUB = HubId(1)
PORT = Port(hub=HUB, half="hs", rhport=1)
NUMBER = Right(kind="c", number=DevNum(189, 513))
BUSID = BusId.parse("5-2")


@dataclass(slots=True)
class FakeMaps:
    """Maps without a kernel; `fault` is raised by everything that would change one."""

    held: dict[VmId, set[Right]] = field(default_factory=dict)
    backends: dict[VmId, Backend] = field(default_factory=dict)
    fault: Exception | None = None
    processes: bool = False

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault

    def create(self, name: VmId, backend: Backend) -> None:
        self._fail()
        self.held[name] = set()
        self.backends[name] = backend

    def backend(self, name: VmId) -> Backend:
        return self.backends[name]

    def allow(self, name: VmId, right: Right) -> None:
        self._fail()
        self.held[name].add(right)

    def deny(self, name: VmId, right: Right) -> None:
        self._fail()
        self.held[name].discard(right)

    def remove(self, name: VmId) -> None:
        self._fail()
        self.held.pop(name, None)

    def has_processes(self, _: VmId) -> bool:
        return self.processes


@dataclass(slots=True)
class FakeMounts:
    """Mounts without a kernel."""

    made: dict[VmId, HubId | None] = field(default_factory=dict)
    ports: list[PortRange] = field(default_factory=list)
    fault: Exception | None = None

    def make(self, name: VmId, hub: HubId | None, ports: PortRange) -> None:
        if self.fault is not None:
            raise self.fault
        self.made[name] = hub
        self.ports.append(ports)

    def remove(self, name: VmId) -> None:
        self.made.pop(name, None)


@dataclass(slots=True)
class Bench:
    """An executor on a fake sysfs."""

    kernel: FakeVhci
    maps: FakeMaps
    mounts: FakeMounts
    executor: Executor
    brokers: Path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    kernel = FakeVhci(root=tmp_path / "sys").make()
    maps, mounts, brokers = FakeMaps(), FakeMounts(), tmp_path / "run/broker"
    nodes, told = NodeFolders(root=tmp_path / "nodes"), Told(root=tmp_path / "told")
    uevents = Uevents(injector=Injector(), inits=Inits(cgroups=tmp_path / "cgroups"), told=told)
    executor = Executor(
        vhci=Vhci(sysfs=kernel.root), gate=Gate(sysfs=kernel.root), rights=cast("ByContainer", maps),
        freezer=Freezer(hierarchies=(Unified(cgroups=tmp_path / "cgroups"),)), mounts=cast("HubMounts", mounts),
        nodes=nodes, uevents=uevents, disks=Disks(sysfs=kernel.root), brokers=brokers, sockets={"a": 9}.__getitem__,
        clock=time.monotonic,
    )  # fmt: skip
    return Bench(kernel=kernel, maps=maps, mounts=mounts, executor=executor, brokers=brokers)


def test_a_container_is_put_in_force_and_taken_down(bench: Bench) -> None:
    assert isinstance(bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB)), events.InForce)
    assert bench.executor.gate.closed(HUB)
    assert bench.maps.held == {ONE: set()}
    assert bench.mounts.made == {ONE: HUB}
    assert (bench.brokers / "one").stat().st_mode & 0o777 == 0o755
    found = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert isinstance(found, events.TornDown)
    assert found.reason == ""
    assert (bench.maps.held, bench.mounts.made) == ({}, {})
    assert not (bench.brokers / "one").exists()


def test_a_hub_that_is_not_empty_is_left_alone(bench: Bench) -> None:
    bench.kernel.set_status(1, {("hs", 1): 6})
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))
    assert isinstance(found, events.NotInForce)
    assert found.hub_at_fault
    assert "vhci_hcd.1/hs/1" in found.detail
    assert not bench.executor.gate.closed(HUB)
    assert not bench.maps.held


def test_of_a_shared_hub_only_the_own_ports_count_and_the_image_is_told_them(bench: Bench) -> None:
    bench.kernel.set_status(1, {("hs", 1): 6})
    mine = actions.PutInForce(container=ONE, hub=HUB, ports=PortRange(0, 0))
    assert isinstance(bench.executor.perform(mine), events.InForce)
    assert (bench.brokers / "one/ports").read_text() == "1-1\n"
    assert (bench.brokers / "one/ports").stat().st_mode & 0o777 == 0o644
    assert bench.mounts.ports == [PortRange(0, 0)]
    theirs = actions.PutInForce(container=VmId("two"), hub=HUB, ports=PortRange(1, 1))
    found = bench.executor.perform(theirs)
    assert isinstance(found, events.NotInForce)
    assert found.hub_at_fault
    gone = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB, ports=PortRange(0, 0)))
    assert isinstance(gone, events.TornDown)
    assert gone.reason == "", "another's port is no reason"
    held = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB, ports=PortRange(1, 1)))
    assert isinstance(held, events.TornDown)
    assert "vhci_hcd.1/hs/1" in held.reason


def test_with_a_hub_of_its_own_the_image_is_told_no_ports(bench: Bench) -> None:
    bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB, ports=PortRange(0, 0)))
    bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))
    assert not (bench.brokers / "one/ports").exists()
    assert bench.mounts.ports[-1] == ALL_PORTS


def test_a_broker_folder_that_stays_is_a_reason_not_to_lend_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))

    def busy(_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr("server_agent.executor.shutil.rmtree", busy)
    found = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert isinstance(found, events.TornDown)
    assert "broker folder stays" in found.reason


def test_nodes_that_stay_are_a_reason_and_the_rest_is_undone_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(NodeFolders, "remove", busy)
    found = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert isinstance(found, events.TornDown)
    assert "nodes stay" in found.reason
    assert not (bench.brokers / "one").exists()


def test_a_hub_that_cannot_be_read_is_not_lent(bench: Bench) -> None:
    (bench.kernel.hub(0) / "status.1").write_text("nonsense\n")
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))
    assert isinstance(found, events.NotInForce)
    assert found.hub_at_fault


@pytest.mark.parametrize("place", ["maps", "mounts"])
def test_what_was_begun_is_undone_when_a_part_fails(bench: Bench, place: str) -> None:
    fault = OSError(errno.EPERM, "Operation not permitted")
    setattr(getattr(bench, place), "fault", fault)  # noqa: B010 (one of two parts)
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB))
    assert isinstance(found, events.NotInForce)
    assert not found.hub_at_fault
    assert "not permitted" in found.detail
    assert not bench.mounts.made
    assert not (bench.brokers / "one").exists()


def test_repair_under_a_running_container_touches_neither_mounts_nor_broker(bench: Bench) -> None:
    bench.kernel.set_status(1, {("hs", 1): 6})
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB, fresh=False))
    assert isinstance(found, events.InForce)
    assert bench.maps.held == {ONE: set()}
    assert not bench.mounts.made


def test_a_port_still_in_use_is_the_reason_not_to_lend_again(bench: Bench) -> None:
    bench.kernel.set_status(1, {("ss", 0): 7})
    found = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert isinstance(found, events.TornDown)
    assert "vhci_hcd.1/ss/0" in found.reason


def test_rights_that_may_still_be_there_are_a_reason_too(bench: Bench) -> None:
    bench.maps.fault, bench.maps.processes = OSError(errno.EBUSY, "Device or resource busy"), True
    found = bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert isinstance(found, events.TornDown)
    assert "processes" in found.reason


def test_attach_says_what_the_kernel_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    action = actions.AttachPort(port=PORT, attach_id="a", devid=65538, speed=3)
    assert isinstance(bench.executor.perform(action), events.Attached)
    lost = actions.AttachPort(port=PORT, attach_id="nobody's", devid=65538, speed=3)
    assert isinstance(bench.executor.perform(lost), events.AttachFailed)

    def busy(*_: object) -> int:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr("server_agent.kernel.vhci.os.write", busy)
    assert isinstance(bench.executor.perform(action), events.PortBusy)


def test_detach_ends_with_a_free_port_or_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.kernel.vhci.FREE_SECONDS", 0.03)
    assert isinstance(bench.executor.perform(actions.DetachPort(port=PORT)), events.PortFree)
    bench.kernel.set_status(1, {("hs", 1): 6})
    assert isinstance(bench.executor.perform(actions.DetachPort(port=PORT)), events.DetachFailed)


def test_inspect_and_authorise_are_about_one_device(bench: Bench) -> None:
    inspect = actions.Inspect(port=PORT, busid=BUSID, number=NUMBER)
    authorise = actions.Authorise(port=PORT, busid=BUSID, number=NUMBER)
    assert isinstance(bench.executor.perform(inspect), events.InspectFailed)
    assert isinstance(bench.executor.perform(authorise), events.AuthoriseFailed)
    folder = bench.kernel.plug(1, "hs", 1)
    found = bench.executor.perform(inspect)
    assert isinstance(found, events.Inspected)
    assert found.device.serial == "1234"
    assert (found.isochronous, found.complete) == (False, True)
    speaker = bytes([9, 4, 1, 1, 1, 1, 2, 0, 0, 9, 5, 1, 0x0D, 192, 0, 1, 0, 0])
    with (folder / "descriptors").open("ab") as file:
        file.write(speaker + b"\x09")
    found = bench.executor.perform(inspect)
    assert isinstance(found, events.Inspected)
    assert (found.isochronous, found.complete) == (True, False)
    assert isinstance(bench.executor.perform(authorise), events.Authorised)
    assert (folder / "authorized").read_text().strip() == "1"


def test_a_device_whose_descriptors_make_no_sense_is_not_judged_well(bench: Bench) -> None:
    (bench.kernel.plug(1, "hs", 1) / "descriptors").write_bytes(b"\x00")
    found = bench.executor.perform(actions.Inspect(port=PORT, busid=BUSID, number=NUMBER))
    assert isinstance(found, events.InspectFailed)


def test_rights_are_given_and_taken_or_the_failure_is_told(bench: Bench) -> None:
    bench.maps.create(ONE, Backend.MAP)
    assert isinstance(bench.executor.perform(actions.Grant(container=ONE, right=NUMBER)), events.Granted)
    assert bench.maps.held == {ONE: {NUMBER}}
    bench.maps.fault = QvdUsbError(RIGHTS_FAILED, device=NUMBER, container=ONE, reason="it is still in the map")
    failed = bench.executor.perform(actions.Revoke(container=ONE, right=NUMBER))
    assert isinstance(failed, events.RevokeFailed)
    assert "still in the map" in failed.detail
    assert isinstance(bench.executor.perform(actions.Grant(container=ONE, right=NUMBER)), events.GrantFailed)
    bench.maps.fault = None
    assert bench.executor.perform(actions.Revoke(container=ONE, right=NUMBER)) is None
    assert bench.maps.held == {ONE: set()}


def test_the_kernels_count_of_events_is_its_own(bench: Bench) -> None:
    (bench.executor.gate.sysfs / "kernel/uevent_seqnum").write_text("77\n")
    assert bench.executor.events_counted() == 77


def test_no_open_is_under_way_where_nobody_is(bench: Bench) -> None:
    assert bench.executor.no_open_under_way(ONE)
    bench.maps.processes = True
    with pytest.raises(FileNotFoundError):
        bench.executor.no_open_under_way(ONE)


def test_gate_and_leftovers_need_no_answer(bench: Bench) -> None:
    bench.maps.create(ONE, Backend.MAP)
    assert bench.executor.perform(actions.CloseGate(hub=HUB)) is None
    assert bench.executor.gate.closed(HUB)
    assert bench.executor.perform(actions.ClearLeftover(container=ONE)) is None
    assert not bench.maps.held


def test_a_container_whose_nodes_the_host_makes_gets_a_folder_and_loses_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, started = bench.executor.nodes, []
    nodes.root.mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda _: True)
    monkeypatch.setattr(Injector, "start", lambda _: started.append(True))
    access = HostNodes(root=100000, group=100997)
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB, nodes=access))
    assert isinstance(found, events.InForce)
    assert started, "the injector is warm before the first event"
    assert (nodes.root / "one/bus/usb").is_dir()
    wrong = actions.MakeNode(container=ONE, right=NUMBER, name="../sda", access=access)
    found = bench.executor.perform(wrong)
    assert isinstance(found, events.NodeNotMade)
    assert "no kernel" in found.detail
    assert bench.executor.perform(actions.RemoveNode(container=ONE, right=NUMBER, name="ttyACM0")) is None
    bench.executor.perform(actions.TearDown(container=ONE, hub=HUB))
    assert list(nodes.root.iterdir()) == []


def test_keys_that_cannot_be_kept_from_the_host_are_said_and_a_keyboard_that_is_gone_is_not(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bench.kernel.root / "devices/platform/vhci_hcd.1/usb5/5-2/5-2:1.0/input/input5"
    keys = actions.InhibitKeys(devpath=f"/{folder.relative_to(bench.kernel.root)}")
    assert bench.executor.perform(keys) is None
    assert not caplog.records
    folder.mkdir(parents=True)
    assert bench.executor.perform(keys) is None
    assert "keys reach this host" in caplog.text
    (folder / "inhibited").write_text("0")
    bench.executor.perform(keys)
    assert (folder / "inhibited").read_text() == "1"


@pytest.mark.parametrize(
    ("backend", "fault", "code", "words"),
    [
        (Backend.MAP, OSError(errno.EPERM, "Operation not permitted"), "bpf-unavailable", "Operation not permitted"),
        (Backend.V1, OSError(errno.EROFS, "Read-only file system"), "backend-unavailable", "Read-only file system"),
        (
            Backend.LXC,
            QvdUsbError(BACKEND_UNAVAILABLE, backend="lxc", reason="no lxc"),
            "backend-unavailable",
            "no lxc",
        ),
    ],
)
def test_what_a_back_end_lacks_is_said_in_its_own_words(
    bench: Bench, backend: Backend, fault: Exception, code: str, words: str
) -> None:
    bench.maps.fault = fault
    found = bench.executor.perform(actions.PutInForce(container=ONE, hub=HUB, backend=backend))
    assert isinstance(found, events.NotInForce)
    assert (found.problem, found.detail) == (code, words)


def test_only_the_map_is_quick(bench: Bench) -> None:
    for backend in Backend:
        bench.maps.create(ONE, backend)
        slow = bench.executor.takes_long(actions.Grant(container=ONE, right=NUMBER))
        assert slow == (backend != Backend.MAP)
