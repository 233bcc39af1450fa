"""The main job by the command line: shared, used by the user alone, taken back; whatever ends it, it comes home.

What holds is read from the kernels, by the witnesses of the demo and here; `qvd-usb` is believed in nothing but what it
says to its user.
"""

import shlex
import time
from collections.abc import Callable

import pytest

from tests.lab import Lab
from tests.lab.demo.back import INTRUDE
from tests.lab.demo.there import OPEN
from tests.lab.demo.witness import Facts, Sight, Witness
from tests.lab.scenarios.rights_seen import PINS, READ_WRITE, Right, rights
from tests.lab.scenarios.terminal import SHARE_LIST_FILE, USER, Terminal

pytestmark = pytest.mark.core

IDENTITY = "0bda:58c2@1234"
TTY = "ttyACM0"
PATIENCE = 90.0  # seconds; the machine may be busy
#: A right that nobody gave: the kernel's key and value of the character device 4:64, read and write.
STRAY = "key hex 02 00 00 00 04 00 00 00 40 00 00 00 value hex 06 00 00 00"


class Road:
    """The way of one serial adapter from the client's port into the container `one`, and who watches it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.container("one")
        self.terminal = Terminal(lab.client)
        self.terminal.prepare("client.usb.enable=1", "client.usb.allow_plaintext=1")
        self.client = Witness(lab.client, "client")
        self.server = Witness(lab.server, "server")
        self.client.start(SHARE_LIST_FILE, IDENTITY)
        self.server.start("one", f"{PINS}/one", IDENTITY)
        self.closed = {name: rights(lab, name) for name in ("one", "two")}
        self.since = 0.0
        self.plug()
        self.at_home()

    def plug(self) -> None:
        """Puts the adapter into a port of the client."""
        self.mark()
        self.busid = self.lab.client.gadget("adapter", "acm", "0bda", "58c2", "1234", product="Serial Adapter")

    def begin_anew(self) -> None:
        """The witnesses saw nothing yet."""
        for witness in (self.client, self.server):
            witness.forget()

    def mark(self) -> None:
        """What the witnesses are asked for from now on is what they see from now on."""
        self.client.look()
        self.server.look()
        self.since = time.time()

    def sees(self, side: Witness, holds: Callable[[Facts], object], what: str) -> Facts:
        """Waits until a witness sees it; its facts at that moment."""
        return self.sight(side, holds, what).facts

    def sight(self, side: Witness, holds: Callable[[Facts], object], what: str) -> Sight:
        """Waits until a witness sees it; what it saw, and when."""
        sight = side.first(IDENTITY, holds, since=self.since, patience=PATIENCE)
        assert sight, f"not {what}; the {side.side}'s kernel says {side.latest(IDENTITY)}\n{self.terminal.said()}"
        return sight

    def lent(self) -> Facts:
        """It has left its driver and is in the container, with its rights and nodes; the server's facts."""
        self.sees(self.client, lambda facts: facts["driver"] == "usbip-host" and not facts["interfaces"], "released")
        self.sees(self.client, lambda facts: facts["status"] == "2", "exported")
        let_in = self.sees(self.server, lambda facts: facts["authorized"] == "1", "authorised")
        assert let_in["rights"][usbfs_node(let_in)] & READ_WRITE == READ_WRITE, "the right comes first"
        return self.sees(self.server, lambda facts: facts["authorized"] == "1" and is_ready(facts), "ready")

    def at_home(self) -> None:
        """It works at the client, whose kernel keeps nothing of the loan."""
        self.sees(self.client, lambda facts: facts["driver"] == "usb" and facts["interfaces"] == ["cdc_acm"], "at home")
        self.lab.client.until("! ls /run/qvd-usbip/[0-9]* 2>/dev/null")
        table = self.lab.client.run("cat /sys/bus/usb/drivers/usbip-host/match_busid").out
        assert self.busid not in table.split()

    def taken_back(self) -> None:
        """The container has nothing left of it: no node, no right, no port."""
        self.sees(
            self.server,
            lambda facts: not facts["busid"] and not facts["nodes"] and facts["ports"] == 0,
            "gone from the container",
        )
        self.until_rights(self.closed["one"])
        assert not self.one.run("ls -d /dev/ttyACM* /dev/bus/usb/*/* 2>/dev/null", check=False).out

    def until_rights(self, expected: frozenset[Right]) -> None:
        """Waits until the container's map holds these and no other."""
        end = time.monotonic() + PATIENCE
        while (held := rights(self.lab, "one")) != expected:
            assert time.monotonic() < end, f"too many: {held - expected}, too few: {expected - held}"

    def nodes(self) -> list[str]:
        """The device's nodes in the container: usbfs, then the serial port."""
        return [f"/dev/{usbfs_node(self.server.latest(IDENTITY))}", f"/dev/{TTY}"]

    def numbers(self) -> list[str]:
        """The same as kind:major:minor, in decimal digits."""
        return self.one.run(f"printf 'c:%d:%d\\n' $(stat -c '0x%t 0x%T' {shlex.join(self.nodes())})").out.split()

    def opens(self, user: str, node: str) -> bool:
        """Whether a user of the container may open a node to read and write."""
        words = shlex.join(["python3", "-I", "-S", "-c", OPEN, node])
        done = self.one.run(words, user=user, check=False)
        assert not done.rc or "PermissionError" in done.out, done.out
        return not done.rc

    def stranger_is_refused(self) -> None:
        """Root of the other container makes nodes of its own and opens none."""
        numbers = self.numbers()
        said = self.lab.container("two").run(shlex.join(["python3", "-c", INTRUDE, *numbers])).out
        assert said.splitlines() == [f"refused {number}" for number in numbers]
        assert rights(self.lab, "two") == self.closed["two"]

    def only_its_rights(self) -> None:
        """The map holds the rights for this device's two nodes, beside what it always held."""
        expected = {("c", *map(int, number.split(":")[1:]), READ_WRITE) for number in self.numbers()}
        given = rights(self.lab, "one") - self.closed["one"]
        assert {(kind, major, minor, access & READ_WRITE) for kind, major, minor, access in given} == expected


def usbfs_node(facts: Facts) -> str:
    """The device's usbfs node: its number rises with each attach, and a witness keeps the old ones."""
    return next((name for name in sorted(facts["rights"], reverse=True) if name.startswith("bus/usb/")), "")


def is_ready(facts: Facts) -> bool:
    """Both nodes are made for the right numbers, with an access list, and the map has a right for each."""
    wanted = (usbfs_node(facts), TTY)
    return all(
        name in facts["nodes"]
        and facts["nodes"][name]["same"]
        and facts["nodes"][name]["acl"]
        and facts["rights"][name] & READ_WRITE == READ_WRITE
        for name in wanted
    )


@pytest.fixture
def road(beginning: Callable[[type[Road]], Road]) -> Road:
    road = beginning(Road)
    road.begin_anew()
    return road


def test_shared_by_a_command_it_is_the_users_alone_until_it_is_unshared(road: Road) -> None:
    terminal = road.terminal
    terminal.connect(road.one)
    road.mark()
    terminal.command(f"share {road.busid}")
    facts = road.lent()
    own_hub = road.one.run("basename -a /sys/devices/platform/vhci_hcd.*").out
    assert f"vhci_hcd.{facts['hub']}" == own_hub
    for node in road.nodes():
        assert road.opens("user", node)
        assert not road.opens("other", node)
    road.stranger_is_refused()
    road.only_its_rights()
    told = terminal.until_state(IDENTITY, "in-use")
    assert told["busid"] == road.busid
    assert [step["name"] for step in told["steps"]] == ["released", "exported", "attached", "ready"]

    road.mark()
    terminal.command(f"unshare {IDENTITY}")
    road.at_home()
    road.taken_back()
    assert terminal.close() == 0


def test_it_comes_home_when_the_session_ends_however_that_came(road: Road) -> None:
    terminal = road.terminal
    terminal.command(f"share {IDENTITY}")
    for end, status in ((terminal.close, 0), (terminal.kill, 128 + 9)):
        road.mark()
        terminal.connect(road.one)
        road.lent()
        road.mark()
        assert end() == status
        road.at_home()
        road.taken_back()
    assert road.lab.client.run(f"grep -c {IDENTITY} {SHARE_LIST_FILE}").out == "1", "it stays ticked"


def test_a_restarted_agent_keeps_this_right_alone_and_a_replugged_device_is_shared_again(road: Road) -> None:
    terminal, server = road.terminal, road.lab.server
    terminal.command(f"share {IDENTITY}")
    terminal.connect(road.one)
    facts = road.lent()
    before = rights(road.lab, "one")
    server.run("systemctl stop qvd-usb-agent")
    server.run(f"bpftool map update pinned {PINS}/one {STRAY}")
    assert road.opens(USER, f"/dev/{TTY}"), "what was given works without the agent"
    server.run("systemctl start qvd-usb-agent", timeout=120)
    road.until_rights(before)
    road.only_its_rights()
    now = road.server.latest(IDENTITY)
    assert (now["busid"], now["hub"], now["authorized"]) == (facts["busid"], facts["hub"], "1")
    assert road.opens(USER, f"/dev/{TTY}")
    road.stranger_is_refused()

    road.mark()
    road.lab.client.gadget_remove("adapter")
    road.taken_back()
    road.plug()
    road.lent()
    assert road.opens(USER, f"/dev/{TTY}")
