"""The command `qvd-usb`: what a person types, what is printed, and the exit status of what went wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from client_gui import cli
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import program, run, status_of

pytestmark = pytest.mark.usefixtures("at_home")
ENTRY = "0bda:58c2@1234"


def test_list_shows_each_device(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.bus.plug("1-5", serial="", interface="03 01 01")
    bench.configure(ENTRY)
    status, out, err = run(capsys, "list")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["PORT", "DEVICE", "SHARE", "KIND", "STATE", "NAME"]
    assert any(all(word in line for word in ("1-4", ENTRY, "yes", "serial-adapter", "waiting")) for line in lines)
    assert any(all(word in line for word in ("1-5", "no", "keyboard", "locked")) for line in lines)


def test_list_as_json(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    status, out, _ = run(capsys, "list", "--json")
    (device,) = json.loads(out)["devices"]
    assert status == 0
    assert (device["busid"], device["vid_pid"], device["serial"], device["ticked"], device["state"]) == (
        "1-4", "0bda:58c2", "1234", False, "not-shared",
    )  # fmt: skip


def test_list_with_nothing_plugged_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "list") == (0, "No USB devices are plugged in.\n", "")


@pytest.mark.parametrize(
    ("words", "code"), [(("share", "1-9"), "device-unknown"), (("status",), "no-session"), (("mode",), "usage")]
)
def test_with_json_a_program_is_told_the_code_of_what_went_wrong_and_people_are_too(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: str
) -> None:
    status, out, err = run(capsys, *words, "--json")
    said = json.loads(out)
    error = said["error"]
    assert (said["v"], said["event"]) == (1, "error")
    assert (status, error["code"]) == (status_of(code), code)
    assert err == f"error: {error['text']}\n  {error['remedy']}\n"
    assert run(capsys, *words)[1] == ""


def test_a_locked_device_is_called_locked_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug(interface="03 01 01")
    assert "  locked: keyboard: only after you agreed.  " in run(capsys, "list")[1]


def test_list_works_with_a_broken_file_and_says_so(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    Path(bench.files.user).write_bytes(b"client.usb.enable=\xff")
    status, _, err = run(capsys, "list")
    assert status == status_of("config-not-text")
    assert "UTF-8" in err


def test_list_names_a_device_that_cannot_be_read(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.bus.plug("1-5")
    (bench.bus.folder / "1-5" / "devnum").write_text("many\n")
    status, out, err = run(capsys, "list", "--json")
    assert status == status_of("sysfs-unreadable")
    assert [device["busid"] for device in json.loads(out)["devices"]] == ["1-4"]
    assert "1-5" in err


def test_a_hostile_device_does_not_write_on_the_terminal(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug(serial="\x1b[2J\u202eevil")
    (bench.bus.folder / "1-4" / "product").write_text("\x07\x1b]0;title\x07\n")
    _, out, err = run(capsys, "list")
    assert all(char.isprintable() or char == "\n" for char in out + err)
    _, out, err = run(capsys, "share", "1-4")
    assert all(char.isprintable() or char == "\n" for char in out + err)


@pytest.mark.parametrize("target", ["1-4", "0bda:58c2@1234", "0BDA:58C2@1234"])
def test_share_and_unshare(bench: Bench, capsys: pytest.CaptureFixture[str], target: str) -> None:
    bench.bus.plug()
    status, out, err = run(capsys, "share", target)
    assert (status, out) == (0, f"share list: {ENTRY}\n")
    assert "stops working on this computer" in err
    assert f"client.usb.share_list={ENTRY}\n" in Path(bench.files.user).read_text()
    status, out, _ = run(capsys, "unshare", target)
    assert (status, out) == (0, "share list: (empty)\n")


def test_a_stick_comes_with_its_caution(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug(interface="08 06 50")
    status, _, err = run(capsys, "share", "1-4")
    assert status == 0
    assert "change or delete everything" in err


def test_a_phone_that_gives_its_files_comes_with_the_same_caution(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.bus.plug(interface="06 01 01")
    assert "change or delete everything" in run(capsys, "share", "1-4")[2]


def test_a_printer_with_a_disk_in_it_comes_with_the_same_caution(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.bus.plug(interface="07 01 02")
    interface = bench.bus.folder / "1-4/1-4:1.0"
    disk = shutil.copytree(interface, interface.with_name("1-4:1.1"))
    for name, value in {"Class": "08", "SubClass": "06", "Protocol": "50", "Number": "01"}.items():
        (disk / f"bInterface{name}").write_text(value + "\n")
    assert "change or delete everything" in run(capsys, "share", "1-4")[2]


def test_a_device_that_is_not_plugged_in_is_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "share", "0441:0012")
    assert (status, out) == (0, "share list: 0441:0012\n")
    assert "not plugged in" in err
    status, out, _ = run(capsys, "list", "--json")
    assert [(device["state"], device["key"]) for device in json.loads(out)["devices"]] == [("absent", "0441:0012")]
    assert run(capsys, "unshare", "0441:0012")[0] == 0


def test_share_says_when_sharing_is_switched_off(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure(client__usb__enable="0")
    status, _, err = run(capsys, "share", "1-4")
    assert status == 0
    assert "client.usb.enable=1" in err


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("1-9", "device-unknown"),
        ("usb1", "busid-malformed"),
        ("1-", "busid-malformed"),
        ("../../etc", "busid-malformed"),
        ("1-4\n", "busid-malformed"),
        ("", "busid-malformed"),
        ("zzzz:1", "vidpid-malformed"),
        ("0bda:58c2:1", "vidpid-malformed"),
        ("0bda:58c2@", "share-list-malformed"),
        ("0bda:58c2,0441:0012", "vidpid-malformed"),
        ("1-7", "device-locked"),
        ("0441:0012", "device-ambiguous"),
    ],
)
def test_a_wrong_name_shares_nothing(bench: Bench, capsys: pytest.CaptureFixture[str], target: str, code: str) -> None:
    bench.bus.plug()
    bench.bus.plug("1-7", serial="keys", interface="03 01 01")
    for busid in ("1-1", "1-2"):
        bench.bus.plug(busid, "0441:0012", "")
    before = Path(bench.files.user).read_text()
    status, out, err = run(capsys, "share", "1-4", target)
    assert (status, out) == (status_of(code), "")
    assert err.startswith("error: ")
    assert err.count("\n") == 2
    assert Path(bench.files.user).read_text() == before


def test_a_wrong_name_unshares_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    assert run(capsys, "unshare", "1-9")[0] == status_of("device-unknown")
    assert run(capsys, "unshare", "1111:2222")[0] == status_of("device-unknown")
    assert run(capsys, "unshare", "1-4")[0] == 0


def test_a_malformed_share_list_is_not_written_over(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.bus.plug()
    bench.configure("0bda:58c2, what")
    before = Path(bench.files.user).read_text()
    for command in ("share", "unshare"):
        status, _, err = run(capsys, command, "1-4")
        assert status == status_of("share-list-malformed")
        assert "'what'" in err
    assert Path(bench.files.user).read_text() == before


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("fly",), ("share",), ("list", "--fast"), ("connect", "--session", "file"), ("connect", "work", "more"),
        ("connect", "--session-fd", "x"), ("connect", "--session-fd", "-1"),
        ("connect", "--session", "-", "--session-fd", "3"), ("pair",), ("forget",),
    ],
)  # fmt: skip
def test_wrong_usage_has_one_status_and_a_remedy(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    status, _, err = run(capsys, *arguments)
    assert status == status_of("usage")
    assert "--help" in err


@pytest.mark.parametrize("arguments", [("--help",), ("list", "--help"), ("connect", "--help")])
def test_help_has_examples(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 0
    assert "example" in capsys.readouterr().out


def test_status_without_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "status")
    assert status == status_of("no-session")
    assert "--session" in err


def test_connect_without_a_session(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "connect")[0] == status_of("no-session")


def test_a_reader_that_stops_reading_does_no_harm(bench: Bench, repository: Path) -> None:
    for port in range(1, 9):
        bench.bus.plug(f"1-{port}", serial=str(port))
    process = program(bench, repository, "list")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


def test_a_full_disk_under_the_output_is_told(bench: Bench, repository: Path) -> None:
    with open("/dev/full", "wb") as full:
        _, err = (process := program(bench, repository, "list", output=full)).communicate(timeout=20)
    assert process.returncode == status_of("output-failed")
    assert err.startswith(b"error: ")
    assert err.count(b"\n") == 2


def test_a_closed_output_is_no_crash(bench: Bench, repository: Path) -> None:
    _, err = (process := program(bench, repository, "list", through='exec "$@" >&-')).communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")


def test_a_terminal_that_knows_few_letters_shows_the_rest_as_escapes(bench: Bench, repository: Path) -> None:
    bench.bus.plug()
    (bench.bus.folder / "1-4" / "product").write_text("カメラ\n")
    through = 'PYTHONIOENCODING=latin-1 exec "$@"'
    out, err = (process := program(bench, repository, "list", through=through)).communicate(timeout=20)
    assert (process.returncode, err) == (0, b"")
    assert rb"\u30ab\u30e1\u30e9" in out


def test_every_other_command_finds_the_systems_packages(repository: Path) -> None:
    """They are started with -S, as the list is, which needs none."""
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r})\n"
        "import client_gui.cli\n"
        "assert 'site' not in sys.modules, 'this Python is one with packages'\n"
        "client_gui.cli.main(['explain', '9-9'])\n"
        "import pytest"
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)


DEAR = frozenset((
    "argparse", "contextlib", "dataclasses", "hashlib", "h11", "inspect", "json", "logging", "pathlib", "re",
    "selectors", "site", "socket", "subprocess", "typing",
))  # fmt: skip


@pytest.mark.parametrize(
    ("way", "needed"),
    [("list_devices", frozenset()), ("list_devices, client_gui.presence, client_gui.reported", {"json", "re"})],
    ids=["nothing shared", "an engine runs"],
)
def test_list_pays_for_nothing_that_it_does_not_need(repository: Path, way: str, needed: frozenset[str]) -> None:
    """The one command that has to be quick: each of these costs it a tenth of its start, or more."""
    code = (
        f"import sys; sys.path.insert(0, {str(repository)!r}); bare = set(sys.modules)\n"
        f"import client_gui.cli, client_gui.{way}\n"
        "print(*sorted(set(sys.modules) - bare))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded & DEAR == needed
