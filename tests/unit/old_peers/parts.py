"""The parts of an installation, each an old one and ours, to be put together as a test wants them."""

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from server_agent import actions, events
from server_agent.daemon import Daemon, Wiring
from server_agent.ledger import Ledger
from server_agent.state import Right
from tests.kit.old_peers.host import OldHost
from tests.kit.old_peers.image import OldImage, old_program
from tests.unit.server_agent.conftest import NUMBER, ONE, FakeKernel
from vma_hooks.attach import attach
from vma_hooks.broker_client import Agent, BrokerClient
from vma_hooks.conversation import Host
from vma_hooks.follow import Follower
from vma_hooks.listener import Listener
from vma_hooks.mounted_hub import MountedHub

if TYPE_CHECKING:
    from server_agent.executor import Executor
    from server_agent.kernel.observe import Observer
    from server_agent.kernel.udev import Monitor

Attach = Callable[[bytes], int]


class OurHost(FakeKernel):
    """The agent, on a kernel that does what it is asked; container one runs, and a device enumerates once attached."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.taken: list[socket.socket] = []
        self.devids: list[tuple[int, int]] = []
        self.may_authorise.set()
        (folder / "broker/one").mkdir(parents=True)
        self._folder = folder
        self._sockets: dict[str, int] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(10)

    def perform(self, action: actions.Action) -> events.Event | None:
        """As the parent; and the device enumerates a moment after the kernel has its connection."""
        if isinstance(action, actions.AttachPort):
            self.taken.append(socket.socket(fileno=os.dup(self._sockets[action.attach_id])))
            self.devids.append((action.devid, action.speed))
            added = events.UsbAdded(
                at=self._daemon.now, port=action.port, busid=BusId.parse("3-1"), number=NUMBER, name="bus/usb/003/002"
            )
            self._loop.call_later(0.01, self._daemon.submit, added)
        return super().perform(action)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._daemon = Daemon(
            Wiring(
                executor=cast("Executor", self), observer=cast("Observer", self), monitor=cast("Monitor", self),
                ledger=Ledger(path=self._folder / "ledger.json", boot_id="boot"), brokers=self._folder / "broker",
            ),
            self._sockets,
        )  # fmt: skip
        await self._daemon.start()
        await self._daemon.request(
            lambda number: events.Reserve(
                at=self._daemon.now, container=ONE, broker_gid=0, enabled=True, running=False, request=number
            )
        )
        self._ready.set()
        await self._stop.wait()
        await self._daemon.stop()

    def rights(self) -> set[Right]:  # type: ignore[override]
        """What the container may open."""
        return {action.right for action in self.performed if isinstance(action, actions.Grant)}

    def end(self) -> None:
        """Stop, and let go of what was attached."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        for each in (*self.taken, *self.wake):
            each.close()


@contextmanager
def host(kind: str, folder: Path) -> Iterator[tuple[OldHost | OurHost, Agent, Attach]]:
    """A host, how our image reaches it, and what a write to the hub's `attach` does in its container."""
    if kind == "ours":
        ours = OurHost(folder)
        try:
            yield ours, BrokerClient(folder / "broker/one/broker.sock"), _not_permitted
        finally:
            ours.end()
        return
    old = OldHost(folder)
    old.answers = True
    with open(old.hub / "attach", "wb") as opened:
        descriptor = opened.fileno()
        try:
            yield old, MountedHub(old.sysfs, old.hub, descriptor, old.write), lambda line: old.write(descriptor, line)
        finally:
            old.end()


def _not_permitted(_line: bytes) -> int:
    """Our host mounts the hub so that its container can read it, and closes `attach`."""
    raise PermissionError


@contextmanager
def image(kind: str, key: str, agent: Agent, attach_file: Attach, dev: Path) -> Iterator[str]:
    """An image's receiver; its address. `mixed`: QVD's own slave server, which runs our program."""
    if kind == "ours":
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listener = Listener([listening], Host(key, agent, Follower(agent, dev, 6)))
            thread = threading.Thread(target=listener.serve)
            thread.start()
            try:
                yield f"127.0.0.1:{listening.getsockname()[1]}"
            finally:
                listener.stop()
                thread.join(10)
        return
    old = OldImage(key, old_program(attach_file) if kind == "old" else lambda connection: _ours(connection, agent))
    try:
        yield old.address
    finally:
        old.close()


def _ours(connection: socket.socket, agent: Agent) -> None:
    """What `qvd-vma-slaveserver-usbip` does with its standard input; it has nowhere to tell the client of a failure."""
    try:
        attach(connection, str(uuid.uuid4()), agent)
    except QvdUsbError:
        return
