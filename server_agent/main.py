"""EFFECT: `qvd-usb-agent run`: one agent at a time, from the ledger to the first look to ready, until told to stop."""

import asyncio
import fcntl
import grp
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path

from qvd_usbip import kernel_defects
from qvd_usbip.errors import AGENT_NEEDS_ROOT, AGENT_RUNNING, KEYS_UNAVAILABLE, SETTINGS_MALFORMED, QvdUsbError
from server_agent import asking, control, paired, service, settings
from server_agent.backend import Backend
from server_agent.daemon import Daemon, Wiring
from server_agent.desk import ControlDesk
from server_agent.endpoint import FOLDER, Endpoint
from server_agent.executor import Executor
from server_agent.figures import Figures
from server_agent.journal import Journal
from server_agent.kernel.cgroup_v1 import DeviceFiles
from server_agent.kernel.cgroup_v2_lxc import LxcLists
from server_agent.kernel.cgroup_v2_map import DeviceMaps
from server_agent.kernel.disks import Disks
from server_agent.kernel.freezer import Freezer, FreezerFiles, Unified
from server_agent.kernel.gate import Gate
from server_agent.kernel.hub_mount import HubMounts
from server_agent.kernel.inits import Inits
from server_agent.kernel.inside import Inside
from server_agent.kernel.nodes import NodeFolders
from server_agent.kernel.observe import Observer
from server_agent.kernel.rights import CGROUPS, ByContainer
from server_agent.kernel.told import Told
from server_agent.kernel.udev import Monitor
from server_agent.kernel.uevents import Injector, Uevents
from server_agent.kernel.vhci import Vhci
from server_agent.ledger import Ledger
from server_agent.lookout import Lookout
from server_agent.lxc import BROKERS, NODES
from server_agent.pairing import PairingDesk
from server_agent.privileges import reduce_privileges
from server_agent.records import Records

LOG = logging.getLogger(__name__)
SYSFS = Path("/sys")
PARENT, PINS = "qvd", SYSFS / "fs/bpf/qvd"
RUN = Path("/run/qvd-usbip")
LOCK = RUN / "agent.lock"
WRITE_SECONDS = 15.0  # between two writes of the figures
LEDGER = Path("/var/lib/qvd-usbip/ledger.json")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def run(*, verbose: bool) -> int:
    """Be the agent, until SIGTERM or SIGINT.

    Raises:
        QvdUsbError: not root, another one runs, the settings or the kernel are not usable.
    """
    if os.geteuid() != 0:
        raise QvdUsbError(AGENT_NEEDS_ROOT)
    logging.basicConfig(
        stream=sys.stderr, level=logging.DEBUG if verbose else logging.INFO, format="%(levelname)s %(name)s %(message)s"
    )
    os.umask(0o022)  # users of a container walk through the folders made for it; what is private says so itself
    RUN.mkdir(mode=0o755, exist_ok=True)
    lock = take_lock(LOCK)
    try:
        reduce_privileges()
        found = settings.load()
        asyncio.run(serve(found))
    finally:
        os.close(lock)
    return 0


def take_lock(path: Path) -> int:
    """Be the only agent, for as long as the descriptor is open.

    Raises:
        QvdUsbError: agent-running.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise QvdUsbError(AGENT_RUNNING) from error
    return fd


def isochronous_allowed(wanted: settings.Isochronous, kernel: os.uname_result) -> bool:
    """Whether devices with isochronous endpoints may reach a container; the log says why."""
    found = kernel_defects.judge(kernel_defects.ISOCHRONOUS, kernel_defects.kernel_of(kernel.release, kernel.version))
    safe = found.verdict == kernel_defects.Verdict.FIXED
    allowed = safe if wanted == settings.Isochronous.AUTO else wanted == settings.Isochronous.ALLOW
    LOG.log(
        logging.WARNING if allowed and not safe else logging.INFO,
        "isochronous devices: %s; %s=%s, kernel defect %s: %s (%s)",
        "let through" if allowed else "refused", settings.ISOCHRONOUS, wanted, found.defect.code, found.verdict,
        found.why,
    )  # fmt: skip
    return allowed


def group_of(name: str) -> int | None:
    """The number of a group that the settings name; None for none.

    Raises:
        QvdUsbError: settings-malformed when there is no such group.
    """
    if not name:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        reason = f"{settings.STATUS_GROUP}={name}: this host has no such group"
        raise QvdUsbError(SETTINGS_MALFORMED, reason=reason) from error


def wire(found: settings.Settings, sockets: dict[str, int], records: Records) -> Wiring:
    """Everything the agent touches, in its place on this host."""
    vhci, gate = Vhci(sysfs=SYSFS), Gate(sysfs=SYSFS)
    mounts, brokers = HubMounts(devicefs=found.devicefs, sysfs=SYSFS), Path(BROKERS)
    nodes, told = NodeFolders(root=Path(NODES)), Told(root=RUN / "told")
    uevents = Uevents(injector=Injector(), inits=Inits(cgroups=CGROUPS / PARENT), told=told)
    rights = ByContainer(
        backends={
            Backend.V1: DeviceFiles(hierarchies=CGROUPS, parent=PARENT),
            Backend.LXC: LxcLists(cgroups=CGROUPS / PARENT),
            Backend.MAP: DeviceMaps(cgroups=CGROUPS / PARENT, pins=PINS),
        }
    )
    freezer = Freezer(
        hierarchies=(FreezerFiles(cgroups=CGROUPS / "freezer" / PARENT), Unified(cgroups=CGROUPS / PARENT))
    )
    return Wiring(
        executor=Executor(
            vhci=vhci, gate=gate, rights=rights, freezer=freezer, mounts=mounts, nodes=nodes, uevents=uevents,
            disks=Disks(sysfs=SYSFS), brokers=brokers, sockets=sockets.__getitem__, clock=time.monotonic,
        ),
        observer=Observer(
            vhci=vhci, gate=gate, rights=rights, mounts=mounts, brokers=brokers, nodes=nodes, told=told
        ),
        ledger=Ledger(path=LEDGER, boot_id=BOOT_ID.read_text(encoding="ascii").strip()),
        monitor=Monitor(),
        brokers=brokers,
        records=records,
        isochronous=isochronous_allowed(found.isochronous, os.uname()),
        disk_request_kib=found.disk_request_kib,
    )  # fmt: skip


def quieten(vhci: Vhci) -> None:
    """Switch off the messages of a kernel built for debugging: they make USB/IP slower by orders of magnitude."""
    try:
        if vhci.quieten():
            LOG.warning("usbip_debug_flag was set: it is 0 now")
    except OSError as error:
        LOG.warning("usbip_debug_flag is set and cannot be cleared, USB will be slow: %s", error.strerror)


async def serve(found: settings.Settings) -> None:
    """Run the daemon and the control socket until a signal comes.

    Raises:
        QvdUsbError, OSError: it could not start.
    """
    sockets: dict[str, int] = {}
    LEDGER.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    figures, gid = Figures(), group_of(found.status_group)
    wiring = wire(found, sockets, Records(sinks=(Journal(), figures) if found.metrics else (Journal(),)))
    wiring.executor.vhci.require()
    quieten(wiring.executor.vhci)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    daemon = Daemon(wiring, sockets)
    await daemon.start()
    pairing = PairingDesk(paired.CLIENTS, wiring.records, time.monotonic)
    lookout = Lookout(daemon, Inside(nodes=wiring.executor.nodes, cgroups=CGROUPS / PARENT).look)
    endpoint = start_endpoint(daemon, sockets, pairing, lookout) if found.endpoint is not None else None
    desk = ControlDesk(daemon, wiring, pairing, endpoint)
    server = control.Server(Path(asking.CONTROL_SOCKET), desk.answer, wiring.records.followed, gid)
    await server.start()
    service.notify(service.READY)
    beside = [asyncio.ensure_future(work) for work in beside_the_daemon(daemon, figures, found.metrics)]
    await stop.wait()
    service.notify(service.STOPPING)
    for task in beside:
        task.cancel()
    await server.stop()
    if endpoint is not None:
        endpoint.stop()
    await daemon.stop()


def start_endpoint(daemon: Daemon, sockets: dict[str, int], pairing: PairingDesk, lookout: Lookout) -> Endpoint:
    """Have a certificate, and listen for the porter, which shows it to clients.

    Raises:
        QvdUsbError, OSError: it could not start.
    """
    try:
        from qvd_usbip.system.identity import load_or_make  # noqa: PLC0415  # a library that is needed only here
    except ImportError as error:
        raise QvdUsbError(KEYS_UNAVAILABLE, reason=str(error)) from error
    identity = load_or_make(FOLDER, socket.gethostname())
    endpoint = Endpoint(daemon, sockets, pairing, lookout)
    pairing.serve(identity.der, endpoint.changed)
    endpoint.start()
    return endpoint


def beside_the_daemon(daemon: Daemon, figures: Figures, path: Path | None) -> Iterator[Coroutine[None, None, None]]:
    """What runs for ever beside it: keepalives for systemd and figures for Prometheus, where they are wanted."""
    seconds = service.keepalive_seconds(os.environ, os.getpid())
    if seconds is not None:
        yield service.keep_alive(seconds)
    if path is not None:
        yield write_figures(daemon, figures, path)


async def write_figures(daemon: Daemon, figures: Figures, path: Path) -> None:
    """Write the figures now and then; the disk they are on may be slow."""
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        await asyncio.to_thread(figures.write, path, daemon.state)
