"""EFFECT: the porter: listens on the network for the agent, and gives each connection a process without rights.

Whoever connects is unknown until its TLS handshake is over, and what it sends is read by OpenSSL and an HTTP parser: so
that is done by a process without capabilities, as a user of its own, with the one connection and a question to the
agent. The porter itself reads no byte of what comes.
"""

import logging
import os
import pwd
import selectors
import signal
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from qvd_usbip.errors import ENDPOINT_UNAVAILABLE, QvdUsbError
from qvd_usbip.system.identity import CERTIFICATE, KEY
from qvd_usbip.system.sockets import tune
from qvd_usbip.system.tls import new_context
from server_agent import paired, settings
from server_agent.doorstep import Caller, receive
from server_agent.endpoint import FOLDER, SOCKET

LOG = logging.getLogger(__name__)
ACCOUNT = "qvd-usb-endpoint"
PENDING, OF_ONE_ADDRESS = 64, 16  # connections of which it is not known yet whose they are
PROCESSES = 512
BACKLOG = 128
LOOK_SECONDS = 1.0
SHORT_SECONDS = 0.2  # the pause while nothing can be taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A connection that somebody sees to: by which process, where it comes from, and what closes when it is known."""

    pid: int
    address: str
    unknown: int


class Trust:
    """The host's certificate, and those of the clients that are paired, as they are now."""

    def __init__(self, folder: Path, clients: Path) -> None:
        self._folder = folder
        self._clients = clients
        self._seen: object = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """What a handshake needs; read again when somebody was paired or removed.

        Raises:
            QvdUsbError, OSError, ssl.SSLError: the files do not serve.
        """
        now = self._files()
        if self._context is None or now != self._seen:
            self._context, self._seen = self._made(), now
        return self._context

    def _files(self) -> frozenset[tuple[str, int, int]]:
        """Each client's file, by what changes with its content.

        Not by the folder's own time: before Linux 6.13 that is only as fine as the kernel's tick, and a client that is
        removed in the same one would stay in.
        """
        found = set()
        with suppress(FileNotFoundError), os.scandir(self._clients) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it goes just now
                    status = entry.stat(follow_symlinks=False)
                    found.add((entry.name, status.st_ino, status.st_mtime_ns))
        return frozenset(found)

    def _made(self) -> ssl.SSLContext:
        context = new_context(server=True)
        context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # each of them vouches for itself, and for nobody else
        register = paired.read(self._clients)
        for fault in register.faults:
            LOG.warning("%s", fault)
        for client in register.clients:
            try:
                context.load_verify_locations(cadata=client.certificate)
            except ssl.SSLError as error:
                LOG.warning("client=%s has a certificate that cannot be used: %s", client.name, error)
        return context


class Porter:
    """Sees to who connects."""

    def __init__(self, listener: socket.socket, trust: Trust, agent: Path, account: tuple[int, int] | None) -> None:
        """Args: account: user and group of the processes; None: as this one (for tests)."""
        self._listener = listener
        self._trust = trust
        self._agent = agent
        self._account = account
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._guests: dict[int, Guest] = {}
        self._unknown: dict[int, int] = {}  # pids by the descriptor that closes when it is known, the oldest first

    def serve(self) -> NoReturn:
        """Go on until a signal ends it; devices whose TLS is done by a process stay with that process."""
        while True:
            self.turn(LOOK_SECONDS)

    def turn(self, seconds: float) -> None:
        """Wait so long for something to happen, and see to it."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.fileobj, int):
                self._is_known(key.fileobj, self._unknown.get(key.fileobj, 0))
        self._reap()

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # no descriptor or no memory is left: what waits is asked about again at once
            LOG.warning("no connection can be taken: %s", error.strerror)
            time.sleep(SHORT_SECONDS)
            return
        with connection:
            peer = str(address[0])
            if len(self._guests) >= PROCESSES or self._crowds(peer):
                LOG.info("peer=%s is sent away: too many connections", peer)
                return
            if len(self._unknown) >= PENDING:
                os.kill(next(iter(self._unknown.values())), signal.SIGKILL)  # who has been silent for longest
            try:
                tune(connection)
                self._begin(connection, f"{peer}:{address[1]}", peer, self._trust.context())
            except (OSError, QvdUsbError) as error:  # an SSLError is an OSError
                LOG.warning("peer=%s cannot be served: %s", peer, error)

    def _crowds(self, address: str) -> bool:
        waiting = [self._guests[pid].address for pid in self._unknown.values() if pid in self._guests]
        return waiting.count(address) >= OF_ONE_ADDRESS

    def _begin(self, connection: socket.socket, peer: str, address: str, context: ssl.SSLContext) -> None:
        unknown, known = os.pipe2(os.O_CLOEXEC)
        agent = None
        try:
            agent = self._to_agent()
            pid = os.fork()
            if pid == 0:
                os.close(unknown)
                self._be_guest(connection, peer, agent, known, context)
        except OSError:
            os.close(unknown)
            raise
        finally:
            os.close(known)
            if agent is not None:
                agent.close()
        self._guests[pid] = Guest(pid=pid, address=address, unknown=unknown)
        self._unknown[unknown] = pid
        self._selector.register(unknown, selectors.EVENT_READ)

    def _to_agent(self) -> socket.socket | None:
        """A connection of the agent's, made here because the process may not."""
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            agent.settimeout(LOOK_SECONDS)
            agent.connect(str(self._agent))
        except OSError as error:
            LOG.warning("the agent cannot be reached: %s", error)
            agent.close()
            return None
        return agent

    def _be_guest(
        self, connection: socket.socket, peer: str, agent: socket.socket | None, known: int, context: ssl.SSLContext
    ) -> NoReturn:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._selector.close()
            self._listener.close()
            for other in self._unknown:
                os.close(other)
            give_up_rights(self._account)
            connection.setblocking(True)
            receive(Caller(connection=connection, peer=peer, agent=agent, known=lambda: os.close(known)), context)
            status = 0
        except QvdUsbError as error:
            LOG.info("peer=%s problem=%s: %s", peer, error.problem.code, error)
        except BaseException:
            LOG.exception("peer=%s", peer)
        finally:
            os._exit(status)  # nothing of the porter's is finished here

    def _is_known(self, unknown: int, pid: int) -> None:
        if self._unknown.get(unknown) == pid:  # the number may be another one's by now
            del self._unknown[unknown]
            self._selector.unregister(unknown)
            os.close(unknown)

    def _reap(self) -> None:
        while self._guests:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            guest = self._guests.pop(pid)
            self._is_known(guest.unknown, pid)
            if os.WIFSIGNALED(status):
                LOG.info("peer=%s was ended by %s", guest.address, signal.Signals(os.WTERMSIG(status)).name)


def give_up_rights(account: tuple[int, int] | None) -> None:
    """Become a user who may do nothing, for good. Source: credentials(7); capabilities(7): the last uid 0 goes."""
    if account is not None:
        uid, gid = account
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def listen(at: settings.Listen) -> socket.socket:
    """Listen there.

    Raises:
        QvdUsbError: endpoint-unavailable.
    """
    family = socket.AF_INET6 if ":" in at.host else socket.AF_INET
    try:
        listener = socket.create_server((at.host, at.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise QvdUsbError(ENDPOINT_UNAVAILABLE, address=at, reason=error.strerror) from error
    listener.setblocking(False)
    return listener


def run(wanted: settings.Listen) -> None:
    """Be the porter.

    Raises:
        QvdUsbError: endpoint-unavailable.
    """
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise QvdUsbError(ENDPOINT_UNAVAILABLE, address=wanted, reason=f"there is no user {ACCOUNT}") from None
    trust = Trust(FOLDER, paired.CLIENTS)
    trust.context()  # what is wrong with the files is said at the start
    listener = listen(wanted)
    LOG.info("listening on %s", wanted)
    Porter(listener, trust, SOCKET, (found.pw_uid, found.pw_gid)).serve()
