"""The module is unloaded under a running agent, and loaded again: no right stays, no gate is open when it counts."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from qvd_usbip.ids import HubId, VmId
from qvd_usbip.uevent import from_environment
from server_agent import events
from server_agent.events import Observed
from server_agent.kernel.gate import Gate
from server_agent.kernel.udev import is_root_hub
from server_agent.kernel.vhci import Vhci
from server_agent.state import Port
from tests.unit.server_agent.conftest import Bench, Run
from tests.unit.server_agent.fake_vhci import FakeVhci
from tests.unit.server_agent.world import World
from tests.unit.server_agent.world_promises import check_rest

ONE = VmId("one")
PORT = Port(hub=HubId(1), half="hs", rhport=0)


@dataclass(slots=True)
class Reloadable(World):
    """The model of the kernel, with a module that can go."""

    loaded: bool = True

    def unload(self, *, heard: bool) -> None:
        self.loaded = False
        for port in list(self.attached):
            self.vanish(port)
        self.gates.clear()
        if not heard:
            self.uevents.clear()

    def observe(self) -> Observed:
        seen = World.observe(self)
        return seen if self.loaded else replace(seen, hubs={}, devices={}, ports_per_half=0)


def in_use() -> Reloadable:
    world = Reloadable()
    world.ask(events.Reserve, container=ONE, broker_gid=0, enabled=True, running=False)
    world.deliver_all()
    world.running.add(ONE)
    world.ask(events.Attach, container=ONE, attach_id="a", devid=65538, speed=3)
    world.enumerate(PORT)
    world.deliver_all()
    world.child(PORT)
    world.deliver_all()
    assert len(world.maps[ONE]) == 2
    return world


@pytest.mark.parametrize("heard", [True, False])
def test_no_right_outlives_the_module_and_the_next_device_is_judged_anew(*, heard: bool) -> None:
    world = in_use()
    world.unload(heard=heard)
    world.settle()
    assert world.maps[ONE] == set()
    assert not world.state.devices
    world.loaded = True
    world.settle()
    assert HubId(1) in world.gates
    world.ask(events.Attach, container=ONE, attach_id="b", devid=65538, speed=3)
    world.enumerate(PORT)
    world.settle()
    assert len(world.maps[ONE]) == 1
    check_rest(world)


@pytest.mark.parametrize("heard", [True, False])
def test_a_container_that_stops_without_the_module_is_released(*, heard: bool) -> None:
    world = in_use()
    world.unload(heard=heard)
    world.ask(events.Release, container=ONE)
    world.running.discard(ONE)
    world.settle()
    assert not world.state.containers
    assert world.maps == {}


def test_nothing_is_attached_to_a_hub_whose_gate_cannot_be_closed(tmp_path: Path) -> None:
    kernel = FakeVhci(root=tmp_path / "sys").make()
    gate = Gate(sysfs=kernel.root)
    assert not gate.closed(HubId(1))
    gate.keep_closed(HubId(1))
    assert gate.closed(HubId(1))
    with pytest.raises(OSError, match=r"vhci_hcd\.7"):
        gate.keep_closed(HubId(7))


def test_the_agent_survives_a_kernel_without_the_module(tmp_path: Path) -> None:
    vhci = Vhci(sysfs=tmp_path)
    assert (vhci.lendable(), vhci.ports_per_half()) == ((), 0)


@pytest.mark.parametrize(
    ("devpath", "expected"),
    [
        ("/devices/platform/vhci_hcd.1/usb5", True),
        ("/devices/platform/vhci_hcd.1/usb5/5-1", False),
        ("/devices/platform/vhci_hcd.1", False),
        ("/devices/pci0000:00/vhci_hcd.1/usb5", False),
        ("/devices/pci0000:00/0000:00:14.0/usb1", False),
    ],
)
def test_a_root_hub_is_known_by_its_place(devpath: str, *, expected: bool) -> None:
    words = {"ACTION": "add", "DEVPATH": devpath, "SUBSYSTEM": "usb", "DEVTYPE": "usb_device"}
    assert is_root_hub(from_environment(words)) == expected


def test_a_hub_that_comes_or_goes_is_looked_at_at_once(run: Run) -> None:
    async def work(bench: Bench) -> None:
        looks = bench.kernel.looks
        words = {"ACTION": "add", "DEVPATH": "/devices/platform/vhci_hcd.1/usb5", "SUBSYSTEM": "usb"}
        bench.kernel.incoming.append(from_environment({**words, "DEVTYPE": "usb_device"}))
        bench.daemon._read_monitor()
        await bench.until(lambda: bench.kernel.looks == looks + 1)

    run(work)
