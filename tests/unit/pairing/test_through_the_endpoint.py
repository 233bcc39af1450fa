"""The whole way on the loopback: porter, agent and client as they run; paired, let in, unpaired, kept out.

And what both are told where the host's endpoint does not follow.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui import tls
from client_gui.session import parse_session
from client_gui.settings import Files
from qvd_usbip.errors import CONFIG_UNREADABLE, PROBLEMS, QvdUsbError
from qvd_usbip.pairing import shown
from qvd_usbip.system.identity import load_or_make
from qvd_usbip.wire import PingClient
from server_agent.endpoint import Endpoint
from server_agent.lookout import Lookout
from server_agent.usable import Seen
from tests.kit.pairing_peers import door
from tests.unit.client_gui.bench import Bench as Desk
from tests.unit.client_gui.command import program
from tests.unit.server_agent.porter_at_work import _PROGRAM, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client_gui.session import Session
    from tests.unit.pairing.conftest import Home
    from tests.unit.server_agent.conftest import Bench, Run


@contextmanager
def porter(folder: Path) -> Iterator[int]:
    """The porter of the host whose folder this is; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", _PROGRAM, str(folder)]
        process = subprocess.Popen(command, stdin=listener.fileno(), cwd=REPOSITORY, stderr=subprocess.DEVNULL)
        try:
            yield int(listener.getsockname()[1])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def ping(session: Session, home: Path) -> bytes:
    """What the host echoes over the session's encrypted way."""
    context = tls.client_context(*tls.own_files(home / ".config/qvd-usbip/identity"))
    plain = socket.create_connection((session.address.host, session.address.port), 20)
    with context.wrap_socket(plain) as connection:
        tls.require_host(connection, session.host_fingerprint, session.address)
        connection.sendall(PingClient(None, "hello").request)
        said = b""
        while data := connection.recv(4096):
            said += data
        return said


def connected(folder: Path, home: Path, session: str) -> tuple[int, str]:
    """What `qvd-usb connect` says in a process of its own, and the exit status with which it ends by itself."""
    desk = Desk(folder)
    desk.files = Files(system=desk.files.system, user=f"{home}/.qvd/client.conf")
    desk.bus.plug()
    desk.configure("0bda:58c2@1234")
    try:
        done = program(desk, REPOSITORY, "connect", session)
        _, said = done.communicate(timeout=30)
    finally:
        desk.close()
    return done.returncode, said.decode()


def test_paired_it_is_let_in_with_its_certificate_and_unpaired_it_is_told_so_and_kept_out(
    run: Run, home: Home, tmp_path: Path
) -> None:
    async def work(bench: Bench) -> None:
        identity = load_or_make(tmp_path, "host")
        await bench.ask(op="reserve", container="one", broker_gid=0)
        lookout = Lookout(bench.daemon, lambda _: Seen(right=(), device="", mounts=()))
        endpoint = Endpoint(bench.daemon, {}, bench.pairing, lookout, tmp_path / "clients", tmp_path / "agent.sock")
        bench.pairing.serve(identity.der, endpoint.changed)
        endpoint.start()
        with porter(tmp_path) as port:
            where = f"127.0.0.1:{port}"
            assert await home.client("pair", where).end() == PROBLEMS["pairing-closed"].exit_status
            host = home.agent("pair", "one")
            await host.event("waiting")
            client = home.client("pair", where)
            code = (await client.event("code"))["code"]
            client.say("y")
            assert await home.agent("pair", "one", "--code", shown(code)).end() == 0
            assert (await client.end(), await host.end()) == (0, 0)
            (path,) = (home.folder / ".config/qvd-usbip/sessions").iterdir()
            session = parse_session(path.read_text())
            assert (await asyncio.to_thread(ping, session, home.folder)).endswith(b"hello")
            (known,) = (await bench.ask(op="clients"))["clients"]
            await bench.ask(op="unpair", name=known["name"])
            status, said = await asyncio.to_thread(connected, tmp_path / "desk", home.folder, path.stem)
            assert status == PROBLEMS["not-paired"].exit_status
            assert "does not know this computer" in said
            assert "qvd-usb pair HOST" in said
        endpoint.stop()

    run(work)


def test_a_pairing_that_does_not_come_into_force_is_not_stored(run: Run, home: Home, tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        async def changed() -> None:
            raise QvdUsbError(CONFIG_UNREADABLE, path="clients", reason="Input/output error")

        identity = load_or_make(tmp_path, "host")
        await bench.ask(op="reserve", container="one", broker_gid=0)
        bench.pairing.serve(identity.der, changed)
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            code = (await client.event("code"))["code"]
            client.say("y")
            host.say(code)
            assert await client.end() == PROBLEMS["pairing-ended"].exit_status
            assert await host.end() == PROBLEMS["config-unreadable"].exit_status
        assert (await bench.ask(op="clients"))["clients"] == []
        assert not (home.folder / ".config/qvd-usbip/sessions").exists()

    run(work)
