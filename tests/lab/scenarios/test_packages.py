"""The Debian packages on plain Debian: installed they work, upgraded the device stays, purged nothing is left.

`make packages` ends with it, and nothing else runs it.
"""

import re
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.progress import stage
from tests.lab.scenarios.packaged import OLDER, Packaged
from tests.lab.scenarios.terminal import USER, Terminal

pytestmark = pytest.mark.packages

IDENTITY = "0bda:58c2@1234"
TTY = "ttyACM0"
HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
HEARD = "/run/heard"
NOT_PERMITTED = 29
#: What the host's rule says of a device that a container has, for two of those who would take it.
RULE = {"QVD_USBIP=1", "ID_MM_DEVICE_IGNORE=1", "SYSTEMD_READY=0"}


def installed(machines: Packaged) -> None:
    """What the guide wants of an installation is in force, with no reboot and nothing typed but apt's line."""
    server, client = machines.server, machines.client
    assert server.run("systemctl is-active qvd-usb-agent; systemctl is-enabled qvd-usb-agent").out == "active\nenabled"
    assert server.run("ls -d /sys/devices/platform/vhci_hcd.0").out, "the module is loaded"
    assert confined(machines)
    assert client.run("systemctl is-enabled qvd-usb-recover").out == "enabled"
    assert client.run(f"stat -c '%U %a' {HELPER} /run/qvd-usbip").out == "root 4755\nroot 755"
    assert client.run_as(USER, f"{HELPER} lend", check=False).rc == NOT_PERMITTED, "in no group, and at no seat"
    client.run(f"usermod -aG qvdusb {USER}")


def confined(machines: Packaged) -> bool:
    """Whether the kernel has the profiles of the server's package."""
    return int(machines.server.run("grep -c lxc-container-qvd /sys/kernel/security/apparmor/profiles; true").out) > 0


def loaded_at_boot(machines: Packaged) -> set[str]:
    """The kernel modules that systemd loads for the files below modules-load.d: what it says when it is asked again."""
    ask = "SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console /usr/lib/systemd/systemd-modules-load 2>&1"
    return set(re.findall(r"Module '(\w+)' is already loaded", machines.server.run(ask).out))


def works(machines: Packaged, terminal: Terminal) -> None:
    """A session brings the device all the way: who may opens it, who may not does not, the host leaves it alone."""
    terminal.connect(machines.one)
    terminal.until_state(IDENTITY, "in-use")
    assert opens(machines, USER)
    assert not opens(machines, "other")
    assert set(machines.server.run(f"udevadm info -q property -p /class/tty/{TTY}").out.splitlines()) >= RULE


def opens(machines: Packaged, user: str) -> bool:
    return machines.one.run(f"dd if=/dev/{TTY} iflag=nonblock count=0", user=user, check=False).rc == 0


def listens(machines: Packaged) -> None:
    """A program of the user opens the device and keeps it open, whatever happens meanwhile."""
    machines.one.run(f"stty -F /dev/{TTY} raw -echo", user=USER)
    line = f"exec 3</dev/{TTY}; echo open; exec cat <&3"
    machines.server.spawn(f"lxc-attach -n one -- runuser -u {USER} -- sh -c '{line}' >{HEARD}", "listener")
    machines.server.until(f"grep open {HEARD}")


def test_installed_it_works_upgraded_the_device_stays_and_purged_nothing_is_left(bare_lab: Lab, tmp_path: Path) -> None:
    machines = Packaged(bare_lab, tmp_path)
    server, client, one = machines.server, machines.client, machines.one
    with stage("installing the packages"):
        machines.install()
        installed(machines)
        machines.start_container()
        units = "qvd-usb-slaveserver.socket qvd-create-device-coldplug.service"
        assert one.run(f"systemctl is-enabled {units}").out == "enabled\nenabled"
    terminal = Terminal(client)
    terminal.prepare("client.usb.enable=1", "client.usb.allow_plaintext=1")
    client.gadget("adapter", "acm", "0bda", "58c2", "1234", product="Serial Adapter")
    terminal.command(f"share {IDENTITY}")
    works(machines, terminal)
    assert terminal.close() == 0
    bare_lab.health()

    bare_lab.boot_anew(server, "")
    assert loaded_at_boot(machines) >= {"vhci_hcd", "tls"}
    assert server.run("systemctl is-active qvd-usb-agent").out == "active"
    assert confined(machines)
    one.start()
    one.wait()
    works(machines, terminal)

    client.run("echo '# of the administrator' >>/etc/qvd/usbip-policy.conf")
    listens(machines)
    ask = "cat /sys/devices/platform/vhci_hcd.*/usb*/[0-9]*-[0-9]*/devnum"
    number, agent = server.run(ask).out, server.run("systemctl show -P MainPID qvd-usb-agent").out
    assert machines.versions() == {OLDER}
    with stage("upgrading beneath a device in use"):
        machines.upgrade()
    assert OLDER not in machines.versions()
    assert server.run("systemctl show -P MainPID qvd-usb-agent").out != agent, "the new agent runs"
    assert server.run(ask).out == number, "the device was not attached anew"
    assert terminal.device(IDENTITY)["state"] == "in-use"
    client.run("echo the same device >/dev/ttyGS0")
    server.until(f"grep 'the same device' {HEARD}")
    assert opens(machines, USER)
    assert not opens(machines, "other")
    assert "vm.lxc.use_vhci_hubs=1" in server.run("cat /etc/qvd/node.conf").out.splitlines()
    assert "of the administrator" in client.run("cat /etc/qvd/usbip-policy.conf").out
    server.run("systemctl stop listener")
    terminal.command(f"unshare {IDENTITY}")
    server.until(f"! lxc-attach -n one -- test -e /dev/{TTY}", 60)
    terminal.command(f"share {IDENTITY}")
    terminal.until_state(IDENTITY, "in-use")
    assert terminal.close() == 0
    bare_lab.health()

    with stage("purging the packages"):
        machines.purge()
    for guest in (server, client):
        assert machines.changed(guest) == []
