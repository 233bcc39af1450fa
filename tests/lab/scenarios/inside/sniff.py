"""EFFECT: sniff.py PORT NEEDLE OUT: counts the packets from or to a TCP port, and those that hold the needle.

OUT is written anew twice a second, as JSON.
"""

import json
import socket
import sys
import time
from pathlib import Path

ALL, IP, TCP = 0x0003, 0x0800, 6  # Source: include/uapi/linux/if_ether.h


def main() -> None:
    port, needle, out = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3]
    seen = {"packets": 0, "bytes": 0, "hits": 0}
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
    wire.settimeout(0.5)
    written = 0.0
    while True:
        try:
            packet, address = wire.recvfrom(65536)
        except TimeoutError:
            packet, address = b"", ("", 0)
        if address[1] == IP and packet[9] == TCP:
            tcp = packet[(packet[0] & 15) * 4 :]
            if port in {int.from_bytes(tcp[:2]), int.from_bytes(tcp[2:4])}:
                seen["packets"] += 1
                seen["bytes"] += len(tcp)
                seen["hits"] += needle in tcp
        if time.monotonic() - written > 0.5:
            written = time.monotonic()
            with open(f"{out}.new", "w", encoding="ascii") as file:
                json.dump(seen, file)
            Path(f"{out}.new").replace(out)


main()
