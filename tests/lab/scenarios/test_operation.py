"""Running the agent on a real host: what an administrator sees of it, what systemd holds it to, how little it needs."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server_agent.privileges import NEEDED
from tests.lab import Lab
from tests.lab.containers import base_config
from tests.lab.scenarios.agent_asked import until_agent_says
from tests.lab.scenarios.test_agent import IDENTITY, Host

pytestmark = pytest.mark.deep

AUDIT = "journalctl -t qvd-usb-audit -o cat"
WAY = Counter(attach=1, grant=2, authorise=1, revoke=2, detach=1)
# Their numbers: include/uapi/linux/capability.h
CAPABILITIES = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_NET_ADMIN": 12, "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27,
}  # fmt: skip

LACKING = Path(__file__).with_name("inside") / "lacking.py"
#: Without a capability, what the agent cannot do.
FAILS = {
    "CAP_SYS_ADMIN": "start", "CAP_NET_ADMIN": "start", "CAP_DAC_OVERRIDE": "release", "CAP_CHOWN": "reserve",
    "CAP_MKNOD": "lend", "CAP_SETPCAP": "start",
}  # fmt: skip


@pytest.fixture
def host(beginning: Callable[[Callable[[Lab], Host]], Host]) -> Host:
    return beginning(Host)


def rows(text: str) -> Iterator[dict[str, Any]]:
    yield from (json.loads(line) for line in text.splitlines() if line.startswith("{"))


def test_each_step_is_in_the_journal_in_the_figures_and_before_who_watches_and_is_explained(host: Host) -> None:
    server = host.server
    host.agent("config set vm.lxc.usb.status_group nogroup")
    server.run("systemctl restart qvd-usb-agent")
    server.spawn("exec qvd-usb-agent watch --json >/run/watched", "watcher")
    server.until("ss -xp | grep control.sock | grep -q ESTAB")
    host.hand_over()
    host.until_granted()
    busid = host.devices()[0]["busid"]
    for subject in ("one", busid):
        said = host.agent(f"explain {subject}").out
        assert f"{busid}: in use." in said
        assert "right given by rule 'default': /dev/ttyACM0." in said
    host.agent(f"revoke one {busid}")
    server.until(f"{AUDIT} QVD_CONTAINER=one QVD_EVENT=detach | grep -q held_ms")
    told = list(rows(server.run(f"{AUDIT} QVD_CONTAINER=one QVD_DEVICE={busid}").out))
    assert Counter(row["event"] for row in told) == WAY
    assert [told[0]["event"], told[-1]["event"]] == ["attach", "detach"]
    assert {row.get("identity") for row in told[1:]} == {"0bda:58c2@1234"}
    assert [row["rule"] for row in told] == ["lease", *["default"] * (len(told) - 1)]
    assert all("ms" in row for row in told if row["event"] in {"attach", "grant"})
    assert {row["node"].split("/")[2] for row in told if row["event"] == "grant"} == {"bus", "ttyACM0"}
    assert all("held_ms" in row for row in told if row["event"] in {"revoke", "detach"})
    watched = [row["event"] for row in rows(server.run("cat /run/watched").out)]
    assert Counter(watched) == WAY
    server.until("grep -qx 'qvd_usb_grants_total 2.0' /run/qvd-usbip/metrics.prom", 40)

    looking = "runuser -u nobody -g nogroup -- qvd-usb-agent"
    assert json.loads(server.run(f"{looking} status --json").out)["containers"]
    refused = server.run(f"{looking} release one", check=False)
    assert refused.rc
    assert "may look at what qvd-usb-agent does, but not change it" in refused.out
    server.run("qvd-usb-agent reserve one", check=False)
    *_, refusal = rows(server.run(f"{AUDIT} QVD_CONTAINER=one QVD_EVENT=refusal").out)
    assert (refusal["rule"], "ms" in refusal) == ("container-busy", True)
    assert server.run("runuser -u nobody -g daemon -- qvd-usb-agent status", check=False).rc == 71


def test_systemd_holds_the_agent_to_little_and_to_being_alive(host: Host) -> None:
    """Capabilities, system calls and the host's own mounts; and the loop that decides says that it lives."""
    server = host.server
    pid = server.run("systemctl show -P MainPID qvd-usb-agent").out
    lines = server.run(f"cat /proc/{pid}/status").out.splitlines()
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    wanted = sum(1 << CAPABILITIES[name] for name in NEEDED)
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {wanted}
    assert (int(status["CapInh"], 16), status["NoNewPrivs"], status["Seccomp"]) == (0, "1", "2")
    server.run("systemd-analyze security --threshold=50 qvd-usb-agent >/dev/null")
    assert server.run(f"readlink /proc/{pid}/ns/mnt").out == server.run("readlink /proc/1/ns/mnt").out
    assert server.run("systemctl show -P WatchdogUSec qvd-usb-agent").out == "1min"
    beat = server.run("systemctl show -P WatchdogTimestampMonotonic qvd-usb-agent").out
    server.until(f"test $(systemctl show -P WatchdogTimestampMonotonic qvd-usb-agent) -gt {beat}", 40)


def test_without_any_one_of_its_capabilities_the_agent_cannot_do_all_that_it_has_to_and_says_so(host: Host) -> None:
    server = host.server
    before = [(each["name"], each["hub"]) for each in json.loads(host.agent("status --json").out)["containers"]]
    server.push(LACKING, "/usr/local/bin/lacking.py")
    server.run("systemctl stop qvd-usb-agent qvd-usb-endpoint")
    found = server.run(f"python3 -I /usr/local/bin/lacking.py {IDENTITY}", timeout=240).out
    came = {lacks: (order, said) for lacks, order, said in map(json.loads, found.splitlines())}
    assert came.pop("") == ("", ""), "with all of them it can"
    assert {lacks: order for lacks, (order, _) in came.items()} == FAILS, came
    for lacks, (_, said) in came.items():
        assert "ermi" in said, (lacks, said)
    server.run("systemctl start qvd-usb-agent")
    after = [(each["name"], each["hub"]) for each in json.loads(host.agent("status --json").out)["containers"]]
    assert after == before


def test_2_1_the_module_is_needed_and_with_one_line_a_container_has_usb_again(host: Host) -> None:
    """§2.1, §2.6: the module is available and loaded, here without a reboot; and the agent survives its going."""
    server = host.server
    for name in ("one", "two"):
        host.lab.container(name).stop(kill=True)
    server.run("rmmod vhci_hcd")
    until_agent_says(server, "no hub can be lent", "hubs")
    assert host.agent("check", check=False).rc == 60
    server.run("systemctl restart qvd-usb-agent")
    assert host.agent("check").out.count("FAIL") == 0
    group = server.run("awk -F: '$1 == \"qvduser\" {print $3}' /srv/ctroot/etc/group").out
    line = host.agent(f"lxc-config --broker-gid {group} one --write").out
    assert line == "lxc.include = /var/lib/qvd-usbip/lxc/one.conf"
    host.one.write_config(f"{base_config('one')}{line}\n")
    host.one.start()
    host.one.wait()
    host.hand_over()
    host.until_granted()
    assert host.opens("one")
