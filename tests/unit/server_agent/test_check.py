"""`qvd-usb-agent check`: what a host lacks is named with its remedy, and the first lack is the exit status."""

import json
from pathlib import Path

import pytest

from qvd_usbip.errors import PROBLEMS
from server_agent import check, cli, lxc, settings
from tests.unit.server_agent.fake_vhci import FakeVhci


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that has everything; a test takes one thing away."""
    FakeVhci(root=tmp_path / "sys").make()
    parts = {
        "UNIFIED": "sys/fs/cgroup/cgroup.controllers", "APPARMOR": "sys/module/apparmor/parameters/enabled",
        "ROOT_MOUNTS": "mounts",
    }  # fmt: skip
    monkeypatch.setattr(check, "SYSFS", tmp_path / "sys")
    for name, path in parts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(check, name, tmp_path / path)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "sys/module/apparmor/parameters/enabled").write_text("Y\n")
    (tmp_path / "mounts").write_text("bpf /sys/fs/bpf bpf rw 0 0\n")
    (tmp_path / "seccomp").touch()
    monkeypatch.setattr(lxc, "SECCOMP", str(tmp_path / "seccomp"))
    monkeypatch.setattr("server_agent.check.shutil.which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "node.conf").write_text("vm.lxc.use_vhci_hubs=1\n")
    monkeypatch.setattr(settings.load, "__defaults__", (tmp_path / "node.conf",))
    return tmp_path


def lacks(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    status = cli.main(["check", "--json"])
    rows = json.loads(capsys.readouterr().out)["checks"]
    return status, {row["name"]: row["remedy"] for row in rows if not row["ok"]}


def test_a_host_that_has_everything(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lacks(capsys) == (0, {})
    assert cli.main(["check"]) == 0
    out = capsys.readouterr().out
    assert "global-ports: 2 containers at once, 2 ports each" in out
    assert "FAIL" not in out


@pytest.mark.parametrize(
    ("place", "content", "name", "code", "remedy"),
    [
        ("node.conf", "", "setting", "hubs-disabled", "value=1"),
        ("node.conf", "vm.lxc.use_vhci_hubs=maybe", "setting", "settings-malformed", "configuration file"),
        ("sys/fs/cgroup/cgroup.controllers", None, "cgroup", "bpf-unavailable", "cgroup v2"),
        ("mounts", "", "bpf", "bpf-unavailable", "/sys/fs/bpf"),
        ("sys/module/apparmor/parameters/enabled", "N\n", "apparmor", "lxc-config-missing", "apparmor=1"),
        ("seccomp", None, "lxc", "lxc-config-missing", "make install ROLE=server"),
    ],
)
def test_each_lack_has_its_remedy(
    host: Path, capsys: pytest.CaptureFixture[str], place: str, content: str | None, name: str, code: str, remedy: str
) -> None:
    if content is None:
        (host / place).unlink()
    else:
        (host / place).write_text(content)
    status, found = lacks(capsys)
    assert list(found) == [name]
    assert remedy in found[name]
    assert status == PROBLEMS[code].exit_status


def test_without_the_module_the_way_to_load_it_is_said(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "SYSFS", host / "empty")
    status, found = lacks(capsys)
    assert status == PROBLEMS["vhci-missing"].exit_status
    assert "modprobe vhci-hcd" in found["module"]


def test_a_single_hub_is_no_hub_to_lend(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "SYSFS", FakeVhci(root=host / "single", hubs=1).make().root)
    status, found = lacks(capsys)
    assert list(found) == ["hubs"]
    assert status == PROBLEMS["vhci-no-hubs"].exit_status
