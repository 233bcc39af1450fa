"""The services of a host, and a lent device that has something for each: none mounts, activates, dials or configures.

The services are the real ones, started here; the same device without our rules shows what each of them would do. What
the guide asks for is its §2.5; the demo's stick and a keyboard have scenarios of their own.
"""

import json
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.guest import Guest
from tests.lab.scenarios import software

pytestmark = pytest.mark.deep

INSIDE = Path(__file__).with_name("inside")
SERVICES = "udisks2 NetworkManager ModemManager"
RULES = "/usr/lib/udev/rules.d/10-qvd-usbip-host.rules"
#: What administrators set up on other machines: whatever has this label is mounted as it comes, adapters get addresses.
MOUNT = (
    "[Mount]\nWhat=/dev/disk/by-label/GUARDED\nWhere=/mnt\n[Install]\nWantedBy=dev-disk-by\\x2dlabel-GUARDED.device\n"
)
NETWORK = "[Match]\nName=usb*\n[Network]\nAddress=10.9.9.9/24\nDHCP=ipv4\n"  # who asks for an address speaks
#: The lab's own network is not NetworkManager's.
KEEP = "[keyfile]\nunmanaged-devices=interface-name:eth*;interface-name:br*;interface-name:veth*\n"
MODEM = "/etc/systemd/system/ModemManager.service.d"
TALKATIVE = "[Service]\nExecStart=\nExecStart=/usr/sbin/ModemManager --debug\n"
#: What is on this host and kept off, and a program that listens to nobody, which is put there.
KEPT = ("udisks2 (UDISKS_IGNORE)", "lvm2 (", "ModemManager (", "NetworkManager (NM_UNMANAGED)", "systemd-networkd (")
LOOSE = "FAIL  program: pcscd opens card readers: nothing keeps it off lent devices"
#: An administrator's word that this is a modem; whether ModemManager finds that itself depends on what it hears first.
KNOWN_MODEM = 'SUBSYSTEM=="tty", KERNEL=="ttyACM*", ENV{ID_MM_DEVICE_PROCESS}="1"\n'
#: What usb_modeswitch and usbmount have: a rule that starts a program for what is plugged in.
SWITCHER = 'ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="1209", RUN+="/bin/touch /run/switched"\n'
UDISKS = "org.freedesktop.UDisks2"
PROPERTY = f"busctl get-property {UDISKS} /org/freedesktop/UDisks2/block_devices/{{}} {UDISKS}.Block {{}}"
#: What `tempting.py` says once something was sent to both.
SPOKEN_TO = '"terminal": [1-9][0-9]*, "adapter": [1-9]'
#: Whoever opens a disk lets the kernel notice another medium, with its partitions.
LOOK_AGAIN = "head -c 1 /dev/sda >/dev/null; test -b /dev/sda1 && test -b /dev/sda2"
#: Where an ext4 that begins with the disk has its label. Source: struct ext4_super_block, s_volume_name.
LABEL_AT = 1024 + 120


class Services:
    """The host's, and the media in /run/media."""

    def __init__(self, server: Guest) -> None:
        self.server = server
        software.put_kit(server)
        for name in ("tempting.py", "media.sh"):
            server.push(INSIDE / name, f"/usr/local/bin/{name}")
        server.run("modprobe -a dm-mod loop; mkdir -p /run/media; sh /usr/local/bin/media.sh /run/media", timeout=120)
        server.run("mkdir -p /etc/NetworkManager/conf.d; cat >/etc/NetworkManager/conf.d/lab.conf", stdin=KEEP)
        server.run("cat >/etc/systemd/network/90-any.network; networkctl reload", stdin=NETWORK)
        server.run("cat >/etc/systemd/system/mnt.mount; systemctl -q enable mnt.mount", stdin=MOUNT)
        server.run(f"mkdir -p {MODEM}; cat >{MODEM}/lab.conf", stdin=TALKATIVE)
        server.run("cat >/etc/udev/rules.d/40-switcher.rules; udevadm control --reload", stdin=SWITCHER)
        server.run("modprobe -rqa cdc_acm uas usb_storage; ! grep -E '^(cdc_acm|usb_storage) ' /proc/modules")
        server.run(f"systemctl -q unmask {SERVICES} && systemctl start {SERVICES}", timeout=180)

    def lend(self, medium: str) -> None:
        """Gives the device to container `one`, until `take_back`; returns when its medium was read."""
        self.server.run("mkfifo /run/orders")
        words = f"exec 3<>/run/orders; exec python3 /usr/local/bin/tempting.py one /run/media/{medium} <&3 >/run/told"
        self.server.spawn(words, "tempting")
        there = "test -b /dev/sda && test -e /run/udev/data/b8:0"  # the kernel tells of a disk when it has read it
        self.server.until(f"{there} && test -e /sys/class/net/usb0 && test -c /dev/ttyACM0", 60)

    def take_back(self) -> None:
        self.server.run("systemctl stop tempting; rm /run/orders")
        self.server.until("! qvd-usb-agent status | grep -q vhci_hcd.*/ && ! test -e /sys/class/net/usb0", 60)

    def order(self, words: str) -> None:
        self.server.run(f"echo {words} >/run/orders")

    def sent(self) -> dict[str, int]:
        """How many bytes the host sent to the terminal and to the adapter so far."""
        self.server.run("truncate -s 0 /run/told")
        self.order("sent")
        told: dict[str, int] = json.loads(self.server.until("tr -d '\\0' </run/told | grep .").out)
        return told

    def until_noticed(self) -> None:
        """Until each service has heard of the device and made up its mind."""
        server = self.server
        server.run("udevadm settle")
        server.until(f"busctl tree --list {UDISKS} | grep -q block_devices/sda", 60)
        server.until("nmcli -g DEVICE device | grep -qx usb0", 60)
        server.until("networkctl --no-legend list usb0 | grep -qv pending", 60)
        server.until("journalctl -u ModemManager -o cat | grep -q ttyACM0", 60)

    def did(self) -> set[str]:
        """What services have done with the device by now."""
        signs = {
            "switched over": "ls /run/switched",
            "named by label": "ls /dev/disk/by-label/GUARDED",
            "mounted": "grep ' /mnt ' /proc/mounts",
            "LVM activated": "dmsetup ls | grep guarded-volume",
            "LVM tried to": "systemctl list-units --all --plain --no-legend | grep lvm-activate",
            "udisks read it": f"for d in sda sda1; do {PROPERTY.format('$d', 'IdType')}; done | grep ext4",
            "udisks offers it": f"{PROPERTY.format('sda', 'HintIgnore')} | grep false",
            "device unit": "systemctl list-units --plain --no-legend | grep -E '(sda[12]?|ttyACM0)[.]device'",
            "adapter up": "ip -br link show usb0 | grep -w UP",
            "adapter has an address": "ip -br -4 address show usb0 | grep 10.9.9.9",
            "NetworkManager has it": "nmcli -g DEVICE,STATE device | grep usb0: | grep -v unmanaged",
            "networkd has it": "networkctl --no-legend list usb0 | grep -v unmanaged",
        }
        asked = "; ".join(f"({line}) >/dev/null 2>&1 && echo '{name}'" for name, line in signs.items())
        found = set(self.server.run(f"{asked}; true").out.splitlines())
        return found | {f"{part} was spoken to" for part, count in self.sent().items() if count}


EVERYTHING = {
    "switched over", "named by label", "mounted", "LVM activated", "udisks read it", "udisks offers it", "device unit",
    "adapter up", "adapter has an address", "networkd has it", "NetworkManager has it", "terminal was spoken to",
    "adapter was spoken to",
}  # fmt: skip


def label(disk: str) -> str:
    """The command that reads the label of the ext4 with which a disk or partition begins."""
    return f"dd if=/dev/{disk} bs=1 skip={LABEL_AT} count=7 status=none"


def test_2_5_no_service_of_the_host_mounts_activates_dials_or_configures_what_was_lent_nor_when_the_medium_changes(
    lab: Lab,
) -> None:
    server, one = lab.server, lab.container("one")
    services = Services(server)
    said = server.run("touch /usr/sbin/pcscd; qvd-usb-agent check", check=False).out
    assert all(words in said for words in (*KEPT, LOOSE)), said
    services.lend("whole")
    services.until_noticed()
    assert services.did() == set()
    server.until("lxc-attach -n one -- test -b /dev/sda")
    assert one.run(label("sda"), user="user").out == "GUARDED", "it is the container's"

    services.order("medium /run/media/parts")
    server.until(f"lxc-attach -n one -- sh -c '{LOOK_AGAIN}'", 60)
    services.until_noticed()
    assert services.did() == set(), "another medium"
    assert one.run(label("sda1"), user="user").out == "GUARDED", "what came with it too"
    services.take_back()

    server.run(f"rm {RULES}; cat >/etc/udev/rules.d/99-modem.rules; udevadm control --reload", stdin=KNOWN_MODEM)
    said = server.run("qvd-usb-agent check", check=False).out
    assert "FAIL  programs: " in said, said
    services.lend("blank")
    services.order("medium /run/media/parts")
    server.until("grep -q ' /mnt ' /proc/mounts", 60)
    server.until("dmsetup ls | grep -q guarded-volume", 60)
    server.until("ip -br -4 address show usb0 | grep -q 10.9.9.9", 60)
    server.until(
        f"echo sent >/run/orders; sleep 1; tail -n 1 /run/told; tail -n 1 /run/told | grep -qE '{SPOKEN_TO}'", 60
    )
    assert services.did() >= EVERYTHING, "the same device, with nothing in their way"
