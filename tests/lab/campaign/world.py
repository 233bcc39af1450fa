"""EFFECT: the steps of a walk, done on the lab: by the command line, by gadgets, by root of both guests."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import Lab
from tests.lab.campaign.model import DEVICES, USERS, Step
from tests.lab.demo.witness import OBSERVER
from tests.lab.guest import Guest
from tests.lab.recipe import CONTAINERS
from tests.lab.scenarios.terminal import Terminal

AGENT = "qvd-usb-agent.service"
EYE = Path(__file__).parent / "guest/eye.py"
NARROW = Path(__file__).parents[1] / "scenarios/inside/narrow.py"
FOLDER = "/run/walk"
#: As in the scenarios of lost events: pairs of network interfaces, whose events fill a narrowed socket.
STORM = "for each in $(seq 3); do ip link add storm type veth peer name calm && ip link del storm; done"
CUT = (
    "nft add table inet cut; "
    "nft 'add chain inet cut out { type filter hook output priority 0; policy drop; }'; "
    "nft 'add chain inet cut in { type filter hook input priority 0; policy drop; }'"
)
Facts = dict[str, Any]


@dataclass(slots=True)
class Eye:
    """Who looks at the kernel of one guest."""

    guest: Guest
    side: str

    def open(self, words: list[str]) -> None:
        """Starts it; what it shares with the demo's observer stands beside it under its own name."""
        self.guest.push(OBSERVER, f"{FOLDER}/tests/lab/demo/guest/observe.py")
        self.guest.push(EYE, f"{FOLDER}/eye.py")
        self.guest.spawn(f"exec python3 {FOLDER}/eye.py {self.side} {FOLDER} {' '.join(words)}", f"eye-{self.side}")
        self.guest.until(f"test -p {FOLDER}/ask", timeout=60)

    def look(self) -> Facts:
        """What the kernel has now."""
        facts: Facts = json.loads(self.guest.run(f"echo >{FOLDER}/ask; cat {FOLDER}/answer").out)
        return facts


class World:
    """Both guests, their containers, the users; made in a state in which nothing is plugged, ticked or connected."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.client, self.server = lab, lab.client, lab.server
        self.terminals = {user: Terminal(self.client, user) for user in USERS}
        self.eyes = (Eye(self.client, "client"), Eye(self.server, "server"))
        lab.expected_failures.add(AGENT)
        self.client.run(f"for user in {' '.join(USERS)}; do usermod -aG qvdusb $user; done")
        for terminal in self.terminals.values():
            terminal.prepare("client.usb.enable=1", "client.usb.allow_plaintext=1")
        self.server.push(NARROW, "/usr/local/bin/narrow.py")
        self.eyes[0].open([device.identity for device in DEVICES.values()])
        self.eyes[1].open(list(CONTAINERS))

    # looking

    def look(self) -> tuple[Facts, Facts]:
        """What the kernels of the client and of the server have."""
        with ThreadPoolExecutor(2) as pool:
            client, server = pool.map(Eye.look, self.eyes)
        return client, server

    # doing

    def do(self, step: Step) -> None:
        """Makes a step; what comes of it is not waited for, but for what the next step may stand on."""
        getattr(self, f"_{step.verb.replace('-', '_')}")(*step.words)

    def _plug(self, name: str) -> None:
        device = DEVICES[name]
        self.client.gadget(name, device.kind, device.vid, device.pid, device.serial, controller=device.controller)

    def _pull(self, name: str) -> None:
        self.client.gadget_remove(name)

    def _tick(self, user: str, name: str) -> None:
        self.terminals[user].command(f"share {DEVICES[name].identity}")

    def _untick(self, user: str, name: str) -> None:
        self.terminals[user].command(f"unshare {DEVICES[name].identity}")

    def _connect(self, user: str, name: str) -> None:
        terminal = self.terminals[user]
        terminal.connect(self.lab.container(name))
        self.client.until(f"test -s {terminal.folder}/pid")

    def _leave(self, user: str) -> None:
        self.terminals[user].close()

    def _kill_client(self, user: str) -> None:
        self.terminals[user].kill()

    def _kill_agent(self) -> None:
        self._agent_answers()  # systemd gives one up that is killed again and again before it is up
        self.server.run(f"systemctl kill -s KILL {AGENT}; systemctl reset-failed {AGENT}", check=False)

    def _agent_answers(self) -> None:
        self.server.until(f"systemctl is-active -q {AGENT}", 120)

    def _stop(self, name: str) -> None:
        self.lab.container(name).stop(kill=True)

    def _start(self, name: str) -> None:
        self._agent_answers()  # without it a container is refused, which is another promise
        self.lab.container(name).start()

    def _cut(self) -> None:
        self.client.run(CUT)

    def _mend(self) -> None:
        self.client.run("nft delete table inet cut")

    def _unheard(self, *words: str) -> None:
        """The step happens while the agent is stopped, and its socket is full: it hears of nothing."""
        self._agent_answers()
        with self._deaf():
            self.do(Step(words[0], words[1:]))

    @contextmanager
    def _deaf(self) -> Iterator[None]:
        pid = self.server.run(f"systemctl show -P MainPID {AGENT}").out
        self.server.run(f"python3 /usr/local/bin/narrow.py {pid} && kill -STOP {pid}; {STORM}")
        try:
            yield
        finally:
            self.server.run(f"kill -CONT {pid}", check=False)  # stopped for a minute, systemd has killed it

    def _reload(self) -> None:
        self.server.run("rmmod vhci_hcd && modprobe vhci_hcd", timeout=120)
