"""`qvd-usb-agent`: what people and programs see when all is well."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qvd_usbip.errors import PROBLEMS
from server_agent import asking, cli, lxc, settings

STATUS = {
    "containers": [
        {
            "name": "one", "hub": "vhci_hcd.1", "ports": None, "phase": "in-force",
            "devices": [
                {
                    "port": "vhci_hcd.1/hs/0", "busid": "5-1", "stage": "authorised", "attach": "x", "stuck": False,
                    "rights": {"c 166:0": "granted"}, "nodes": {"c 166:0": "ttyACM0"},
                }
            ],
        },
        {"name": "two", "hub": None, "ports": None, "without_usb": "no-free-hub", "phase": "in-force", "devices": []},
        {"name": "off", "hub": None, "ports": None, "without_usb": "hubs-disabled", "phase": "in-force", "devices": []},
        {"name": "three", "hub": "vhci_hcd.3", "ports": "5-8", "phase": "in-force", "devices": []},
    ],
    "revoking": ["one c 189:5"],
    "quarantine": [{"lease": "vhci_hcd.2", "reason": "in use"}],
    "unrecorded": "No space left on device",
}  # fmt: skip
HUBS = {
    "hubs": [
        {
            "hub": "vhci_hcd.1", "buses": [5, 6], "containers": [{"name": "one", "ports": None}],
            "ports_used": ["vhci_hcd.1/hs/0"], "quarantine": "",
        },
        {"hub": "vhci_hcd.2", "buses": [7, 8], "containers": [], "ports_used": [], "quarantine": "vhci_hcd.2: in use"},
        {"hub": "vhci_hcd.3", "buses": [9, 10], "containers": [], "ports_used": [], "quarantine": ""},
        {
            "hub": "vhci_hcd.4", "buses": [11, 12],
            "containers": [{"name": "three", "ports": "1-4"}, {"name": "four", "ports": "5-8"}],
            "ports_used": [], "quarantine": "",
        },
    ]
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """An agent that answers everything well; what it was asked."""
    requests: list[dict[str, Any]] = []
    answers: dict[str, dict[str, Any]] = {
        "status": STATUS,
        "hubs": HUBS,
        "reserve": {"hub": "vhci_hcd.1"},
        "release": {},
        "revoke": {},
        "confirm": {},
        "explain": {"lines": ["one has a hub.", "It is well."]},
    }

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        requests.append(request)
        return answers[request["op"]]

    monkeypatch.setattr(asking, "ask", ask)
    for reader in (settings.load, settings.values, settings.save):
        monkeypatch.setattr(reader, "__defaults__", (tmp_path / "node.conf",))
    for name in ("LXC_NAME", "LXC_HOOK_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return requests


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(words) == 0
    return capsys.readouterr().out


@pytest.mark.usefixtures("asked")
def test_status_shows_containers_devices_rights_and_what_is_owed(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "status")
    for part in (
        "one  vhci_hcd.1  in-force",
        "5-1",
        "c 166:0",
        "/dev/ttyACM0",
        "two  no hub: starts without USB",
        "off  hubs were switched off: starts without USB",
        "three  vhci_hcd.3 ports 5-8",
        "one c 189:5",
        "not lent: vhci_hcd.2: in use",
        "ledger is not written: No space left on device",
    ):
        assert part in out
    assert json.loads(said(capsys, "status", "--json")) == STATUS


@pytest.mark.usefixtures("asked")
def test_hubs_shows_who_has_them_and_why_nobody_may(capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third, fourth = said(capsys, "hubs").splitlines()
    assert "one" in first
    assert "vhci_hcd.1/hs/0" in first
    assert second.endswith("not lent: vhci_hcd.2: in use")
    assert fourth.endswith("three (ports 1-4), four (ports 5-8)")
    assert third.endswith("free")
    assert json.loads(said(capsys, "hubs", "--json")) == HUBS


def test_requests_say_what_is_meant(asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "reserve", "desk1", "--broker-gid", "7") == "desk1 has vhci_hcd.1\n"
    said(capsys, "hook", "--broker-gid", "7", "desk1", "lxc", "pre-start")
    said(capsys, "hook", "--backend", "lxc", "desk1", "lxc", "pre-start")
    said(capsys, "hook", "--backend", "lxc", "desk1", "lxc", "start-host")
    said(capsys, "hook", "desk1", "lxc", "post-stop")
    said(capsys, "release", "desk1")
    said(capsys, "revoke", "desk1", "5-1")
    assert asked == [
        {"op": "reserve", "container": "desk1", "broker_gid": 7, "backend": "map"},
        {"op": "reserve", "container": "desk1", "broker_gid": 7, "backend": "map"},
        {"op": "reserve", "container": "desk1", "broker_gid": 0, "backend": "lxc"},
        {"op": "confirm", "container": "desk1"},
        {"op": "release", "container": "desk1"},
        {"op": "release", "container": "desk1"},
        {"op": "revoke", "container": "desk1", "busid": "5-1"},
    ]


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("no-free-hub", "No virtual hub is free for container 'desk1'"),
        ("hubs-disabled", "Container 'desk1' has no USB: vm.lxc.use_vhci_hubs was not 1"),
    ],
)
def test_a_start_without_a_hub_goes_on_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], why: str, said: str
) -> None:
    monkeypatch.setattr(asking, "ask", lambda _: {"hub": "", "without_usb": why})
    monkeypatch.setenv("LXC_NAME", "desk1")
    monkeypatch.setenv("LXC_HOOK_TYPE", "pre-start")
    assert cli.main(["hook"]) == 0
    assert said in capsys.readouterr().err
    assert cli.main(["reserve", "desk1"]) == PROBLEMS[why].exit_status
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("asked")
def test_settings_are_shown_and_set(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert said(capsys, "config", "get", "vm.lxc.use_vhci_hubs") == "0\n"
    said(capsys, "config", "set", "key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1")
    assert (tmp_path / "node.conf").read_text() == "vm.lxc.use_vhci_hubs=1\n"
    assert json.loads(said(capsys, "config", "get", "--json"))["vm.lxc.use_vhci_hubs"] == "1"
    assert "vm.hypervisor=lxc\n" in said(capsys, "config", "get")
    said(capsys, "config", "set", "path.storage.root", "/srv")
    assert "path.storage.devicefs=/srv/devicefs\n" in said(capsys, "config", "list")


@pytest.mark.usefixtures("asked")
def test_lxc_config_is_the_same_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line for line in said(capsys, "lxc-config", "desk1").splitlines() if not line.startswith("#")]
    assert json.loads(said(capsys, "lxc-config", "desk1", "--json"))["lines"] == lines


def test_one_line_includes_what_is_written_for_a_container(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: object
) -> None:
    monkeypatch.setattr(lxc, "INCLUDES", tmp_path / "lxc")
    lines = said(capsys, "lxc-config", "desk1", "--broker-gid", "7")
    assert said(capsys, "lxc-config", "desk1", "--broker-gid", "7", "--write") == (
        f"lxc.include = {tmp_path}/lxc/desk1.conf\n"
    )
    assert (tmp_path / "lxc/desk1.conf").read_text() == lines
    assert json.loads(said(capsys, "lxc-config", "desk1", "--write", "--json"))["lines"] == [
        f"lxc.include = {tmp_path}/lxc/desk1.conf"
    ]


def test_what_happens_is_shown_line_by_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"v": 1, "event": "grant", "container": "one", "device": "3-1", "time": "2026-01-01T10:00:00.000+00:00"}
    monkeypatch.setattr(asking, "watch", lambda: iter([row, row]))
    assert said(capsys, "watch") == "10:00:00.000  grant       one  3-1\n" * 2
    assert [json.loads(line) for line in said(capsys, "watch", "--json").splitlines()] == [row, row]


@pytest.mark.usefixtures("asked")
def test_why_things_are_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "explain", "one") == "one has a hub.\nIt is well.\n"
    assert json.loads(said(capsys, "explain", "one", "--json"))["lines"][0] == "one has a hub."


@pytest.mark.parametrize(
    "words",
    [
        (), ("run",), ("check",), ("status",), ("hubs",), ("watch",), ("explain",), ("lxc-config",), ("hook",),
        ("reserve",), ("release",), ("revoke",), ("config", "get"), ("config", "list"), ("config", "set"),
    ],
)  # fmt: skip
def test_help_has_an_example(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words, "--help"])
    assert ended.value.code == 0
    assert "example" in capsys.readouterr().out


def test_the_command_line_needs_nothing_of_the_server_extras() -> None:
    program = "import sys; sys.modules.update(pyudev=None, psutil=None, prctl=None, h11=None); import server_agent.cli"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(cli.__file__).parents[1])


@pytest.mark.parametrize("words", [["status"], ["hook", "desk1", "lxc", "pre-start"]])
def test_what_a_starting_container_waits_for_reads_little(words: list[str]) -> None:
    """Each of these modules costs more than the question itself."""
    dear = {"asyncio", "ssl", "dataclasses", "pathlib", "typing", "server_agent.state"}
    program = (
        "import sys; sys.path.insert(0, '.'); from server_agent import asking, cli; "
        f"asking.ask.__defaults__ = ('/nowhere', 1.0); cli.main({words}); print(*({dear} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        check=True, cwd=Path(cli.__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    assert "does not answer" in done.stderr, "it went as far as to ask"
    assert done.stdout.strip() == ""
