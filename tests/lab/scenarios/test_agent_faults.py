"""What goes wrong around the agent, on a real kernel: a flood, a clock that jumps, no room, no descriptor left.

Whatever it is, no right is wrong meanwhile, and with what was wrong mended everything is exact again.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more
from tests.lab.scenarios.rights_seen import needed, opened, rights
from tests.lab.scenarios.test_agent import IDENTITY, Host
from tests.lab.scenarios.test_rights import configure

pytestmark = pytest.mark.deep

AGENT = "qvd-usb-agent.service"
FLOOD = Path(__file__).with_name("inside") / "flood.py"
CONNECTIONS = 8  # of one container, which may each have brought a descriptor
HELD_MORE = 2 * CONNECTIONS + 8  # descriptors
GROWN_KIB = 16 << 10
LXC_DEADLINE = 5.0  # seconds that the agent gives LXC's program
LINES = 200  # of the log, about one container in so short a time
LOOK = "udevadm trigger --action=change /sys/class/mem/null"  # a hint, by which the agent looks at once
CGROUP = "/sys/fs/cgroup/qvd/one"
STATE_FOLDER = "/var/lib/qvd-usbip"


class Faults:
    """The adapter in the server's own port, and what both containers may without it."""

    def __init__(self, lab: Lab) -> None:
        self.host = Host(lab)
        self.lab, self.server = lab, lab.server
        self.closed = {name: rights(lab, name) for name in ("one", "two")}
        self.hub = self.host.hub("one") or ""
        self.pid = self.server.run(f"systemctl show -P MainPID {AGENT}").out

    def lend(self) -> None:
        """Container `one` has the adapter."""
        self.host.hand_over()
        self.host.until_granted()

    def exact(self, *, lent: bool) -> None:
        """Container `one` may open the adapter if it has it, and nobody anything else."""
        there = needed(self.lab, self.hub)
        assert bool(there) == lent
        assert rights(self.lab, "one") - self.closed["one"] == there
        assert rights(self.lab, "two") == self.closed["two"]
        if lent:
            assert opened(self.lab, "one", there) == there
            assert not opened(self.lab, "two", there)

    def give_back(self) -> None:
        """The administrator takes it from the container."""
        self.host.agent(f"revoke one {self.host.devices()[0]['busid']}")

    def figure(self, word: str) -> int:
        """A line of the process's status: KiB."""
        return int(self.server.run(f"awk '$1 == \"{word}:\" {{print $2}}' /proc/{self.pid}/status").out)

    def descriptors(self) -> int:
        return int(self.server.run(f"ls /proc/{self.pid}/fd | wc -l").out)


@pytest.fixture
def faults(beginning: Callable[[Callable[[Lab], Faults]], Faults]) -> Faults:
    return beginning(Faults)


def test_a_container_that_floods_its_broker_keeps_nobody_from_a_device_and_grows_nothing(faults: Faults) -> None:
    server, two = faults.server, faults.lab.container("two")
    two.run("cat >/usr/local/bin/flood.py", stdin=FLOOD.read_text(encoding="utf-8"))
    memory, held = faults.figure("VmRSS"), faults.descriptors()
    began = server.run("date +%s.%N").out
    server.spawn(
        "(until test -e /run/enough; do sleep 0.2; done) | lxc-attach -n two -- python3 -I /usr/local/bin/flood.py"
        " >/run/flooded.new; mv /run/flooded.new /run/flooded",
        "flood",
    )
    faults.lend()
    assert faults.descriptors() - held <= HELD_MORE
    faults.exact(lent=True)
    server.until("touch /run/enough; test -e /run/flooded", 60)
    flood = json.loads(server.run("cat /run/flooded").out)
    assert flood["connected"] + flood["refused"] > 1000, flood
    assert flood["said"] > CONNECTIONS, flood
    assert faults.figure("VmHWM") - memory < GROWN_KIB
    lines = int(server.run(f"journalctl -u {AGENT} --since @{began} -o cat | wc -l").out)
    assert lines < LINES, "the log is flooded too"
    server.until(f"test $(ls /proc/{faults.pid}/fd | wc -l) -le {held + 4}")
    faults.give_back()
    faults.exact(lent=False)


@pytest.mark.parametrize("jumps", [("+1 hour", "-2 hours")])
def test_a_clock_that_jumps_ends_no_loan_and_keeps_none_from_beginning(faults: Faults, jumps: tuple[str, ...]) -> None:
    faults.lend()
    for jump in jumps:
        faults.server.run(f'date -s "{jump}"')
        faults.exact(lent=True)
        faults.give_back()
        faults.exact(lent=False)
        faults.lend()
        faults.exact(lent=True)
    assert faults.server.run(f"systemctl show -P MainPID {AGENT}").out == faults.pid


def full(faults: Faults) -> str:
    faults.server.run(
        f"cp -a {STATE_FOLDER} /run/kept && mount -t tmpfs -o size=8k,mode=700 none {STATE_FOLDER}"
        f" && cp -a /run/kept/ledger.json {STATE_FOLDER} && dd if=/dev/zero of={STATE_FOLDER}/fill 2>/dev/null; true"
    )
    return "the disk is full"


def read_only(faults: Faults) -> str:
    faults.server.run(
        f"cp -a {STATE_FOLDER} /run/kept && mount -t tmpfs -o mode=700 none {STATE_FOLDER}"
        f" && cp -a /run/kept/ledger.json {STATE_FOLDER} && mount -o remount,ro {STATE_FOLDER}"
    )
    return "Read-only file system"


@pytest.mark.parametrize("spoil", [full, read_only])
def test_where_the_ledger_cannot_be_written_rights_are_exact_and_the_next_start_keeps_them(
    faults: Faults, spoil: Callable[[Faults], str]
) -> None:
    """It says so, with the remedy; a device is lent all the same, for rights stand in the kernel and not in a file."""
    server = faults.server
    reason = spoil(faults)
    faults.lend()
    faults.exact(lent=True)
    until_agent_says(server, f"the ledger is not written: .*{reason}")
    told = faults.host.agent("check", check=False)
    assert told.rc
    assert reason in told.out
    faults.lab.expected_failures.add(AGENT)
    server.run(f"systemctl kill -s KILL {AGENT}; umount {STATE_FOLDER}")
    until_agent_says(server, "c 166:0 *granted", patience=60)
    faults.exact(lent=True)
    until_agent_says_no_more(server, "the ledger is not written")
    server.gadget_remove("adapter")
    until_agent_says_no_more(server, "166:0")
    faults.exact(lent=False)


def test_a_monitor_of_lxc_that_hangs_with_a_right_keeps_others_from_its_number_and_is_waited_for(lab: Lab) -> None:
    """Container `one` has its rights by LXC's list, which only its own monitor can change."""
    host = Host(lab)
    host.one.stop(kill=True)
    configure(host, "lxc")
    host.one.start()
    host.one.wait()
    host.hand_over()
    host.until_granted()
    assert host.opens("one")
    monitor = lab.server.run(r"pgrep -f '^\[lxc monitor\] /var/lib/lxc one$'").out
    lab.server.run(f"kill -STOP {monitor}")
    lab.server.gadget_remove("adapter")
    until_agent_says(lab.server, "^being revoked: one c 166:0$")
    lab.server.gadget("adapter", "acm", *IDENTITY.split())
    words = f"python3 /usr/local/bin/hand_over.py two {IDENTITY}"
    lab.server.spawn(f"{words} >/run/handed 2>&1; echo $? >/run/over", "over")
    until_agent_says(lab.server, "^ +[0-9.-]+ +authorising")
    time.sleep(2 * LXC_DEADLINE)
    lab.server.run("! test -e /sys/dev/char/166:0")  # `one` could open it
    assert not lab.server.run("test -e /run/over", check=False), "it did not wait"
    lab.server.run(f"kill -CONT {monitor}")
    lab.server.until("test -e /run/over", 60)
    assert lab.server.run("cat /run/over").out == "0", lab.server.run("cat /run/handed").out
    until_agent_says_no_more(lab.server, "being revoked")
    assert host.opens("two")
    assert not host.opens("one")

    init = lab.server.run("lxc-info -n one -pH").out  # the monitor tells
    lab.server.run(f"kill -STOP {monitor}; kill -9 {init}; qvd-usb-agent release one")
    assert lab.server.run(f"ls -d {CGROUP}/*/").out.split() == [f"{CGROUP}/monitor/"]
    lab.server.run(f"kill -CONT {monitor}")
    lab.server.until(f"{LOOK}; ! test -d {CGROUP}", every=1.0)


def test_the_module_unloaded_with_a_lent_device_takes_every_right_with_it_and_loaded_again_it_lends(
    faults: Faults,
) -> None:
    faults.lend()
    faults.server.run("rmmod vhci_hcd")
    until_agent_says_no_more(faults.server, "166:0|being revoked", patience=90)
    assert {name: rights(faults.lab, name) for name in ("one", "two")} == faults.closed
    faults.server.run("modprobe vhci_hcd")
    until_agent_says(faults.server, "vhci_hcd", "hubs")
    faults.host.one.stop(kill=True)
    faults.host.one.start()
    faults.host.one.wait()
    faults.hub = faults.host.hub("one") or ""
    faults.lend()
    faults.exact(lent=True)


@contextlib.contextmanager
def without_descriptors(faults: Faults) -> Iterator[None]:
    """The agent can open nothing: its limit is what it has open."""
    limit = f"prlimit --pid {faults.pid} --nofile"
    before = faults.server.run(f"{limit} --noheadings -o SOFT").out
    faults.server.run(f"{limit}=3:")
    try:
        yield
    finally:
        faults.server.run(f"{limit}={before.strip()}:")


def test_without_a_descriptor_left_no_right_is_wrong_and_with_one_everything_is_exact_again(faults: Faults) -> None:
    server = faults.server
    faults.lend()
    had = needed(faults.lab, faults.hub)
    with without_descriptors(faults):
        server.gadget_remove("adapter")
        server.until("! grep -lx 1234 /sys/devices/platform/vhci_hcd.*/usb*/*-*/serial")
        assert rights(faults.lab, "two") == faults.closed["two"]
        assert rights(faults.lab, "one") - faults.closed["one"] <= had, "to what is gone, and nothing else"
        server.spawn("qvd-usb-agent status >/run/asked 2>&1", "asking")
        server.until(f"journalctl -u {AGENT} -o cat | grep -q 'no descriptor is left for who connects'")
    server.run(LOOK)
    until_agent_says_no_more(server, "166:0|being revoked", patience=90)
    faults.exact(lent=False)
    server.gadget("adapter", "acm", "0bda", "58c2", "1234")
    faults.lend()
    faults.exact(lent=True)
    assert server.run(f"systemctl show -P MainPID {AGENT}").out == faults.pid
