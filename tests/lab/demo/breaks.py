"""EFFECT: for every link of the way one thing that breaks just this link; a test then asks the demo for its name."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass

from tests.lab.demo.desk import SHARE_LIST_FILE
from tests.lab.demo.there import STICK_FILE, STICK_IMAGE
from tests.lab.demo.way import CONTAINER, SERIAL, STICK, STRANGER, Way

PRODUCT = "/usr/lib/qvd-usbip/python"
PINS = "/sys/fs/bpf/qvd"
MAP = f"{PINS}/{CONTAINER}"

#: The moments from which a break is tried: before anything is plugged, with both listed, with both opened, and with
#: both in use.
START, LISTED, OPENED, IN_USE = "demo-start", "demo-listed", "demo-opened", "demo-in-use"


@dataclass(frozen=True, slots=True)
class Break:
    """What breaks a link: `do` is done at the moment `at`; then the demo goes on and must name link and device."""

    link: str
    at: str
    do: Callable[[Way], None]
    device: str = SERIAL.name
    reason: str = ""
    """What the demo says of it, among other words, where much else would break the same link."""

    def __str__(self) -> str:
        return f"{self.link.replace(' ', '-')}-{self.device}-{BREAKS.index(self)}"


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


def something_over_the_picker(way: Way) -> None:
    """Another window covers the whole screen."""
    program = (
        "from PySide6.QtWidgets import QApplication, QWidget\n"
        "application, cover = QApplication([]), QWidget(windowTitle='cover')\n"
        "cover.setGeometry(0, 0, 1000, 1000)\n"
        "cover.show()\n"
        "application.exec()\n"
    )
    way.desk.start("cover", shlex.join(["python3", "-c", program]))
    way.desk.as_user("timeout 60 xdotool search --sync --onlyvisible --name '^cover$'")


def its_twin_is_lent(way: Way) -> None:
    """A helper that takes the device with another serial number, whichever it is asked for."""
    busid = way.lab.client.gadget("twin", SERIAL.gadget, SERIAL.vid, SERIAL.pid, "9999", product="Another Adapter")
    asked = way.client.latest(SERIAL.identity)["busid"]
    other = f"packet.replace(b'{asked}', b'{busid}').replace(b'@{SERIAL.serial}', b'@9999')"
    path = f"{PRODUCT}/client_gui/helper/lend.py"
    edit = shlex.quote(f"s/parse_lend(packet)/parse_lend({other})/")
    way.lab.client.run(f"grep -q 'parse_lend(packet)' {path} && sed -i {edit} {path}")


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


def open_map(kind: str) -> Callable[[Way], None]:
    """The stranger's map has every number of one kind: "01" for block devices, "02" for character devices."""
    key = f"{kind} 00 00 00 ff ff ff ff ff ff ff ff"
    return server(f"bpftool map update pinned {PINS}/{STRANGER} key hex {key} value hex 07 00 00 00")


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
NO_COMMAND = client("rm $(command -v qvd-usb)")
NO_DEVICES = client("mkdir -p /etc/qvd /run/empty; echo path.usb.usbroot=/run/empty >>/etc/qvd/client.conf")
NOBODY_MAY = client("printf 'usbip.allow.group=nogroup\\nusbip.allow.seat=0\\n' >/etc/qvd/usbip-policy.conf")
OTHER_KEY = inside("echo another-key >/etc/qvd/slave.key; systemctl stop qvd-usb-slaveserver.service")
NO_DRIVER = client("rmmod cdc_acm; mv /lib/modules/$(uname -r)/kernel/drivers/usb/class /var/tmp/")

PLUGGED = Break("plugged", START, twin_with_another_serial)
BREAKS = (
    Break("listed", START, NO_DEVICES),
    Break("listed", START, NO_COMMAND, reason="No such file or directory"),
    Break("clicked", LISTED, something_over_the_picker, reason="another window lies over"),
    Break("ticked", LISTED, IMMUTABLE),
    Break("released", LISTED, NOBODY_MAY),
    Break("released", LISTED, its_twin_is_lent),
    Break("exported", LISTED, OTHER_KEY),
    Break("attached", LISTED, STUCK_ATTACH),
    Break("granted", LISTED, NEVER_GRANTS),
    Break("authorised", LISTED, NEVER_AUTHORISES),
    Break("node", LISTED, inside("echo createdevice.acl.enable=0 >>/etc/qvd/vma.conf")),
    Break("opened", LISTED, inside("gpasswd -d user qvduser")),
    Break("talked", OPENED, client("mv /dev/ttyGS0 /dev/ttyGS0.away")),
    Break("file", OPENED, client(f"mdel -i {STICK_IMAGE} ::{STICK_FILE}"), STICK.name),
    Break("stranger", IN_USE, open_map("02")),
    Break("stranger", IN_USE, open_map("01"), STICK.name),
    Break("unticked", IN_USE, IMMUTABLE),
    Break("node gone", IN_USE, inside("mv /usr/lib/qvd/bin/qvd-create-device /usr/lib/qvd/bin/away")),
    Break("right gone", IN_USE, FROZEN_MAP),
    Break("hub empty", IN_USE, device_left_on_the_hub, ""),
    Break("home", IN_USE, NO_DRIVER),
)
