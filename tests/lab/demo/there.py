"""EFFECT: the way there: plugged, listed, ticked … opened by the user in the container, as steps."""

import json
import re
import shlex
import time
from functools import partial

from tests.lab.demo.way import ADDRESS, CONTAINER, DEVICES, FILE_TEXT, KEY, SERIAL, STICK, Device, Step, Way
from tests.lab.demo.witness import Facts

STICK_FILE = "HELLO.TXT"
STICK_IMAGE = f"/var/lib/lab/{STICK.name}.img"  # where the lab's gadget looks for its medium
READ_WRITE = 6  # the bits of the device map


def usbfs_node(facts: Facts) -> str:
    """Returns the name of the device's usbfs node among the names a witness saw, empty if there is none."""
    return next((name for name in facts["rights"] if name.startswith("bus/usb/")), "")


def user_node(facts: Facts, device: Device) -> str:
    """Returns the name of the node that programs use: the tty of an adapter, the disk of a stick."""
    start = "ttyACM" if device is SERIAL else "sd"
    return next((name for name in sorted(facts["rights"]) if name.startswith(start)), "")


def both(facts: Facts, device: Device) -> tuple[str, ...]:
    """Returns the usbfs node and the user's node once both are known, else nothing."""
    names = (usbfs_node(facts), user_node(facts, device))
    return names if all(names) else ()


def make_stick(way: Way) -> None:
    """Makes the file system on the stick, with one file to be read in the container."""
    way.lab.client.run(
        f"rm -f {STICK_IMAGE}; mkdir -p /var/lib/lab; mkfs.vfat -C {STICK_IMAGE} 32768 >/dev/null"
        f" && printf '{FILE_TEXT}\\n' >/run/demo/hello"
        f" && mcopy -i {STICK_IMAGE} /run/demo/hello ::{STICK_FILE}"
    )


def plug(device: Device, way: Way) -> None:
    if device is STICK:
        make_stick(way)
    way.lab.client.gadget(device.name, device.gadget, device.vid, device.pid, device.serial, product=device.product)
    way.expect(
        "plugged",
        device,
        way.client,
        lambda facts: facts["driver"] == "usb" and device.local in facts["interfaces"],
        lambda facts: f"{device.identity} at {facts['busid']}, driver {device.local}",
    )


def open_picker(way: Way) -> None:
    session = {"v": 1, "name": "Work desktop", "address": ADDRESS, "key": KEY, "encryption": "none"}
    way.desk.open_picker(session)


def listed(device: Device, way: Way) -> None:
    names = [str(entry["identity"]) for entry in way.desk.list_devices()]
    if device.identity not in names:
        raise way.broken("listed", device, f"qvd-usb list shows {', '.join(names) or 'nothing'}")
    place = way.desk.place_of(f"Share {device.product}")
    if not place:
        raise way.broken("listed", device, "the picker shows no switch for it")
    way.tell("listed", device, f'the picker shows "Share {device.product}" at {place}')


def tick(device: Device, way: Way) -> None:
    way.click(device)
    way.expect(
        "ticked",
        device,
        way.client,
        lambda facts: facts["listed"],
        lambda _: f"client.usb.share_list has {device.identity}",
    )


def released(device: Device, way: Way) -> None:
    way.expect(
        "released",
        device,
        way.client,
        lambda facts: facts["driver"] == "usbip-host" and not facts["interfaces"],
        lambda facts: f"{device.local} let go, {facts['driver']} holds {facts['busid']}",
    )


def exported(device: Device, way: Way) -> None:
    sight = way.look("exported", device, way.client, lambda facts: facts["status"] == "2")
    bare = in_the_clear(way)
    if len(bare) <= DEVICES.index(device):
        raise way.broken("exported", device, f"of the connections that usbip-host was given are without TLS: {bare}")
    way.tell("exported", device, f"{sight.facts['busid']}: usbip_status 2", sight.at)


def in_the_clear(way: Way) -> list[str]:
    """Returns the connections to the container that a process of root has, the helper, and on which no TLS is.

    Where others encrypt, what it hands to usbip-host is a socket to them; or the kernel does, and TLS is on it.
    """
    client = way.lab.client
    helpers = set(client.run("ps -o pid= -u root").out.split())
    sockets = client.run(f"ss -HtnOpi state established dst {ADDRESS}").out.splitlines()
    return [line for line in sockets if "tcp-ulp-tls" not in line and helpers & set(re.findall(r"pid=(\d+)", line))]


def attached(device: Device, way: Way) -> None:
    way.expect(
        "attached",
        device,
        way.server,
        lambda facts: facts["busid"],
        lambda facts: f"hub {facts['hub']}: {facts['busid']}",
    )


def is_granted(facts: Facts) -> bool:
    name = usbfs_node(facts)
    return bool(name) and facts["rights"][name] & READ_WRITE == READ_WRITE


def granted(device: Device, way: Way) -> None:
    way.expect("granted", device, way.server, is_granted, lambda facts: f"{usbfs_node(facts)}: rw in its device map")


def authorised(device: Device, way: Way) -> None:
    sight = way.expect(
        "authorised",
        device,
        way.server,
        lambda facts: facts["authorized"] == "1",
        lambda facts: f"{facts['busid']}: authorized 1",
    )
    if not is_granted(sight.facts):
        raise way.broken("authorised", device, "it was authorised while the map held no right for it")


def node(device: Device, way: Way) -> None:
    def right(found: Facts) -> bool:
        return bool(found["same"] and found["acl"] and found["mode"].endswith("0"))

    def made(facts: Facts) -> bool:
        names, nodes = both(facts, device), facts["nodes"]
        return bool(names) and all(name in nodes and right(nodes[name]) for name in names)

    way.expect(
        "node", device, way.server, made, lambda facts: ", ".join(f"/dev/{name}" for name in both(facts, device))
    )


OPEN = "import os,sys; [os.close(os.open(name, os.O_RDWR | os.O_NONBLOCK)) for name in sys.argv[1:]]"


def opened(device: Device, way: Way) -> None:
    names = [f"/dev/{name}" for name in both(way.server.latest(device.identity), device)]
    command = shlex.join(["python3", "-I", "-S", "-c", OPEN, *names])
    end = time.monotonic() + way.patience
    while (result := way.lab.container(CONTAINER).run(command, user="user", check=False)).rc:
        if time.monotonic() > end:
            raise way.broken("opened", device, f"user in {CONTAINER}: {result.out.strip().splitlines()[-1]}")
        time.sleep(0.5)
    way.tell("opened", device, f"read and write: {', '.join(names)}")


#: The adapter's far end, on the desk: says when it listens, and sends back what it gets, turned round.
LISTENS = "/run/demo/peer-listens"
PEER = f"""
import os, termios, tty
fd = os.open("/dev/ttyGS0", os.O_RDWR | os.O_NOCTTY)
tty.setraw(fd)
open("{LISTENS}", "w").close()
got = b""
while len(got) < 1024:
    got += os.read(fd, 1024)
os.write(fd, got[::-1])
termios.tcdrain(fd)
"""
TALK = """
import os, select, sys, tty
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(fd)
sent, got = bytes(range(256)) * 4, b""
os.write(fd, sent)
while len(got) < 1024 and select.select([fd], [], [], 60)[0]:
    got += os.read(fd, 1024)
sys.exit(got != sent[::-1])
"""


def talked(way: Way) -> None:
    name = user_node(way.server.latest(SERIAL.identity), SERIAL)
    way.lab.client.spawn(shlex.join(["python3", "-c", PEER]), "demo-peer")
    wait = f"for i in $(seq {way.patience:.0f}); do [ -e {LISTENS} ] && exit 0; sleep 1; done; exit 1"
    if way.lab.client.run(wait, timeout=way.patience + 60, check=False).rc:
        raise way.broken("talked", SERIAL, "its far end on the desk does not listen")
    command = shlex.join(["timeout", "90", "python3", "-c", TALK, f"/dev/{name}"])
    result = way.lab.container(CONTAINER).run(command, user="user", timeout=120, check=False)
    if result.rc:
        reason = f"1,024 bytes did not come back turned round: {json.dumps(result.out)}"
        raise way.broken("talked", SERIAL, reason)
    way.tell("talked", SERIAL, f"1,024 there and 1,024 back through /dev/{name}")


def file_read(way: Way) -> None:
    name = user_node(way.server.latest(STICK.identity), STICK)
    result = way.lab.container(CONTAINER).run(f"mtype -i /dev/{name} ::{STICK_FILE}", user="user", check=False)
    if FILE_TEXT not in result.out:
        raise way.broken("file", STICK, f"{STICK_FILE} could not be read: {result.out.strip()}")
    way.tell("file", STICK, f"{STICK_FILE}: {FILE_TEXT}")


TICKING = {
    "ticked": tick,
    "released": released,
    "exported": exported,
    "attached": attached,
    "granted": granted,
    "authorised": authorised,
    "node": node,
    "opened": opened,
}


def steps() -> list[Step]:
    """Returns the links of the way there, in their order."""
    order = [Step("plugged", device, partial(plug, device)) for device in DEVICES]
    order += [Step("picker", None, open_picker)]
    order += [Step("listed", device, partial(listed, device)) for device in DEVICES]
    order += [Step(link, device, partial(act, device)) for device in DEVICES for link, act in TICKING.items()]
    return [*order, Step("talked", SERIAL, talked), Step("file", STICK, file_read)]
