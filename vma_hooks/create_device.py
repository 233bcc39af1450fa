"""EFFECT: qvd-create-device: makes and removes the nodes of a container's own USB devices; udevd runs it per event."""

import os
import sys

from qvd_usbip.errors import NODE_KEPT, NODE_REFUSED, USAGE, QvdUsbError
from qvd_usbip.port_range import PORTS_NAME
from qvd_usbip.uevent import Uevent, from_environment, place_of
from vma_hooks.apply import Grant, drop_node, make_node, open_records, recorded_at
from vma_hooks.beneath import open_folder
from vma_hooks.nodes import Nodes
from vma_hooks.own_hub import event_of, list_devices, own_ports, seen_at
from vma_hooks.plan import NodePlan, confine, plan
from vma_hooks.settings import SETTINGS_FILE, group_number, load_settings
from vma_hooks.words import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HELP = """\
usage: qvd-create-device --from-env
       qvd-create-device --coldplug
       qvd-create-device --create DEVICE SYSPATH
       qvd-create-device --delete DEVICE

Makes the nodes of USB devices below this container's own vhci hub: mode 0600, opened to one group by an access list
(createdevice.acl.* in /etc/qvd/vma.conf). Removes only nodes it made.

  --from-env   one udev event: ACTION, DEVPATH, DEVNAME, MAJOR, MINOR, SUBSYSTEM from the environment
  --coldplug   every device that is there already
  --create     the node DEVICE for the device at SYSPATH
  --delete     the node DEVICE, if it was made here

examples:
  qvd-create-device --coldplug
  qvd-create-device --create /dev/ttyACM0 /sys/devices/platform/vhci_hcd.3/usb7/7-1/7-1:1.0/tty/ttyACM0
  qvd-create-device --delete /dev/ttyACM0
"""


HOST_NODES = "qvd"  # bound there by the host; nothing else makes a folder of that name in /dev


class Places:
    """Where this program works: three folders, the settings file and the file of the agent, as paths."""

    __slots__ = ("dev", "ports", "records", "settings", "sys")

    def __init__(self, dev: str, sys: str, records: str, settings: str, ports: str) -> None:
        self.dev = dev
        self.ports = ports
        self.sys = sys
        self.records = records
        self.settings = settings


INSTALLED = Places("/dev", "/sys", "/run/qvd-create-device", SETTINGS_FILE, f"/run/qvd-usbip/{PORTS_NAME}")


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; None takes the process's own.

    Returns:
        0, or the exit status of the problem that was written to standard error and to syslog.
    """
    os.umask(0o022)
    return run(sys.argv[1:] if argv is None else argv, os.environ, INSTALLED, Nodes())


def start() -> None:
    """Run the program that udevd starts: main, then leave at once; a tidy end of Python costs more than the work."""
    status = main()
    sys.stdout.flush()
    os._exit(status)


def run(arguments: "Sequence[str]", environment: "Mapping[str, str]", places: Places, nodes: Nodes) -> int:
    """Run one command on the given places; see main."""
    try:
        match list(arguments):
            case ["--help" | "-h"]:
                sys.stdout.write(HELP)
            case ["--from-env"]:
                on_udev(from_environment(environment), places, nodes)
            case ["--coldplug"]:
                return coldplug(places, nodes)
            case ["--create", device, syspath]:
                create(device, syspath, places, nodes)
            case ["--delete", device]:
                delete(device, places, nodes)
            case _:
                raise QvdUsbError(USAGE, reason="one of --from-env, --coldplug, --create, --delete is needed")
    except QvdUsbError as error:
        return complain(error)
    return 0


def on_udev(event: Uevent, places: Places, nodes: Nodes) -> None:
    """Do what udevd asks for; with a device's own node come those that its drivers have made by now.

    udevd holds back what is below a device until the device's own event is done, and then each of them costs a start
    of this program. Theirs come all the same, and say what is wrong with them.

    Raises:
        QvdUsbError: as on_event, about the event's own node.
    """
    if not on_event(event, places, nodes) or (event.action, event.subsystem) != ("add", "usb"):
        return
    sys_folder = open_folder(places.sys)
    try:
        for devpath in list_devices(sys_folder, event.devpath)[1:]:
            try:
                on_event(event_of(sys_folder, devpath), places, nodes)
            except QvdUsbError:
                continue
    finally:
        os.close(sys_folder)


def on_event(event: Uevent, places: Places, nodes: Nodes) -> bool:
    """Do what one event asks for; nothing in a container in a user namespace, whose nodes the host makes.

    Returns:
        Whether it asks for anything here.

    Raises:
        QvdUsbError: the node is not there, or it is there at 0600 without the rights it should have.
    """
    if os.path.isdir(f"{places.dev}/{HOST_NODES}"):
        return False
    sys_folder = open_folder(places.sys)
    try:
        there = seen_at(sys_folder, event)
    finally:
        os.close(sys_folder)
    wanted = plan(event, there, own_ports(places.ports))
    if wanted is None:
        return False
    grant, trouble = _find_grant(places.settings) if wanted.verb == "make" else (None, None)
    try:
        _apply(wanted, grant, places, nodes)
    except OSError as error:
        problem = NODE_REFUSED if wanted.verb == "make" else NODE_KEPT
        raise QvdUsbError(problem, node=event.devname, reason=error.strerror) from error
    if trouble is not None:
        raise trouble
    return True


def coldplug(places: Places, nodes: Nodes) -> int:
    """Make the nodes of all devices that are there already.

    Returns:
        0, or the exit status of the last problem; each is written to standard error and the others are still made.
    """
    status = 0
    sys_folder = open_folder(places.sys)
    try:
        for devpath in list_devices(sys_folder):
            try:
                on_event(event_of(sys_folder, devpath), places, nodes)
            except QvdUsbError as error:
                status = complain(error)
    finally:
        os.close(sys_folder)
    return status


def create(device: str, syspath: str, places: Places, nodes: Nodes) -> None:
    """Make the node `device` for what the kernel shows at `syspath` (`/sys/devices/…`).

    Raises:
        QvdUsbError: NODE_REFUSED when there is no such device below this container's hub; else as on_event.
    """
    devpath = syspath.removeprefix("/sys")
    sys_folder = open_folder(places.sys)
    try:
        event = event_of(sys_folder, devpath, device)
    finally:
        os.close(sys_folder)
    place = place_of(devpath)
    if event.devnum is None or place is None or place.rhport not in own_ports(places.ports):
        raise QvdUsbError(NODE_REFUSED, node=device, reason=f"{syspath} is no device below this container's hub")
    on_event(event, places, nodes)


def delete(device: str, places: Places, nodes: Nodes) -> None:
    """Remove the node `device` if it was made here; one that is not there is no problem.

    Raises:
        QvdUsbError: NODE_KEPT when it was made by somebody else or cannot be removed.
    """
    path = confine(device)

    def drop(dev: int, records: int) -> None:
        made_here = recorded_at("/".join(path), records)
        for kind, number in made_here:
            drop_node(kind, number, dev=dev, records=records, nodes=nodes)
        if not made_here and os.path.lexists("/".join((places.dev, *path))):
            raise QvdUsbError(NODE_KEPT, node=device, reason="it was not made by qvd-create-device")

    try:
        _in_folders(drop, places, nodes)
    except OSError as error:
        raise QvdUsbError(NODE_KEPT, node=device, reason=error.strerror) from error


def _apply(wanted: NodePlan, grant: Grant | None, places: Places, nodes: Nodes) -> None:
    def apply(dev: int, records: int) -> None:
        if wanted.verb == "make":
            make_node(wanted, grant, dev=dev, records=records, nodes=nodes)
        else:
            drop_node(wanted.kind, wanted.number, dev=dev, records=records, nodes=nodes)

    _in_folders(apply, places, nodes)


def _in_folders(work: "Callable[[int, int], None]", places: Places, nodes: Nodes) -> None:
    """Do the work with /dev and the folder of records open, while no other run has that."""
    dev = open_folder(places.dev)
    try:
        records = open_records(places.records, nodes)
        try:
            work(dev, records)
        finally:
            os.close(records)
    finally:
        os.close(dev)


def _find_grant(settings_file: str) -> tuple[Grant | None, QvdUsbError | None]:
    """Find who may open a new node; with any doubt nobody, and the reason."""
    try:
        access = load_settings(settings_file).access
        return (None if access is None else Grant(group_number(access.group), access.bits)), None
    except QvdUsbError as error:
        return None, error
