"""The units and rules fit the programs they start."""

import re
from pathlib import Path

import pytest

from server_agent.privileges import NEEDED
from tests.unit.tooling.test_install import EXPECTED

UNITS = (
    "qvd-usb-agent.service",
    "qvd-usb-recover.service",
    "qvd-usb-slaveserver.service",
    "qvd-usb-slaveserver.socket",
)
# Each of these gives a service a mount namespace of its own.
PRIVATE_MOUNTS = re.compile(
    r"^(Private(Tmp|Devices|Mounts|IPC)|Protect(System|Home|Kernel\w+|ControlGroups|Proc)|ProcSubset|Temporary\w+|"
    r"(ReadOnly|ReadWrite|Inaccessible|Exec|NoExec|Bind|BindReadOnly)Paths)=", re.MULTILINE,
)  # fmt: skip


def unit(repository: Path, name: str) -> dict[str, str]:
    text = (repository / "resources/systemd" / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_started_program_is_one_that_is_installed(repository: Path, name: str) -> None:
    assert unit(repository, name)["ExecStart"].split()[0].lstrip("/") in EXPECTED["all"]


@pytest.mark.parametrize("rules", ["70-qvd-create-device.rules", "10-qvd-usbip-host.rules"])
def test_rules_run_only_installed_programs_and_only_below_a_virtual_hub(repository: Path, rules: str) -> None:
    text = (repository / "resources/udev" / rules).read_text(encoding="utf-8")
    programs = {found[1] for found in re.finditer(r'RUN\+="/(\S+)', text)}
    assert programs - EXPECTED["all"].keys() == set()
    effective = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert re.fullmatch(r'DEVPATH!="\*/vhci_hcd\.\*", GOTO="(\w+)"', effective[0])
    assert effective[-1] == f'LABEL="{effective[0].split(chr(34))[3]}"'


def test_no_program_of_another_package_runs_for_what_is_plugged_in_below_a_virtual_hub(repository: Path) -> None:
    """Whatever the kernel names or does not name, one line makes the list of programs final."""
    text = (repository / "resources/udev/10-qvd-usbip-host.rules").read_text(encoding="utf-8")
    final = [line for line in text.splitlines() if 'RUN{builtin}:="' in line]
    assert final[-1].startswith('ACTION!="remove", RUN{builtin}:="')
    assert all('ACTION=="add"' in line for line in final[:-1])


def test_agent_may_do_what_it_keeps_and_no_more(repository: Path) -> None:
    assert set(unit(repository, "qvd-usb-agent.service")["CapabilityBoundingSet"].split()) == {*NEEDED, "CAP_SETPCAP"}


def test_mounts_of_the_agent_are_the_hosts(repository: Path) -> None:
    text = (repository / "resources/systemd/qvd-usb-agent.service").read_text(encoding="utf-8")
    assert PRIVATE_MOUNTS.findall(text) == []


def test_receiver_needs_nothing_that_a_container_may_lack(repository: Path) -> None:
    text = (repository / "resources/systemd/qvd-usb-slaveserver.service").read_text(encoding="utf-8")
    assert PRIVATE_MOUNTS.findall(text) == []


def test_receiver_listens_where_the_session_connects(repository: Path) -> None:
    found = unit(repository, "qvd-usb-slaveserver.socket")
    assert (found["ListenStream"], found["Accept"]) == ("11100", "no")


def test_restarted_agent_finds_the_folders_that_containers_have_mounted(repository: Path) -> None:
    assert unit(repository, "qvd-usb-agent.service")["RuntimeDirectoryPreserve"] == "yes"
