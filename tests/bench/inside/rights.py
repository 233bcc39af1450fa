"""EFFECT: from the kernel's word about a new number to the right in force, on this host's own maps: rights.py ROUNDS.

64 containers that do not run, each with a map of the agent's own and 8 devices it believes in; a tty of every device
appears, and is gone again. The agent's own code decides and writes; what is left out is the socket the word comes by.
In turn with it, one right by hand: `bpftool map update`. Prints {"ours": […], "by_hand": […], "all": […]}, seconds.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.uevent import Uevent, from_environment
from server_agent import actions, events
from server_agent.decide import decide
from server_agent.kernel.cgroup_v2_map import DeviceMaps, key_of
from server_agent.kernel.udev import event_of
from server_agent.state import Container, Device, Hold, HubBuses, Phase, Port, Right, Stage, State, claims_of

CONTAINERS, DEVICES = 64, 8
PINS = Path("/sys/fs/bpf/bench")
MAPS = DeviceMaps(cgroups=Path("/sys/fs/cgroup/bench"), pins=PINS)
ALLOWED = ["6", "0", "0", "0"]  # reading and writing, as the map's value


def name_of(number: int) -> VmId:
    return VmId(f"bench{number}")


def tty_of(number: int, port: int) -> Right:
    return Right(kind="c", number=DevNum(166, number * DEVICES + port))


def device_of(number: int, port: int) -> Device:
    usb = Right(kind="c", number=DevNum.of_usbfs(2 * number + 1, port + 2))
    place = Port(hub=HubId(number), half="hs", rhport=port)
    return Device(
        port=place, container=name_of(number), stage=Stage.AUTHORISED, busid=BusId(2 * number + 1, (port + 1,)),
        number=usb, rights={usb: Hold.GRANTED}, names={usb: "bus/usb/1/1"},
    )  # fmt: skip


def state_of() -> State:
    """What an agent knows that has all of them in use."""
    numbers = range(1, CONTAINERS + 1)
    devices = {found.port: found for n in numbers for port in range(DEVICES) for found in (device_of(n, port),)}
    return State(
        hubs={HubId(n): HubBuses(hs=2 * n + 1, ss=2 * n + 2) for n in numbers}, ports_per_half=DEVICES,
        containers={name_of(n): Container(name=name_of(n), hub=HubId(n), phase=Phase.IN_FORCE) for n in numbers},
        devices=devices, claims=claims_of(devices),
    )  # fmt: skip


def word(action: str, number: int, port: int) -> Uevent:
    bus, right = 2 * number + 1, tty_of(number, port).number
    devpath = f"/devices/platform/vhci_hcd.{number}/usb{bus}/{bus}-{port + 1}/{bus}-{port + 1}:1.0/tty/ttyACM9"
    words = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "tty", "DEVNAME": "ttyACM9"}
    return from_environment({**words, "MAJOR": str(right.major), "MINOR": str(right.minor)})


def follow(state: State, said: Uevent) -> State:
    """What the agent does about it."""
    now = time.monotonic()
    waiting: list[events.Event] = [found for found in (event_of(state, said, now),) if found is not None]
    while waiting:
        state, todo = decide(state, waiting.pop())
        for action in todo:
            if isinstance(action, actions.Grant):
                MAPS.allow(action.container, action.right)
                waiting.append(events.Granted(at=now, container=action.container, right=action.right))
            elif isinstance(action, actions.Revoke):
                MAPS.deny(action.container, action.right)
                waiting.append(events.Revoked(at=now, container=action.container, right=action.right))
    return state


def by_hand(number: int, port: int) -> float:
    """One right with the kernel's own tool."""
    key = [str(byte) for byte in key_of(tty_of(number, port))]
    command = ["bpftool", "map", "update", "pinned", str(PINS / str(name_of(number))), "key", *key, "value", *ALLOWED]
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    taken = time.perf_counter() - began
    MAPS.deny(name_of(number), tty_of(number, port))
    return taken


def places() -> Iterator[tuple[int, int]]:
    yield from ((number, port) for port in range(DEVICES) for number in range(1, CONTAINERS + 1))


def measure(rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"ours": [], "by_hand": [], "all": []}
    state = state_of()
    for _ in range(rounds):
        whole = 0.0
        for number, port in places():
            began = time.perf_counter()
            state = follow(state, word("add", number, port))
            taken["ours"].append(time.perf_counter() - began)
            whole += taken["ours"][-1]
        taken["all"].append(whole)
        assert MAPS.held(name_of(1)) == frozenset(tty_of(1, port) for port in range(DEVICES))
        for number, port in places():
            state = follow(state, word("remove", number, port))
        taken["by_hand"].append(by_hand(1, 0))
    return taken


def main() -> None:
    names = [name_of(number) for number in range(1, CONTAINERS + 1)]
    for name in names:
        MAPS.create(name)
    try:
        print(json.dumps(measure(int(sys.argv[1]))))
    finally:
        for name in names:
            MAPS.remove(name)
        MAPS.cgroups.rmdir()
        PINS.rmdir()


main()
