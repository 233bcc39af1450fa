"""EFFECT: the injector: a small process that stays warm and says kernel events inside containers, a child a request.

It is started as a script of its own, so that it holds nothing of the agent: no map, no lease, one socket. A request is
a JSON object with two descriptors, the pidfd of a container's init and the socket the answer goes to:
{"links": [["add"|"remove", "ttyACM0"], …], "events": [["add", "/devices/…", ["SUBSYSTEM=tty", …]], …]}
The answer is the number of the error, 0 for none. For each request a child enters the container's namespaces, becomes
its root there and can do nothing that this root could not; one that hangs is killed.

Source: lib/kobject_uevent.c, uevent_net_rcv_skb (Linux 4.18); setns(2) with a pidfd (Linux 5.8).
"""

import array
import contextlib
import ctypes
import errno
import json
import os
import select
import signal
import socket
import struct
import sys
import time

SECONDS = 3.0  # for one request; a container's file system may never answer
CHILDREN = 32
REQUEST_BYTES = 128 << 10
NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x00020000  # user, net, mnt. Source: include/uapi/linux/sched.h
NETLINK_KOBJECT_UEVENT = 15
MESSAGE, REQUEST_AND_ACK = 16, 1 | 4  # any type but netlink's own. Source: include/uapi/linux/netlink.h
NODES = "qvd"  # where the host's nodes are bound in a container's /dev
CAPABILITY_VERSION_3 = 0x20080522
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LIBC = ctypes.CDLL(None, use_errno=True)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Serve the socket that is standard input until its other end is closed."""
    drop_capabilities()
    # A child sees the container's files: nothing may be loaded from there, and no request be read in it.
    sys.path.clear()
    sys.meta_path.clear()
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, 0)
    with control:
        serve(control)


def drop_capabilities() -> None:
    """Keep none: the owner of a user namespace, which root is of root's containers, has them all inside it anyway.

    Source: user_namespaces(7); capset(2).
    """
    if LIBC.capset(struct.pack("=Ii", CAPABILITY_VERSION_3, 0), bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


class Child:
    """A request under way: where its answer goes, and until when."""

    __slots__ = ("deadline", "pid", "reply")

    def __init__(self, pid: int, reply: socket.socket, deadline: float) -> None:
        self.pid = pid
        self.reply = reply
        self.deadline = deadline


def serve(control: socket.socket) -> None:
    """Take requests, reap children, kill those that hang."""
    children: dict[int, Child] = {}
    poll = select.poll()
    poll.register(control, select.POLLIN)
    while True:
        ends = min((child.deadline for child in children.values()), default=None)
        ready = dict(poll.poll(None if ends is None else max(0.0, ends - time.monotonic()) * 1000))
        for pidfd in [fd for fd in ready if fd in children]:
            poll.unregister(pidfd)
            finish(pidfd, children.pop(pidfd))
        for pidfd, child in children.items():
            if child.deadline <= time.monotonic():
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                child.deadline += SECONDS
        if control.fileno() in ready:
            request = receive(control)
            if request is None:
                return
            begun = begin(control, *request)
            if begun is not None:
                poll.register(begun[0], select.POLLIN)
                children[begun[0]] = begun[1]
        # Those that do not fit wait in the socket.
        poll.register(control, select.POLLIN if len(children) < CHILDREN else 0)


def receive(control: socket.socket) -> "tuple[dict[str, Any], int, socket.socket] | None":
    """One request with its descriptors; None when there will be no more."""
    room = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    data, ancillary, _, _ = control.recvmsg(REQUEST_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    descriptors = array.array("i", ancillary[0][2])
    return json.loads(data), descriptors[0], socket.socket(fileno=descriptors[1])


def begin(
    control: socket.socket, request: "dict[str, Any]", init: int, reply: socket.socket
) -> "tuple[int, Child] | None":
    """Fork the child that does it; None when there can be none."""
    try:
        pid = os.fork()
    except OSError as error:
        os.close(init)
        answer(reply, error.errno or errno.EAGAIN)
        return None
    if pid == 0:
        try:
            control.close()
            os._exit(status_of(request, init))
        finally:
            os._exit(errno.EIO)
    os.close(init)
    return os.pidfd_open(pid), Child(pid, reply, time.monotonic() + SECONDS)


def finish(pidfd: int, child: Child) -> None:
    """Reap a child that has ended and answer for it."""
    os.close(pidfd)
    _, status = os.waitpid(child.pid, 0)
    answer(child.reply, os.WEXITSTATUS(status) if os.WIFEXITED(status) else errno.ETIMEDOUT)


def answer(reply: socket.socket, number: int) -> None:
    """Send the number; whoever asked may have given up."""
    with reply:
        try:
            reply.send(struct.pack("=i", number), socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            return


# in the child --------------------------------------------------------------------------------------------------------
def status_of(request: "dict[str, Any]", init: int) -> int:
    """Do what is asked; the number of the error is the child's exit status."""
    try:
        enter(init)
        for verb, name in request["links"]:
            change_link(verb, name)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as channel:
            for event, devpath, properties in request["events"]:
                say(channel, event, devpath, properties)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def enter(init: int) -> None:
    """Become root of the container whose init this is: its namespaces, its ids, none of the host's groups."""
    if LIBC.setns(init, NEW_NAMESPACES) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.setresgid(0, 0, 0)
    os.setgroups([])
    os.setresuid(0, 0, 0)


def change_link(verb: str, name: str) -> None:
    """Make or remove /dev/NAME, the link to the host's node; what somebody else put there stays.

    The path leads through the container's own file system, with the rights of its root and no others.
    """
    *folders, last = name.split("/")
    target = "/".join([*[".."] * len(folders), NODES, name])
    try:
        folder = open_folder(folders, make=verb == "add")
    except OSError as error:
        if verb == "add" or error.errno not in {errno.ENOENT, errno.ENOTDIR}:
            raise
        return
    try:
        if verb == "add":
            os.symlink(target, last, dir_fd=folder)
        elif os.readlink(last, dir_fd=folder) == target:
            os.unlink(last, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.EEXIST, errno.ENOENT, errno.EINVAL}:
            raise
    finally:
        os.close(folder)


def open_folder(folders: "list[str]", *, make: bool) -> int:
    """Open a folder below /dev, made as far as it is missing."""
    here = os.open("/dev", FOLDER)
    for name in folders:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=here)
            below = os.open(name, FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here


def say(channel: socket.socket, event: str, devpath: str, properties: "list[str]") -> None:
    """Send one event as the kernel would; it adds SEQNUM, and its answer says whether it took the message."""
    words = [f"{event}@{devpath}", f"ACTION={event}", f"DEVPATH={devpath}", *properties]
    body = b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)
    channel.sendto(struct.pack("=IHHII", 16 + len(body), MESSAGE, REQUEST_AND_ACK, 0, 0) + body, (0, 0))
    (number,) = struct.unpack_from("=i", channel.recv(4096), 16)
    if number:
        raise OSError(-number, "the kernel's answer")


if __name__ == "__main__":
    main()
