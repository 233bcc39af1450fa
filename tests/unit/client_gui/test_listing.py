"""Rows for people and for programs; what was written for programs is read again as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.listing import (
    WORDS,
    json_of_row,
    json_of_snapshot,
    lasting,
    name_of,
    session_text,
    state_text,
    table,
)
from client_gui.reported import rows_of_status, session_of_status, with_reported
from client_gui.selection import rows_of
from client_gui.state import DeviceState, Row, SessionView, Snapshot, Step
from client_gui.wishes import Wishes
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.kinds import Kind
from qvd_usbip.usb import Speed
from tests.unit.client_gui.devices import device, situation

rows = st.builds(
    Row,
    key=st.text(max_size=20),
    busid=st.sampled_from([None, BusId.parse("1-4.2")]),
    vidpid=st.builds(VidPid, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    serial=st.text(max_size=9),
    product=st.text(max_size=9),
    vendor=st.text(max_size=9),
    kind=st.sampled_from(list(Kind)),
    speed=st.sampled_from([None, *Speed]),
    driver=st.text(max_size=9),
    ticked=st.booleans(),
    state=st.sampled_from(list(DeviceState)),
    steps=st.lists(st.builds(Step, name=st.text(max_size=9), milliseconds=st.integers(0, 9999)), max_size=4).map(tuple),
    problem=st.text(max_size=9),
    problem_text=st.text(max_size=9),
    remedy=st.text(max_size=9),
    retry_in=st.none() | st.integers(0, 99).map(float),
    tries=st.integers(0, 99),
    identity=st.text(max_size=9),
    twin=st.booleans(),
)


@given(st.lists(rows, max_size=4))
def test_a_status_is_read_as_it_was_written(made: list[Row]) -> None:
    text = json.dumps(json_of_snapshot(Snapshot(rows=tuple(made))))
    assert rows_of_status(json.loads(text)) == tuple(made)


@given(st.lists(rows, max_size=5))
def test_the_table_is_one_plain_line_for_each_row(made: list[Row]) -> None:
    lines = table(made).split("\n")
    assert len(lines) == len(made) + 1
    assert all(line.isprintable() for line in lines)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_status_of_another_version_is_left_out(value: object) -> None:
    assert rows_of_status({"devices": value}) == ()
    assert rows_of_status({"devices": [value]}) == ()


def test_a_number_too_large_for_any_clock_is_none() -> None:
    assert session_of_status({"session": {"retry_in": 10**400}}) == session_of_status({"session": {}})


def test_a_session_that_stands_is_told_as_it_is() -> None:
    standing = session_of_status({"session": {"text": "D: connected\n", "lost": False}})
    assert standing is not None
    assert session_text(standing) == "D: connected\\x0a"


def test_every_state_has_a_word() -> None:
    assert set(WORDS) == set(DeviceState)


def test_the_reason_and_the_next_try_are_told() -> None:
    (row,) = rows_of([device()], situation(device()))
    failed = json_of_row(row) | {"state": "failed", "problem_text": "it broke.", "retry_in": 4.0}
    assert state_text(rows_of_status({"devices": [failed]})[0]) == "failed: it broke. (again in 4 s)"
    stopped = failed | {"retry_in": None, "tries": 3}
    assert state_text(rows_of_status({"devices": [stopped]})[0]) == "failed: it broke. (stopped after 3 tries)"
    assert state_text(rows_of_status({"devices": [stopped | {"tries": 1}]})[0]) == "failed: it broke."


def test_a_twin_is_named_by_its_port() -> None:
    same = device("1-1", serial=""), device("1-2", serial="")
    twins = rows_of(same, situation(*same))
    assert [name_of(row) for row in twins] == ["ACME Adapter (at port 1-1)", "ACME Adapter (at port 1-2)"]


def test_the_state_of_the_running_engine_is_shown_for_the_same_device_only() -> None:
    present = device(), device("1-5", serial="9")
    now = rows_of(present, situation(*present, wishes=Wishes(share_all=True)))
    told = [json_of_row(row) | {"state": "in-use"} for row in now]
    told[0]["key"] = "as the engine calls it since a twin was there"
    told[1]["busid"] = "1-6"
    states = {row.key: row.state for row in with_reported(now, {"devices": told})}
    assert states == {now[0].key: DeviceState.IN_USE, now[1].key: DeviceState.WAITING}


def test_a_device_that_asks_is_not_said_to_have_changed() -> None:
    """A change is one of several things that are asked."""
    (row,) = rows_of([device()], situation(device()))
    assert state_text(replace(row, state=DeviceState.CONFIRM)) == "needs your OK"


def test_the_session_is_told_without_a_key() -> None:
    view = SessionView(name="Work", address="h:1", connected=True, encryption="none", text="Work: connected")
    told = json_of_snapshot(Snapshot(session=view))["session"]
    assert isinstance(told, dict)
    assert set(told) == {"name", "address", "connected", "encryption", "way", "text", "lost", "retry_in", "problem"}


@pytest.mark.parametrize("retry_in", [None, 4.0])
def test_a_lost_session_is_read_as_it_was_written_and_told_with_its_next_try(retry_in: float | None) -> None:
    view = SessionView(
        name="Work",
        address="h:1",
        connected=False,
        encryption="none",
        text="Work: gone",
        lost=True,
        retry_in=retry_in,
        problem="slave-unreachable",
    )
    told = json.loads(json.dumps(json_of_snapshot(Snapshot(session=view))))
    assert session_of_status(told) == view
    again = "trying again" if retry_in is None else "trying again in 4 s"
    assert session_text(view) == f"Work: gone; session lost, {again}"
    assert lasting(view) == lasting(replace(view, retry_in=3.0)) != lasting(replace(view, lost=False))
