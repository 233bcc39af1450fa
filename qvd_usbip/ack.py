"""PURE: how far an attach has come, as the agent tells the image, and the image the client."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from qvd_usbip import errors, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 2048
MAX_WAIT = 30  # seconds until a question how far it is gets an answer at the latest
_VERSION = 1
_MAX_MILLISECONDS = 9_999_999_999  # 115 days: a device may be `gone` long after it came
_MAX_TEXT = 255


class AckState(enum.StrEnum):
    """The steps of an attach in their order, then the three ways it ends without success."""

    ATTACHED = "attached"
    GRANTED = "granted"
    AUTHORISED = "authorised"
    READY = "ready"
    REFUSED = "refused"
    FAILED = "failed"
    GONE = "gone"

    @property
    def is_final(self) -> bool:
        """Whether nothing better can follow: refused, failed or gone."""
        return self in (AckState.REFUSED, AckState.FAILED, AckState.GONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The state, when each state was reached (milliseconds since the request), the problem's code, the node."""

    state: AckState
    at: Mapping[AckState, int] = field(default_factory=lambda: MappingProxyType({}))
    problem: str = ""
    node: str = ""

    def as_fields(self) -> dict[str, object]:
        """As it stands in JSON, without the version."""
        at = {str(state): min(milliseconds, _MAX_MILLISECONDS) for state, milliseconds in self.at.items()}
        return {"state": str(self.state), "at": at, "problem": self.problem, "node": self.node}

    def encode(self) -> bytes:
        """One JSON object."""
        return json_object.write({"v": _VERSION, **self.as_fields()}, MAX_BYTES)


FIELDS = frozenset(("state", "at", "problem", "node"))


def decode(data: bytes) -> Ack:
    """Read what `Ack.encode` wrote; keys of a newer peer are passed over. Raises: QvdUsbError slave-protocol."""
    message = json_object.parse(data, MAX_BYTES, errors.SLAVE_PROTOCOL)
    message.version(_VERSION)
    return from_object(message)


def from_object(message: json_object.JsonObject) -> Ack:
    """Read the fields of an Ack. Raises: QvdUsbError of the message's problem."""
    at = message.nested("at")
    return Ack(
        state=_state(message.text("state"), message),
        at=MappingProxyType({_state(key, message): at.number(key, _MAX_MILLISECONDS) for key in at.names()}),
        problem=_plain(message, "problem"),
        node=_plain(message, "node"),
    )


def _state(word: str, message: json_object.JsonObject) -> AckState:
    try:
        return AckState(word)
    except ValueError as error:
        raise message.refusal(f"there is no state '{word}'") from error


def _plain(message: json_object.JsonObject, key: str) -> str:
    text = message.text(key, "")
    if len(text) > _MAX_TEXT or not text.isascii() or not text.isprintable():
        raise message.refusal(f"'{key}' is no plain text")
    return text
