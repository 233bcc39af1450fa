"""EFFECT: hand_over.py CONTAINER|PORT VID PID SERIAL: both ends in the server guest itself, without the network.

Lends a device of this guest, and hands the connection to the broker of a container as its receiver would; or, with a
port of hub 0 (a decimal number), writes it into vhci_hcd as an administrator with `usbip attach` would.
Prints the attach id; ends when the device is authorised, or exits 1 with the problem.
"""

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip import broker
from qvd_usbip.ack import AckState
from qvd_usbip.vhci import Ports, speed_of

USB, STUB = Path("/sys/bus/usb/devices"), Path("/sys/bus/usb/drivers/usbip-host")
NAMES = ("idVendor", "idProduct", "serial")


def write(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, text.encode())
    os.close(fd)


def own_device(identity: tuple[str, ...]) -> Path:
    """The device with these ids that is plugged into this guest itself."""
    for folder in sorted(USB.iterdir()):
        ids = tuple((folder / name).read_text().strip() for name in NAMES if (folder / name).exists())
        if ids == identity and "vhci_hcd" not in str(folder.resolve()):
            return folder
    raise SystemExit(f"no device {identity}")


def lend(device: Path, end: socket.socket) -> tuple[int, int]:
    """Give the device to usbip-host and one end to the device; its devid and speed."""
    subprocess.run(["modprobe", "usbip-host"], check=True)
    driver = device / "driver"
    if driver.resolve().name != STUB.name:
        write(STUB / "match_busid", f"add {device.name}")
        if driver.exists():
            write(driver / "unbind", device.name)
        write(STUB / "bind", device.name)
    write(device / "usbip_sockfd", str(end.fileno()))
    bus, number = (int((device / name).read_text()) for name in ("busnum", "devnum"))
    return bus << 16 | number, speed_of((device / "speed").read_text().strip())


def ask(container: str, request: broker.Request, fds: tuple[int, ...] = ()) -> broker.Answer:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(f"/run/qvd-usbip/broker/{container}/broker.sock")
        socket.send_fds(connection, [broker.encode_request(request)], fds)
        answer = broker.decode_answer(connection.recv(broker.MAX_ANSWER))
    if not answer.ok:
        raise SystemExit(answer.problem)
    return answer


def main(target: str, *identity: str) -> None:
    device = own_device(identity)
    ours, theirs = socket.socketpair()
    devid, speed = lend(device, ours)
    if target.isdecimal():
        line = Ports.attach_line(int(target), theirs.fileno(), devid, speed)
        write(Path("/sys/devices/platform/vhci_hcd.0/attach"), line)
        return
    attach_id = str(uuid.uuid4())
    ask(target, broker.Attach(devid=devid, speed=speed, attach_id=attach_id), (theirs.fileno(),))
    ours.close()
    theirs.close()
    seen: AckState | None = None
    while seen not in {AckState.AUTHORISED, AckState.READY}:
        ack = ask(target, broker.Status(attach_id=attach_id, wait=20, seen=seen)).ack
        if ack is None or ack.state == seen or ack.state.is_final:
            raise SystemExit(f"not beyond {seen}: {ack}")
        seen = ack.state
    print(attach_id)


main(*sys.argv[1:])
