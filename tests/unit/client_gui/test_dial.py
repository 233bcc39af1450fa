"""A connection in the making: candidate after candidate, and why it came to nothing."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from client_gui.dial import Dial
from client_gui.session import parse_address
from client_gui.troubles import Fault

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN_FAMILY = 250
"""What IPv6 is to a kernel without it: even the socket cannot be made."""


def test_a_family_that_this_kernel_has_not_is_passed_over(tmp_path: Path) -> None:
    path = str(tmp_path / "slave.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        dial = Dial(parse_address(f"unix:{path}"), [(UNKNOWN_FAMILY, ("::1", 1)), (socket.AF_UNIX, path)])
        assert dial.finish() is True
        dial.take().close()


def test_without_a_family_that_this_kernel_has_the_reason_is_told() -> None:
    found = Dial(parse_address("localhost:1"), [(UNKNOWN_FAMILY, ("::1", 1))]).finish()
    assert isinstance(found, Fault)
    assert found.code == "slave-unreachable"
    assert os.strerror(errno.EAFNOSUPPORT) in found.text
