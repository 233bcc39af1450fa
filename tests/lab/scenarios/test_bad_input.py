"""What is wrong is told with its remedy and its own exit status, and leaves nothing half done, on real kernels.

After each scenario the device works at the client, and the container has no node, no right and no used port.
"""

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qvd_usbip.errors import problem_of
from tests.kit.refusals import assert_refused, is_told
from tests.lab import Guest, Lab, Result
from tests.lab.scenarios.agent_asked import until_agent_says
from tests.lab.scenarios.terminal import SHARE_LIST_FILE, USER, Terminal

pytestmark = [pytest.mark.deep, pytest.mark.long]

IDENTITY = "0bda:58c2@1234"
HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
GATE = "/usr/lib/qvd-usbip/python/server_agent/kernel/gate.py"
AGENT, RECEIVER = "qvd-usb-agent.service", "qvd-usb-slaveserver.service"
BRIDGE = "10.9.1.1"
_INSIDE = Path(__file__).with_name("inside")
_PIN = "/sys/fs/bpf/qvd/one"
_MAP = f"bpftool map dump pinned {_PIN} 2>/dev/null | sort"
_PORTS_USED = "awk 'FNR > 1 && $3 != \"004\"' /sys/devices/platform/vhci_hcd.0/status*"
_NODES = "find /dev -path '/dev/bus/usb/*' -type c -o -name 'ttyACM*'"


#: Starts the slave server as an inetd does, with a client that says its first line; ends with its status.
_ONE_CLIENT = """
import socket, subprocess, sys
ours, theirs = socket.socketpair()
ours.send(b"GET / HTTP/1.1\\r\\n\\r\\n")
sys.exit(subprocess.run(["/usr/lib/qvd/bin/qvd-usb-slaveserver"], stdin=theirs).returncode)
"""


class Trial:
    """One shared serial adapter and the user who shares it; knows when everything is as if nothing had happened."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.container("one")
        self.terminal = Terminal(lab.client)
        self.terminal.prepare("client.usb.enable=1", "client.usb.allow_plaintext=1")
        self.busid = lab.client.gadget("adapter", "acm", "0bda", "58c2", "1234", product="Serial Adapter")
        self.closed = lab.server.run(_MAP).out
        self.terminal.command(f"share {IDENTITY}")

    def nothing_is_left(self, patience: float = 40) -> None:
        """The device is on its local driver, and nothing in either kernel or the container knows of the loan."""
        folder = f"/sys/bus/usb/devices/{self.busid}"
        self.lab.client.until(
            f"test $(basename $(readlink {folder}/driver)) = usb && test -e {folder}/{self.busid}:1.0/driver"
            f" && ! ls /run/qvd-usbip/[0-9]* 2>/dev/null"
            f" && ! grep -qw {self.busid} /sys/bus/usb/drivers/usbip-host/match_busid 2>/dev/null",
            patience,
        )
        self.lab.server.until(f'out=$({_PORTS_USED}); echo "$out"; [ -z "$out" ]', patience)
        same = f'[ "$out" = {shlex.quote(self.closed)} ]'
        runs = '[ "$(lxc-info -n one -sH)" = RUNNING ]'  # with the container goes its map
        self.lab.server.until(
            f'out=$({_MAP}); echo "$out"; if {runs}; then {same}; else ! test -e {_PIN}; fi', patience
        )
        known = r'(?s)\A(?!.*attach).*"revoking": \[\]'
        until_agent_says(self.lab.server, known, "status --json", patience)
        if self.lab.server.run("lxc-info -n one -sH").out == "RUNNING":
            self.lab.server.until(f'out=$(lxc-attach -n one -- {_NODES}); echo "$out"; [ -z "$out" ]', patience)

    def connect(self, *, address: str = "", key: str = "") -> None:
        """Starts `qvd-usb connect` with the container `one`, or with who listens at another address."""
        container = self.lab.container("one")
        container.address = address or container.address
        self.terminal.connect(container, key)

    def in_use(self) -> None:
        """The device has gone all the way."""
        last = f'grep \'"event": "device"\' {self.terminal.folder}/out | tail -n 1'
        self.lab.client.until(f'out=$({last}); echo "$out"; grep -q \'"state": "in-use"\' <<<"$out"', 120, 0.3)

    def all_is_well(self, patience: float = 20) -> None:
        """The user is told of nothing that is wrong."""
        end = time.monotonic() + patience
        while (said := json.loads(self.terminal.command("status --json").out)["problems"]) != []:
            assert time.monotonic() < end, said

    def complains(self, *codes: str, patience: float = 60) -> None:
        """`qvd-usb connect` says on standard error what is wrong, one of these, and what to do."""
        end = time.monotonic() + patience
        while not any(is_told(err := self.errors(), code) for code in codes):
            assert time.monotonic() < end, f"{codes} are not told by: {err!r}; all it said:\n{self.terminal.said()}"
            time.sleep(0.2)

    def errors(self) -> str:
        return self.lab.client.run(f"cat {self.terminal.folder}/err", check=False).out

    def ends_by_itself(self, code: str) -> None:
        """`qvd-usb connect` gives up although its session's pipe is open, and says why."""
        self.lab.client.until(f"test -s {self.terminal.folder}/status")
        assert_refused(self.terminal.close(), self.errors(), code)

    def ends(self, code: str) -> None:
        """When its pipe is closed, `qvd-usb connect` ends with the status of what is wrong; nothing is left."""
        assert self.terminal.close() == problem_of(code).exit_status
        self.nothing_is_left()

    def unshared_leaves_nothing(self) -> None:
        self.terminal.command(f"unshare {IDENTITY}")
        self.nothing_is_left()
        self.terminal.command(f"share {IDENTITY}")

    def is_exported(self) -> None:
        """The client's kernel has the connection."""
        self.lab.client.until(f"grep -qx 2 /sys/bus/usb/devices/{self.busid}/usbip_status")


@pytest.fixture
def trial(beginning: Callable[[Callable[[Lab], Trial]], Trial]) -> Trial:
    """The device is plugged and shared."""
    return beginning(Trial)


def refused(result: Result, code: str) -> None:
    assert_refused(result.rc, result.out, code)


# --- files ----------------------------------------------------------------------------------------------------------

#: How a configuration file becomes unusable -> the problem that names it. Unit tests have each way with each file.
RUINS = {
    "printf 'client.usb.share_list=\\377\\n' >{path}": "config-not-text",
    "mkdir {path}": "config-is-folder",
    "truncate -s 100M {path}": "config-too-large",
}
NOT_TEXT, FOLDER, TOO_LARGE = RUINS
UNREADABLE = "touch {path}; chmod 0600 {path}"
CLIENT_CONF = "/etc/qvd/client.conf"


def ruin(guest: Guest, path: str, how: str) -> None:
    guest.run(f"rm -rf {path}; mkdir -p $(dirname {path}); {how.format(path=path)}")


def test_configuration_files_that_cannot_be_read(trial: Trial) -> None:
    client, server, one = trial.lab.client, trial.lab.server, trial.one
    kept = client.read(SHARE_LIST_FILE)
    for path, how, code in (
        (CLIENT_CONF, FOLDER, RUINS[FOLDER]),
        (CLIENT_CONF, UNREADABLE, "config-unreadable"),
        (SHARE_LIST_FILE, TOO_LARGE, RUINS[TOO_LARGE]),
        (SHARE_LIST_FILE, NOT_TEXT, RUINS[NOT_TEXT]),
    ):
        ruin(client, path, how)
        before = client.run(f"stat -c '%i %Y %s' {path}").out
        for words in ("list", f"share {trial.busid}"):
            refused(trial.terminal.command(f"{words} >/dev/null", check=False), code)
        assert client.run(f"stat -c '%i %Y %s' {path}").out == before
        client.run(f"rm -rf {path}")
    client.run(f"install -o {USER} -g {USER} /dev/stdin {SHARE_LIST_FILE}", stdin=kept)

    policy = "/etc/qvd/usbip-policy.conf"
    client.run(f"cp {policy} /root/policy")
    for how in (*RUINS, "ln -s /root/policy {path}", "cp /root/policy {path}; chown user {path}"):
        ruin(client, policy, how)
        refused(client.run_as(USER, f"{HELPER} bind {trial.busid}", check=False), "policy-unsafe")
    client.run(f"rm -rf {policy}; cp /root/policy {policy}")

    node = "/etc/qvd/node.conf"
    server.run(f"cp {node} /root/node.conf")
    server.run("systemctl stop qvd-usb-agent")
    asked = ("run", "lxc-config one", "config set key=vm.lxc.use_vhci_hubs,value=1")
    for (how, code), words in zip(RUINS.items(), asked, strict=True):
        ruin(server, node, how)
        refused(server.run(f"qvd-usb-agent {words} >/dev/null", check=False), code)
    server.run(f"rm -rf {node}; cp /root/node.conf {node}; systemctl start qvd-usb-agent", timeout=120)

    settings = "/etc/qvd/vma.conf"
    one.run(f"cp {settings} /root/vma.conf")
    for how, code in RUINS.items():
        one.run(f"rm -rf {settings}; {how.format(path=settings)}")
        talk = f"python3 -c {shlex.quote(_ONE_CLIENT)}"
        refused(one.run(talk, check=False), code)
    one.run(f"rm -rf {settings}; cp /root/vma.conf {settings}")
    trial.nothing_is_left()


# --- what a machine lacks -------------------------------------------------------------------------------------------


def test_a_helper_without_setuid_or_none(trial: Trial) -> None:
    for how, code in ((f"chmod u-s {HELPER}", "helper-not-setuid"), (f"mv {HELPER} /root/", "helper-missing")):
        trial.lab.client.run(how)
        trial.connect()
        trial.ends_by_itself(code)
    trial.nothing_is_left()


def test_usbip_host_that_cannot_be_loaded(trial: Trial) -> None:
    client = trial.lab.client
    client.run("modprobe -r usbip-host; mv /lib/modules/$(uname -r)/kernel/drivers/usb/usbip/usbip-host.ko* /root/")
    refused(client.run_as(USER, f"{HELPER} bind {trial.busid}", check=False), "usbip-host-unavailable")
    trial.connect()  # the list of the kernel's modules still names it
    trial.complains("usbip-host-unavailable")
    trial.ends("usbip-host-unavailable")


def test_no_hub_is_free(trial: Trial) -> None:
    server, two = trial.lab.server, trial.lab.container("two")
    two.stop(kill=True)
    taken = 0
    while (answer := server.run(f"qvd-usb-agent reserve full{taken}", check=False)).rc == 0:
        taken += 1
    refused(answer, "no-free-hub")
    two.start()
    server.until("journalctl -t qvd-usb-agent -o cat | grep -F \"No virtual hub is free for container 'two'\"")
    assert "two  no hub: starts without USB" in server.run("qvd-usb-agent status").out
    assert two.run("ls /sys/devices/platform").out == ""
    trial.terminal.connect(two)
    trial.complains("no-free-hub")
    trial.ends("no-free-hub")


# --- the other end --------------------------------------------------------------------------------------------------


@pytest.mark.leaves_nothing
def test_the_wrong_key(trial: Trial) -> None:
    trial.connect(key="not-the-key-of-one")
    trial.ends_by_itself("slave-refused-key")
    assert "not-the-key-of-one" not in trial.terminal.said()
    trial.nothing_is_left()
    half_client = "python3 /usr/local/bin/half_client.py 10.9.1.11 11100 wrong answer"
    trial.lab.client.push(_INSIDE / "half_client.py", "/usr/local/bin/half_client.py")
    assert "403" in trial.lab.client.run(half_client).out


@pytest.mark.leaves_nothing
def test_a_receiver_that_says_nothing_or_is_gone_in_a_step(trial: Trial) -> None:
    server = trial.lab.server
    server.push(_INSIDE / "half_receiver.py", "/usr/local/bin/half_receiver.py")
    for until, code in (
        ("before-101", "peer-gone"),
        ("after-101", "peer-gone"),
        ("after-line", "peer-gone"),
        ("silent", "slave-silent"),
        ("silent-after-line", "slave-silent"),
    ):
        server.spawn(f"exec python3 /usr/local/bin/half_receiver.py {BRIDGE} 11100 lab-key-of-one {until}", "half")
        server.until(f"ss -Hltn src {BRIDGE}:11100 | grep -q .")
        trial.connect(address=BRIDGE)
        trial.complains(code)
        trial.ends(code)
        server.run("systemctl stop half")


@pytest.mark.leaves_nothing
def test_a_client_that_says_nothing_or_is_gone_in_a_step(trial: Trial) -> None:
    client = trial.lab.client
    client.push(_INSIDE / "half_client.py", "/usr/local/bin/half_client.py")
    steps = ("connected", "half-head", "head", "answer", "half-line", "line", "line-reset", "silent")
    words = " ".join(steps)
    done = client.run(f"python3 /usr/local/bin/half_client.py 10.9.1.11 11100 lab-key-of-one {words}").out
    said = dict(json.loads(line) for line in done.splitlines())
    assert set(said) == set(steps)
    assert (said["answer"], said["silent"]) == ("HTTP/1.1 101 Switching Protocols", "hung up")
    log = trial.one.run(f"journalctl -u {RECEIVER} -o cat").out
    for code, times in (("peer-gone", 4), ("slave-silent", 1)):
        problem = problem_of(code)
        told = [line for line in log.splitlines() if line.partition("problem=")[2].startswith(code)]
        assert len(told) >= times, log
        assert all(problem.sentence.partition("{")[0] in line and problem.remedy in line for line in told), told
    trial.nothing_is_left()


# --- killed in between ----------------------------------------------------------------------------------------------


Kill = Callable[[Trial], None]


def kill_receiver(trial: Trial) -> None:
    trial.lab.expected_failures.add(RECEIVER)
    trial.one.run(f"systemctl kill -s KILL {RECEIVER}")


def kill_agent(trial: Trial) -> None:
    trial.lab.expected_failures.add(AGENT)
    trial.lab.server.run(f"systemctl kill -s KILL {AGENT}")
    trial.lab.server.until(f"systemctl is-active -q {AGENT}", 120)  # systemd starts it again


def kill_client(trial: Trial) -> None:
    trial.terminal.kill()


def kill_container(trial: Trial) -> None:
    """It dies at once; what LXC does then may wait for the agent."""
    trial.lab.server.run("kill -KILL $(lxc-info -n one -pH)")


def cut_network(trial: Trial) -> None:
    trial.lab.client.run(
        "nft add table inet cut; "
        "nft 'add chain inet cut out { type filter hook output priority 0; policy drop; }'; "
        "nft 'add chain inet cut in { type filter hook input priority 0; policy drop; }'"
    )


GOES_ON = {kill_receiver, kill_agent}  # the kernels carry it, and everybody finds it again
ENDS = {cut_network, kill_container}
GONE = ("peer-gone", "slave-silent", "slave-unreachable")  # whichever of the device's connections is missed first


def comes_right(trial: Trial, kill: Kill) -> None:
    """What could go on did; else the user is told, and all is at home; with the network back it works again."""
    if kill in ENDS:
        trial.complains(*GONE)
        trial.nothing_is_left()
    if kill is cut_network:
        mend(trial, kill)
    if kill not in {kill_client, kill_container}:
        trial.in_use()
        trial.all_is_well()
        assert trial.terminal.close() == 0
    trial.nothing_is_left()


def mend(trial: Trial, kill: Kill) -> None:
    """What was killed and does not come back by itself runs again."""
    if kill is cut_network:
        trial.lab.client.run("nft delete table inet cut")
    if kill is kill_container:
        trial.lab.server.run("lxc-wait -n one -s STOPPED -t 60")
        trial.one.start()


@pytest.mark.parametrize("kill", [kill_receiver, kill_agent, kill_container])
def test_killed_between_the_device_line_and_the_attach(trial: Trial, kill: Kill) -> None:
    """The agent hears of the device only after the kill."""
    trial.lab.server.run(f"systemctl kill -s STOP {AGENT}")
    trial.connect()
    trial.is_exported()
    kill(trial)
    trial.lab.server.run(f"systemctl kill -s CONT {AGENT}")
    comes_right(trial, kill)


@pytest.mark.parametrize("kill", [kill_client, cut_network])
def test_killed_between_the_attach_and_the_authorisation(trial: Trial, kill: Kill) -> None:
    """The agent of this scenario waits before the last write of its gate, until the kill."""
    server, write = trial.lab.server, '_write(folder / "authorized", OPEN)'
    waiting = f"import time; [time.sleep(0.1) for _ in iter(Path('/run/hold').exists, False)]; {write}"
    server.run(["sed", "-i.kept", f"s|{write}|{waiting}|", GATE])
    server.run(f"! cmp -s {GATE} {GATE}.kept && touch /run/hold && systemctl restart qvd-usb-agent", timeout=120)
    trial.connect()
    server.until("grep -qx 0 /sys/devices/platform/vhci_hcd.*/usb*/[0-9]*-[0-9]*/authorized", 60)
    kill(trial)
    server.run("rm /run/hold")
    comes_right(trial, kill)


@pytest.mark.parametrize("kill", [kill_receiver, kill_container])
def test_killed_between_the_authorisation_and_the_node(trial: Trial, kill: Kill) -> None:
    """No udevd of the container makes a node before the kill."""
    trial.one.run("systemctl kill -s STOP systemd-udevd")
    trial.connect()
    until_agent_says(trial.lab.server, " authorised ")
    kill(trial)
    if kill is not kill_container:
        trial.one.run("systemctl kill -s CONT systemd-udevd")
    comes_right(trial, kill)


def test_killed_in_use(trial: Trial) -> None:
    trial.connect()
    trial.in_use()
    for kill in (kill_receiver, kill_agent, cut_network, kill_container):
        kill(trial)
        if kill in GOES_ON:
            time.sleep(2)
            trial.is_exported()  # what the kernels carry goes on
        else:
            trial.complains(*GONE)
            trial.nothing_is_left()
        mend(trial, kill)
        trial.in_use()
    assert trial.terminal.close() == 0
    trial.nothing_is_left()
