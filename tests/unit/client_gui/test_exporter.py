"""What passes between the engine and its helper is understood at both ends; anything else is a named fault."""

from __future__ import annotations

import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.exporter import Answer, Exporter, fault_of_exit, format_request, parse_answer
from client_gui.helper import messages
from client_gui.troubles import Fault
from qvd_usbip.errors import PROBLEMS
from tests.unit.client_gui.devices import device
from tests.unit.client_gui.fake_helper import FakeHelper

if TYPE_CHECKING:
    from pathlib import Path


def test_the_helper_understands_what_it_is_asked() -> None:
    request = messages.parse_lend(format_request(device(serial="12 34"), ["storage"]))
    assert str(request.busid) == "1-4"
    assert (request.expect.vidpid, request.expect.serial) == ("0bda:58c2", "12 34")
    assert request.consent == frozenset({"storage"})


@given(st.text(max_size=126).filter(lambda text: text.isprintable()))
def test_the_helper_understands_any_serial_that_a_device_can_have(serial: str) -> None:
    data = format_request(device(serial=serial), [])
    assert len(data) <= 1024 or not serial.isascii()
    if len(data) <= 1024:
        assert messages.parse_lend(data).expect.serial == serial


@pytest.mark.parametrize("operation", ["export", "return"])
def test_the_helper_understands_what_it_is_told(operation: str) -> None:
    assert messages.parse_operation(json.dumps({"v": 1, "op": operation}).encode()) == operation


def test_the_engine_understands_each_answer() -> None:
    assert parse_answer(messages.format_answer("bound", devid=65541, speed=3)) == Answer(
        state="bound", devid=65541, speed=3
    )
    for state in ("exported", "returned", "dropped"):
        assert parse_answer(messages.format_answer(state)) == Answer(state=state)
    gone = parse_answer(messages.format_answer("dropped", problem="device-gone", text="1-4 was unplugged"))
    assert gone == Answer(state="dropped", fault=Fault(code="device-gone", text="1-4 was unplugged"))
    refused = parse_answer(messages.format_answer("refused", problem="storage-in-use", text="1-4 is mounted"))
    assert refused == Answer(state="refused", fault=Fault(code="storage-in-use", text="1-4 is mounted"))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b"\xff", b"{" * 500, b'{"v":1}', b'{"v":2,"state":"bound"}', b'{"v":1,"state":[]}',
        b'{"v":1,"state":{}}', b'{"v":1,"state":"dancing"}', b'{"v":1,"state":"bound","devid":"x"}',
    ],
)  # fmt: skip
def test_nonsense_is_no_answer(data: bytes) -> None:
    assert parse_answer(data) is None


@given(st.binary(max_size=300))
def test_no_answer_breaks_the_engine(data: bytes) -> None:
    parse_answer(data)


@pytest.mark.parametrize("fields", [{}, {"problem": 5}, {"problem": []}, {"problem": "?", "text": 7}])
def test_a_refusal_without_a_reason_is_still_one(fields: dict[str, object]) -> None:
    answer = parse_answer(json.dumps({"v": 1, "state": "refused", **fields}).encode())
    assert answer is not None
    assert answer.fault == Fault(code="internal")


def test_what_a_helper_says_is_shown_as_one_plain_line() -> None:
    answer = parse_answer(messages.format_answer("refused", problem="storage-in-use", text="a\n\x1b[2Jb"))
    assert answer is not None
    assert answer.fault is not None
    assert answer.fault.text.isprintable()


def test_an_exit_status_of_the_table_is_understood() -> None:
    for problem in PROBLEMS.values():
        assert fault_of_exit(problem.exit_status, "").code == problem.code
    assert fault_of_exit(34, "error: it is mounted\n  unmount it\n") == Fault(
        code="storage-in-use", text="it is mounted"
    )
    assert fault_of_exit(-9, "").code == "helper-died"
    assert "signal 9" in fault_of_exit(-9, "").text
    assert fault_of_exit(0, "").code == "helper-died"


def read(exporter: Exporter) -> Answer | Fault:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        said = exporter.read()
        if said is not None:
            return said
        time.sleep(0.005)
    raise AssertionError("the helper said nothing")


def test_a_device_there_and_back(tmp_path: Path) -> None:
    helper = FakeHelper(tmp_path / "bin")
    exporter = Exporter.start(str(helper.path), device(), [])
    assert isinstance(exporter, Exporter)
    assert read(exporter) == Answer(state="bound", devid=65541, speed=3)
    ours, theirs = socket.socketpair()
    assert exporter.hand_over(ours)
    assert read(exporter) == Answer(state="exported")
    assert theirs.recv(64) == b"65541 3\n"
    exporter.ask_return()
    assert read(exporter) == Answer(state="returned")
    assert isinstance(read(exporter), Fault)
    exporter.close()
    assert exporter.ended()
    ours.close()
    theirs.close()


def test_the_helper_gets_no_other_descriptor_and_no_environment(tmp_path: Path) -> None:
    program = tmp_path / "helper"
    program.write_text('#!/bin/sh\nls /proc/self/fd > "$0.fds"; env > "$0.env"; cat > /dev/null\n')
    program.chmod(0o755)
    keep = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(keep, True)  # the library's own signature
    exporter = Exporter.start(str(program), device(), [])
    assert isinstance(exporter, Exporter)
    deadline = time.monotonic() + 5
    while not (tmp_path / "helper.env").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    exporter.close()
    while not exporter.ended():
        time.sleep(0.01)
    os.close(keep)
    descriptors = set((tmp_path / "helper.fds").read_text().split())
    assert descriptors - {"3"} == {"0", "1", "2"}  # 3 is the folder that ls itself reads
    names = {line.partition("=")[0] for line in (tmp_path / "helper.env").read_text().splitlines()}
    assert names <= {"PATH", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}
