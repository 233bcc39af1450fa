"""EFFECT: a stick read over a slow network: by hand, by ours, and by ours encrypted; four sticks attached at once."""

import json
import shlex
import time
from pathlib import Path
from typing import Any

from tests.bench.machine import guests
from tests.bench.report import Measured
from tests.bench.sticks import DELAYS, Way, findings_of, speeds_of
from tests.lab import Lab, LabError
from tests.lab.product import SLAVE_KEYS
from tests.lab.progress import say, stage
from tests.lab.scenarios import inside
from tests.lab.scenarios.terminal import Terminal

_READS = Path(__file__).parent / "inside/reads.py"
_INSIDE = Path(inside.__file__).parent
_BIN = "/usr/local/bin"
_PORT = 9020
_CARDS = "ls /sys/class/net | grep -v ^lo$"
_NO_KERNEL_TLS = (
    "echo install tls /bin/false >/etc/modprobe.d/no-tls.conf; rmmod tls 2>/dev/null; ! test -e /sys/module/tls"
)
_KERNEL_TLS = "rm /etc/modprobe.d/no-tls.conf && modprobe tls"
HAND, PLAIN, RELAY, KERNEL = "HAND", "PLAIN", "RELAY", "KERNEL"
#: Bytes of a read, by the delay: some seconds each.
SIZES = {0: 8 << 20, 10: 4 << 20, 50: 2 << 20}


def _read(serial: str, limits: str = "", *, buffered: bool = False) -> dict[str, object]:
    return {"serial": serial, "limits": limits or serial, "buffered": buffered}


WAYS = {
    Way.HAND: _read(HAND),
    Way.HAND_BUFFERED: _read(HAND, buffered=True),
    Way.STOCK: _read(PLAIN, HAND),
    Way.OURS: _read(PLAIN),
    Way.BUFFERED: _read(PLAIN, buffered=True),
    Way.KERNEL: _read(KERNEL),
    Way.RELAY: _read(RELAY),
}


class Sticks:
    """Four sticks of the client at the server, each by a way of its own."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.one = lab.container("one")
        self.terminal = Terminal(lab.client)
        self.terminal.prepare("client.usb.enable=1")
        lab.server.push(_READS, f"{_BIN}/reads.py")
        lab.client.push(_INSIDE / "share_by_hand.py", f"{_BIN}/share_by_hand.py")
        for guest in lab.guests:
            guest.push(_INSIDE / "paired.py", f"{_BIN}/paired.py")

    def attach(self) -> None:
        """All four, one after the other; the endpoint's two with and without the kernels' TLS."""
        self._endpoint()
        self.by_hand()
        self.plain()
        for guest in self.lab.guests:
            guest.run(_NO_KERNEL_TLS)
        self.encrypted(RELAY)
        for guest in self.lab.guests:
            guest.run(_KERNEL_TLS)
        self.encrypted(KERNEL)
        host = json.loads(self.lab.server.run("qvd-usb-agent status --json").out)
        ways = sorted(each["encryption"] for each in host["endpoint"])
        if ways != ["kernel", "relay"]:
            raise LabError(f"the sticks came by {ways}, not one by the kernels and one by relays")

    def _endpoint(self) -> None:
        """The host listens, and the client's user is paired with container one; opens the session."""
        server, client = self.lab.server, self.lab.client
        server.run(f"qvd-usb-agent config set vm.usb.endpoint.listen 0.0.0.0:{_PORT}")
        server.run("systemctl restart qvd-usb-agent", timeout=120)
        server.until(f"ss -Hltn 'sport = :{_PORT}' | grep .", 60)
        certificate = client.run_as("user", f"python3 {_BIN}/paired.py identity").out
        fingerprint = server.run(["python3", f"{_BIN}/paired.py", "add", "one", certificate]).out
        self.terminal.connect_with({
            "v": 1, "name": "Desktop one", "address": f"{server.role.address}:{_PORT}", "encryption": "tls",
            "host_fingerprint": fingerprint,
        })  # fmt: skip

    def plug(self, serial: str) -> str:
        """A stick of its own; its busid at the client."""
        return self.lab.client.gadget(serial.lower(), "mass", "0781", "5567", serial)

    def by_hand(self) -> None:
        """On the first hub, with the kernel's own tools."""
        busid = self.plug(HAND)
        self.lab.client.run(f"usbipd -D; usbip bind -b {busid}")
        self.lab.server.run(f"usbip attach -r {self.lab.client.role.address} -b {busid}")
        self._readable(HAND)

    def plain(self) -> None:
        """Through the image's slave server and the agent."""
        command = f"python3 {_BIN}/share_by_hand.py {self.plug(PLAIN)} {self.one.address} 11100 {SLAVE_KEYS['one']} 90"
        self.lab.client.run(command, timeout=150)
        self._readable(PLAIN)

    def encrypted(self, serial: str) -> None:
        """Through the host's endpoint, by what the client and the host find they can."""
        self.plug(serial)
        identity = f"0781:5567@{serial}"
        self.terminal.command(f"share {shlex.quote(identity)}")
        self.terminal.until_state(identity, "attached")
        self._readable(serial)

    def _readable(self, serial: str) -> None:
        """A disk may come some seconds after its device."""
        request = self._request({serial: _read(serial)}, rounds=1, size=1 << 20)
        self.lab.server.until(f"python3 {_BIN}/reads.py <<<{shlex.quote(request)}", 90, 1)

    def delay(self, milliseconds: int) -> None:
        """What the client sends comes later by that."""
        self.lab.client.run(
            f"modprobe sch_netem; for card in $({_CARDS}); do "
            f"tc qdisc replace dev $card root netem delay {milliseconds}ms limit 100000; done"
        )

    def read(self, rounds: int, size: int) -> dict[str, list[float]]:
        """Reads every way in turn."""
        request = self._request({str(way): each for way, each in WAYS.items()}, rounds, size)
        out = self.lab.server.run(f"python3 {_BIN}/reads.py", timeout=900, stdin=request).out
        return dict(json.loads(out))

    @staticmethod
    def _request(ways: dict[str, Any], rounds: int, size: int) -> str:
        return json.dumps({"rounds": rounds, "bytes": size, "ways": ways})


def measure(suite: str, rounds: int) -> Measured:
    """What one lab gives; a read takes long, so there are fewer of them than `rounds`."""
    with Lab.open(suite=suite, level="product", name="bench-sticks") as lab:
        sticks = Sticks(lab)
        with stage("attaching four sticks"):
            sticks.attach()
        taken = {}
        for delay in DELAYS:
            began = time.monotonic()
            sticks.delay(delay)
            taken[delay] = sticks.read(max(3, rounds // 6), SIZES[delay])
            words = ", ".join(f"{way} {sorted(some)[len(some) // 2]:.2f}" for way, some in taken[delay].items())
            say(f"{delay} ms, MB/s: {words} ({time.monotonic() - began:.0f} s)")
        ran_on = guests(lab)
    return Measured(findings=findings_of(taken), speeds=speeds_of(taken), machine=ran_on)
