"""Hubs, gate and the look around, on a folder that looks like sysfs; on real kernels the lab does the same."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from qvd_usbip import vhci as layouts
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent.backend import Backend
from server_agent.events import Left
from server_agent.kernel.cgroup_tree import populated
from server_agent.kernel.cgroup_v2_map import DeviceMaps
from server_agent.kernel.container_names import container_names
from server_agent.kernel.gate import ChangedError, Gate
from server_agent.kernel.hub_mount import HubMounts, mounts_below
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.observe import Observer
from server_agent.kernel.rights import ByContainer
from server_agent.kernel.told import Told
from server_agent.kernel.vhci import PortTakenError, Vhci
from server_agent.state import HostNodes, HubBuses, Port, Right, Thing
from tests.unit.server_agent.fake_vhci import FakeVhci

PORT = Port(hub=HubId(1), half="hs", rhport=1)


@pytest.fixture
def stock(tmp_path: Path) -> FakeVhci:
    return FakeVhci(root=tmp_path).make()


@pytest.fixture
def patched(tmp_path: Path) -> FakeVhci:
    return FakeVhci(root=tmp_path, per_hub=True).make()


def test_a_stock_kernel_lends_every_hub_but_the_one_that_rules_all(stock: FakeVhci) -> None:
    found = Vhci(sysfs=stock.root)
    assert found.layout() == layouts.GLOBAL_PORTS
    assert found.lendable() == (HubId(1), HubId(2))
    assert found.ports_per_half() == 2
    assert found.buses(HubId(1)) == HubBuses(hs=5, ss=6)


def test_a_patched_kernel_lends_every_hub(patched: FakeVhci) -> None:
    found = Vhci(sysfs=patched.root)
    assert found.layout() == layouts.PER_HUB
    assert found.lendable() == (HubId(0), HubId(1), HubId(2))


def test_a_single_hub_is_lent(tmp_path: Path) -> None:
    found = Vhci(sysfs=FakeVhci(root=tmp_path, hubs=1).make().root)
    assert found.layout() == layouts.SINGLE_HUB
    assert (found.lendable(), found.ports_per_half()) == ((HubId(0),), 2)
    assert found.used(HubId(0)) == frozenset()


def test_without_the_module_or_without_hubs_the_problem_is_named(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError, match="not loaded"):
        Vhci(sysfs=tmp_path).require()
    empty = FakeVhci(root=tmp_path, hubs=0).make()
    with pytest.raises(QvdUsbError, match="no hub"):
        Vhci(sysfs=empty.root).require()


@pytest.mark.parametrize(
    ("port", "speed", "line"),
    [
        (PORT, 3, "5 9 65538 3"),
        (Port(hub=HubId(1), half="ss", rhport=0), 5, "6 9 65538 5"),
        (Port(hub=HubId(2), half="ss", rhport=1), 6, "11 9 65538 6"),
    ],
)
def test_stock_kernels_take_global_ports_at_hub_0(stock: FakeVhci, port: Port, speed: int, line: str) -> None:
    Vhci(sysfs=stock.root).attach(port, 9, 65538, speed)
    assert (stock.hub(0) / "attach").read_text() == line


def test_patched_kernels_take_the_hubs_own_ports(patched: FakeVhci) -> None:
    Vhci(sysfs=patched.root).attach(PORT, 9, 65538, 3)
    assert (patched.hub(1) / "attach").read_text() == "1 9 65538 3"
    assert (patched.hub(0) / "attach").read_text() == ""


def test_a_taken_port_is_told_from_a_refused_socket(stock: FakeVhci, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([errno.EBUSY, errno.EINVAL])

    def refuse(*_: object) -> int:
        code = next(answers)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("server_agent.kernel.vhci.os.write", refuse)
    with pytest.raises(PortTakenError):
        Vhci(sysfs=stock.root).attach(PORT, 9, 65538, 3)
    with pytest.raises(OSError, match="Invalid"):
        Vhci(sysfs=stock.root).attach(PORT, 9, 65538, 3)


def test_a_speed_this_kernel_does_not_know_is_tried_one_slower(
    stock: FakeVhci, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []

    def old_kernel(_: int, text: bytes) -> int:
        written.append(text)
        if text.endswith(b" 6"):
            raise OSError(errno.EINVAL, "Invalid argument")
        return len(text)

    monkeypatch.setattr("server_agent.kernel.vhci.os.write", old_kernel)
    Vhci(sysfs=stock.root).attach(Port(hub=HubId(1), half="ss", rhport=0), 9, 65538, 6)
    assert written == [b"6 9 65538 6", b"6 9 65538 5"]


@pytest.mark.parametrize("state", [5, 6, 7])
def test_every_port_that_is_not_free_counts_as_used(stock: FakeVhci, state: int) -> None:
    stock.set_status(1, {("hs", 1): state})
    assert Vhci(sysfs=stock.root).used(HubId(1)) == {PORT}
    assert Vhci(sysfs=stock.root).used(HubId(2)) == frozenset()


def test_nothing_is_asked_of_a_hub_that_is_not_there_yet(stock: FakeVhci) -> None:
    for half in stock.hub(1).glob("usb*"):
        shutil.rmtree(half)
    assert Vhci(sysfs=stock.root).detach(Port(hub=HubId(1), half="hs", rhport=0))
    assert (stock.hub(0) / "detach").read_text() == "", "the kernel would oops"


def test_detach_waits_for_the_port(stock: FakeVhci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.kernel.vhci.FREE_SECONDS", 0.05)
    found = Vhci(sysfs=stock.root)
    assert found.detach(PORT)
    assert (stock.hub(0) / "detach").read_text() == "5"
    stock.set_status(1, {("hs", 1): 6})
    assert not found.detach(PORT)


def test_a_step_with_a_port_looks_at_the_driver_once(stock: FakeVhci, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop that decides about all containers waits for it."""
    looks: list[Vhci] = []
    bound = Vhci.bound

    def counted(found: Vhci) -> list[int]:
        looks.append(found)
        return bound(found)

    monkeypatch.setattr(Vhci, "bound", counted)
    Vhci(sysfs=stock.root).attach(PORT, 9, 65538, 3)
    assert len(looks) == 1
    Vhci(sysfs=stock.root).detach(PORT)
    assert len(looks) == 2


def test_a_table_of_a_hub_without_buses_is_not_read(stock: FakeVhci) -> None:
    for bus in (5, 6):
        for path in (stock.hub(1) / f"usb{bus}").iterdir():
            path.unlink()
        (stock.hub(1) / f"usb{bus}").rmdir()
    (stock.hub(0) / "status.1").write_text("reading this would have been an oops")
    assert Vhci(sysfs=stock.root).used(HubId(1)) == frozenset()
    assert Vhci(sysfs=stock.root).ports_per_half() == 2


def test_the_gate_closes_on_both_halves(stock: FakeVhci) -> None:
    gate = Gate(sysfs=stock.root)
    assert not gate.closed(HubId(1))
    gate.close(HubId(1))
    assert gate.closed(HubId(1))
    assert not gate.closed(HubId(2))
    assert (stock.hub(1) / "usb6/authorized_default").read_text().strip() == "0"


def test_a_gate_that_does_not_close_is_an_error(stock: FakeVhci, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server_agent.kernel.gate.os.write", lambda *_: 1)
    with pytest.raises(OSError, match="did not stay 0"):
        Gate(sysfs=stock.root).close(HubId(1))


def number(minor: int) -> Right:
    return Right(kind="c", number=DevNum(189, minor))


def test_a_device_is_read_and_authorised_while_it_is_the_same(stock: FakeVhci) -> None:
    folder = stock.plug(1, "hs", 1)
    gate, busid = Gate(sysfs=stock.root), BusId.parse("5-2")
    device = gate.inspect(busid, number(513)).device
    assert (str(device.vidpid), device.serial, [i.cls for i in device.interfaces]) == ("0bda:58c2", "1234", [2])
    gate.authorise(busid, number(513))
    assert (folder / "authorized").read_text().strip() == "1"


def test_keys_are_inhibited_and_what_is_gone_is_told_from_what_the_kernel_refuses(stock: FakeVhci) -> None:
    folder = stock.plug(1, "hs", 1, authorised=True) / "5-2:1.0/0003:0627:0001.0001/input/input5"
    folder.mkdir(parents=True)
    gate, devpath = Gate(sysfs=stock.root), f"/{folder.relative_to(stock.root)}"
    with pytest.raises(FileNotFoundError):  # a kernel that is too old for it
        gate.inhibit_keys(devpath)
    (folder / "inhibited").write_text("0\n")
    gate.inhibit_keys(devpath)
    assert (folder / "inhibited").read_text() == "1\n"
    with pytest.raises(ChangedError, match="gone"):
        gate.inhibit_keys(devpath.replace("input5", "input6"))


def test_another_device_in_the_same_place_is_neither_read_nor_authorised(stock: FakeVhci) -> None:
    folder = stock.plug(1, "hs", 1, devnum=3)
    gate, busid = Gate(sysfs=stock.root), BusId.parse("5-2")
    for step in (gate.inspect, gate.authorise):
        with pytest.raises(ChangedError):
            step(busid, number(513))
    assert (folder / "authorized").read_text() == "0\n"
    with pytest.raises(ChangedError, match="gone"):
        gate.authorise(BusId.parse("5-1"), number(513))


def test_a_look_sees_hubs_ports_devices_children_and_what_is_left(stock: FakeVhci, tmp_path: Path) -> None:
    folder = stock.plug(1, "hs", 1, authorised=True)
    stock.child(folder, "5-2:1.0/tty/ttyACM0", "tty", "166:0", "ttyACM0")
    stock.child(folder, "5-2:1.0/host0/target/lun/block/sda", "block", "8:0", "sda")
    stock.child(folder, "5-2:1.0/host0/target/lun/block/sda/sda1", "block", "8:1", "sda1")
    (folder / "loop").symlink_to(folder)
    stock.set_status(1, {("hs", 1): 6})
    brokers = tmp_path / "broker"
    (brokers / "two").mkdir(parents=True)
    (brokers / "two/ports").write_text("2-3\n")
    observer = Observer(
        vhci=Vhci(sysfs=stock.root), gate=Gate(sysfs=stock.root),
        rights=ByContainer(
            backends={Backend.MAP: DeviceMaps(cgroups=tmp_path / "cgroup", pins=tmp_path / "pins")}
        ),
        mounts=HubMounts(devicefs=tmp_path / "devicefs", sysfs=stock.root), brokers=brokers,
        nodes=NodeFolders(root=tmp_path / "nodes"), told=Told(root=tmp_path / "told"),
    )  # fmt: skip
    seen = observer.look(4.0)
    assert seen.ports_per_half == 2
    assert {hub: found.used for hub, found in seen.hubs.items()} == {HubId(1): {PORT}, HubId(2): frozenset()}
    device = seen.devices[PORT]
    assert (device.number, device.name, device.authorised) == (number(513), "bus/usb/005/002", True)
    assert {str(right): name for right, name in device.children.items()} == {
        "c 166:0": "ttyACM0", "b 8:0": "sda", "b 8:1": "sda1",
    }  # fmt: skip
    assert seen.leftovers == {VmId("two"): Left(hub=None, running=False, broker_gid=0, ports=PortRange(1, 2))}
    assert seen.rights == {VmId("two"): None}


def test_a_look_sees_what_hosts_nodes_and_their_containers_know(stock: FakeVhci, tmp_path: Path) -> None:
    folder = stock.plug(1, "hs", 1, authorised=True)
    (folder / "5-2:1.0").mkdir()
    (folder / "5-2:1.0/uevent").write_text("DEVTYPE=usb_interface\nPRODUCT=1/2/3\n")
    (folder / "5-2:1.0/subsystem").symlink_to(stock.root / "bus/usb")
    (folder / "5-2:1.0/power").mkdir()
    stock.child(folder, "5-2:1.0/tty/ttyACM0", "tty", "166:0", "ttyACM0")
    nodes, told, brokers = NodeFolders(root=tmp_path / "nodes"), Told(root=tmp_path / "told"), tmp_path / "broker"
    name = VmId("three")
    (nodes.root / "three").mkdir(parents=True)
    (brokers / "three").mkdir(parents=True)
    (brokers / "three/broker.sock").touch()
    told.note(name, Thing(devpath="/devices/x", properties=("SUBSYSTEM=usb",)))
    observer = Observer(
        vhci=Vhci(sysfs=stock.root), gate=Gate(sysfs=stock.root),
        rights=ByContainer(
            backends={Backend.MAP: DeviceMaps(cgroups=tmp_path / "cgroup", pins=tmp_path / "pins")}
        ),
        mounts=HubMounts(devicefs=tmp_path / "devicefs", sysfs=stock.root), brokers=brokers, nodes=nodes, told=told,
    )  # fmt: skip
    seen = observer.look(4.0)
    below = f"/{folder.relative_to(stock.root)}"
    assert [(t.devpath, t.properties[:2], t.right and str(t.right)) for t in seen.devices[PORT].things] == [
        (below, ("SUBSYSTEM=usb", "MAJOR=189"), "c 189:513"),
        (f"{below}/5-2:1.0", ("SUBSYSTEM=usb", "DEVTYPE=usb_interface"), None),
        (f"{below}/5-2:1.0/tty/ttyACM0", ("SUBSYSTEM=tty", "DEVNAME=ttyACM0"), "c 166:0"),
    ]
    assert [t.devpath for t in seen.told[name]] == ["/devices/x"]
    assert seen.nodes == {name: {}}
    assert seen.leftovers[name].nodes == HostNodes(root=os.getuid(), group=(brokers / "three").stat().st_gid)


def test_what_is_called_like_no_container_does_not_keep_the_agent_from_looking(stock: FakeVhci, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("nodes", "told", "broker", "devicefs", "cgroup", "pins")}
    for folder in folders.values():
        (folder / "one").mkdir(parents=True)
        (folder / ".stranger").mkdir()
    observer = Observer(
        vhci=Vhci(sysfs=stock.root), gate=Gate(sysfs=stock.root),
        rights=ByContainer(backends={Backend.MAP: DeviceMaps(cgroups=folders["cgroup"], pins=tmp_path / "none")}),
        mounts=HubMounts(devicefs=folders["devicefs"], sysfs=stock.root), brokers=folders["broker"],
        nodes=NodeFolders(root=folders["nodes"]), told=Told(root=folders["told"]),
    )  # fmt: skip
    assert observer.look(4.0).leftovers.keys() == {VmId("one")}
    assert container_names(folders["pins"]) == {VmId("one")}


def test_mount_points_below_a_folder_are_found_by_their_plain_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "25 1 0:22 / /sys rw - sysfs sysfs rw\n"
        "26 1 0:22 /d /srv/a\\040b/vhci_hcd.1 rw - sysfs sysfs rw\n"
        "27 1 0:22 /d /srv/a\\040bc rw - sysfs sysfs rw\n"
    )
    monkeypatch.setattr("server_agent.kernel.hub_mount.MOUNTINFO", table)
    assert mounts_below(Path("/srv/a b")) == [Path("/srv/a b/vhci_hcd.1")]


def test_a_container_without_a_hub_gets_an_empty_folder(tmp_path: Path) -> None:
    mounts = HubMounts(devicefs=tmp_path / "devicefs", sysfs=tmp_path)
    mounts.make(VmId("one"), None)
    mounts.make(VmId("one"), None)
    assert mounts.known() == {VmId("one")}
    assert mounts.mounted(VmId("one")) is None
    mounts.remove(VmId("one"))
    mounts.remove(VmId("one"))
    assert mounts.known() == frozenset()


def test_folders_that_qvd_itself_made_for_its_containers_are_left_alone(tmp_path: Path) -> None:
    mounts = HubMounts(devicefs=tmp_path, sysfs=tmp_path)
    for name in ("QVD-42", "qvd-42", "QVD-", "one"):
        (tmp_path / name / "vhci_hcd.3").mkdir(parents=True)
    assert mounts.known() == {VmId("qvd-42"), VmId("QVD-"), VmId("one")}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("ports", [ALL_PORTS, PortRange(0, 3)])
def test_of_a_shared_hub_the_container_gets_only_the_buses(
    stock: FakeVhci, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ports: PortRange, *, linked: bool
) -> None:
    real = tmp_path / ("elsewhere" if linked else "devicefs")
    folder, table = real / "one", tmp_path / "mountinfo"
    table.write_text("")
    real.mkdir()
    if linked:  # as storage that an administrator has put on another disk
        (tmp_path / "devicefs").symlink_to(real)

    def mount(source: Path, point: Path) -> None:
        assert point.is_dir()
        assert source.name == point.name
        with table.open("a") as file:
            file.write(f"26 1 0:22 / {point.resolve()} rw - sysfs sysfs rw\n")

    monkeypatch.setattr("server_agent.kernel.hub_mount.MOUNTINFO", table)
    monkeypatch.setattr("server_agent.kernel.hub_mount.mount_bind", mount)
    monkeypatch.setattr("server_agent.kernel.hub_mount.unmount", lambda _: table.write_text(""))
    mounts = HubMounts(devicefs=tmp_path / "devicefs", sysfs=stock.root)
    mounts.make(VmId("one"), HubId(1), ports)
    points = ["vhci_hcd.1"] if ports == ALL_PORTS else ["vhci_hcd.1/usb5", "vhci_hcd.1/usb6"]
    assert mounts_below(folder) == [folder / point for point in points]
    assert mounts.mounted(VmId("one")) == HubId(1)
    mounts.remove(VmId("one"))
    assert not folder.exists()


def test_processes_of_the_container_count_and_its_monitor_does_not(tmp_path: Path) -> None:
    maps = DeviceMaps(cgroups=tmp_path / "qvd", pins=tmp_path / "pins")
    for name, inside, state in (("one", "payload", 1), ("two", "monitor", 1), ("three", "payload", 0)):
        folder = tmp_path / "qvd" / name / inside
        folder.mkdir(parents=True)
        (folder / "cgroup.events").write_text(f"populated {state}\nfrozen 0\n")
    (tmp_path / "qvd/cgroup.procs").touch()
    assert ByContainer(backends={Backend.MAP: maps}).running() == {VmId("one")}
    assert maps.known() == {VmId("one"), VmId("two"), VmId("three")}
    assert not populated(tmp_path / "gone")
