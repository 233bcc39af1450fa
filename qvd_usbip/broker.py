"""PURE: what a container says to the agent through its broker socket, and what the agent answers.

One message is one JSON object in one SOCK_SEQPACKET packet, with at most one descriptor (the device's connection, with
`attach`). Keys that are not known are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from qvd_usbip import ack, errors, ids, json_object
from qvd_usbip.ack import Ack, AckState

MAX_MESSAGE = 512
SOCKET_NAME = "broker.sock"  # in the container's folder on the host, which is /run/qvd-usbip in the container
MAX_ANSWER = 4096  # an Ack and the nodes of a device with many functions
MAX_WAIT = ack.MAX_WAIT
_VERSION = 1
_MAX_NODES = 64
_MAX_NODE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """Attach the device whose connection comes with this message. `attach_id`: a UUID by which to ask about it."""

    devid: int
    speed: int
    attach_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take this device away again."""

    attach_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How far is it? Answered at once, or within `wait` seconds as soon as the state is another than `seen`."""

    attach_id: str
    wait: int = 0
    seen: AckState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The node exists in the container and the user's account may open it. `node`: below /dev, with /dev/."""

    attach_id: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Is the agent there?"""


Request = Attach | Detach | Status | Ready | Ping


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`ok`, else the code of the `problem`. To Status and Ready: `ack`, and the `nodes` granted so far, below /dev."""

    ok: bool
    problem: str = ""
    ack: Ack | None = None
    nodes: tuple[str, ...] = ()


_KEYS = {
    "attach": frozenset(("v", "op", "id", "devid", "speed")),
    "detach": frozenset(("v", "op", "id")),
    "status": frozenset(("v", "op", "id", "wait", "seen")),
    "ready": frozenset(("v", "op", "id", "node")),
    "ping": frozenset(("v", "op")),
}
_ANSWER_KEYS = frozenset(("v", "ok", "problem", "ack", "nodes"))


def encode_request(request: Request) -> bytes:
    """The message for this request."""
    return json_object.write({"v": _VERSION, **_fields(request)}, MAX_MESSAGE)


def _fields(request: Request) -> dict[str, object]:
    match request:
        case Attach(devid=devid, speed=speed, attach_id=attach_id):
            return {"op": "attach", "devid": devid, "speed": speed, "id": attach_id}
        case Detach(attach_id=attach_id):
            return {"op": "detach", "id": attach_id}
        case Status(attach_id=attach_id, wait=wait, seen=seen):
            return {"op": "status", "id": attach_id, "wait": wait} | ({"seen": str(seen)} if seen else {})
        case Ready(attach_id=attach_id, node=node):
            return {"op": "ready", "id": attach_id, "node": node}
        case Ping():
            return {"op": "ping"}


def decode_request(data: bytes) -> Request:
    """Read a container's message. Raises: QvdUsbError broker-protocol."""
    message = json_object.parse(data, MAX_MESSAGE, errors.BROKER_PROTOCOL)
    message.version(_VERSION)
    operation = message.text("op")
    if operation not in _KEYS:
        raise message.refusal(f"there is no operation '{operation}'")
    message.only(_KEYS[operation])
    return Ping() if operation == "ping" else _about_one(operation, message)


def _about_one(operation: str, message: json_object.JsonObject) -> Request:
    attach_id = message.text("id")
    if not json_object.is_uuid(attach_id):
        raise message.refusal("'id' is no UUID")
    if operation == "attach":
        return Attach(devid=_devid(message), speed=_speed(message), attach_id=attach_id)
    if operation == "status":
        seen = _seen(message) if "seen" in message else None
        return Status(attach_id=attach_id, wait=message.number("wait", MAX_WAIT, default=0), seen=seen)
    if operation == "ready":
        return Ready(attach_id=attach_id, node=_node(message.text("node"), message))
    return Detach(attach_id=attach_id)


def _devid(message: json_object.JsonObject) -> int:
    devid = message.number("devid")
    if not ids.devid_is_sane(devid):
        raise message.refusal(f"'devid' {devid} names no device")
    return devid


def _speed(message: json_object.JsonObject) -> int:
    speed = message.number("speed", most=6)
    if speed == 0:
        raise message.refusal("'speed' is 0")
    return speed


def _seen(message: json_object.JsonObject) -> AckState:
    word = message.text("seen")
    if word not in AckState.__members__.values():
        raise message.refusal(f"there is no state '{word}'")
    return AckState(word)


def _node(node: str, message: json_object.JsonObject) -> str:
    """A node's path: plain ASCII without empty, "." or ".." parts; it is shown, never opened by the agent."""
    parts = node.removeprefix("/").split("/")
    plain = node.isascii() and node.isprintable() and len(node) <= _MAX_NODE
    if not plain or any(part in ("", ".", "..") for part in parts):
        raise message.refusal("a node's path cannot be one")
    return node


def encode_answer(answer: Answer) -> bytes:
    """The message for this answer."""
    fields: dict[str, object] = {"v": _VERSION, "ok": answer.ok}
    if answer.problem:
        fields["problem"] = answer.problem
    if answer.ack is not None:
        fields["ack"] = answer.ack.as_fields()
    if answer.nodes:
        fields["nodes"] = answer.nodes[:_MAX_NODES]
    return json_object.write(fields, MAX_ANSWER)


def decode_answer(data: bytes) -> Answer:
    """Read the agent's answer. Raises: QvdUsbError broker-protocol."""
    message = json_object.parse(data, MAX_ANSWER, errors.BROKER_PROTOCOL)
    message.version(_VERSION)
    message.only(_ANSWER_KEYS)
    return Answer(
        ok=message.truth("ok"),
        problem=message.text("problem", ""),
        ack=ack.from_object(_known_ack(message)) if "ack" in message else None,
        nodes=tuple(_node(node, message) for node in message.texts("nodes")),
    )


def good_answer(data: bytes) -> Answer:
    """Read an answer that has to be a yes.

    Args:
        data: what came; nothing where the agent closed the connection.

    Raises:
        QvdUsbError: agent-unreachable, broker-protocol, or the problem that the agent names.
    """
    if not data:
        raise errors.QvdUsbError(errors.AGENT_UNREACHABLE, reason="it closed the connection without an answer")
    answer = decode_answer(data)
    if not answer.ok:
        raise errors.QvdUsbError(
            errors.problem_of(answer.problem), reason=f"the agent answers {answer.problem or 'no'}"
        )
    return answer


def _known_ack(message: json_object.JsonObject) -> json_object.JsonObject:
    nested = message.nested("ack")
    nested.only(ack.FIELDS)
    return nested
