"""The agent, killed after each effect of a grant, a revoke, a ledger write: no wrong right while it is dead nor after.

The agent of this scenario kills itself (inside/dying_agent.py), systemd starts it again, and that one waits until what
a dead agent leaves was looked at. The unit tests kill it at every system call, on files (test_killed.py).
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.scenarios.agent_asked import until_agent_says
from tests.lab.scenarios.rights_seen import HUBS, Right, needed, opened, rights
from tests.lab.scenarios.test_agent import IDENTITY, Host

pytestmark = pytest.mark.deep

AGENT = "qvd-usb-agent.service"
PROGRAM = Path(__file__).with_name("inside") / "dying_agent.py"
DYING = "[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I /usr/local/bin/dying_agent.py\n"
#: One life of a device after another: the effect of its grant, how it goes, and the effect of that. The first update
#: and delete are of its usbfs number, the second ones of its serial port's.
LIVES = (
    ("attach 1", "revoked", "delete 1"),
    ("update 1", "revoked", "delete 2"),
    ("authorized 1", "revoked", "detach 1"),
    ("update 2", "unplugged", "delete 1"),
    ("ledger 1", "unplugged", "written 1"),
    ("written 1", "revoked", "ledger 1"),
)
PATIENCE = 40.0


class Trial:
    """The adapter, container `one` which gets it, container `two` which never may have any of it."""

    def __init__(self, host: Host) -> None:
        self.lab, self.host, self.server = host.lab, host, host.server
        self.closed = {name: rights(self.lab, name) for name in ("one", "two")}
        self.hub = host.hub("one") or ""
        self.numbers: frozenset[Right] = frozenset()
        folder = f"/run/systemd/system/{AGENT}.d"
        self.server.push(PROGRAM, "/usr/local/bin/dying_agent.py")
        self.server.run(f"mkdir -p {folder} && cat >{folder}/dying.conf", stdin=DYING)
        self.server.run(f"systemctl daemon-reload; systemctl restart {AGENT}; rm -f /run/effects", timeout=120)
        self.lab.expected_failures.add(AGENT)

    def given(self) -> frozenset[Right]:
        """What the container has beyond what it had without the device."""
        return rights(self.lab, "one") - self.closed["one"]

    def dies(self, effect: str, command: str) -> None:
        """Does what leads to an effect; the agent is dead afterwards."""
        self.server.run(f"echo {effect} >/run/die-at; {command} >/dev/null 2>&1 </dev/null &")
        self.server.until("test -e /run/dead")

    def nothing_is_wrong(self, *, granting: bool) -> None:
        """What a dead agent leaves: no right to anything but this device, and of the other container none at all."""
        there = needed(self.lab, self.hub)
        self.numbers |= there
        given = self.given()
        assert given <= self.numbers
        assert rights(self.lab, "two") == self.closed["two"]
        assert not opened(self.lab, "two", there)
        if granting and self.authorised():
            assert {right for right in there if right[1] == 189} <= given, "drivers have what nobody was allowed"

    def authorised(self) -> bool:
        return bool(self.server.run(f"grep -lx 1 {HUBS}/{self.hub}/usb*/*-[1-9]*/authorized", check=False))

    def revives(self, count: int | None = None) -> None:
        """The next agent makes it exact: a right for each number that is there (so many) and no other."""
        self.server.run("rm /run/dead")
        until_agent_says(self.server, "", patience=60)
        self.until_exact(count)

    def until_exact(self, count: int | None) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            there, given = needed(self.lab, self.hub), self.given()
            stages = [str(device["stage"]) for device in self.host.devices()]
            settled = all(stage == "authorised" for stage in stages) and self.authorised() == bool(there)
            if given == there and settled and count in {None, len(there)}:
                return
            assert time.monotonic() < end, f"rights {set(given)}, numbers {set(there)}, {stages}"

    def goes(self, how: str, effect: str) -> None:
        """It is taken from the container, and the agent dies of an effect of that; the next one goes on."""
        if how == "revoked":
            self.dies(effect, f"qvd-usb-agent revoke one {self.host.devices()[0]['busid']}")
        else:
            self.dies(effect, "/usr/local/lib/lab/gadget.sh remove adapter")
        self.nothing_is_wrong(granting=False)
        self.revives(0 if how == "unplugged" else None)

    def is_lent(self) -> None:
        """Nothing dies: the container has it."""
        self.server.until("cat /sys/bus/usb/drivers/usbip-host/*/usbip_status | grep -qx 1")
        self.host.hand_over()
        self.until_exact(2)

    def effects_of(self, work: Callable[[], None]) -> list[str]:
        """What the agent does meanwhile: the kind of each effect."""
        self.server.run("rm -f /run/effects")
        work()
        return self.server.run("cat /run/effects").out.split()

    def at_home(self) -> None:
        """Whatever became of it, it is in the server's own port and in no container."""
        for device in self.host.devices():
            self.host.agent(f"revoke one {device['busid']}")
        self.until_exact(0)
        if "adapter" not in self.server.run("ls /sys/kernel/config/usb_gadget").out.split():
            self.server.gadget("adapter", "acm", *IDENTITY.split())
        self.numbers = frozenset()


def test_killed_after_each_effect_of_a_grant_a_revoke_and_a_ledger_write_it_leaves_no_wrong_right_and_heals(
    lab: Lab,
) -> None:
    trial = Trial(Host(lab))
    for granting, how, taking in LIVES:
        trial.dies(granting, f"python3 /usr/local/bin/hand_over.py one {IDENTITY}")
        trial.nothing_is_wrong(granting=True)
        trial.revives(2)
        assert opened(lab, "one", needed(lab, trial.hub)) == needed(lab, trial.hub)
        assert not opened(lab, "two", needed(lab, trial.hub))
        trial.goes(how, taking)
        trial.at_home()
    had = trial.server.run("cat /run/effects").out.split()
    assert set(had) == {effect.split()[0] for life in LIVES for effect in (life[0], life[2])}, "an effect was left out"
    for work, at in ((trial.is_lent, 0), (trial.at_home, 2)):
        effects = trial.effects_of(work)
        assert f"{effects[0]} 1" in {life[at] for life in LIVES}, f"it did not die of the first one: {effects}"
        assert set(effects) <= {life[at].split()[0] for life in LIVES}, "it did not die of each"
