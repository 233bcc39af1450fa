"""EFFECT: the loan that a lab has behind it when its scenarios begin.

The first device costs its guests two or three times what the next one does: drivers are loaded, and programs read from
the disk. Each scenario begins with the guests restored, so each would pay for that again, which emulation makes dear;
none is about the first device since a machine was started. Nothing is left of it but what kernels, caches and the agent
remember.
"""

import json

from tests.lab.containers import Container
from tests.lab.guest import Guest
from tests.lab.machines import Pair

_GADGET = "/usr/local/lib/lab/gadget.sh"
_KINDS = ("acm", "mass", "hid")
_LENT = ("acm", "mass")  # a keyboard is asked about first
_PLUG = "".join(f"{_GADGET} add first-{kind} {kind} 1d6b 0104 {kind} First; " for kind in _KINDS)
_UNPLUG = "".join(f"{_GADGET} remove first-{kind}; " for kind in _KINDS)
_SETTINGS = (
    "client.usb.enable=1",
    "client.usb.allow_plaintext=1",
    "client.usb.share_list=" + ",".join(f"1d6b:0104@{kind}" for kind in _LENT),
)
_OWN = ".qvd .cache/qvd-usbip .config/qvd-usbip"
#: The user lends until all are in use, then leaves; and forgets it all.
_LEND = f"""
cd /home/user; install -d -o user -g user -m 0700 .qvd
install -o user -g user <(printf '%s\\n' {" ".join(_SETTINGS)}) .qvd/client.conf
folder=$(mktemp -d); chown user $folder; mkfifo $folder/session
runuser -u user -- env HOME=/home/user qvd-usb connect --session - --json <$folder/session >$folder/said & engine=$!
exec 3>$folder/session; cat >&3
in_use() {{ grep -F '"state": "in-use"' $folder/said | grep -oE '"identity": "[^"]*"' | sort -u | wc -l; }}
until [ $(in_use) -eq {len(_LENT)} ]; do kill -0 $engine && sleep 0.5 || {{ cat $folder/said; exit 1; }}; done
exec 3>&-; wait $engine && rm -r $folder {_OWN}
"""
#: The kernel takes a stick away long after its port is free, and its rights go after it.
_NOTHING_LEFT = (
    "! ls /sys/devices/platform/vhci_hcd.*/usb*/*-*/idVendor 2>/dev/null && said=$(qvd-usb-agent status --json) && "
    """! grep -F '"attach"' <<<"$said" && grep -F '"revoking": []' <<<"$said" """
)
_FORGET = f"{_UNPLUG} udevadm settle; rm /var/lib/lab/first-mass.img; journalctl -q --rotate --vacuum-time=1ms"


def make(pair: Pair, container: Container, key: str) -> None:
    """Lends two of the client's devices to a container and takes them back.

    Args:
        pair: both guests, the product installed and running.
        container: it runs, and its image has the product.
        key: what the container's receiver asks for.
    """
    session = {"v": 1, "name": "First", "address": f"{container.address}:11100", "key": key, "encryption": "none"}
    pair.both(_plug)
    pair.guests["client"].run(_LEND, timeout=240, stdin=json.dumps(session) + "\n")
    pair.guests["server"].until(_NOTHING_LEFT, timeout=60)
    pair.both(_forget)
    container.run("udevadm settle; journalctl -q --rotate --vacuum-time=1ms")


def _plug(guest: Guest) -> None:
    guest.run(f"{_PLUG} udevadm settle", timeout=120)


def _forget(guest: Guest) -> None:
    guest.run(_FORGET, timeout=120)
