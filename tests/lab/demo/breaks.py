"""EFFECT: for every link of the way one thing that breaks just this link; a test then asks the demo for its name."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.demo.desk import SHARE_LIST_FILE
from tests.lab.demo.there import STICK_FILE, STICK_IMAGE
from tests.lab.demo.way import CONTAINER, SERIAL, STRANGER, Way

PRODUCT = "/usr/lib/qvd-usbip/python"
PINS = "/sys/fs/bpf/qvd"
MAP = f"{PINS}/{CONTAINER}"

#: The moments from which a break is tried: before anything is plugged, with both listed, with both opened, and with
#: both in use.
START, LISTED, OPENED, IN_USE = "demo-start", "demo-listed", "demo-opened", "demo-in-use"


@dataclass(frozen=True, slots=True)
class Break:
    """What breaks a link: `do` is done at the moment `at`; then the demo goes on and must name the link."""

    link: str
    at: str
    do: Callable[[Way], None]


def server(command: str) -> Callable[[Way], None]:
    def do(way: Way) -> None:
        way.lab.server.run(command)

    return do


def client(command: str) -> Callable[[Way], None]:
    def do(way: Way) -> None:
        way.lab.client.run(command)

    return do


def inside(command: str, container: str = CONTAINER) -> Callable[[Way], None]:
    def do(way: Way) -> None:
        way.lab.container(container).run(command)

    return do


def other_agent(file: str, words: str, expression: str) -> Callable[[Way], None]:
    """An agent in which one line is another: `expression` is sed's, `words` must be there before."""

    def do(way: Way) -> None:
        path = f"{PRODUCT}/server_agent/{file}"
        found, edit = shlex.quote(words), shlex.quote(expression)
        way.lab.server.run(f"grep -qF {found} {path} && sed -i {edit} {path} && systemctl restart qvd-usb-agent")
        way.lab.expected_failures.add("qvd-usb-agent.service")

    return do


def twin_with_another_serial(way: Way) -> None:
    """A device of the same kind is plugged where the demo expects its own."""
    way.lab.client.run(
        "sed -i 's/printf .%s. \"$5\" >strings/printf 9999 >strings/' /usr/local/lib/lab/gadget.sh"
        " && grep -q 'printf 9999' /usr/local/lib/lab/gadget.sh"
    )


#: An agent that looks at the whole kernel at its start, and then only hears of events.
NEVER_LOOKS = other_agent("daemon.py", "LOOK_SECONDS = 60.0", "s/^LOOK_SECONDS = .*/LOOK_SECONDS = 3600.0/")


def device_left_on_the_hub(way: Way) -> None:
    """Another device is on the container's hub by hand, and stays.

    On the SuperSpeed half: a device that never answers would keep the kernel from seeing the others of its half go. The
    agent gives an attach that nobody remembers half a minute from its next look on: this one does not look.
    """
    NEVER_LOOKS(way)
    hub = int(way.server.latest(SERIAL.identity)["hub"])
    port = hub * 30 + 22  # Debian: 15 ports a half
    program = (
        "import socket, time\n"
        "a, b = socket.socketpair()\n"
        f"open('/sys/devices/platform/vhci_hcd.0/attach', 'w').write(f'{port} {{b.fileno()}} 65538 5')\n"
        "time.sleep(600)\n"
    )
    way.lab.server.run(["systemd-run", "--quiet", "--collect", "--unit=demo-squatter", "python3", "-c", program])
    way.lab.server.until(f"awk '$2=={port} && $3!=\"004\"' /sys/devices/platform/vhci_hcd.0/status.{hub} | grep -q .")


#: The agent believes that it granted, that it authorised; its write of `attach` never ends.
NEVER_GRANTS = other_agent(
    "kernel/cgroup_v2_map.py", "rights.update(key_of(right)", "s/rights.update(key_of(right).*/return/"
)
NEVER_AUTHORISES = other_agent(
    "kernel/gate.py", '_write(folder / "authorized", OPEN)', 's:_write(folder / "authorized", OPEN):pass:'
)
STUCK_ATTACH = server("mkfifo /run/stuck && mount --bind /run/stuck /sys/devices/platform/vhci_hcd.0/attach")
IMMUTABLE = client(f"chattr +i {SHARE_LIST_FILE}")
FROZEN_MAP = server(f"bpftool map freeze pinned {MAP}")
#: The key (character device, any major, any minor) of the stranger's map, with every access.
OPEN_MAP = server(
    f"bpftool map update pinned {PINS}/{STRANGER} key hex 02 00 00 00 ff ff ff ff ff ff ff ff value hex 07 00 00 00"
)
NO_DEVICES = client("mkdir -p /etc/qvd /run/empty; echo path.usb.usbroot=/run/empty >>/etc/qvd/client.conf")
NOBODY_MAY = client("printf 'usbip.allow.group=nogroup\\nusbip.allow.seat=0\\n' >/etc/qvd/usbip-policy.conf")
OTHER_KEY = inside("echo another-key >/etc/qvd/slave.key; systemctl stop qvd-usb-slaveserver.service")
NO_DRIVER = client("rmmod cdc_acm; mv /lib/modules/$(uname -r)/kernel/drivers/usb/class /var/tmp/")

BREAKS = (
    Break("plugged", START, twin_with_another_serial),
    Break("listed", START, NO_DEVICES),
    Break("ticked", LISTED, IMMUTABLE),
    Break("released", LISTED, NOBODY_MAY),
    Break("exported", LISTED, OTHER_KEY),
    Break("attached", LISTED, STUCK_ATTACH),
    Break("granted", LISTED, NEVER_GRANTS),
    Break("authorised", LISTED, NEVER_AUTHORISES),
    Break("node", LISTED, inside("echo createdevice.acl.enable=0 >>/etc/qvd/vma.conf")),
    Break("opened", LISTED, inside("gpasswd -d user qvduser")),
    Break("talked", OPENED, client("mv /dev/ttyGS0 /dev/ttyGS0.away")),
    Break("file", OPENED, client(f"mdel -i {STICK_IMAGE} ::{STICK_FILE}")),
    Break("stranger", IN_USE, OPEN_MAP),
    Break("unticked", IN_USE, IMMUTABLE),
    Break("node gone", IN_USE, inside("mv /usr/lib/qvd/bin/qvd-create-device /usr/lib/qvd/bin/away")),
    Break("right gone", IN_USE, FROZEN_MAP),
    Break("hub empty", IN_USE, device_left_on_the_hub),
    Break("home", IN_USE, NO_DRIVER),
)
