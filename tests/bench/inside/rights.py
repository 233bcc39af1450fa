"""EFFECT: from the kernel's word about a new number to the right in force, on this host's own lists.

rights.py map|lxc|v1 ROUNDS. For map and v1: 64 containers that do not run, each with a list of the agent's own and 8
devices it believes in; for lxc the running container `one` with 8, since the list is LXC's. A tty of every device
appears, and is gone again. The agent's own code decides and writes; what is left out is the socket the word comes by.
In turn with it, one right by hand: `bpftool map update`, `lxc-cgroup`, or the bare writes into devices.allow.
Prints {"ours": [...], "by_hand": [...], "all": [...]}, seconds; `all`: every right of a round, one after the other.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.ids import BusId, DevNum, HubId, VmId
from qvd_usbip.uevent import Uevent, from_environment
from server_agent import actions, device_list, events
from server_agent.decide import decide
from server_agent.kernel.cgroup_v1 import ALLOW, DeviceFiles
from server_agent.kernel.cgroup_v2_lxc import LxcLists
from server_agent.kernel.cgroup_v2_map import DeviceMaps, key_of
from server_agent.kernel.rights import Rights
from server_agent.kernel.udev import event_of
from server_agent.state import Container, Device, Hold, HubBuses, Phase, Port, Right, Stage, State, claims_of

DEVICES = 8
SEQNUM = Path("/sys/kernel/uevent_seqnum")
CGROUPS, PARENT = Path("/sys/fs/cgroup"), "bench"
PINS = Path("/sys/fs/bpf") / PARENT
ALLOWED = ["6", "0", "0", "0"]  # reading and writing, as the map's value
INSIDE = ("payload", "payload/init.scope", "payload/system.slice", "payload/user.slice")  # cgroups of a container


class Maps:
    """Containers with a map each."""

    rights: Rights = DeviceMaps(cgroups=CGROUPS / PARENT, pins=PINS)
    names = tuple(VmId(f"bench{number}") for number in range(64))

    def prepare(self) -> None:
        for name in self.names:
            self.rights.create(name)

    def by_hand(self, name: VmId, right: Right) -> None:
        key = [str(byte) for byte in key_of(right)]
        command = ["bpftool", "map", "update", "pinned", str(PINS / str(name)), "key", *key, "value", *ALLOWED]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def clean(self) -> None:
        for name in self.names:
            self.rights.remove(name)
        (CGROUPS / PARENT).rmdir()
        PINS.rmdir()


class Lists:
    """The container `one`, by LXC's own list."""

    rights: Rights = LxcLists(cgroups=CGROUPS / "qvd")
    names = (VmId("one"),)

    def prepare(self) -> None:
        assert self.rights.held(self.names[0]) is not None, "it runs with a list of LXC's"

    def by_hand(self, name: VmId, right: Right) -> None:
        command = ["lxc-cgroup", "-n", str(name), ALLOW, str(device_list.row_of(right))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def clean(self) -> None:
        """Nothing was made."""


class Files:
    """Containers with folders of cgroup v1, as many in each as a small system has."""

    rights: Rights = DeviceFiles(hierarchies=CGROUPS, parent=PARENT)
    names = tuple(VmId(f"bench{number}") for number in range(64))

    def prepare(self) -> None:
        for name in self.names:
            self.rights.create(name)
            for inside in INSIDE:
                (self._folder(name) / inside).mkdir()

    def by_hand(self, name: VmId, right: Right) -> None:
        row = str(device_list.row_of(right))
        for inside in ("", *INSIDE):
            (self._folder(name) / inside / ALLOW).write_text(row)

    def clean(self) -> None:
        for name in self.names:
            self.rights.remove(name)

    def _folder(self, name: VmId) -> Path:
        return CGROUPS / "devices" / PARENT / str(name)


LISTS: dict[str, type[Maps | Lists | Files]] = {"map": Maps, "lxc": Lists, "v1": Files}


def tty_of(number: int, port: int) -> Right:
    return Right(kind="c", number=DevNum(166, number * DEVICES + port))


def device_of(name: VmId, number: int, port: int) -> Device:
    usb = Right(kind="c", number=DevNum(189, 2 * number * 128 + port + 1))
    place = Port(hub=HubId(number), half="hs", rhport=port)
    return Device(
        port=place, container=name, stage=Stage.AUTHORISED, busid=BusId(2 * number + 1, (port + 1,)),
        number=usb, rights={usb: Hold.GRANTED}, names={usb: "bus/usb/1/1"},
    )  # fmt: skip


def state_of(names: Sequence[VmId]) -> State:
    """What an agent knows that has all of them in use."""
    hubs = dict(enumerate(names, 1))
    devices = {found.port: found for n in hubs for port in range(DEVICES) for found in (device_of(hubs[n], n, port),)}
    return State(
        hubs={HubId(n): HubBuses(hs=2 * n + 1, ss=2 * n + 2) for n in hubs}, ports_per_half=DEVICES,
        containers={name: Container(name=name, hub=HubId(n), phase=Phase.IN_FORCE) for n, name in hubs.items()},
        devices=devices, claims=claims_of(devices),
    )  # fmt: skip


def word(action: str, number: int, port: int) -> Uevent:
    bus, right = 2 * number + 1, tty_of(number, port).number
    devpath = f"/devices/platform/vhci_hcd.{number}/usb{bus}/{bus}-{port + 1}/{bus}-{port + 1}:1.0/tty/ttyACM9"
    words = {"ACTION": action, "DEVPATH": devpath, "SUBSYSTEM": "tty", "DEVNAME": "ttyACM9"}
    return from_environment({**words, "MAJOR": str(right.major), "MINOR": str(right.minor)})


def follow(rights: Rights, state: State, said: Uevent) -> State:
    """What the agent does about it."""
    now = time.monotonic()
    waiting: list[events.Event] = [found for found in (event_of(state, said, now),) if found is not None]
    while waiting:
        state, todo = decide(state, waiting.pop())
        for action in todo:
            if isinstance(action, actions.Grant):
                rights.allow(action.container, action.right)
                waiting.append(events.Granted(at=now, container=action.container, right=action.right))
            elif isinstance(action, actions.Revoke):
                rights.deny(action.container, action.right)
                count = int(SEQNUM.read_text())
                waiting.append(events.Revoked(at=now, container=action.container, right=action.right, count=count))
    return state


def measure(lists: Maps | Lists | Files, rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"ours": [], "by_hand": [], "all": []}
    state = state_of(lists.names)
    places = [(number, port) for port in range(DEVICES) for number in range(1, len(lists.names) + 1)]
    first = lists.names[0]
    before = lists.rights.held(first)
    assert before is not None
    for _ in range(rounds):
        whole = 0.0
        for number, port in places:
            began = time.perf_counter()
            state = follow(lists.rights, state, word("add", number, port))
            taken["ours"].append(time.perf_counter() - began)
            whole += taken["ours"][-1]
        taken["all"].append(whole)
        assert lists.rights.held(first) == before | {tty_of(1, port) for port in range(DEVICES)}
        for number, port in places:
            state = follow(lists.rights, state, word("remove", number, port))
        assert lists.rights.held(first) == before
        for port in range(DEVICES):
            began = time.perf_counter()
            lists.by_hand(first, tty_of(1, port))
            taken["by_hand"].append(time.perf_counter() - began)
            lists.rights.deny(first, tty_of(1, port))
    return taken


def main(kind: str, rounds: int) -> None:
    lists = LISTS[kind]()
    lists.prepare()
    try:
        print(json.dumps(measure(lists, rounds)))
    finally:
        lists.clean()


main(sys.argv[1], int(sys.argv[2]))
