"""EFFECT: paired.py: lets a client and a host know each other, as pairing does, without anybody who compares a code.

As the client's user: `paired.py identity` prints the certificate as base64. As the host's root:
`paired.py add CONTAINER BASE64` pairs it and prints the host's fingerprint.
"""

import base64
import sys
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from qvd_usbip.system.identity import load_or_make

NAME = "lab"
HOST = Path("/var/lib/qvd-usbip/endpoint")


def identity() -> None:
    found = load_or_make(Path("~/.config/qvd-usbip/identity").expanduser(), NAME)
    print(base64.b64encode(found.der).decode())


def add(container: str, certificate: str) -> None:
    from qvd_usbip.ids import VmId  # noqa: PLC0415  # the client has none of the host's modules
    from qvd_usbip.pairing import fingerprint_of  # noqa: PLC0415
    from server_agent import paired  # noqa: PLC0415

    der = base64.b64decode(certificate)
    client = paired.Paired(
        name=NAME, container=VmId.parse(container), fingerprint=fingerprint_of(der), added="2026-01-01", certificate=der
    )
    paired.add(HOST / "clients", client)
    print(load_or_make(HOST, NAME).fingerprint)


if __name__ == "__main__":
    words = sys.argv[1:]
    identity() if words == ["identity"] else add(*words[1:])
