"""The commands that explain: which rule decides, what is missing, what happens."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from client_gui import cli, commands, doctor, requirements
from client_gui.helper.authorise import Caller, parse_policy
from client_gui.state import DeviceState, Volume
from client_gui.troubles import fault_of
from client_gui.volumes import Filesystem
from qvd_usbip.errors import DEVICE_LOCKED, HELPER_MISSING, QvdUsbError
from qvd_usbip.finding import Finding
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import program, run, status_of

pytestmark = pytest.mark.usefixtures("at_home")
ENTRY = "0bda:58c2@1234"
KEYBOARD = "03 01 01"
STICK = "08 06 50"
COMPLETIONS = ("qvd-usb.bash", "qvd-usb.zsh", "qvd-usb.fish")


def write_rules(bench: Bench, text: str) -> Path:
    path = Path(bench.files.rules[0])
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_explain_names_the_rule_its_file_and_its_line(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rules(bench, "\nallow any\ndeny class=serial # No adapters\n")
    bench.bus.plug()
    status, out, _ = run(capsys, "explain", "1-4")
    assert status == 0
    assert f'decided by rule 2 of 7, "No adapters" ({path}:3)' in out
    assert "is not shared" in out
    assert f"allow {ENTRY}" in out
    status, out, _ = run(capsys, "explain", ENTRY, "--json")
    (device,) = json.loads(out)["devices"]
    assert (device["allowed"], device["rule"]["line"], device["rule"]["administrator"]) == (False, 3, True)


@pytest.mark.parametrize(
    ("interface", "words"), [("02 02 01", "may be shared"), (KEYBOARD, "only after you agreed"), ("03 00 00", "may be")]
)
def test_explain_says_what_comes_next(
    bench: Bench, capsys: pytest.CaptureFixture[str], interface: str, words: str
) -> None:
    bench.bus.plug(interface=interface)
    assert words in run(capsys, "explain", "0bda:58c2")[1]


@pytest.mark.parametrize(
    ("target", "code"), [("1-9", "device-unknown"), ("0bda:0000", "device-unknown"), ("x", "busid-malformed")]
)
def test_explain_of_no_device(bench: Bench, capsys: pytest.CaptureFixture[str], target: str, code: str) -> None:
    bench.bus.plug()
    assert run(capsys, "explain", target)[0] == status_of(code)


@pytest.mark.parametrize("command", ["policy", "explain 1-4", "share 1-4"])
def test_rules_that_are_not_understood_are_told_with_their_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    write_rules(bench, "deny\n")
    bench.bus.plug()
    status, _, err = run(capsys, *command.split())
    assert status == status_of("settings-malformed")
    assert "usbip-rules.conf, line 1" in err


def test_policy_lists_every_rule_in_order(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_rules(bench, "deny class=storage # No sticks\n")
    status, out, _ = run(capsys, "policy")
    assert status == 0
    assert f"  1  deny   No sticks  ({path}:1)" in out
    assert "group qvdusb and whoever sits at this computer" in out
    rules = json.loads(run(capsys, "policy", "--json")[1])["rules"]
    assert [(rule["number"], rule["owner"]) for rule in rules][:2] == [(1, "administrator"), (2, "built-in")]


def test_share_agrees_to_what_would_be_asked(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.bus.plug(interface=KEYBOARD)
    assert run(capsys, "share", "1-4")[0] == status_of("device-locked")
    status, _, err = run(capsys, "share", "--agree", "1-4")
    assert (status, "stops working" in err) == (0, True)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    assert bench.helper.consents() == [["keyboard"]]


def test_share_unmounts_only_after_a_yes(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = Volume(name="BACKUP", path="/media/user/BACKUP")
    mounted = [Filesystem(node="/dev/sdb1", volume=volume, places=("/media/user/BACKUP",))]
    monkeypatch.setattr("client_gui.advisor.filesystems_of", lambda *_: tuple(mounted))
    monkeypatch.setattr(commands, "unmount", lambda _: mounted.clear())
    bench.bus.plug(interface=STICK)
    status, _, err = run(capsys, "share", "1-4")
    assert status == 0
    assert "qvd-usb share --agree 1-4" in err
    assert mounted
    assert run(capsys, "share", "--agree", "1-4")[0] == 0
    assert not mounted


def test_watch_prints_each_change_until_it_is_told_to_end(bench: Bench, repository: Path) -> None:
    bench.bus.plug()
    watching = program(bench, repository, "watch", "--json")
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert (first["event"], first["device"]["state"]) == ("device", "not-shared")
    bench.configure(ENTRY)
    ticked = json.loads(watching.stdout.readline())["device"]
    assert (ticked["ticked"], ticked["state"] in {"waiting", "blocked"}) == (True, True)  # blocked: no helper here
    bench.configure("")
    assert json.loads(watching.stdout.readline())["device"]["state"] == "not-shared"
    bench.bus.unplug()
    assert json.loads(watching.stdout.readline()) | {"at": 0} == {
        "v": 1, "event": "gone", "at": 0, "gone": {"key": ENTRY},
    }  # fmt: skip
    watching.terminate()
    _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, b"")


@pytest.fixture
def healthy(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computer that lacks nothing, below a folder."""
    root = tmp_path / "root"
    for folder in ("sys/bus/usb/drivers/usbip-host", "run/dbus/system_bus_socket", "run/systemd/sessions"):
        (root / folder).mkdir(parents=True)
    tools = tmp_path / "udisksctl"
    tools.touch()
    monkeypatch.setattr(doctor, "UDISKSCTL", str(tools))
    monkeypatch.setattr(requirements, "helper_fault", lambda _: None)
    caller = Caller(uid=1000, groups=frozenset({"qvdusb"}), seated=False)
    monkeypatch.setattr(requirements, "identify", lambda *_: caller)
    monkeypatch.setattr(requirements, "read_policy", lambda _: parse_policy(""))
    monkeypatch.setattr(platform, "release", lambda: "6.12.95+deb13-amd64")
    monkeypatch.setattr(platform, "version", lambda: "#1 SMP Debian 6.12.95-1 (2026-10-01)")
    return root


def marks(bench: Bench, root: Path) -> dict[str, tuple[str, str]]:
    """Name → mark and remedy."""
    return {each.name: (each.mark, each.remedy) for each in doctor.examine(bench.files, root)}


def test_a_healthy_computer_fails_nothing(bench: Bench, healthy: Path) -> None:
    found = marks(bench, healthy)
    assert {mark for mark, _ in found.values()} == {"ok"}
    assert {"kernel", "helper", "permission", "rules", "volumes", "sleep", "session", "settings"} <= set(found)


def test_each_thing_that_is_missing_names_its_remedy(
    bench: Bench, healthy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.rmtree(healthy / "sys")
    debug = healthy / "sys/module/usbip_core/parameters/usbip_debug_flag"
    debug.parent.mkdir(parents=True)
    debug.write_text("0xffffffff\n")
    missing = fault_of(QvdUsbError(HELPER_MISSING, path="/nowhere"))
    monkeypatch.setattr(requirements, "helper_fault", lambda _: missing)
    monkeypatch.setattr(requirements, "identify", lambda *_: Caller(uid=1000, groups=frozenset(), seated=False))
    monkeypatch.setattr(doctor, "UDISKSCTL", str(tmp_path / "nowhere"))
    monkeypatch.setattr(platform, "release", lambda: "5.4.0")
    monkeypatch.setattr(platform, "version", lambda: "#1")
    monkeypatch.setenv("USER", "lena")
    bench.configure(client__usb__enable="0")
    write_rules(bench, "deny\n")
    Path(bench.files.own_folder).mkdir(parents=True)
    Path(bench.files.own_folder, "devices.json").write_text("?")
    found = marks(bench, healthy)
    failing = {name for name, (mark, _) in found.items() if mark == "FAIL"}
    assert failing == {"settings", "kernel", "helper", "permission", "rules", "memory"}
    assert all(found[name][1] for name in failing)
    assert found["permission"][1] == "As root: usermod -aG qvdusb lena; then log in again."
    assert found["volumes"] == ("warn", "As root: apt-get install udisks2")
    assert found["debugging"] == ("warn", "As root: echo 0 >/sys/module/usbip_core/parameters/usbip_debug_flag")
    assert found["defect export-race"][0] == "ok"  # worked around
    assert found["defect unbind-use-after-free"] == (
        "warn",
        "As root: apt-get update && apt-get full-upgrade; then start this computer anew.",
    )


def write_helper(bench: Bench, body: str) -> None:
    path = bench.folder / "bin/helper"
    path.write_text(f"#!/bin/sh\n{body}\n")


@pytest.mark.parametrize(
    ("body", "text", "remedy"),
    [
        (
            "echo 'error: The file /x cannot be trusted.' >&2; echo '  As root: chmod go-w /x' >&2; exit 87",
            "The file /x cannot be trusted.",
            "As root: chmod go-w /x",
        ),
        ("exit 87", "cannot be trusted", "writable by root only"),
        ("kill -9 $$", "signal 9", "log"),
        ("exec sleep 5", "did not answer", "unplug"),
    ],
)
def test_a_helper_that_is_there_and_does_not_work_fails(
    bench: Bench, healthy: Path, monkeypatch: pytest.MonkeyPatch, body: str, text: str, remedy: str
) -> None:
    monkeypatch.setattr("client_gui.recovery.LIMIT", 1.0 if "sleep" in body else 30.0)
    write_helper(bench, body)
    (found,) = [each for each in doctor.examine(bench.files, healthy) if each.name == "helper"]
    assert found.failed
    assert text in found.text
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("body", "mark", "text"),
    [
        ("echo insmod /lib/modules/usbip-host.ko", "ok", "the helper loads it"),
        ("echo 'install /bin/false '", "FAIL", "'/bin/false' in its place"),
        ("echo 'modprobe: FATAL: Key was rejected' >&2; exit 1", "FAIL", "Key was rejected"),
        ("exit 3", "FAIL", "ended with 3"),
        ("", "FAIL", "no modprobe"),
    ],
)
def test_a_module_that_would_not_be_loaded_fails(
    bench: Bench, healthy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, mark: str, text: str
) -> None:
    (healthy / "sys/bus/usb/drivers/usbip-host").rmdir()
    modprobe = tmp_path / "modprobe"
    monkeypatch.setattr(doctor, "MODPROBE", (str(modprobe),))
    monkeypatch.setattr(requirements, "kernel_fault", lambda _: None)
    if body:
        modprobe.write_text(f'#!/bin/sh\n[ "$*" = "--dry-run --verbose usbip-host" ] || exit 9\n{body}\n')
        modprobe.chmod(0o755)
    (found,) = [each for each in doctor.examine(bench.files, healthy) if each.name == "kernel"]
    assert (found.mark, text in found.text, bool(found.remedy)) == (mark, True, mark == "FAIL")


def test_a_helper_that_others_may_write_fails(bench: Bench, healthy: Path) -> None:
    path = bench.folder / "bin/helper"
    path.chmod(0o775)
    assert marks(bench, healthy)["helper"] == ("FAIL", f"As root: chmod go-w {path}")


def test_a_session_that_does_not_answer_fails(bench: Bench, healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = {"connected": False, "address": "desk:11100", "text": "Work: connecting"}
    monkeypatch.setattr(doctor, "read_status", lambda _: {"session": view})
    assert marks(bench, healthy)["session"][0] == "FAIL"
    view["connected"] = True
    assert marks(bench, healthy)["session"][0] == "ok"


def test_a_session_that_is_kept_away_fails_with_its_own_reason(
    bench: Bench, healthy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = {"code": "slave-refused-key", "text": "The session refused its key.", "remedy": "Reconnect."}
    view = {"connected": False, "address": "desk:11100", "text": "Work: refused", "problem": "slave-refused-key"}
    monkeypatch.setattr(doctor, "read_status", lambda _: {"session": view, "problems": [trouble]})
    assert marks(bench, healthy)["session"] == ("FAIL", "Reconnect.")


def test_doctor_s_exit_status_is_that_of_the_first_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Finding(name="b", text="bad", remedy="repair", exit_status=DEVICE_LOCKED.exit_status)
    findings = [Finding(name="a", text="good"), bad]
    monkeypatch.setattr("client_gui.inquiries.examine", lambda _: findings)
    status, out, _ = run(capsys, "doctor")
    assert status == DEVICE_LOCKED.exit_status
    assert out == "ok    a: good\nFAIL  b: bad\n      repair\n"
    checks = json.loads(run(capsys, "doctor", "--json")[1])["checks"]
    assert [check["ok"] for check in checks] == [True, False]
    findings.pop()
    assert run(capsys, "doctor")[0] == 0
    findings.append(Finding(name="c", text="so so", remedy="mend"))
    assert run(capsys, "doctor")[0] == 1


def subcommands() -> set[str]:
    parser = cli.parser()
    (action,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    return set(action.choices)


@pytest.mark.parametrize("name", COMPLETIONS)
def test_each_command_is_completed(repository: Path, name: str) -> None:
    text = (repository / "resources/completion" / name).read_text()
    assert {command for command in subcommands() if command in text.replace(":", " ").replace("'", " ").split()
            or f'"{command} ' in text} == subcommands()  # fmt: skip
    for flag in ("agree", "json", "session-fd"):
        assert flag in text


def test_bash_completes_devices_and_flags(repository: Path, tmp_path: Path) -> None:
    fake = tmp_path / "qvd-usb"
    fake.write_text("#!/bin/sh\necho PORT DEVICE\necho 1-4.2 0bda:58c2\necho - 0441:0012\n")
    fake.chmod(0o755)
    script = (
        f"source {repository}/resources/completion/qvd-usb.bash\n"
        'COMP_WORDS=(qvd-usb share "") COMP_CWORD=2; _qvd_usb; echo "${COMPREPLY[*]}"\n'
        'COMP_WORDS=(qvd-usb ex) COMP_CWORD=1; _qvd_usb; echo "${COMPREPLY[*]}"\n'
        'COMP_WORDS=(qvd-usb mode 1) COMP_CWORD=2; _qvd_usb; echo "${COMPREPLY[*]}"\n'
        'COMP_WORDS=(qvd-usb mode 1-4.2 "") COMP_CWORD=3; _qvd_usb; echo "${COMPREPLY[*]:0:3}"\n'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == ["--agree --json --help 1-4.2", "explain", "1-4.2", "manual ask automatic"]


def test_watch_shows_what_the_engine_that_shares_does(bench: Bench, repository: Path) -> None:
    bench.runtime = bench.runtime / "qvd-usbip"
    bench.bus.plug()
    bench.configure(ENTRY)
    bench.run().set_session(bench.session())
    bench.wait_state(DeviceState.IN_USE)
    watching = program(bench, repository, "watch")
    assert watching.stdout is not None
    deadline = time.monotonic() + 30
    lines: list[bytes] = []
    while not any(b"in use remotely" in line for line in lines):
        assert time.monotonic() < deadline
        lines.append(watching.stdout.readline())
    watching.terminate()
    watching.communicate(timeout=60)
