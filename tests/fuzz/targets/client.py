"""What the client's programs hear: sessions, the helper, another engine, the system bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from client_gui import dbus, exporter, listing, orders, pair, reported, session, session_pipe
from client_gui.helper import messages
from qvd_usbip import errors
from qvd_usbip.errors import PROBLEMS, printable
from tests.fuzz.target import chosen, target, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@target(errors.SESSION_MALFORMED)
def session_object(data: bytes) -> Iterator[None]:
    found = session.parse_session(text_of(data))
    yield
    assert session.parse_session(session.format_session(found)) == found


@target()
def session_end(data: bytes) -> Iterator[None]:
    text = text_of(data)
    end = session_pipe.object_end(text)
    yield
    if end is not None:
        assert session_pipe.object_end(text[:end]) == end
        assert session_pipe.object_end(text[: end - 1]) is None
    try:
        whole = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return
    assert not whole or end == len(text.rstrip())


@target(errors.SESSION_MALFORMED, errors.USAGE)
def address(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    parse = pair.address_of if which % 2 else session.parse_address
    found = parse(text_of(rest))
    yield
    assert session.parse_address(str(found)) == found
    assert found.path or (found.host and 0 < found.port < 65536)
    assert printable(str(found)) == str(found) or found.path


@target(errors.SESSION_MALFORMED)
def order(data: bytes) -> Iterator[None]:
    found = orders.parse_line(data)
    yield
    assert orders.parse_order(json.loads(json.dumps(orders.format_order(found)))) == found


@target()
def engine_status(data: bytes) -> Iterator[None]:
    status = reported.parse_status(data) or {}
    found = reported.snapshot_of_status(status)
    rows = reported.with_reported(found.rows, status)
    yield
    assert len(rows) == len(found.rows)
    again = reported.snapshot_of_status(json.loads(json.dumps(listing.json_of_snapshot(found))))
    assert repr(again) == repr(found)
    listing.table(found.rows)


@target()
def helper_answer(data: bytes) -> Iterator[None]:
    found = exporter.parse_answer(data)
    yield
    if found is not None and found.fault is not None:
        assert found.fault.code in PROBLEMS
        assert printable(found.fault.text) == found.fault.text


@target()
def helper_end(data: bytes) -> Iterator[None]:
    status, rest = chosen(data)
    found = exporter.fault_of_exit(status - 64, rest.decode("utf-8", "replace"))
    yield
    assert found.code in PROBLEMS
    assert printable(found.text) == found.text


@target(errors.HELPER_REQUEST_MALFORMED, errors.BUSID_MALFORMED, errors.VIDPID_MALFORMED)
def helper_request(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    if which % 2:
        operation = messages.parse_operation(rest)
        yield
        assert operation in {"export", "return"}
    else:
        found = messages.parse_lend(rest)
        yield
        assert len(found.fingerprint) in {0, 64}
        assert len(messages.format_answer("refused", text=found.expect.serial)) <= messages.LIMIT


@target(errors.INTERNAL)
def bus_message(data: bytes) -> Iterator[None]:
    found = dbus.parse(data)
    yield
    if found is not None:
        message, length = found
        assert 16 <= length <= len(data)
        assert dbus.parse(data[:length]) == found
        assert dbus.parse(data[: length - 1]) is None
        assert isinstance(message.flag, bool)
