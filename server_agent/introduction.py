"""PURE: who a connection of the porter's is about: a client whose certificate is known to it, or nobody yet.

The first message of each connection to the agent; after a known client's the words are those of `qvd_usbip.broker`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvd_usbip import json_object
from qvd_usbip.errors import BROKER_PROTOCOL
from qvd_usbip.pairing import is_fingerprint

MAX_MESSAGE = 512
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """Who is at the door.

    Args:
        peer: the address it comes from, for people.
        fingerprint: of the certificate it has proved to have the key of; "" for none, which may only be paired.
        way: who does the TLS of the connection (qvd_usbip.system.tls.Way).
    """

    peer: str
    fingerprint: str = ""
    way: str = ""

    def encode(self) -> bytes:
        """The message."""
        fields = {"v": _VERSION, "peer": self.peer, "fingerprint": self.fingerprint, "way": self.way}
        return json_object.write(fields, MAX_MESSAGE)


def decode(data: bytes) -> Introduction:
    """Read the message. Raises: QvdUsbError broker-protocol."""
    message = json_object.parse(data, MAX_MESSAGE, BROKER_PROTOCOL)
    message.version(_VERSION)
    message.only(frozenset(("v", "peer", "fingerprint", "way")))
    fingerprint = message.text("fingerprint")
    if fingerprint and not is_fingerprint(fingerprint):
        raise message.refusal("'fingerprint' is none")
    return Introduction(peer=message.text("peer"), fingerprint=fingerprint, way=message.text("way"))
