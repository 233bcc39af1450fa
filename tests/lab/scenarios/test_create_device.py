"""Guide §3.2 in a real container: nodes appear with the group's access list, stay right, and go."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvd_usbip.errors import PROBLEMS
from tests.lab import Lab
from tests.lab.containers import Container
from tests.lab.product import SLAVE_KEYS

_SHARE = Path(__file__).with_name("inside") / "share_by_hand.py"
HOOK = "/usr/lib/qvd/bin/qvd-create-device"
RECORDS = "/run/qvd-create-device"
TTY = "/dev/ttyACM0"
VMA_CONF = "/etc/qvd/vma.conf"
OPEN = "exec 3<>"


class Sharing:
    """A device of the client, given to the container `one` by hand."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.container("one")
        self.busid = ""
        lab.client.push(_SHARE, "/usr/local/bin/share_by_hand.py")

    def share(self, kind: str = "acm", seconds: int = 60) -> list[dict[str, str]]:
        """Plugs and shares a device; every answer the container's receiver gave."""
        self.busid = self.lab.client.gadget("shared", kind, "0bda", "58c2", "1234")
        command = f"python3 /usr/local/bin/share_by_hand.py {self.busid} {self.one.address} 11100"
        out = self.lab.client.run(f"{command} {SLAVE_KEYS['one']} {seconds}", timeout=seconds + 60).out
        return [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def take_back(self) -> None:
        self.lab.client.run(f"python3 /usr/local/bin/share_by_hand.py -r {self.busid}")

    def usbfs(self) -> str:
        """The device's usbfs node, as its records say."""
        name = self.one.run(f"for r in {RECORDS}/c189:*; do readlink $r; done").out
        return f"/dev/{name}"


@pytest.fixture
def sharing(lab: Lab) -> Iterator[Sharing]:
    sharing = Sharing(lab)
    yield sharing
    if sharing.busid:
        sharing.lab.client.run(f"python3 /usr/local/bin/share_by_hand.py -r {sharing.busid}", check=False)


def may_open(container: Container, user: str, node: str) -> bool:
    return container.run(f"{OPEN}{node}", user=user, check=False).rc == 0


def rights(container: Container, node: str) -> str:
    """Mode, owner and access list in one line."""
    listed = container.run(f"stat -c '%a %U %G' {node}; getfacl -cp {node}").out
    return " ".join(listed.split())


RIGHT = "660 root root user::rw- group::--- group:qvduser:rw- mask::rw- other::---"


@pytest.mark.core
def test_nodes_appear_for_the_group_alone_and_go_with_the_device(sharing: Sharing) -> None:
    answers = sharing.share()
    assert answers[-1]["state"] == "ready", answers
    one, two = sharing.one, sharing.lab.container("two")
    one.server.until(f"lxc-attach -n one -- test -e {TTY}")
    usbfs = sharing.usbfs()
    assert answers[-1]["node"] == usbfs
    for node in (usbfs, TTY):
        assert rights(one, node) == RIGHT
        one.server.until(f"lxc-attach -n one -- runuser -u user -- bash -c '{OPEN}{node}'")
        assert not may_open(one, "other", node)
        assert not two.run(f"ls {node}", check=False)
    assert not two.run(f"ls {RECORDS}/* 2>/dev/null", check=False)
    sharing.take_back()
    one.server.until(f"! lxc-attach -n one -- test -e {usbfs}")
    one.server.until(f"! lxc-attach -n one -- test -e {TTY}")
    one.server.until(f"! lxc-attach -n one -- ls {RECORDS}/c* 2>/dev/null")
    assert not one.run(f"ls {Path(usbfs).parent}", check=False)


@pytest.mark.deep
def test_udevd_does_not_widen_what_the_hook_made(sharing: Sharing) -> None:
    sharing.share()
    usbfs = sharing.usbfs()
    for action in ("change", "bind", "add"):
        sharing.lab.server.run(f"for u in /sys/devices/platform/vhci_hcd.*/usb*/*-*/uevent; do echo {action} >$u; done")
        sharing.one.run("udevadm settle")
        assert rights(sharing.one, usbfs) == RIGHT
    assert not may_open(sharing.one, "other", usbfs)


@pytest.mark.deep
def test_3_2_a_device_appears_on_the_host_but_in_no_container_by_itself_and_is_found_when_udevd_comes(
    sharing: Sharing,
) -> None:
    one = sharing.one
    one.run("systemctl stop systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket")
    answers = sharing.share(seconds=8)
    assert answers[-1]["state"] != "ready"
    one.server.until(f"test -c {TTY}")
    assert one.run(f"ls -d {RECORDS}/* {TTY} /dev/bus/usb/*/* 2>/dev/null", check=False).out == ""
    one.run("systemctl start qvd-create-device-coldplug.service")
    assert rights(one, sharing.usbfs()) == RIGHT
    assert rights(one, TTY) == RIGHT


@pytest.mark.deep
def test_a_disk_is_a_block_node_of_the_group(sharing: Sharing) -> None:
    assert sharing.share("mass")[-1]["state"] == "ready"
    one = sharing.one
    one.server.until("lxc-attach -n one -- test -b /dev/sda")
    assert rights(one, "/dev/sda") == RIGHT
    one.server.until("lxc-attach -n one -- runuser -u user -- head -c 512 /dev/sda >/dev/null")
    assert not may_open(one, "other", "/dev/sda")


@pytest.mark.deep
def test_without_the_group_the_node_is_roots_and_the_client_is_told(sharing: Sharing) -> None:
    one = sharing.one
    assert sharing.share()[-1]["state"] == "ready"  # so the receiver runs, with the group
    sharing.take_back()
    sharing.lab.client.gadget_remove("shared")
    one.run("sed -i 's/^createdevice.acl.group=.*/createdevice.acl.group=nobody-has-it/' /etc/qvd/vma.conf")
    answers = sharing.share(seconds=12)
    assert (answers[-1]["state"], answers[-1]["problem"]) == ("authorised", "node-unusable")
    usbfs = sharing.usbfs()
    listed = one.run(f"stat -c %G {usbfs}; getfacl -cp {usbfs}").out.split()
    assert listed in (["root", "user::rw-", f"group::{bits}", "other::---"] for bits in ("---", "rw-"))
    assert not may_open(one, "user", usbfs)
    assert "nobody-has-it" in one.run("journalctl -o cat").out


@pytest.mark.deep
def test_a_receiver_that_cannot_start_tells_the_client_why_and_heals(sharing: Sharing) -> None:
    one = sharing.one
    sharing.lab.expected_failures.add("qvd-usb-slaveserver.service")
    one.run("systemctl stop qvd-usb-slaveserver.service; mv /etc/qvd/slave.key /etc/qvd/away")
    head = one.run("exec 3<>/dev/tcp/localhost/11100; cat <&3", timeout=40).out
    assert head.startswith("HTTP/1.1 503 ")
    assert "slave-key-missing" in head
    one.run("mv /etc/qvd/away /etc/qvd/slave.key; systemctl restart qvd-usb-slaveserver.service")
    assert sharing.share()[-1]["state"] == "ready"


#: Every system call of an add that changes something.
EFFECTS = "mkdir,mkdirat,mknodat,setxattr,rename,renameat,renameat2,symlinkat,unlinkat,fchownat"


@pytest.mark.deep
def test_killed_at_each_effect_the_hook_leaves_nothing_wide_and_nothing_stray(sharing: Sharing) -> None:
    sharing.share()
    one, usbfs = sharing.one, sharing.usbfs()
    event = one.run(
        f"p=$(udevadm info -q path -n {usbfs}); echo DEVPATH=$p SUBSYSTEM=usb DEVNAME={usbfs} "
        f"MAJOR=189 MINOR=$(cut -d: -f2 /sys$p/dev)"
    ).out
    for number in range(1, 8):
        one.run(f"rm -rf {RECORDS} {Path(usbfs).parent}")
        kill = f"strace -qq -f -o /dev/null -e trace={EFFECTS} -e inject={EFFECTS}:signal=KILL:when={number}"
        one.run(f"env ACTION=add {event} {kill} {HOOK} --from-env", check=False)
        wide = one.run("find /dev/bus/usb /dev/.qvd* -type c ! -perm 600 ! -perm 660 2>/dev/null", check=False).out
        assert not wide, (number, wide)
        one.run(f"env ACTION=add {event} {HOOK} --from-env")
        assert rights(one, usbfs) == RIGHT, number
        assert one.run(f"ls -A {Path(usbfs).parent}").out == Path(usbfs).name, number
        assert len(one.run(f"ls -A {RECORDS}").out.split()) == 1


@pytest.mark.deep
def test_3_1_what_it_needs_is_there_and_what_has_to_be_adjusted_the_image_says(lab: Lab) -> None:
    one = lab.container("one")
    found = one.run("qvd-usb-image check user; qvd-usb-image check --root /")
    assert "FAIL" not in found.out, found.out
    assert "the agent on the host answers" in found.out
    assert "which keeps access lists" in found.out
    outsider = one.run("qvd-usb-image check other", check=False)
    assert outsider.rc == PROBLEMS["node-unusable"].exit_status
    assert "usermod -aG qvduser other" in outsider.out
    one.run(f"cp {VMA_CONF} /root/; sed -i s/^vma.user.default.groups=.*/vma.user.default.groups=/ {VMA_CONF}")
    unjoined = one.run("qvd-usb-image check", check=False)
    one.run("mv /root/vma.conf /etc/qvd/")
    assert unjoined.rc == PROBLEMS["node-unusable"].exit_status
    assert "FAIL  group: vma.user.default.groups does not name qvduser" in unjoined.out
    assert "Set vma.user.default.groups=qvduser" in unjoined.out
    one.run("mkdir -p /etc/udev/rules.d && ln -s /dev/null /etc/udev/rules.d/70-qvd-create-device.rules")
    masked = one.run("qvd-usb-image check", check=False)
    one.run("rm /etc/udev/rules.d/70-qvd-create-device.rules")
    assert masked.rc == PROBLEMS["node-refused"].exit_status
    assert "Remove /etc/udev/rules.d/70-qvd-create-device.rules" in masked.out
