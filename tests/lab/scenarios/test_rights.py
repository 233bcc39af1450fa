"""The back ends for device rights on real kernels: the contract that the unit tests hold on fakes, and real devices.

The map is what every other scenario runs on. Container `one` is given another back end here; `two` keeps the map.
"""

import json
from pathlib import Path

import pytest

from tests.kit import rights_contract
from tests.lab import CommandFailed, Lab
from tests.lab.containers import base_config
from tests.lab.lab import CGROUP_V1
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more
from tests.lab.scenarios.test_agent import Host
from tests.lab.scenarios.test_numbers_used_again import opens_nothing_of_the_next_one

_CASES = Path(__file__).with_name("inside") / "rights_cases.py"
_TOOLS = "/usr/local/lib/lab"


def contract(host: Host, backend: str) -> None:
    """The cases on this guest's kernel."""
    host.server.push(_CASES, f"{_TOOLS}/rights_cases.py")
    host.server.push(rights_contract.__file__, f"{_TOOLS}/tests/kit/rights_contract.py")
    done = host.server.run(f"python3 {_TOOLS}/rights_cases.py {backend}", timeout=120)
    assert len(done.out.splitlines()) == len(rights_contract.CASES) + (backend != "lxc"), done.out


def configure(host: Host, backend: str) -> None:
    """Container one as `lxc-config` writes it."""
    host.one.write_config(f"{base_config('one')}{host.agent(f'lxc-config --backend {backend} one').out}\n")


def backend_of(host: Host, name: str = "one") -> str:
    found = json.loads(host.agent("status --json").out)["containers"]
    return next(str(each["backend"]) for each in found if each["name"] == name)


def a_device_comes_and_goes(host: Host) -> None:
    """Given to one alone, known again after the agent was killed, and taken back by the administrator."""
    host.hand_over()
    host.until_granted()
    assert host.opens("one")
    assert not host.opens("two")
    before = host.devices()
    host.lab.expected_failures.add("qvd-usb-agent.service")
    host.server.run("systemctl kill -s KILL qvd-usb-agent")
    until_agent_says(host.server, "", patience=60)
    assert host.devices() == before
    assert host.opens("one")
    host.agent(f"revoke one {before[0]['busid']}")
    until_agent_says_no_more(host.server, "being revoked")
    assert not host.devices()
    assert not host.opens("one")


@pytest.mark.deep
def test_the_map_and_lxcs_own_list_keep_the_same_promises(lab: Lab) -> None:
    host = Host(lab)
    contract(host, "map")
    host.one.stop(kill=True)
    configure(host, "lxc")
    host.server.run("sed -i '$alxc.cgroup2.devices.allow = c *:* rwm' /var/lib/lxc/one/config")
    with pytest.raises(CommandFailed):
        host.one.start()
    host.server.until("journalctl -t qvd-usb-agent -o cat | grep -q \"'one' is not set up for USB\"")
    configure(host, "lxc")
    host.one.start()
    host.one.wait()
    assert (backend_of(host), backend_of(host, "two")) == ("lxc", "map")
    contract(host, "lxc")
    opens_nothing_of_the_next_one(lab)
    a_device_comes_and_goes(host)


@pytest.mark.cgroup_v1
def test_on_a_host_with_cgroup_v1_the_files_keep_them_too(lab: Lab) -> None:
    lab.boot_anew(lab.server, CGROUP_V1)
    host = Host(lab)
    assert "v1" in host.agent("check", check=False).out
    contract(host, "v1")
    for name in ("one", "two"):
        container = lab.container(name)
        container.write_config(f"{base_config(name)}{host.agent(f'lxc-config {name}').out}\n")
        container.start()
    for name in ("one", "two"):
        lab.container(name).wait()
    assert backend_of(host) == backend_of(host, "two") == "v1"
    a_device_comes_and_goes(host)
    mount = "mkdir -p /sys/fs/cgroup/devices && mount -t cgroup -o devices none /sys/fs/cgroup/devices"
    assert host.one.run(mount, check=False).rc, "a devices.allow of its own is out of its reach"
    assert not host.opens("one")
    opens_nothing_of_the_next_one(lab)
    host.one.stop(kill=True)
    host.server.run("! ls -d /sys/fs/cgroup/*/qvd/one")
