"""PURE: one small JSON object from a peer, read so that hostile text can only be refused.

Light but for json itself; broker, acknowledgement, session and helper read their messages with it.
"""

import json

from qvd_usbip import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_MAX_NUMBER = 9_999_999_999


class JsonObject:
    """A JSON object with keys that are known and each read by its type; every mistake is the same problem."""

    __slots__ = ("_fields", "_problem")

    def __init__(self, fields: "Mapping[str, object]", problem: errors.Problem) -> None:
        self._fields = fields
        self._problem = problem

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def only(self, keys: "Collection[str]") -> None:
        """Refuse the object if it has any other key."""
        for key in self._fields:
            if key not in keys:
                raise self.refusal(f"it has the unknown key '{key}'")

    def text(self, key: str, default: "str | None" = None) -> str:
        """The string under this key; the default, if there is one, when the key is missing."""
        value = self._fields.get(key, default)
        if not isinstance(value, str):
            raise self.refusal(f"'{key}' is missing or no text")
        return value

    def number(self, key: str, most: int = _MAX_NUMBER, default: "int | None" = None) -> int:
        """The whole number from 0 to `most` under this key; the default when the key is missing."""
        value = self._fields.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.refusal(f"'{key}' is missing or no number up to {most}")
        return value

    def truth(self, key: str) -> bool:
        """The true or false under this key."""
        value = self._fields.get(key)
        if not isinstance(value, bool):
            raise self.refusal(f"'{key}' is missing or neither true nor false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of strings under this key, empty when the key is missing."""
        value = self._fields.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.refusal(f"'{key}' is no list of texts")
        return tuple(value)

    def nested(self, key: str) -> "JsonObject":
        """The object under this key."""
        value = self._fields.get(key)
        if not isinstance(value, dict):
            raise self.refusal(f"'{key}' is missing or no object")
        return JsonObject(value, self._problem)

    def names(self) -> tuple[str, ...]:
        """All keys, in the order of the text."""
        return tuple(self._fields)

    def version(self, version: int) -> None:
        """Refuse the object unless "v" is this number."""
        if self.number("v") != version:
            raise self.refusal(f"its version is not {version}")

    def refusal(self, reason: str) -> errors.QvdUsbError:
        """The error for this object, to be raised by whoever finds more wrong with it."""
        return errors.QvdUsbError(self._problem, reason=reason)


def parse(data: bytes, limit: int, problem: errors.Problem) -> JsonObject:
    """Read one object of at most `limit` bytes. Raises: QvdUsbError of `problem` for anything else."""
    if len(data) > limit:
        raise errors.QvdUsbError(problem, reason=f"it is longer than {limit} bytes")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_doubles, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise errors.QvdUsbError(problem, reason="it is no JSON object") from error
    if not isinstance(value, dict):
        raise errors.QvdUsbError(problem, reason="it is no JSON object")
    return JsonObject(value, problem)


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def write(fields: "Mapping[str, object]", limit: int) -> bytes:
    """The object as text without blanks. Raises: QvdUsbError internal if our own message is longer than `limit`."""
    data = json.dumps(fields, separators=(",", ":")).encode()
    if len(data) > limit:
        raise errors.QvdUsbError(errors.INTERNAL, reason=f"a message has {len(data)} bytes, {limit} are allowed")
    return data


def is_uuid(text: str) -> bool:
    """Whether this is a UUID as str(uuid.uuid4()) writes it: the name of one attach."""
    groups = text.split("-")
    shape = tuple(len(group) for group in groups)
    return shape == (8, 4, 4, 4, 12) and all(char in "0123456789abcdef" for group in groups for char in group)
