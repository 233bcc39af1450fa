"""Who has which ports, on a real kernel: a shared hub, an agent that hears nothing, containers that come and go."""

import json
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.containers import base_config
from tests.lab.guest import Guest
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more
from tests.lab.scenarios.rights_seen import needed, opened, rights

pytestmark = pytest.mark.deep

DRIVER = "/sys/bus/platform/drivers/vhci_hcd"
INSIDE = Path(__file__).with_name("inside")
SERIALS = {"one": "1234", "two": "5678"}
LEFT = "ls /sys/fs/bpf/qvd /sys/fs/cgroup/qvd /var/lib/qvd/storage/devicefs /run/qvd-usbip/broker"
#: Of the hub that is shared here, a port (they are counted from 0) that is in nobody's lease.
SHARED, NOBODYS = "vhci_hcd.3", 12
OVERLAY = "overlay:/srv/ctroot:/var/lib/lxc/two/delta"
DEAF = "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I /usr/local/bin/deaf_agent.py\n"


class Tenants:
    """Two containers, and a serial adapter for each in the server's own ports."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.server
        for name in ("hand_over.py", "deaf_agent.py"):
            self.server.push(INSIDE / name, f"/usr/local/bin/{name}")

    def plug(self, name: str) -> None:
        self.server.gadget(f"adapter-{name}", "acm", "0bda", "58c2", SERIALS[name])
        self.server.until(f"cat /sys/bus/usb/devices/*/serial 2>/dev/null | grep -qx {SERIALS[name]}")

    def hand_over(self, name: str) -> None:
        self.server.run(f"python3 /usr/local/bin/hand_over.py {name} 0bda 58c2 {SERIALS[name]}")

    def agent(self, words: str) -> str:
        return self.server.run(f"qvd-usb-agent {words}").out

    def asked(self, words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.agent(f"{words} --json"))
        return found

    def tenants(self, hub: str) -> dict[str, str | None]:
        row = next(row for row in self.asked("hubs")["hubs"] if row["hub"] == hub)
        return {each["name"]: each["ports"] for each in row["containers"]}

    def terminal(self, name: str) -> str:
        """The name of the serial port that the container has a right to."""
        until_agent_says(self.server, rf"^{name} .*\n( .*\n)* .*c 166:[0-9]* *granted")
        (found,) = [each for each in self.asked("status")["containers"] if each["name"] == name]
        (node,) = [node for device in found["devices"] for node in device["nodes"].values() if node.startswith("tty")]
        return str(node)

    def nodes(self, name: str) -> list[str]:
        return self.lab.container(name).run("ls /dev/ttyACM*; find /dev/bus/usb -type c").out.split()

    def opens(self, name: str, terminal: str) -> bool:
        """Whether root of a container may open a serial port, by a node of its own making."""
        minor = terminal.removeprefix("ttyACM")
        node = f"/root/tty{minor}"
        program = shlex.join(["python3", "-c", f"import os; os.open({node!r}, os.O_RDWR | os.O_NONBLOCK)"])
        done = self.lab.container(name).run(f"test -e {node} || mknod {node} c 166 {minor}; {program}", check=False)
        assert not done.rc or "Operation not permitted" in done.out or "No such device" in done.out, done.out
        return not done.rc

    def attach_to_nobody(self) -> str:
        """Has a device appear on the shared hub's port that nobody has; its folder in sysfs."""
        self.server.gadget("adapter-nobody", "acm", "0bda", "58c2", "9999")
        port = 2 * int(SHARED.removeprefix("vhci_hcd.")) * self.asked("hubs")["ports_per_half"] + NOBODYS
        self.server.run(f"python3 /usr/local/bin/hand_over.py {port} 0bda 58c2 9999")
        return self.server.until(f"ls -d /sys/devices/platform/{SHARED}/usb*/*-{NOBODYS + 1} 2>/dev/null").out

    def until_home(self, count: int) -> None:
        """Until so many devices are lent out no more."""
        ready = "cat /sys/bus/usb/drivers/usbip-host/*/usbip_status | grep -cx 1"
        self.server.until(f"test $({ready}) = {count}", 90)


@pytest.fixture
def both(lab: Lab) -> Tenants:
    return Tenants(lab)


def each_has_its_own_alone(both: Tenants, hub: str) -> dict[str, str]:
    """A device for each of two tenants on one hub: nodes and rights are its own tenant's alone; the serial ports."""
    for name in SERIALS:
        inside = both.lab.container(name)
        inside.wait()
        shown = inside.run(f"ls /sys/devices/platform /sys/devices/platform/{hub}").out
        assert "attach" not in shown
        assert shown.count("usb") == 2
    closed = {name: rights(both.lab, name) for name in SERIALS}
    for name in SERIALS:
        both.plug(name)
        both.hand_over(name)
    terminals = {name: both.terminal(name) for name in SERIALS}
    given = {name: rights(both.lab, name) - closed[name] for name in SERIALS}
    assert not given["one"] & given["two"]
    assert given["one"] | given["two"] == needed(both.lab, hub)
    for name, other in (("one", "two"), ("two", "one")):
        inside = both.lab.container(name)
        inside.run("udevadm settle")
        both.server.until(f"lxc-attach -n {name} -- test -c /dev/{terminals[name]}")
        assert len(both.nodes(name)) == 2, "its terminal and its usbfs node, nothing of the other's"
        assert f"/dev/{terminals[name]}" in both.nodes(name)
        inside.run(f"exec 3<>/dev/{terminals[name]}", user="user")
        assert opened(both.lab, name, given[name]) == given[name]
        assert not opened(both.lab, name, given[other]), "by no node of its own making"
        seen = inside.run(f"cat /sys/devices/platform/{hub}/usb*/*/serial", check=False).out.split()
        assert sorted(seen) == sorted(SERIALS.values()), "what a shared hub does not hide"
    return terminals


def test_two_tenants_on_one_hub_have_each_their_own_ports_nodes_and_rights(both: Tenants) -> None:
    one, two = (both.lab.container(name) for name in SERIALS)
    for container in (one, two):
        container.stop(kill=True)
    both.agent("config set vm.lxc.usb.hubs 3")
    for container in (one, two):
        container.start()
    assert both.tenants(SHARED) == {"one": "1-4", "two": "5-8"}
    assert both.agent("reserve third") == "third has vhci_hcd.3 ports 9-12"
    assert both.server.run("qvd-usb-agent reserve fourth", check=False).rc == 62
    terminals = each_has_its_own_alone(both, SHARED)
    stray = both.attach_to_nobody()
    both.server.run("rm /var/lib/qvd-usbip/ledger.json; systemctl restart qvd-usb-agent", timeout=120)
    assert both.tenants(SHARED) == {"one": "1-4", "two": "5-8"}, "as the kernel and the folders have it"
    waits = both.server.run(f"cd {stray} && cat authorized; ls -d *:* 2>/dev/null | wc -l").out.split()
    assert waits == ["0", "0"], "on a port of nobody's it is not authorised, and shows drivers no interface"
    one.stop(kill=True)
    both.until_home(1)
    assert both.tenants(SHARED) == {"two": "5-8"}
    assert both.opens("two", terminals["two"])
    one.start()
    assert both.tenants(SHARED) == {"one": "1-4", "two": "5-8"}
    both.hand_over("one")
    again = both.terminal("one")
    assert both.opens("one", again)
    assert not both.opens("two", again)


def test_2_2_the_only_hub_of_an_unpatched_kernel_is_lent_by_ports_which_become_free_again(both: Tenants) -> None:
    """The kernel is built for one hub: a host with this one alone still serves more than one container."""
    one, two, server = both.lab.container("one"), both.lab.container("two"), both.server
    for container in (one, two):
        container.stop(kill=True)
    server.push(INSIDE / "single_hub.py", "/usr/local/bin/single_hub.py")
    server.run("python3 /usr/local/bin/single_hub.py /run/vhci-hcd.ko && rmmod vhci_hcd && insmod /run/vhci-hcd.ko")
    assert server.run(f"cd {DRIVER} && ls -d vhci_hcd.* vhci_hcd.*/status*").out.split() == [
        "vhci_hcd.0", "vhci_hcd.0/status",
    ]  # fmt: skip
    until_agent_says(server, "vhci_hcd.0", "hubs")
    for container in (one, two):
        container.start()
    assert both.tenants("vhci_hcd.0") == {"one": "1-4", "two": "5-8"}
    terminals = each_has_its_own_alone(both, "vhci_hcd.0")

    one.stop(kill=True)
    both.until_home(1)
    assert both.tenants("vhci_hcd.0") == {"two": "5-8"}
    assert both.agent("reserve third") == "third has vhci_hcd.0 ports 1-4"
    assert both.opens("two", terminals["two"])


def test_an_agent_to_which_no_event_comes_gets_everything_right_by_looking(both: Tenants) -> None:
    folder = "/run/systemd/system/qvd-usb-agent.service.d"
    both.server.run(f"mkdir -p {folder} && cat >{folder}/deaf.conf", stdin=DEAF)
    both.server.run("systemctl daemon-reload; systemctl restart qvd-usb-agent", timeout=120)
    both.server.until("test $(wc -l </run/looks) -ge 5")
    at = [float(line) for line in both.server.run("cat /run/looks").out.split()]
    gaps = [later - earlier for earlier, later in pairwise(at)]
    assert all(0.5 < gap < 5 for gap in gaps), "each second by itself, for nothing has happened"
    one = both.lab.container("one")
    both.plug("one")
    both.hand_over("one")
    terminal = both.terminal("one")
    both.server.until(f"lxc-attach -n one -- test -c /dev/{terminal}")
    assert both.opens("one", terminal)
    assert not both.opens("two", terminal)

    both.server.run("kill -9 $(lxc-info -n one -pH)")
    both.until_home(1)
    until_agent_says_no_more(both.server, "^one ")
    assert "one" not in both.server.run(LEFT).out.split()
    one.start()
    one.wait()
    both.hand_over("one")
    terminal = both.terminal("one")
    assert both.opens("one", terminal)
    both.server.gadget_remove("adapter-one")
    until_agent_says_no_more(both.server, "166:")
    assert not both.opens("one", terminal)


def test_a_cloned_or_renamed_container_is_refused_until_its_lines_are_its_own(both: Tenants) -> None:
    server, two = both.server, both.lab.container("two")
    two.stop(kill=True)
    config = "".join(line for line in base_config("two").splitlines(keepends=True) if "lxc.log.file" not in line)
    config += both.agent("lxc-config --write two")
    root = "/var/lib/lxc/two/rootfs"  # an overlay is copied by rsync alone, a root that has not its name not at all
    two.write_config(config.replace(OVERLAY, root))
    server.run(f"mkdir {root} && mount --bind /srv/ctroot {root} && lxc-copy -n two -N copy -B overlay -s", timeout=60)
    two.write_config(config)
    refused(server, "copy")
    each_has_its_own_lease(both, "copy")
    server.run(f"lxc-destroy -n copy && umount {root} && rmdir {root}")

    server.run("cd /var/lib/lxc && mv two deux && sed -i s,/lxc/two/,/lxc/deux/, deux/config")
    refused(server, "deux")
    assert [each["name"] for each in both.asked("status")["containers"]] == ["one"]

    config = base_config("two").replace("/lxc/two/", "/lxc/deux/").replace("name = two", "name = deux")
    server.run("cat >/var/lib/lxc/deux/config", stdin=f"{config}{both.agent('lxc-config deux')}\n")
    server.run("lxc-start -n deux", timeout=120)
    assert [each["name"] for each in both.asked("status")["containers"]] == ["one", "deux"]
    server.run("lxc-stop -n deux -k && lxc-destroy -n deux")
    assert "deux" not in server.run(LEFT).out.split()


def each_has_its_own_lease(both: Tenants, clone: str) -> None:
    """A clone of `two`, with lines of its own, has its own hub; its original, which runs too, no part in its device."""
    server = both.server
    line = both.agent(f"lxc-config --write {clone}")
    server.run(f"sed -i 's,^lxc.include = .*/two.conf,{line},' /var/lib/lxc/{clone}/config")
    for name in (clone, "two"):
        server.run(f"lxc-start -n {name}", timeout=120)
    hubs = {each["name"]: each["hub"] for each in both.asked("status")["containers"]}
    assert set(hubs) == {"one", "two", clone}
    assert len(set(hubs.values())) == len(hubs)
    shown = server.run(f"lxc-attach -n {clone} -- ls /sys/devices/platform").out
    assert shown.split() == [hubs[clone]]
    closed = {name: rights(both.lab, name) for name in hubs}
    both.plug("one")
    server.run(f"python3 /usr/local/bin/hand_over.py {clone} 0bda 58c2 {SERIALS['one']}")
    both.terminal(clone)
    given = {name: rights(both.lab, name) - closed[name] for name in hubs}
    assert given == {"one": frozenset(), "two": frozenset(), clone: needed(both.lab, hubs[clone])}
    for name in (clone, "two"):
        server.run(f"lxc-stop -n {name} -k")
    both.until_home(1)


def refused(server: Guest, name: str) -> None:
    """The container does not start, the journal says why, and nothing is made under the name its lines have."""
    assert server.run(f"lxc-start -n {name}", check=False).rc
    words = f"Container '{name}' is not set up for USB: its lines are those of 'two'"
    server.until(f"journalctl -t qvd-usb-agent -o cat | grep -qF {shlex.quote(words)}")
    assert "two" not in server.run(LEFT).out.split()
