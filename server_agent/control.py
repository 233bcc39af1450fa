"""EFFECT: the administrator's socket: one request, one answer, each a line of JSON; both ends of it."""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from qvd_usbip.errors import AGENT_UNREACHABLE, INTERNAL, QvdUsbError, problem_of

CONTROL_SOCKET = Path("/run/qvd-usbip/control.sock")
REQUEST_BYTES = 4096
ANSWER_BYTES = 4 << 20
ANSWER_SECONDS = 30.0  # a release waits for each port to become free

Reply = Mapping[str, Any]


class Server:
    """Listens for administrators; root alone can open the socket."""

    def __init__(self, path: Path, handle: Callable[[Reply], Awaitable[Reply]]) -> None:
        self._path = path
        self._handle = handle
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(listener.fileno(), 0o600)  # what bind makes has this mode from the first moment: unix(7)
        listener.bind(str(self._path))
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_BYTES)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), 5)
            answer = await self._answer(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            return  # whoever asked is gone, or sends no line: there is nobody to tell
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Reply:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise QvdUsbError(INTERNAL, reason="the request is no object")
            return {"ok": True, **await self._handle(request)}
        except QvdUsbError as error:
            return {"ok": False, "problem": error.problem.code, "context": error.context}
        except ValueError as error:
            return {"ok": False, "problem": INTERNAL.code, "context": {"reason": str(error)}}


def ask(request: Reply, path: Path = CONTROL_SOCKET, timeout: float = ANSWER_SECONDS) -> dict[str, Any]:
    """Ask the running agent, and return what it says.

    Raises:
        QvdUsbError: agent-unreachable, or the problem the agent reports.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = _object(_read_line(connection))
        except TimeoutError as error:
            raise QvdUsbError(AGENT_UNREACHABLE, reason=f"no answer within {timeout:.0f} s") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise QvdUsbError(AGENT_UNREACHABLE, reason=reason) from error
    if not answer.pop("ok", False):
        raise QvdUsbError(problem_of(str(answer.get("problem"))), **answer.get("context", {}))
    return dict(answer)


def _object(line: bytes) -> dict[str, Any]:
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError("its answer is no object")  # noqa: TRY004 (what arrived is wrong, not who calls)
    return answer


def _read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            raise ValueError("it closed the connection")
        line += part
        if len(line) > ANSWER_BYTES:
            raise ValueError("its answer is too long")
    return line
