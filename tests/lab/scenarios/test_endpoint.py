"""The host's endpoint: a device travels encrypted, by the kernels or by relays; nobody on the way can read it.

What is on the wire is counted by a program on the client's network card; what does the TLS is read from the kernels.
"""

import json
import shlex
import time
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.guest import Guest
from tests.lab.scenarios.rights_seen import rights
from tests.lab.scenarios.test_one_device_all_the_way import IDENTITY, TTY, Road

pytestmark = pytest.mark.deep

INSIDE = Path(__file__).with_name("inside")
PORT, SLAVE_PORT = 9020, 11100
MARKER = "READABLE-BY-ALL-ON-THE-WAY"
LINES = 400
COUNTS = "/run/sniffed"
IN_KERNEL = "tcp-ulp-tls version: 1.3 cipher: aes-gcm-256 rxconf: sw txconf: sw"
NOTICED = 30.0  # seconds; the machine may be busy: without a keepalive it would be hours
PROCESSES = "pgrep -u qvd-usb-endpoint"
NO_KERNEL_TLS = (
    "echo install tls /bin/false >/etc/modprobe.d/no-tls.conf; rmmod tls 2>/dev/null; ! test -e /sys/module/tls"
)


class Way(Road):
    """The adapter's way, through the endpoint."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        for guest in (lab.client, lab.server):
            guest.push(INSIDE / "paired.py", "/usr/local/bin/paired.py")
        lab.client.push(INSIDE / "sniff.py", "/usr/local/bin/sniff.py")
        lab.client.run("modprobe tls", check=False)

    def open_endpoint(self) -> None:
        """The host listens, and the client's user is paired with container one."""
        server, client = self.lab.server, self.lab.client
        server.run(f"qvd-usb-agent config set vm.usb.endpoint.listen 0.0.0.0:{PORT}")
        server.run("systemctl restart qvd-usb-agent", timeout=120)
        server.until(f"ss -Hltn 'sport = :{PORT}' | grep .", 60)
        certificate = client.run_as("user", "python3 /usr/local/bin/paired.py identity").out
        self.host = server.run(["python3", "/usr/local/bin/paired.py", "add", "one", certificate]).out

    def session(self) -> dict[str, object]:
        """What pairing leaves at the client."""
        address = f"{self.lab.server.role.address}:{PORT}"
        return {"v": 1, "name": "Desktop one", "address": address, "encryption": "tls",
                "host_fingerprint": self.host}  # fmt: skip

    def lend(self) -> None:
        """Shares the adapter through the endpoint."""
        self.mark()
        self.terminal.connect_with(self.session())
        self.lent()

    def told(self) -> tuple[str, str]:
        """Who does the TLS, as the host's and the client's `status` say."""
        host = json.loads(self.lab.server.run("qvd-usb-agent status --json").out)
        assert [(each["client"], each["container"]) for each in host["endpoint"]] == [("lab", "one")]
        client = json.loads(self.terminal.command("status --json").out)
        return host["endpoint"][0]["encryption"], client["session"]["way"]

    def talk(self, port: int) -> dict[str, int]:
        """The container's user writes known text to the adapter; what of it was seen on the network."""
        client = self.lab.client
        client.spawn(f"python3 /usr/local/bin/sniff.py {port} {MARKER} {COUNTS}", "sniffer")
        client.until(f"test -s {COUNTS}")
        client.spawn(f"head -c {LINES * (len(MARKER) + 1)} </dev/ttyGS0 >/run/heard", "listener")
        self.one.run(f"stty -F /dev/{TTY} raw -echo; yes {MARKER} | head -n {LINES} >/dev/{TTY}", user="user")
        client.until(f"[ $(grep -c {MARKER} /run/heard) = {LINES} ]", 60)
        time.sleep(1)  # the sniffer writes twice a second
        counts = client.run(f"cat {COUNTS}; systemctl stop sniffer; rm {COUNTS} /run/heard").out
        return {key: int(value) for key, value in json.loads(counts).items()}

    def is_unreadable(self) -> None:
        """All of the text went over the network, and none of it could be read."""
        counts = self.talk(PORT)
        assert counts["bytes"] > LINES * len(MARKER)
        assert counts["hits"] == 0

    def unreachable(self) -> None:
        """The client's network loses everything that it should send."""
        self.lab.client.run("modprobe sch_netem; for card in $(ls /sys/class/net | grep -v ^lo$); do "
                            "tc qdisc add dev $card root netem loss 100%; done")  # fmt: skip

    def noticed_by_both(self) -> None:
        """Without a word from the other, each kernel gives the device up."""
        began = time.monotonic()
        self.mark()
        self.unreachable()
        self.sees(self.server, lambda facts: facts["ports"] == 0, "free at the host")
        self.sees(self.client, lambda facts: facts["driver"] == "usb" or facts["status"] == "1", "given up")
        assert time.monotonic() - began < NOTICED
        self.until_rights(self.closed["one"])


def connections(guest: Guest) -> list[str]:
    """What the kernel says of each connection of the endpoint, with its users: one that the kernel has has none.

    Those that last: a client asks with short ones how far it is, and of one that has just begun no user is known yet.
    """
    words = f"ss -OHtinp state established '( sport = :{PORT} or dport = :{PORT} )'"
    earlier = {tuple(each.split()[2:4]) for each in guest.run(words).out.splitlines()}
    time.sleep(1)
    return [each for each in guest.run(words).out.splitlines() if tuple(each.split()[2:4]) in earlier]


@pytest.fixture
def way(lab: Lab) -> Way:
    return Way(lab)


def test_the_kernels_encrypt_it_and_no_process_stays_while_a_plain_session_can_be_read(way: Way) -> None:
    way.terminal.connect(way.one)
    way.terminal.command(f"share {shlex.quote(IDENTITY)}")
    way.lent()
    assert way.talk(SLAVE_PORT)["hits"] > 0
    way.mark()
    assert way.terminal.close() == 0
    way.taken_back()

    way.open_endpoint()
    way.lend()
    (kernels,) = [each for each in connections(way.lab.server) if "users:" not in each]
    assert IN_KERNEL in kernels
    near, far = kernels.split()[2:4]
    (clients,) = [each for each in connections(way.lab.client) if each.split()[2:4] == [far, near]]
    assert IN_KERNEL in clients
    assert way.told() == ("kernel", "kernel")
    way.is_unreadable()
    way.only_its_rights()
    way.noticed_by_both()


def test_where_the_kernel_cannot_a_relay_does_it_and_the_device_goes_when_either_end_of_it_ends(way: Way) -> None:
    for guest in (way.lab.client, way.lab.server):
        guest.run(NO_KERNEL_TLS)
    way.open_endpoint()
    way.terminal.command(f"share {shlex.quote(IDENTITY)}")
    way.lend()
    found = [*connections(way.lab.server), *connections(way.lab.client)]
    assert found
    assert not [each for each in found if "users:" not in each or "tcp-ulp-tls" in each]
    assert way.told() == ("relay", "relay")
    way.is_unreadable()
    way.only_its_rights()

    way.mark()
    way.lab.server.run(f"kill $({PROCESSES} -o)")  # the oldest: the others answer how far it is
    way.lent()  # the client shares it again by itself
    way.terminal.until_state(IDENTITY, "attached")
    way.mark()
    assert way.terminal.close() == 0
    way.at_home()
    way.taken_back()
    way.lab.server.until(f"! {PROCESSES}", 60)
    way.lab.client.until("! pgrep -f [c]lient_gui.relay", 30)
    assert rights(way.lab, "one") == way.closed["one"]
