"""Ends of a pairing for tests: a TLS door in front of the agent's desk, and somebody who sits in the middle."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from qvd_usbip.pairing import ClientSide, HostSide
from qvd_usbip.wire import PairClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from qvd_usbip.system.identity import Identity

    Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter, str], Awaitable[None]]

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
CLOSED = b"HTTP/1.1 403 Forbidden\r\nUsbip-Problem: pairing-closed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def server_context(identity: Identity) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def stranger_context() -> ssl.SSLContext:
    """A client's that believes whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@asynccontextmanager
async def door(
    identity: Identity, converse: Converse, is_open: Callable[[], bool] = lambda: True
) -> AsyncIterator[int]:
    """A TLS server on the loopback that takes the request to pair and hands the stream on. Yields its port."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        task.add_done_callback(serving.discard)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /usbip/pair HTTP/1.1\r\n")
        assert b"authorization" not in head.lower()
        if not is_open():
            writer.write(CLOSED)
            writer.close()
            return
        writer.write(ACCEPTED)
        host, port, *_ = writer.get_extra_info("peername")
        await converse(reader, writer, f"{host}:{port}")

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(identity))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()


class Middle:
    """Somebody who answers the client as the host, and calls the host as a client, with certificates of their own."""

    def __init__(self, identity: Identity, host_port: int) -> None:
        self._identity = identity
        self._host_port = host_port
        self.codes: tuple[str, str] = ("", "")  # what the client shows, what the host shows
        self.heard: list[bytes] = []  # what each side said when it knew the code

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: str) -> None:
        """Is the host to the client, and a client to the host."""
        as_host = HostSide(certificate=self._identity.der, nonce=secrets.token_bytes(32))
        while not as_host.code:
            writer.write(as_host.feed(await reader.read(4096)))
        host_reader, host_writer, as_client = await self._call(as_host.name)
        self.codes = (as_host.code, as_client.code)
        host_writer.write(as_client.confirm())
        said_by = {asyncio.ensure_future(each.read(4096)) for each in (reader, host_reader)}
        for said in asyncio.as_completed(said_by):
            self.heard.append(await said)
        for each in (writer, host_writer):
            each.close()

    async def _call(self, name: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, ClientSide]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._host_port, ssl=stranger_context())
        tls = writer.get_extra_info("ssl_object")
        writer.write(PairClient().request)
        assert await reader.readuntil(b"\r\n\r\n") == ACCEPTED
        side = ClientSide(
            certificate=self._identity.der,
            name=name,
            host_certificate=tls.getpeercert(binary_form=True),
            nonce=secrets.token_bytes(32),
        )
        writer.write(side.start())
        while not side.code:
            writer.write(side.feed(await reader.read(4096)))
        return reader, writer, side
