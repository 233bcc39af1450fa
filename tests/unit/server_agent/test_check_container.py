"""`qvd-usb-agent check NAME`: a container's file and what it includes, compared with the lines it needs."""

import json
from pathlib import Path

import pytest

from qvd_usbip.errors import PROBLEMS
from server_agent import check_container, cli, container_config, settings
from server_agent.backend import Backend
from server_agent.commands import lxc_config


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(container_config, "CONTAINERS", tmp_path)
    for module in (check_container, lxc_config):
        monkeypatch.setattr(module, "default_backend", lambda: Backend.MAP)
    monkeypatch.setattr(settings.load, "__defaults__", (tmp_path / "node.conf",))
    (tmp_path / "desk1").mkdir()
    return tmp_path


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    status = cli.main(["check", "desk1", "--json"])
    return status, [f"{row['mark']} {row['text']}" for row in json.loads(capsys.readouterr().out)["checks"]]


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main(["lxc-config", *words, "desk1"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [(), ("--root-uid", "100000")])
def test_the_lines_that_lxc_config_prints_are_all_that_it_needs(
    containers: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """As one include line, and on other terms than this host's own."""
    (containers / "usb.conf").write_text(lines(capsys, "--broker-gid", "989", "--backend", "lxc", *words))
    config = containers / "desk1/config"
    config.write_text(f"lxc.mount.auto = sys:mixed\nlxc.include = {containers}/usb.conf\n")
    assert checked(capsys) == (0, [f"ok every line it needs is in force in {config}"])


def test_a_folder_of_includes_is_read_too(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (containers / "parts").mkdir()
    (containers / "parts/usb.conf").write_text(lines(capsys))
    (containers / "parts/zz.conf").write_text("lxc.apparmor.profile = unconfined\n")
    (containers / "parts/readme").write_text("lxc.seccomp.profile = no\n")
    (containers / "desk1/config").write_text(f"lxc.include = {containers}/parts\n")
    status, found = checked(capsys)
    assert status == PROBLEMS["lxc-config-missing"].exit_status
    assert [line.split("'")[1] for line in found] == ["lxc.apparmor.profile = lxc-container-qvd"]


def test_what_is_missing_is_named_with_its_remedy(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (containers / "desk1/config").write_text("lxc.uts.name = desk1\n")
    assert cli.main(["check", "desk1"]) == PROBLEMS["lxc-config-missing"].exit_status
    out = capsys.readouterr().out
    assert "FAIL  desk1: 'lxc.hook.pre-start = /usr/sbin/qvd-usb-agent hook --container desk1 --backend map" in out
    assert f"Append: lxc.apparmor.profile = lxc-container-qvd (in {containers}/desk1/config)" in out


def test_a_file_that_includes_itself_ends(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = containers / "desk1/config"
    config.write_text(f"lxc.include = {config}\nlxc.include = {config}\n")
    assert checked(capsys)[0] == PROBLEMS["lxc-config-missing"].exit_status


def test_a_container_that_is_not_there(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "desk2"]) == PROBLEMS["container-unknown"].exit_status


def test_an_image_that_attaches_by_itself_is_named_and_lacks_nothing(
    containers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (containers / "desk1/config").write_text(lines(capsys, "--own-attach"))
    status, (complete, cost) = checked(capsys)
    assert status == 0
    assert "every line it needs" in complete
    assert "without the agent" in cost


def test_the_lines_of_an_older_version_are_not_enough(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They named LXC's own profile, with rules added that do not hold against every mount."""
    older = ("profile = generated", "allow_nesting = 1", "raw = deny mount fstype=sysfs,")
    text = "".join(f"lxc.apparmor.{line}\n" for line in older)
    (containers / "desk1/config").write_text(f"{lines(capsys)}{text}")
    status, found = checked(capsys)
    assert status == PROBLEMS["lxc-config-missing"].exit_status
    assert [line.split("'")[1] for line in found] == [
        "lxc.apparmor.profile = lxc-container-qvd", "lxc.apparmor.allow_nesting = 0",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["x", "--broker-gid", "--broker-gid -3", "--broker-gid ٣"])
def test_a_hook_line_with_other_words_is_no_reason_to_end(
    containers: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    (containers / "desk1/config").write_text(f"lxc.hook.pre-start = /usr/sbin/qvd-usb-agent hook {word}\n")
    assert checked(capsys)[0] == PROBLEMS["lxc-config-missing"].exit_status
