"""What the host hears of its devices, and from whom: the kernel's own events lost in a storm, udevd started anew."""

from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.scenarios.rights_seen import HUBS, needed, opened, rights
from tests.lab.scenarios.test_leases import SERIALS, Tenants

pytestmark = pytest.mark.deep

NARROW = Path(__file__).with_name("inside") / "narrow.py"
PAIRS = 10
#: Real events, which ask nobody for a look as those do that somebody writes into a file `uevent`.
STORM = f"for each in $(seq {PAIRS}); do ip link add storm type veth peer name calm && ip link del storm; done"
LOOKED = "journalctl -u qvd-usb-agent -o cat | grep -q 'kernel events were lost: looking around'"
#: The look is over for the second tenant's device: its last right is given.
SEEN_TO = 'journalctl -t qvd-usb-audit -o cat | grep \'"container": "two".*"event": "grant".*/dev/tty\''


@pytest.fixture
def both(lab: Lab) -> Tenants:
    return Tenants(lab)


def hub_of(both: Tenants, name: str) -> str:
    return next(str(each["hub"]) for each in both.asked("status")["containers"] if each["name"] == name)


def dropped(both: Tenants, inode: str) -> int:
    """How many events the kernel had no room for in a socket. Source: netlink_native_seq_show, net/netlink."""
    return int(both.server.run(f"awk '$10 == {inode} {{print $9}}' /proc/net/netlink").out)


def test_when_the_kernel_had_no_room_for_its_events_a_look_makes_rights_exact(both: Tenants) -> None:
    """While the agent hears nothing, its tenant's device goes and another's comes, which is to have the same number."""
    lab, server = both.lab, both.server
    closed = {name: rights(lab, name) for name in SERIALS}
    hub = hub_of(both, "two")
    port = 2 * int(hub.removeprefix("vhci_hcd.")) * both.asked("hubs")["ports_per_half"]
    for name in SERIALS:
        both.plug(name)
    both.hand_over("one")
    terminal = both.terminal("one")
    stale = rights(lab, "one") - closed["one"]
    server.push(NARROW, "/usr/local/bin/narrow.py")
    # It looks around each minute from its start on: of that the next seconds are free.
    server.run("systemctl restart qvd-usb-agent", timeout=120)
    pid = server.run("systemctl show -P MainPID qvd-usb-agent").out
    socket = server.run(f"python3 /usr/local/bin/narrow.py {pid}").out
    server.run(f"kill -STOP {pid}; {STORM}")
    before = dropped(both, socket)
    assert before > 0
    server.gadget_remove("adapter-one")
    server.until(f"! grep -qx {SERIALS['one']} {HUBS}/vhci_hcd.*/usb*/*-*/serial")
    server.run(f"python3 /usr/local/bin/hand_over.py {port} 0bda 58c2 {SERIALS['two']}")
    server.until(f"grep -qx {SERIALS['two']} {HUBS}/{hub}/usb*/*-*/serial")
    assert dropped(both, socket) > before, "of neither the agent can have heard"
    assert rights(lab, "one") - closed["one"] == stale
    server.run(f"kill -CONT {pid}")

    server.until(LOOKED, 20)
    server.until(SEEN_TO, 20)
    assert both.terminal("two") == terminal
    assert rights(lab, "one") == closed["one"]
    there = needed(lab, hub)
    assert rights(lab, "two") - closed["two"] == there
    assert opened(lab, "two", there) == there
    assert not opened(lab, "one", there)


def standing(both: Tenants) -> dict[str, Any]:
    """All that is to stay as it is: what the agent says and did, rights, and the very nodes with their access lists."""
    nodes = (
        "for file in $(find /dev/bus/usb /dev/ttyACM* -type c); do stat -c '%n %i %a' $file; getfacl -cp $file; done"
    )
    return {
        "status": both.asked("status")["containers"],
        "deeds": both.server.run("journalctl -t qvd-usb-audit -o cat").out,
        "rights": {name: rights(both.lab, name) for name in SERIALS},
        "nodes": both.lab.container("one").run(nodes).out,
        "authorized": both.server.run(f"grep . {HUBS}/vhci_hcd.*/usb*/*-[1-9]*/authorized").out,
    }


def test_udevd_started_anew_on_the_host_changes_nothing_and_serves_the_next_device(both: Tenants) -> None:
    lab, server = both.lab, both.server
    closed = rights(lab, "two")
    both.plug("one")
    both.hand_over("one")
    terminal = both.terminal("one")
    server.until(f"lxc-attach -n one -- test -c /dev/{terminal}")
    lab.container("one").run(f"systemd-run -q --unit=reader cat /dev/{terminal}")
    lab.container("one").run("udevadm settle")
    before = standing(both)
    assert "grant" in before["deeds"]
    old = server.run("systemctl show -P MainPID systemd-udevd").out
    server.run("systemctl restart systemd-udevd && udevadm control --ping && udevadm settle")
    assert server.run("systemctl show -P MainPID systemd-udevd").out != old
    assert standing(both) == before
    lab.container("one").run("systemctl is-active -q reader")

    both.plug("two")
    both.hand_over("two")
    later = both.terminal("two")
    there = needed(lab, hub_of(both, "two"))
    assert rights(lab, "two") - closed == there
    assert opened(lab, "two", there) == there
    assert not opened(lab, "one", there)
    assert both.opens("one", terminal)
    guarded = server.run(f"udevadm settle; udevadm info -q property -p /class/tty/{later}").out.splitlines()
    assert "QVD_USBIP=1" in guarded, "its rules are read again"
