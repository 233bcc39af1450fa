"""EFFECT: a client without the client's programs: binds a device, gives it to a slave server, prints each answer.

python3 share_by_hand.py BUSID ADDRESS PORT KEY [SECONDS]   runs as root; ends with the first final state or `ready`
python3 share_by_hand.py -r BUSID                           takes the device back
"""

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")
from qvd_usbip import wire

DRIVER = Path("/sys/bus/usb/drivers/usbip-host")
SPEEDS = {"1.5": 1, "12": 2, "480": 3, "5000": 5}


def connect(address: str, port: int) -> socket.socket:
    connection = socket.create_connection((address, port), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def talk(connection: socket.socket, client: "wire.UpgradeClient | wire.AckClient") -> object:
    connection.sendall(client.request)
    while (outcome := client.feed(connection.recv(1 if isinstance(client, wire.UpgradeClient) else 4096))) is None:
        pass
    return outcome


def share(busid: str, address: str, port: int, key: str) -> str:
    subprocess.run(["usbip", "bind", "-b", busid], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    device = DRIVER / busid
    devid = int((device / "busnum").read_text()) << 16 | int((device / "devnum").read_text())
    attach_id = str(uuid.uuid4())
    with connect(address, port) as connection:
        outcome = talk(connection, wire.UpgradeClient(key, attach_id))
        if not isinstance(outcome, wire.Upgraded):
            raise SystemExit(f"not upgraded: {outcome}")
        (device / "usbip_sockfd").write_text(str(connection.fileno()))
        speed = SPEEDS[(device / "speed").read_text().strip()]
        connection.sendall(b"%d %d\n" % (devid, speed))
    return attach_id


def follow(attach_id: str, address: str, port: int, key: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := int(end - time.monotonic())) > 0:
        with connect(address, port) as connection:
            connection.settimeout(left + 10)
            answer = talk(connection, wire.AckClient(key, attach_id, wait=min(left, 5)))
        if not isinstance(answer, wire.Ack):
            print(json.dumps({"state": "none", "problem": str(answer)}), flush=True)
            time.sleep(0.5)
            continue
        print(json.dumps({"state": answer.state, "problem": answer.problem, "node": answer.node}), flush=True)
        if answer.state.is_final or answer.state is wire.AckState.READY:
            return


def main(words: list[str]) -> None:
    if words[0] == "-r":
        subprocess.run(["usbip", "unbind", "-b", words[1]], check=True, stdout=subprocess.DEVNULL)
        return
    busid, address, port, key = words[0], words[1], int(words[2]), words[3]
    attach_id = share(busid, address, port, key)
    follow(attach_id, address, port, key, float(words[4]) if len(words) > 4 else 60)


if __name__ == "__main__":
    os.umask(0o077)
    main(sys.argv[1:])
