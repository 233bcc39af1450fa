"""EFFECT: the administrator's socket, the end of who asks the running agent; see control.py for the other one.

Light: LXC waits for a command that asks, at each start of a container.
"""

from __future__ import annotations

import json
import os
import socket

from qvd_usbip.errors import AGENT_UNREACHABLE, QvdUsbError, problem_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any, BinaryIO

    Location = str | os.PathLike[str]
    Request = Mapping[str, object]

CONTROL_SOCKET = "/run/qvd-usbip/control.sock"
ANSWER_BYTES = 4 << 20
ANSWER_SECONDS = 30.0  # a release waits for each port to become free
WATCH = "watch"


def ask(request: Request, path: Location = CONTROL_SOCKET, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
    """Ask the running agent, and return what it says.

    Raises:
        QvdUsbError: agent-unreachable, or the problem the agent reports.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, connection.makefile("rb") as answers:
        return _asked(connection, answers, request, path, timeout)


def ask_for(request: Request, *fields: str) -> dict[str, Any]:
    """Ask the running agent for an answer that has certain fields.

    Raises:
        QvdUsbError: as `ask`; agent-unreachable where one is missing.
    """
    answer = ask(request)
    for name in fields:
        if name not in answer:
            raise QvdUsbError(AGENT_UNREACHABLE, reason=f"its answer lacks '{name}'")
    return answer


def watch(path: Location = CONTROL_SOCKET, timeout: float = ANSWER_SECONDS) -> Iterator[dict[str, Any]]:
    """What happens from now on, one by one, as long as the agent runs.

    Raises:
        QvdUsbError: agent-unreachable, also when it stops; or the problem the agent reports.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, connection.makefile("rb") as answers:
        _asked(connection, answers, {"op": WATCH}, path, timeout)
        connection.settimeout(None)
        while True:
            try:
                row = parse_answer(answers)
            except (OSError, ValueError) as error:
                raise QvdUsbError(AGENT_UNREACHABLE, reason=str(error)) from error
            yield row


def _asked(
    connection: socket.socket, answers: BinaryIO, request: Request, path: Location, timeout: float
) -> dict[str, Any]:
    connection.settimeout(timeout)
    try:
        connection.connect(os.fspath(path))
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = parse_answer(answers)
    except TimeoutError as error:
        raise QvdUsbError(AGENT_UNREACHABLE, reason=f"no answer within {timeout:.0f} s") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise QvdUsbError(AGENT_UNREACHABLE, reason=reason) from error
    if not answer.pop("ok", False):
        raise QvdUsbError(problem_of(str(answer.get("problem"))), **answer.get("context", {}))
    return dict(answer)


def parse_answer(answers: BinaryIO) -> dict[str, Any]:
    """Read the next line of what the agent says.

    Raises:
        ValueError: it is no JSON object, or none came.
    """
    line = answers.readline(ANSWER_BYTES)
    if not line.endswith(b"\n"):
        raise ValueError("it closed the connection" if len(line) < ANSWER_BYTES else "its answer is too long")
    try:
        answer = json.loads(line)
    except RecursionError as error:
        raise ValueError("its answer is too deep") from error
    if not isinstance(answer, dict):
        raise ValueError("its answer is no object")  # noqa: TRY004 (what arrived is wrong, not who calls)
    return answer
