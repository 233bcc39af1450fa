"""A keyboard that a client lent: its keys are the container's, and nothing of the host's hears them.

The server guest is the client here too: QEMU plugs a keyboard into it and presses its keys.
"""

import pytest

from tests.lab import Lab
from tests.lab.scenarios.test_agent import Host

pytestmark = pytest.mark.deep

IDENTITY = "0627 0001 K1"  # QEMU's own numbers of its keyboard
UDEVD = ("systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udevd.service")
#: The foreground terminal as a getty has it open, and every event of the keyboard as logind or a desktop hears it.
LISTEN = "exec 3<>/dev/tty1; stty raw -echo <&3; exec cat <&3 >/run/{name}.typed"
HEAR = "exec cat {node} >/run/{name}.events"
EVENTS = "/sys/devices/platform/vhci_hcd.*/usb*/*/*/*/input/*/event*"
INHIBITED = "/sys/devices/platform/vhci_hcd.*/usb*/*/*/*/input/*/inhibited"
#: A report of a boot keyboard (HID 1.11, appendix B.1) in which key `a` alone is down, as hexadecimal words.
DOWN = "00 00 04 00 00 00 00 00"


class Keyboard:
    """The keyboard, container `one` that it is lent to, and who listens on the host."""

    def __init__(self, host: Host) -> None:
        self.host, self.server, self.one = host, host.server, host.one
        self.server.usb_add("usb-kbd", "keys", serial="K1")
        self.server.until("cat /sys/bus/usb/devices/*/serial | grep -qx K1")

    def lend(self) -> None:
        """Gives it to the container, whose node for its reports is there afterwards."""
        self.server.run(f"python3 /usr/local/bin/hand_over.py one {IDENTITY}")
        self.server.until("lxc-attach -n one -- sh -c 'test -c /dev/hidraw*'")
        self.server.run("udevadm settle", check=False)  # it may be stopped

    def heard(self, name: str) -> dict[str, str]:
        """Presses a key, then Alt-Print-H; what the container, the console, an event's reader and the kernel got."""
        node = f"/dev/input/{self.server.until(f'basename $(ls -d {EVENTS})').out}"
        self.one.run(f"systemd-run -q --unit={name} --uid=user bash -c 'exec cat /dev/hidraw* >/tmp/{name}'")
        self.server.spawn(LISTEN.format(name=name), f"{name}-console")
        self.server.spawn(HEAR.format(name=name, node=node), f"{name}-events")
        self.server.until(f"fuser -s /dev/tty1 && fuser -s {node}")
        self.server.until("lxc-attach -n one -- pgrep -f '^cat /dev/hidraw'")
        self.server.run("dmesg -C; sleep 0.5")  # the first moments after an open are dropped
        for keys in (["a"], ["alt", "print", "h"]):
            self.server.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
            self.server.run("sleep 0.5")
        self.server.run(f"systemctl stop {name}-console {name}-events")
        return {
            "container": self.one.run(f"od -An -v -tx1 -w8 /tmp/{name}").out,
            "console": self.server.run(f"cat /run/{name}.typed").out,
            "events": self.server.run(f"wc -c </run/{name}.events").out,
            "kernel": self.server.run("dmesg | grep -o 'sysrq: HELP'", check=False).out,
        }


QUIET = {"console": "", "events": "0", "kernel": ""}


@pytest.fixture
def keyboard(lab: Lab) -> Keyboard:
    return Keyboard(Host(lab))


def test_a_lent_keyboard_types_in_its_container_and_never_on_the_console_of_its_host(keyboard: Keyboard) -> None:
    keyboard.lend()
    heard = keyboard.heard("guarded")
    assert DOWN in heard.pop("container")
    assert heard == QUIET

    keyboard.server.run(f"echo 0 >{INHIBITED}")
    heard = keyboard.heard("unguarded")
    assert DOWN in heard["container"]
    assert heard["console"].startswith("a"), "the same keys, with nothing in their way"
    assert int(heard["events"]) > 0
    assert heard["kernel"] == "sysrq: HELP"

    keyboard.server.run("udevadm trigger -c change -s input --settle")
    assert keyboard.server.run(f"cat {INHIBITED}").out == "1", "udev's rule does it by itself too"


def test_nor_while_udevd_of_the_host_does_nothing(keyboard: Keyboard) -> None:
    keyboard.server.run(f"systemctl stop {' '.join(UDEVD)}")
    keyboard.lend()
    heard = keyboard.heard("alone")
    assert DOWN in heard.pop("container")
    assert heard == QUIET
