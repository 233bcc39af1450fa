"""EFFECT: the administrator's socket, the agent's end: one request, one answer, each a line of JSON.

One request, `watch`, is answered by a line for each thing that happens, until whoever asked hangs up.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from qvd_usbip.errors import AGENT_UNREACHABLE, CONTROL_REFUSED, INTERNAL, QvdUsbError
from qvd_usbip.system.sockets import peer_credentials
from server_agent.asking import WATCH
from server_agent.listener import say_seldom_who_waits

REQUEST_BYTES = 4096

# What changes nothing, and so may be allowed to a group.
LOOKING = frozenset({"status", "hubs", "explain", "clients", WATCH})
MOST_LOOKING = 32  # at one time; root is always heard

Reply = Mapping[str, Any]


class Follower(Protocol):
    """Somebody who watches."""

    async def next(self) -> Reply:
        """What happened next."""


class Server:
    """Listens for administrators: root for everything, a group for what changes nothing."""

    def __init__(
        self,
        path: Path,
        handle: Callable[[Reply], Awaitable[Reply]],
        follow: Callable[[], AbstractContextManager[Follower]],
        gid: int | None = None,
    ) -> None:
        """Args: follow: what happens from now on; gid: the group that may look."""
        self._path = path
        self._handle = handle
        self._follow = follow
        self._gid = gid
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

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
        if self._gid is not None:
            os.chown(self._path, -1, self._gid)
            self._path.chmod(0o660)
        say_seldom_who_waits(asyncio.get_running_loop())
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=REQUEST_BYTES)

    async def stop(self) -> None:
        """Listen no more, and let those go who watch."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        try:
            line = await asyncio.wait_for(reader.readline(), 5)
            request, answer = await self._answer(line, _uid(writer))
            await _send(writer, answer)
            if request.get("op") == WATCH and answer["ok"]:
                await self._stream(reader, writer)
        except (TimeoutError, ConnectionError, ValueError, asyncio.CancelledError):
            return  # whoever asked is gone, or sends no line, or the agent stops: there is nobody to tell
        finally:
            writer.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hung_up = asyncio.ensure_future(reader.read(1))
        with self._follow() as follower:
            row = asyncio.ensure_future(follower.next())
            try:
                while True:
                    await asyncio.wait({row, hung_up}, return_when=asyncio.FIRST_COMPLETED)
                    if not row.done():
                        return
                    await _send(writer, row.result())
                    row = asyncio.ensure_future(follower.next())
            finally:
                row.cancel()
                hung_up.cancel()

    async def _answer(self, line: bytes, uid: int) -> tuple[Reply, Reply]:
        try:
            request = parse_request(line)
            op = request.get("op")
            if uid != 0 and not (isinstance(op, str) and op in LOOKING):
                raise QvdUsbError(CONTROL_REFUSED, uid=uid)
            if uid != 0 and len(self._serving) > MOST_LOOKING:
                raise QvdUsbError(AGENT_UNREACHABLE, reason="too many others are looking")
            answer = {} if op == WATCH else await self._handle(request)
        except QvdUsbError as error:
            return {}, {"ok": False, "problem": error.problem.code, "context": error.context}
        except (ValueError, RecursionError) as error:  # of the text; nothing in a request's own work is either
            return {}, {"ok": False, "problem": INTERNAL.code, "context": {"reason": str(error)}}
        else:
            return request, {"ok": True, **answer}


def parse_request(line: bytes) -> dict[str, Any]:
    """Read what is asked.

    Raises:
        QvdUsbError: internal, for what is no JSON object.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise QvdUsbError(INTERNAL, reason=str(error)) from error
    if not isinstance(request, dict):
        raise QvdUsbError(INTERNAL, reason="the request is no object")
    return request


async def _send(writer: asyncio.StreamWriter, row: Reply) -> None:
    writer.write(json.dumps(row).encode() + b"\n")
    await writer.drain()


def _uid(writer: asyncio.StreamWriter) -> int:
    """Whose request this is, as the kernel says."""
    connection: socket.socket = writer.get_extra_info("socket")
    return peer_credentials(connection)[1]
