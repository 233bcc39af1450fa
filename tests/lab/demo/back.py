"""EFFECT: the stranger's attempt and the way back: refused, unticked … the device at home again, as steps."""

import shlex
from functools import partial

from tests.lab.demo.there import both
from tests.lab.demo.way import DEVICES, STRANGER, Device, Step, Way
from tests.lab.demo.witness import Facts

#: Run by root of the other container: makes its own nodes with the device's numbers and tries to open them.
INTRUDE = """
import os, stat, sys
for word in sys.argv[1:]:
    kind, major, minor = word.split(":")
    name = "/dev/stolen-" + word.replace(":", "-")
    if not os.path.exists(name):
        os.mknod(name, 0o600 | (stat.S_IFBLK if kind == "b" else stat.S_IFCHR), os.makedev(int(major), int(minor)))
    try:
        os.close(os.open(name, os.O_RDWR | os.O_NONBLOCK))
        print("opened", word)
    except PermissionError:
        print("refused", word)
"""


def number_of(way: Way, name: str) -> str:
    """Returns kind:major:minor of a node, as the server's kernel has it."""
    kind, folder = ("b", "block") if name.startswith("sd") else ("c", "char")
    found = way.lab.server.run(f"basename $(dirname $(grep -lx DEVNAME={name} /sys/dev/{folder}/*/uevent))")
    return f"{kind}:{found.out.strip()}"


def stranger(device: Device, way: Way) -> None:
    words = [number_of(way, name) for name in both(way.server.latest(device.identity), device)]
    answer = way.lab.container(STRANGER).run(shlex.join(["python3", "-c", INTRUDE, *words]), check=False).out
    refused = [line.split()[1] for line in answer.splitlines() if line.startswith("refused ")]
    if not words or refused != words:
        raise way.broken("stranger", device, f"root of {STRANGER} tried {words} with its own mknod: {answer.strip()}")
    way.tell("stranger", device, f"root of {STRANGER}, own mknod of {', '.join(words)}: not permitted")


def untick(device: Device, way: Way) -> None:
    way.click(device)
    way.expect(
        "unticked",
        device,
        way.client,
        lambda facts: not facts["listed"],
        lambda _: f"{device.identity} is no longer in client.usb.share_list",
    )


def node_gone(device: Device, way: Way) -> None:
    way.expect("node gone", device, way.server, lambda facts: not facts["nodes"], lambda _: "none left in its /dev")


def right_gone(device: Device, way: Way) -> None:
    def none_left(facts: Facts) -> bool:
        return bool(facts["rights"]) and not any(facts["rights"].values())

    way.expect("right gone", device, way.server, none_left, lambda facts: f"none for {', '.join(facts['rights'])}")


def hub_empty(way: Way) -> None:
    device = DEVICES[-1]
    sight = way.server.first(
        device.identity, lambda facts: facts["ports"] == 0, since=way.clicked_at(device), patience=way.patience
    )
    if sight is None:
        raise way.broken("hub empty", None, f"ports in use: {way.server.latest(device.identity)['ports']}")
    way.tell("hub empty", None, "0 ports in use", sight.at)


def home(device: Device, way: Way) -> None:
    way.expect(
        "home",
        device,
        way.client,
        lambda facts: facts["driver"] == "usb" and device.local in facts["interfaces"],
        lambda facts: f"{facts['busid']}: {device.local}",
    )


def steps() -> list[Step]:
    """Returns the stranger's attempt and the links of the way back, in their order."""
    order = [Step("stranger", device, partial(stranger, device)) for device in DEVICES]
    order += [Step("unticked", device, partial(untick, device)) for device in DEVICES]
    order += [Step("node gone", device, partial(node_gone, device)) for device in DEVICES]
    order += [Step("right gone", device, partial(right_gone, device)) for device in DEVICES]
    order += [Step("hub empty", None, hub_empty)]
    return order + [Step("home", device, partial(home, device)) for device in DEVICES]
