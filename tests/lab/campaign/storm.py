"""EFFECT: storms of the kernel's events over the running agent's own socket: so many a second, and many at once.

What is said in the server guest is in scenarios/inside/storm.py: the terminal of one device in container `one` goes and
comes thousands of times. What is said while the right is still being taken does not count one by one; in the end it is
there or it is not. 64 containers at once are simulated, beside
(tests/unit/server_agent/test_crowd.py). The host's udevd, which hears the same, is stopped.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import Lab
from tests.lab.progress import say
from tests.lab.scenarios import software
from tests.lab.scenarios.rights_seen import needed, rights
from tests.lab.scenarios.test_agent import IDENTITY, Host

INSIDE = Path(__file__).parents[1] / "scenarios/inside"
PLACE = "/usr/local/bin"
SERIAL = IDENTITY.split()[-1]
NO_UDEVD = "systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd"
PACE, BURST = 1000, 50_000
WARM = 1000  # events, after which the agent has loaded all that it needs
GROWN_KIB = 5 << 10
EXACT_SECONDS = 30
SAYING_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Blown:
    """What came of one storm: as scenarios/inside/storm.py tells it."""

    sent: int
    there: int
    seconds: float
    behind: float
    most: int
    dropped: int

    def __str__(self) -> str:
        return (
            f"{self.sent} events in {self.seconds:.1f} s, read {self.behind:.1f} s later; {self.dropped} had no room, "
            f"{self.most / 2**20:.1f} MiB waited at most"
        )


class Storm:
    """A device in container `one`, and the kernel's word about it."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.server = lab, lab.server
        software.put_kit(self.server)
        for name in ("storm.py", "narrow.py"):
            self.server.push(INSIDE / name, f"{PLACE}/{name}")
        self.closed = {name: rights(lab, name) for name in ("one", "two")}
        self.host = Host(lab)
        self.hub = self.host.hub("one") or ""

    def lend(self) -> None:
        """The container has the device; udevd hears of no more."""
        self.host.hand_over()
        self.host.until_granted()
        self.server.run(NO_UDEVD)

    def blow(self, events: int, *, pace: int = 0, pull: bool = False) -> Blown:
        """So many events; with `pull` the terminal is really gone afterwards."""
        words = f"{SERIAL} {events} --pace {pace}{' --pull' if pull else ''}"
        done = Blown(**json.loads(self.server.run(f"python3 {PLACE}/storm.py {words}", timeout=SAYING_SECONDS).out))
        say(str(done))
        return done

    def bind(self) -> None:
        """The terminal that was pulled is there again."""
        self.server.run(f"cd $(dirname $(grep -lx {SERIAL} /sys/devices/platform/{self.hub}/usb*/*-*/serial)); "
                        "for each in *:1.0; do echo $each >/sys/bus/usb/drivers/cdc_acm/bind; done")  # fmt: skip

    def narrow(self) -> None:
        """From now on a few events run the agent's socket over."""
        self.server.run(f"python3 {PLACE}/narrow.py $(systemctl show -P MainPID qvd-usb-agent)")

    def exact(self) -> bool:
        """Whether rights become what there is, soon: for `one` what is below its hub, for `two` nothing."""
        end = time.monotonic() + EXACT_SECONDS
        while time.monotonic() < end:
            held = {name: rights(self.lab, name) - closed for name, closed in self.closed.items()}
            if held == {"one": needed(self.lab, self.hub), "two": frozenset()}:
                return True
            time.sleep(0.5)
        return False

    def overflows(self) -> int:
        """How often the agent noticed that events were lost."""
        return int(self.server.run("journalctl -t qvd-usb-audit -o cat QVD_EVENT=overflow | wc -l").out)

    def resident(self) -> int:
        """KiB that the agent has in memory."""
        pid = "$(systemctl show -P MainPID qvd-usb-agent)"
        return int(self.server.run(f"awk '$1 == \"VmRSS:\" {{print $2}}' /proc/{pid}/status").out)


def campaign(storm: Storm, seconds: int) -> tuple[str, list[str]]:
    """All storms one after the other: 1,000 events a second, 50,000 at once, and 50,000 where there is no room.

    Returns:
        What was seen, one sentence; and which promises it broke.
    """
    storm.lend()
    storm.blow(WARM)
    memory = storm.resident()
    steady = storm.blow(seconds * PACE, pace=PACE)
    burst = storm.blow(BURST, pull=True)
    broken = [f"rights are not exact after {BURST} events at once"] if not storm.exact() else []
    storm.bind()
    if steady.dropped or burst.dropped or storm.overflows():
        broken.append(f"events were lost: {storm.overflows()} overflows")
    grown = storm.resident() - memory
    if grown > GROWN_KIB:
        broken.append(f"the agent grew by {grown} KiB")
    storm.narrow()
    lossy = storm.blow(BURST, pull=True)
    if not storm.exact():
        broken.append("rights are not exact after events were lost")
    noticed = storm.overflows()
    if not (lossy.dropped and noticed):
        broken.append(f"{lossy.dropped} events were lost, which was noticed {noticed} times")
    storm.bind()
    if not storm.exact():
        broken.append("what came after events were lost has no right")
    said = (
        f"{PACE} a second: {steady}; at once: {burst}; memory grew by {grown} KiB; "
        f"without room: {lossy}, noticed {noticed} times"
    )
    return said, broken
