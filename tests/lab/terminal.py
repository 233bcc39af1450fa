"""EFFECT: a guest's console on this terminal."""

import os
import select
import socket
import sys
import termios
import tty
from pathlib import Path

_LEAVE = b"\x1d"  # Ctrl-]


def attach(console: Path) -> None:
    """Joins this terminal to the console socket until Ctrl-] or the end of input."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(console))
        sys.stderr.write("the guest's console; Ctrl-] leaves it\r\n")
        line.sendall(b"\n")
        interactive = sys.stdin.isatty()
        before = termios.tcgetattr(0) if interactive else None
        if interactive:
            tty.setraw(0)
        try:
            _relay(line)
        finally:
            if before:
                termios.tcsetattr(0, termios.TCSADRAIN, before)


def _relay(line: socket.socket) -> None:
    while True:
        readable, _, _ = select.select([0, line.fileno()], [], [])
        if line.fileno() in readable:
            data = line.recv(4096)
            if not data:
                return
            os.write(1, data)
        if 0 in readable:
            data = os.read(0, 4096)
            if not data or _LEAVE in data:
                return
            line.sendall(data)
