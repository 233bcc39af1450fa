"""What the tests of reconcile are made of: container one with a device in use, and one look at the kernel."""

from dataclasses import replace
from typing import Any

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from server_agent import actions
from server_agent.draft import Draft
from server_agent.events import DeviceSeen, HubSeen, Observed
from server_agent.reconcile import reconcile
from server_agent.state import (
    Container,
    Device,
    Hold,
    HubBuses,
    Phase,
    Port,
    Progress,
    Right,
    Stage,
    State,
    claims_of,
)

AT, NOW = 1000.0, 1001.0  # the look began, and is judged
ONE, TWO = VmId("one"), VmId("two")
HUB, BUSES = HubId(1), HubBuses(hs=3, ss=4)
FIRST, SECOND = (Port(hub=HUB, half="hs", rhport=number) for number in (0, 5))
BUSID, NAME = BusId(3, (1,)), "bus/usb/003/002"
USB, OTHER = (Right(kind="c", number=DevNum(189, minor)) for minor in (257, 258))
TTY, DISK = Right(kind="c", number=DevNum(166, 0)), Right(kind="b", number=DevNum(8, 0))


def hub(*used: Port, gate_closed: bool = True) -> dict[HubId, HubSeen]:
    return {HUB: HubSeen(buses=BUSES, gate_closed=gate_closed, used=frozenset(used))}


def seen(**changes: Any) -> Observed:
    """Container one runs, with an empty hub and an empty map."""
    usual = Observed(
        at=AT, hubs=hub(), ports_per_half=8, devices={}, rights={ONE: frozenset()}, running=frozenset({ONE}),
        leftovers={},
    )  # fmt: skip
    return replace(usual, **changes)


def container(**changes: Any) -> Container:
    usual = Container(name=ONE, hub=HUB, phase=Phase.IN_FORCE, broker_open=True, since=AT - 1)
    return replace(usual, **changes)


def device(**changes: Any) -> Device:
    """One that is in use."""
    usual = Device(
        port=FIRST, container=ONE, attach_id="a", stage=Stage.AUTHORISED, changed=AT - 1, busid=BUSID, number=USB,
        rights={USB: Hold.GRANTED}, names={USB: NAME},
    )  # fmt: skip
    return replace(usual, **changes)


def attached(**changes: Any) -> Device:
    """One whose socket the kernel has, and nothing enumerated."""
    return device(**{"stage": Stage.ATTACHED, "busid": None, "number": None, "rights": {}, "names": {}, **changes})


def found(**changes: Any) -> dict[Port, DeviceSeen]:
    usual = DeviceSeen(port=FIRST, busid=BUSID, number=USB, name=NAME, authorised=True)
    return {FIRST: replace(usual, **changes)}


def known(*things: Container | Device, **more: Any) -> State:
    devices = {thing.port: thing for thing in things if isinstance(thing, Device)}
    containers = {thing.name: thing for thing in things if isinstance(thing, Container)}
    progress = {d.attach_id: Progress(container=d.container, started=AT - 9) for d in devices.values() if d.attach_id}
    usual = State(containers=containers, devices=devices, claims=claims_of(devices), progress=progress)
    return replace(usual, **more)


def look(state: State, at_it: Observed) -> Draft:
    draft = Draft(state, NOW)
    reconcile(draft, at_it)
    return draft


def in_use(**changes: Any) -> dict[str, Any]:
    """What is seen of a device that is in use."""
    return {"hubs": hub(FIRST), "devices": found(**changes)}


DETACH = [actions.DetachPort(port=FIRST)]
