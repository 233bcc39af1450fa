"""The host's agent on a real kernel: what it refuses, what it survives, and that nothing is left over.

The device is plugged into the server guest itself and handed to the broker there: no client, no image is in the way.
"""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab, Result
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more

pytestmark = pytest.mark.deep

IDENTITY = "0bda 58c2 1234"
_HAND_OVER = Path(__file__).with_name("inside") / "hand_over.py"
#: The agent's own record: the containers came up long ago. A young one that is not there may still be starting.
LONG_AGO = """
import json, pathlib
ledger = pathlib.Path("/var/lib/qvd-usbip/ledger.json")
said = json.loads(ledger.read_text())
for container in said["containers"]:
    container["since"] -= 60
ledger.write_text(json.dumps(said))
"""
LEFT = "ls /sys/fs/bpf/qvd /sys/fs/cgroup/qvd /var/lib/qvd/storage/devicefs /run/qvd-usbip/broker"


class Host:
    """The server guest, its agent, and a serial adapter in one of its own ports."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.server
        self.one = lab.container("one")
        self.server.push(_HAND_OVER, "/usr/local/bin/hand_over.py")
        self.server.gadget("adapter", "acm", "0bda", "58c2", "1234")
        self.server.until("cat /sys/bus/usb/devices/*/serial 2>/dev/null | grep -qx 1234")

    def hand_over(self, target: str = "one", *, check: bool = True) -> Result:
        """Attaches the adapter to a container, or to a port of hub 0."""
        return self.server.run(f"python3 /usr/local/bin/hand_over.py {target} {IDENTITY}", check=check)

    def agent(self, words: str, *, check: bool = True) -> Result:
        return self.server.run(f"qvd-usb-agent {words}", check=check)

    def devices(self, container: str = "one") -> list[dict[str, dict[str, str]]]:
        """What the agent says the container has."""
        found = json.loads(self.agent("status --json").out)["containers"]
        return [device for each in found if each["name"] == container for device in each["devices"]]

    def hub(self, container: str) -> str | None:
        found = json.loads(self.agent("status --json").out)["containers"]
        hubs: list[str | None] = [each["hub"] for each in found if each["name"] == container]
        return hubs[0] if hubs else None

    def opens(self, container: str = "one") -> bool:
        """Whether root of a container may open the adapter, by a node of its own making."""
        node = "/root/tty"
        program = f"import os; os.open({node!r}, os.O_RDWR | os.O_NONBLOCK)"
        words = f"test -e {node} || mknod {node} c 166 0; {shlex.join(['python3', '-c', program])}"
        done = self.lab.container(container).run(words, check=False)
        assert not done.rc or "PermissionError" in done.out or "No such device" in done.out, done.out
        return not done.rc

    def until_granted(self) -> None:
        until_agent_says(self.server, "c 166:0 *granted")


@pytest.fixture
def host(beginning: Callable[[Callable[[Lab], Host]], Host]) -> Host:
    return beginning(Host)


def test_2_5_a_device_is_its_containers_and_another_one_does_not_get_at_it_even_with_root(host: Host) -> None:
    host.hand_over()
    host.until_granted()
    assert host.opens("one")
    assert not host.opens("two")
    seen = "cat /sys/bus/usb/devices/*/idVendor"
    assert "0bda" in host.one.run(seen, user="other").out.split(), "libusb reads this as the user"
    assert "0bda" not in host.lab.container("two").run(seen, check=False).out.split()


def test_what_is_open_ends_when_the_administrator_revokes(host: Host) -> None:
    host.hand_over()
    host.until_granted()
    assert host.opens("one")
    host.one.run("systemd-run -q --unit=reader cat /root/tty")
    busid = host.devices()[0]["busid"]
    assert host.agent(f"revoke one {busid}").out.startswith(f"{busid} is taken from one")
    host.one.run("for i in $(seq 50); do systemctl is-active -q reader || exit 0; sleep .2; done; exit 1")
    assert not host.devices()
    assert not host.opens("one")
    assert host.agent(f"revoke one {busid}", check=False).rc == 98


def test_killed_it_knows_everything_again(host: Host) -> None:
    host.hand_over()
    host.until_granted()
    before = host.devices()
    host.lab.expected_failures.add("qvd-usb-agent.service")
    host.server.run("systemctl kill -s KILL qvd-usb-agent")
    assert host.opens("one"), "what was given works without the agent"
    until_agent_says(host.server, "", patience=60)
    assert host.devices() == before
    assert host.opens("one")
    assert not host.opens("two")


def test_what_went_while_it_was_away_leaves_no_right(host: Host) -> None:
    attach_id = host.hand_over().out
    host.until_granted()
    host.server.run("systemctl stop qvd-usb-agent")
    host.server.gadget_remove("adapter")
    host.server.run("systemctl start qvd-usb-agent")
    until_agent_says_no_more(host.server, "166:0")
    assert not host.devices()
    host.server.until(f"! grep -F {attach_id} /var/lib/qvd-usbip/ledger.json")


def test_a_container_is_not_started_without_the_agent(host: Host) -> None:
    host.one.stop(kill=True)
    host.server.run("systemctl stop qvd-usb-agent")
    assert host.server.run("lxc-start -n one", check=False).rc
    host.server.until("journalctl -t qvd-usb-agent -o cat | grep -q 'systemctl start qvd-usb-agent'")
    host.server.run("systemctl start qvd-usb-agent")
    host.one.start()
    assert host.hub("one")


def test_stopped_with_a_device_nothing_is_left_and_the_hub_is_free(host: Host) -> None:
    hub = host.hub("one")
    host.hand_over()
    host.until_granted()
    host.one.stop(kill=True)
    assert host.hub("one") is None
    assert "one" not in host.server.run(LEFT).out.split()
    host.server.until("cat /sys/bus/usb/drivers/usbip-host/*/usbip_status | grep -qx 1")
    host.one.start()
    assert host.hub("one") == hub


def test_stopped_while_the_agent_is_away_it_is_released_when_the_agent_comes(host: Host) -> None:
    host.hand_over()
    host.server.run("systemctl stop qvd-usb-agent")
    host.one.stop(kill=True)
    host.server.run(f"python3 -c {shlex.quote(LONG_AGO)}")
    host.server.run("systemctl start qvd-usb-agent")
    until_agent_says_no_more(host.server, "^one ", patience=90)
    assert "one" not in host.server.run(LEFT).out.split()


def test_a_reboot_from_inside_gives_the_device_back(host: Host) -> None:
    host.hand_over()
    host.until_granted()
    host.one.run("systemctl reboot", check=False)
    host.server.until("cat /sys/bus/usb/drivers/usbip-host/*/usbip_status | grep -qx 1", 90)
    host.one.wait()
    assert not host.devices()
    assert host.hub("one")


def test_a_hub_that_is_not_empty_is_held_back_and_without_a_hub_a_container_starts_without_usb(host: Host) -> None:
    host.agent("config set vm.lxc.usb.shared_hubs 0")
    host.one.stop(kill=True)
    rows = json.loads(host.agent("hubs --json").out)
    free = [row["hub"] for row in rows["hubs"] if not row["containers"]]
    first = int(free[0].partition(".")[2])
    port = 2 * rows["ports_per_half"] * first
    host.hand_over(str(port))
    for number, hub in enumerate(free[1:]):
        assert host.agent(f"reserve other{number}").out == f"other{number} has {hub}"
    held = next(row for row in json.loads(host.agent("hubs --json").out)["hubs"] if row["hub"] == free[0])
    assert held["quarantine"].startswith(f"{free[0]}: in use")
    assert host.agent("reserve late", check=False).rc == 62

    host.one.start()
    host.one.wait()
    assert host.one.run("ls /sys/devices/platform").out == ""
    assert not host.opens("one"), "its map is in force all the same"
    host.server.until("journalctl -t qvd-usb-agent -o cat | grep -q 'No virtual hub is free'")

    host.server.run(f"echo {port} >/sys/devices/platform/vhci_hcd.0/detach")
    host.server.until("cat /sys/bus/usb/drivers/usbip-host/*/usbip_status | grep -qx 1")
    assert host.hand_over(check=False).out.endswith("no-free-hub")
    host.server.run("systemctl restart qvd-usb-agent")
    held = next(row for row in json.loads(host.agent("hubs --json").out)["hubs"] if row["hub"] == free[0])
    assert held["quarantine"] == ""
