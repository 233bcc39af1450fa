"""Paired by their commands, client and host bring a device into a container whose image knows nothing of it.

The container is in a user namespace: the host makes its nodes, sees that they are where its user finds them, and says
so. Unpairing brings the device home for good, and the client is told why.
"""

import hashlib
import json
import shlex
import ssl
from pathlib import Path

import pytest

from qvd_usbip.errors import NOT_PAIRED
from tests.lab import Lab
from tests.lab.containers import Container
from tests.lab.scenarios.test_one_device_all_the_way import IDENTITY, TTY, Road
from tests.lab.scenarios.test_userns import ADDRESS, CONFIG, FIRST, NODES, Tenant

pytestmark = pytest.mark.deep

INSIDE = Path(__file__).with_name("inside")
NAME = "three"
PORT = 9020
ANSWER, CLIENT_SAID, HOST_SAID = "/home/user/answer", "/home/user/pairing", "/run/pairing"
CODE = "grep -o '\"code\": \"[0-9]*\"' {} | grep -o '[0-9][0-9]*'"


class Pairing(Road):
    """The adapter, two people who compare a code, and a container that nothing is known to."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.three = self.start()
        self.open_endpoint()

    def start(self) -> Container:
        """The container; nobody in it listens for devices."""
        server, three, first = self.lab.server, Tenant(self.lab.server, NAME), FIRST[NAME]
        server.push(INSIDE / "idmapped_root.py", "/usr/local/bin/idmapped_root.py")
        server.run(f"for f in subuid subgid; do echo root:{first}:65536 >>/etc/$f; done")
        server.run(f"python3 /usr/local/bin/idmapped_root.py {NAME} {first}")
        server.push(INSIDE / "users_view.py", f"/srv/{NAME}/usr/local/bin/users_view.py")
        server.run(f"ln -s /dev/null /srv/{NAME}/etc/systemd/system/qvd-usb-slaveserver.socket")
        three.write_config(CONFIG.format(name=NAME, first=first, address=ADDRESS[NAME]))
        server.run(f"qvd-usb-agent lxc-config {NAME} >>/var/lib/lxc/{NAME}/config")
        three.start()
        three.wait()
        return three

    def open_endpoint(self) -> None:
        """The host listens for clients."""
        server = self.lab.server
        server.run(f"qvd-usb-agent config set vm.usb.endpoint.listen 0.0.0.0:{PORT}")
        server.run("systemctl restart qvd-usb-agent", timeout=120)
        server.until(f"ss -Hltn 'sport = :{PORT}' | grep .", 60)

    def begin(self) -> tuple[str, str]:
        """Both commands are run; the codes that client and host show."""
        server, client = self.lab.server, self.lab.client
        server.spawn(f"qvd-usb-agent pair {NAME} --json >{HOST_SAID} 2>&1 </dev/null", "pairing-host")
        server.until(f"grep waiting {HOST_SAID}", 60)
        words = f"rm -f {ANSWER}; mkfifo {ANSWER}; exec qvd-usb pair {server.role.address}:{PORT} --json"
        user = shlex.quote(f"cd; {words} <>{ANSWER} >{CLIENT_SAID} 2>&1")
        client.spawn(f"runuser -u user -- env HOME=/home/user bash -c {user}", "pairing-client")
        shown = client.until(CODE.format(CLIENT_SAID), 180).out.split()[-1]  # what grep said before comes first
        return shown, server.until(CODE.format(HOST_SAID), 60).out.split()[-1]

    def agree(self, code: str) -> dict[str, str]:
        """Both say that it is the same; what the client is told."""
        self.lab.client.run_as("user", f"echo y >{ANSWER}")
        self.lab.server.run(f"qvd-usb-agent pair {NAME} --code {code}", timeout=120)
        said = self.lab.client.until(f"grep paired {CLIENT_SAID}", 60).out.splitlines()[-1]
        return dict(json.loads(said))

    def certificate(self) -> str:
        """The fingerprint of the host's certificate, as anybody works it out."""
        pem = self.lab.server.run("cat /var/lib/qvd-usbip/endpoint/certificate.pem").out
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.strip())).hexdigest()

    def clients(self) -> list[dict[str, str]]:
        """Who is paired, as the host says."""
        found: list[dict[str, str]] = json.loads(self.lab.server.run("qvd-usb-agent clients --json").out)["clients"]
        return found

    def view(self, user: str) -> dict[str, str]:
        """What one of the container's users may open."""
        found: dict[str, str] = json.loads(self.three.run("python3 /usr/local/bin/users_view.py", user=user).out)
        return found

    def audit(self) -> list[str]:
        """What the journal has about clients, in order."""
        rows = self.lab.server.run("journalctl -b -t qvd-usb-audit -o cat").out.splitlines()
        return [row["event"] for row in map(json.loads, rows) if row["event"] in {"pairing", "pair", "unpair"}]


@pytest.fixture
def pairing(lab: Lab) -> Pairing:
    return Pairing(lab)


def test_paired_by_a_code_a_device_is_in_use_that_way_and_unpaired_it_is_home_and_the_client_told_why(
    pairing: Pairing,
) -> None:
    server, terminal = pairing.lab.server, pairing.terminal
    client_shows, host_shows = pairing.begin()
    assert client_shows == host_shows
    assert pairing.clients() == []
    made = pairing.agree(client_shows)
    (known,) = pairing.clients()
    assert (known["name"], known["container"]) == (made["client"], NAME)
    assert made["host_fingerprint"] == pairing.certificate()

    terminal.command(f"share {shlex.quote(IDENTITY)}")
    terminal.connect_by_name(made["session"])
    told = terminal.until_state(IDENTITY, "in-use")
    assert [step["name"] for step in told["steps"]] == ["released", "exported", "attached", "ready"]
    mine = pairing.view("user")
    assert TTY in mine
    assert any(node.startswith("bus/usb/") for node in mine)
    assert set(mine.values()) == {"ok"}
    assert pairing.view("other") == dict.fromkeys(mine, "EACCES")

    pairing.mark()
    server.run(f"qvd-usb-agent unpair {shlex.quote(known['name'])}", timeout=120)
    assert pairing.clients() == []
    pairing.at_home()
    assert terminal.ended() == NOT_PAIRED.exit_status
    assert "qvd-usb pair HOST" in terminal.said()
    server.until(f'test -z "$(find {NODES}/{NAME} -type c)"')
    assert pairing.audit() == ["pairing", "pair", "unpair"]
