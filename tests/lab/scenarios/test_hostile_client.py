"""A client that lies in every field: it does not get past the gate, and nothing on the server is upset by it.

The liars are devices of our own (tests/kit/usbip_device/liars.py); they come over the network, as a client's would.
"""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.kit.usbip_device.liars import REFUSED_ISOCHRONOUS, all_liars, streams
from tests.lab import Lab
from tests.lab.product import SLAVE_KEYS
from tests.lab.scenarios import software
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more

deep = pytest.mark.deep

STREAM = Path(__file__).with_name("inside") / "stream.py"

SAY_BACK = """
import os, sys, termios, tty
fd = os.open("/dev/ttyACM0", os.O_RDWR | os.O_NOCTTY)
tty.setraw(fd)
os.write(fd, b"honest")
heard = b""
while len(heard) < 6:
    heard += os.read(fd, 6)
print(heard.decode())
"""
INTERFACE = r" add .*/vhci_hcd.*/[0-9.-]+:[0-9.]+ "
RESET = "import fcntl, os, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDWR), 0x5514)"  # USBDEVFS_RESET


def isochronous(lab: Lab, word: str) -> None:
    """What the administrator allows; the kernel of this lab has the fix, so that the gate is closed by hand."""
    lab.server.run(f"qvd-usb-agent config set vm.lxc.usb.isochronous {word}")
    lab.server.run("systemctl restart qvd-usb-agent", timeout=120)


def audit(lab: Lab, event: str) -> list[dict[str, object]]:
    """What the agent wrote of one kind into the journal."""
    lines = lab.server.run("journalctl -t qvd-usb-audit -o cat", timeout=120).out.splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    return [row for row in rows if row.get("event") == event]


@deep
def test_no_liar_gets_past_the_gate_and_an_honest_device_is_served_afterwards(lab: Lab) -> None:
    one = lab.container("one")
    isochronous(lab, "refuse")
    software.put_kit(lab.client)
    done = lab.client.run(
        software.words(f"lies {one.address}:11100"), timeout=400, stdin=SLAVE_KEYS["one"], check=False
    )
    rows = [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]
    assert [row for row in rows if not row["as_expected"]] == [], done.out
    assert {row["name"] for row in rows} == set(all_liars()), done.out
    refused = [row for row in audit(lab, "refusal") if row["problem"] == REFUSED_ISOCHRONOUS]
    assert len(refused) >= sum(liar.expected == REFUSED_ISOCHRONOUS for liar in all_liars().values())
    assert "isochronous-allowed" not in {row.get("rule") for row in audit(lab, "grant")}
    until_agent_says_no_more(lab.server, "vhci_hcd.*/")
    assert "one" in lab.server.run("qvd-usb-agent status").out

    software.plug(lab.client, "honest", "serial", f"{one.address}:11100", SLAVE_KEYS["one"])
    one.run("for i in $(seq 300); do [ -e /dev/ttyACM0 ] && exit 0; sleep .1; done; exit 1", timeout=90)
    assert one.run(shlex.join(["python3", "-c", SAY_BACK]), user="user").out == "honest"
    software.unplug(lab.client, "honest")
    until_agent_says_no_more(lab.server, "vhci_hcd.*/")


@deep
def test_a_device_that_shows_a_stream_after_a_reset_is_taken_away(lab: Lab) -> None:
    one, server = lab.container("one"), lab.server
    isochronous(lab, "refuse")
    software.put_kit(server)
    software.plug(server, "liar", "after-reset", "one")
    server.until("journalctl -u liar -o cat | grep -q authorised", 60)
    one.run("for i in $(seq 100); do [ -e /dev/bus/usb/*/* ] && exit 0; sleep .1; done; exit 1")
    one.run(f"python3 -c {shlex.quote(RESET)} /dev/bus/usb/*/*", check=False)
    server.until("journalctl -u liar -o cat | grep -q gone", 60)
    until_agent_says_no_more(server, "vhci_hcd.*/")
    assert server.run("grep -lx 1 /sys/devices/platform/vhci_hcd.*/usb*/*-[1-9]*/authorized", check=False).rc
    assert len(audit(lab, "grant")) == 1, "what came after the reset got nothing"
    software.unplug(server, "liar")


@deep
def test_where_it_is_allowed_a_stream_is_let_through_and_this_kernel_bears_what_it_lies(lab: Lab) -> None:
    """The attack of CVE-2026-31607 itself, each form of it: the fixed kernel hangs up, or takes no harm."""
    one, server = lab.container("one"), lab.server
    isochronous(lab, "allow")
    software.put_kit(server)
    one.run("cat >/usr/local/bin/stream.py", stdin=STREAM.read_text(encoding="utf-8"))
    for name in streams():
        software.plug(server, name, name, "one")
        server.until(f"journalctl -u {name} -o cat | grep -q authorised", 60)
        one.run("for i in $(seq 100); do [ -e /dev/bus/usb/*/* ] && break; sleep .1; done")
        assert "reaped" in one.run("python3 /usr/local/bin/stream.py").out
        software.unplug(server, name)
        until_agent_says_no_more(server, "vhci_hcd.*/")
    assert sum(row.get("rule") == "isochronous-allowed" for row in audit(lab, "grant")) == len(streams())


@pytest.mark.unfixed_kernel
def test_a_kernel_without_the_fix_authorises_nothing_with_a_stream_and_neither_it_nor_the_agent_minds(
    lab: Lab,
) -> None:
    """Nothing is set: the agent knows by itself what this kernel lacks. What was authorised has interfaces."""
    one, server, client = lab.container("one"), lab.server, lab.client
    lines = [each["text"] for each in json.loads(server.run("qvd-usb-agent check --json", check=False).out)["checks"]]
    (line,) = [each for each in lines if "CVE-2026-31607" in each]
    assert "no fixed release is known" in line, "a kernel that has the fix shows nothing here"
    old = server.run("systemctl show -P MainPID qvd-usb-agent").out
    server.spawn("exec udevadm monitor --kernel --subsystem-match=usb >/run/seen", "seen")
    software.put_kit(client)
    key, address = SLAVE_KEYS["one"], f"{one.address}:11100"
    names = [name for name, liar in all_liars().items() if liar.expected == REFUSED_ISOCHRONOUS]
    done = client.run(software.words(f"lies {address} {' '.join(names)}"), timeout=300, stdin=key)
    assert len(done.out.splitlines()) == len(names)
    for kind in ("speaker", *streams()):
        software.plug(client, f"its-{kind}", kind, address, key)
        client.until(f"journalctl -u its-{kind} -o cat | grep -q {REFUSED_ISOCHRONOUS}", 60)
    assert {row["problem"] for row in audit(lab, "refusal")} == {REFUSED_ISOCHRONOUS}
    assert not audit(lab, "grant")
    until_agent_says_no_more(server, "vhci_hcd.*/")
    seen = server.run("cat /run/seen").out
    assert len(re.findall(r" add .*/vhci_hcd.*/[0-9]+-[0-9]+ ", seen)) >= len(names) + 1 + len(streams())
    assert not re.search(INTERFACE, seen)

    software.plug(client, "honest", "serial", address, key)
    server.until(f"grep -qE '{INTERFACE}' /run/seen", 60)
    until_agent_says(server, "c 166:0 *granted")
    assert server.run("systemctl show -P MainPID qvd-usb-agent").out == old
    log = server.run("journalctl -u qvd-usb-agent -o cat").out
    assert "Traceback" not in log
    assert "ERROR" not in log
