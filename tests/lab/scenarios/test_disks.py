"""A lent stick on the host's kernel: larger requests and more read ahead, as the administrator says."""

import json
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.product import SLAVE_KEYS

_SHARE = Path(__file__).with_name("inside") / "share_by_hand.py"
KEY = "vm.lxc.usb.disk_request_kb"
FILES = ("device/max_sectors", "queue/max_sectors_kb", "queue/read_ahead_kb")
#: usb-storage's own for high speed, and the block layer's.
STOCK = (240, 120, 128)


def shared(lab: Lab) -> str:
    """A stick of the client's in container one; its busid there."""
    busid = lab.client.gadget("stick", "mass", "0781", "5567", "4C53")
    command = f"python3 /usr/local/bin/share_by_hand.py {busid} {lab.container('one').address} 11100"
    out = lab.client.run(f"{command} {SLAVE_KEYS['one']} 60", timeout=120).out
    assert [json.loads(line) for line in out.splitlines() if line.startswith("{")][-1]["state"] == "ready", out
    return busid


def limits(lab: Lab, expected: tuple[int, ...]) -> None:
    """Waits until the stick's disk has these; its node may come some seconds after the device."""
    disk = "/sys/devices/platform/vhci_hcd.*/usb*/*-*/*/host*/target*/*/block/sd*"
    words = " ".join(f"{disk}/{name}" for name in FILES)
    wanted = " ".join(map(str, expected))
    lab.server.until(f"[ \"$(cat {words} | xargs)\" = '{wanted}' ]", 20)


@pytest.mark.deep
def test_a_lent_stick_takes_larger_requests_unless_that_is_switched_off(lab: Lab) -> None:
    lab.client.push(_SHARE, "/usr/local/bin/share_by_hand.py")
    busid = shared(lab)
    try:
        limits(lab, (2048, 1024, 4096))
        read = "dd if=/dev/sda of=/dev/null bs=1M count=4 iflag=direct 2>&1"
        assert "4+0 records in" in lab.container("one").run(read, user="user").out
        lab.server.run(f"qvd-usb-agent config set {KEY} off && systemctl restart qvd-usb-agent")
        lab.client.run(f"python3 /usr/local/bin/share_by_hand.py -r {busid}")
        lab.client.gadget_remove("stick")
        busid = shared(lab)
        limits(lab, STOCK)
    finally:
        lab.client.run(f"python3 /usr/local/bin/share_by_hand.py -r {busid}", check=False)
