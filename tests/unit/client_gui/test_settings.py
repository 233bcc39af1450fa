"""The user's file: read in layers, changed in one place, and never lost, whatever it is."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui import settings, wishes
from client_gui.settings import Files, Settings, change_wishes, load
from client_gui.wishes import Wishes
from qvd_usbip import share_list
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system import folder_lock

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY = share_list.parse("0bda:58c2@1234").entries[0]
UNPRIVILEGED = 65534
ESCAPES = [b"\\uDC80", b"\\uD83D", b"\\u0000", b"\\u00e9", b"\\", b"${other.key}", b"\xff", "\u00e9".encode()]
ANY_VALUE = st.lists(st.sampled_from([*ESCAPES, b"0441:0012", b"@", b"1", b"/sys"]) | st.binary(), max_size=4).map(
    b"".join
)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "etc").mkdir()
    return Files(system=f"{tmp_path}/etc/client.conf", user=f"{tmp_path}/home/.qvd/client.conf")


def write(files: Files, text: str | bytes) -> None:
    Path(files.user).parent.mkdir(parents=True, exist_ok=True)
    Path(files.user).write_bytes(text if isinstance(text, bytes) else text.encode())


def add(now: Settings) -> Wishes:
    return wishes.add(ENTRY, now.wishes)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(QvdUsbError) as caught:
        action()
    assert str(caught.value)
    assert caught.value.remedy()
    return caught.value.problem.code


def test_without_any_file_sharing_is_off_as_in_qvd(files: Files) -> None:
    read = load(files)
    assert read.needed_to_enable == "client.usb.enable=1"
    assert read.helper == "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip"
    assert read.usbroot == "/sys/bus/usb/devices"
    assert not read.allow_plaintext
    assert read.wishes == Wishes()


def test_the_user_s_file_wins_and_keys_are_expanded(files: Files) -> None:
    Path(files.system).write_text("client.usb.enable=1\npath.qvd.bin=/opt/qvd\nclient.usb.share_list=0441:0012\n")
    write(files, "client.usb.share_list=0bda:58c2@1234\n")
    read = load(files)
    assert read.needed_to_enable == ""
    assert read.helper == "/opt/qvd/qvd-client-slaveclient-usbip"
    assert str(read.wishes.share_list) == "0bda:58c2@1234"


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("client.slave.enable=0", "client.slave.enable=1"),
        ("client.usb.implementation=INCENTIVES", "client.usb.implementation=USBIP"),
        ("client.usb.enable=no", "client.usb.enable=1"),
    ],
)
def test_what_switches_sharing_off_is_named(files: Files, line: str, needed: str) -> None:
    write(files, f"client.usb.enable=1\n{line}\n")
    assert load(files).needed_to_enable == needed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("client.usb.enable=maybe", "settings-malformed"),
        ("client.usb.share_list=hello", "share-list-malformed"),
        ("client.usb.share_list=0bda:58c2@", "share-list-malformed"),
        ("client.usb.share_ports=0bda:58c2/x", "settings-malformed"),
        (b"client.usb.share_list=\xff", "config-not-text"),
        ("client.usb.share_list=0441:0012@\\uDC80", "config-not-text"),
        ("client.usb.on-share=/bin/a\\uD800", "config-not-text"),
        ("path.usb.usbroot=/sys\\u0000", "config-not-text"),
        ("other.key=\\u0000\npath.usb.usbroot=/sys/${other.key}", "settings-malformed"),
        (b"a=\0", "config-not-text"),
        ("a=" + "x" * (1 << 20), "config-too-large"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_left_as_it_is(files: Files, text: str | bytes, code: str) -> None:
    write(files, text)
    before = Path(files.user).read_bytes()
    assert code_of(lambda: load(files)) == code
    assert code_of(lambda: change_wishes(files, add)) == code
    assert Path(files.user).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        (b"# caf\xe9\nclient.usb.share_list=\xff", 29),
        (b"# caf\xe9\nclient.usb.share_list=\\uDC80\n", 7),
        (b"client.usb.share_list=\xfe\n \xc3\xa9=\nclient.usb.share_list=a\\\n\xff", 54),
    ],
)
def test_what_is_no_text_is_told_where_it_stands_in_a_value_of_ours(files: Files, text: bytes, offset: int) -> None:
    write(files, text)
    with pytest.raises(QvdUsbError) as caught:
        load(files)
    assert caught.value.context["offset"] == str(offset)


def test_a_huge_file_is_not_read_at_all(files: Files) -> None:
    write(files, "")
    os.truncate(files.user, 100 << 20)
    assert code_of(lambda: load(files)) == "config-too-large"
    assert code_of(lambda: change_wishes(files, add)) == "config-too-large"
    assert Path(files.user).stat().st_size == 100 << 20


def test_a_folder_in_its_place(files: Files) -> None:
    Path(files.user).mkdir(parents=True)
    assert code_of(lambda: load(files)) == "config-is-folder"
    assert code_of(lambda: change_wishes(files, add)) == "config-is-folder"


def test_a_fifo_in_its_place_holds_nobody_up(files: Files) -> None:
    Path(files.user).parent.mkdir(parents=True)
    os.mkfifo(files.user)
    assert code_of(lambda: load(files)) == "config-unreadable"


def test_a_file_in_the_place_of_its_folder(files: Files) -> None:
    Path(files.user).parent.parent.mkdir()
    Path(files.user).parent.write_text("")
    assert code_of(lambda: load(files)) == "config-unreadable"
    assert code_of(lambda: change_wishes(files, add)) == "config-unwritable"


def test_links_that_form_a_loop(files: Files) -> None:
    Path(files.user).parent.mkdir(parents=True)
    Path(files.user).symlink_to(files.user)
    assert code_of(lambda: load(files)) == "config-unreadable"
    assert code_of(lambda: change_wishes(files, add)) == "config-unreadable"


def test_nothing_but_the_share_list_changes(files: Files) -> None:
    text = (
        "# comment \u00e4\r\n! other\r\nclient.usb.share_list = 0441:0012\r\nunknown.key:  spaced  \nno newline at end"
    )
    write(files, text)
    Path(files.user).chmod(0o640)
    after = change_wishes(files, add)
    changed = Path(files.user).read_bytes().decode()
    assert str(after.wishes.share_list) == "0441:0012, 0bda:58c2@1234"
    before_lines, lines = text.splitlines(), changed.splitlines()
    assert [line for line in lines if "share_list" not in line] == [
        line for line in before_lines if "share_list" not in line
    ]
    assert Path(files.user).stat().st_mode & 0o777 == 0o640


def test_bytes_of_another_encoding_and_continued_lines_stay_as_they_are(files: Files) -> None:
    before = (
        b"# caf\xe9\r\ndesktop.name=caf\xe9\r\nclient.usb.share_list=0441:0012,\\\r\n   0441:0013\r\n"
        b"other.key=a\\\r\n  b\r\n"
    )
    write(files, before)
    after = change_wishes(files, add)
    assert str(after.wishes.share_list) == "0441:0012, 0441:0013, 0bda:58c2@1234"
    assert Path(files.user).read_bytes() == before.replace(
        b"0441:0012,\\\r\n   0441:0013", b"0441:0012, 0441:0013, 0bda:58c2@1234"
    )


def test_a_tick_leaves_the_file_its_owner(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    write(files, "# hers\n")
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: given.append((uid, gid)))
    change_wishes(files, add)
    assert given == []
    plain = os.stat

    def hers(path: Any, **options: Any) -> os.stat_result:
        found = plain(path, **options)
        return os.stat_result([*found[:4], UNPRIVILEGED, UNPRIVILEGED, *found[6:]]) if path == files.user else found

    monkeypatch.setattr(os, "stat", hers)
    change_wishes(files, lambda now: wishes.add(share_list.parse("0441:0012").entries[0], now.wishes))
    assert given == [(UNPRIVILEGED, UNPRIVILEGED)]


def test_a_change_that_is_none_does_not_touch_the_file(files: Files) -> None:
    write(files, "client.usb.share_list=0bda:58c2@1234")
    before = Path(files.user).stat().st_ino
    change_wishes(files, add)
    assert Path(files.user).stat().st_ino == before


def test_the_first_tick_makes_folder_and_file_for_the_user_alone(files: Files) -> None:
    Path(files.user).parent.parent.mkdir()
    change_wishes(files, add)
    assert Path(files.user).read_text() == "client.usb.share_list=0bda:58c2@1234\n"
    assert Path(files.user).stat().st_mode & 0o777 == 0o600
    assert Path(files.user).parent.stat().st_mode & 0o777 == 0o700


def test_a_symbolic_link_stays_one_and_its_target_is_changed(files: Files, tmp_path: Path) -> None:
    target = tmp_path / "dotfiles" / "client.conf"
    target.parent.mkdir()
    target.write_text("# kept elsewhere\n")
    Path(files.user).parent.mkdir(parents=True)
    Path(files.user).symlink_to(target)
    change_wishes(files, add)
    assert Path(files.user).is_symlink()
    assert target.read_text() == "# kept elsewhere\nclient.usb.share_list=0bda:58c2@1234\n"


def test_what_the_machine_s_file_shares_is_kept_when_the_user_ticks(files: Files) -> None:
    Path(files.system).write_text("client.usb.share_list=0441:0012\n")
    change_wishes(files, add)
    assert str(load(files).wishes.share_list) == "0441:0012, 0bda:58c2@1234"
    assert Path(files.system).read_text() == "client.usb.share_list=0441:0012\n"


def test_two_programs_at_once_lose_no_change(files: Files) -> None:
    entries = [share_list.parse(f"0bda:{number:04x}").entries[0] for number in range(24)]

    def tick_some(mine: list[share_list.Entry]) -> None:
        for entry in mine:
            change_wishes(files, lambda now, entry=entry: wishes.add(entry, now.wishes))  # type: ignore[misc]

    threads = [threading.Thread(target=tick_some, args=(entries[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(load(files).wishes.share_list.entries) == set(entries)


def test_what_a_program_without_our_lock_writes_meanwhile_is_kept(files: Files) -> None:
    write(files, "client.usb.share_list=0441:0012\n")
    theirs = ["client.usb.share_list=0441:0013\n", "# new\nclient.usb.share_list=0441:0013, 0441:0014\n"]

    def add_late(now: Settings) -> Wishes:
        after = add(now)
        if theirs:
            write(files, theirs.pop(0))
        return after

    after = change_wishes(files, add_late)
    assert str(after.wishes.share_list) == "0441:0013, 0441:0014, 0bda:58c2@1234"
    assert Path(files.user).read_text() == "# new\nclient.usb.share_list=0441:0013, 0441:0014, 0bda:58c2@1234\n"
    assert list(Path(files.user).parent.iterdir()) == [Path(files.user)]


def test_what_is_written_while_the_new_file_is_made_is_kept_too(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    write(files, "client.usb.share_list=0441:0012\n")
    sync, theirs = os.fsync, ["client.usb.share_list=0441:0013\n"]

    def slow(descriptor: int) -> None:
        sync(descriptor)
        if theirs:
            write(files, theirs.pop())

    monkeypatch.setattr(os, "fsync", slow)
    assert str(change_wishes(files, add).wishes.share_list) == "0441:0013, 0bda:58c2@1234"


def test_a_file_that_changes_all_the_time_is_given_up_as_it_is(files: Files) -> None:
    changes = 0

    def add_late(now: Settings) -> Wishes:
        nonlocal changes
        changes += 1
        write(files, f"# change {changes}\n")
        return add(now)

    assert code_of(lambda: change_wishes(files, add_late)) == "config-unwritable"
    assert Path(files.user).read_text() == f"# change {changes}\n"


def test_a_program_that_keeps_the_lock_is_not_waited_for_for_ever(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_lock, "LOCK_LIMIT", 0.05)
    write(files, "")
    held = os.open(Path(files.user).parent, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert code_of(lambda: change_wishes(files, add)) == "config-unwritable"
    finally:
        os.close(held)


def as_ordinary_user(action: Callable[[], object]) -> int:
    """Runs the action without root's rights in a process of its own; the exit status of the problem, 0 if none."""
    pid = os.fork()
    if pid == 0:
        status = 99
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
                os.setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED)
            action()
            status = 0
        except QvdUsbError as error:
            status = error.problem.exit_status
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def opened(files: Files) -> None:
    """Lets an ordinary user reach the files, where the tests run as root."""
    for folder in (Path(files.user).parent, *Path(files.user).parent.parents):
        if folder.stat().st_uid == os.geteuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder.name.startswith("pytest-of-"):
            break


def test_a_file_that_may_not_be_read(files: Files) -> None:
    write(files, "client.usb.enable=1\n")
    opened(files)
    Path(files.user).chmod(0o000)
    assert as_ordinary_user(lambda: load(files)) == 20


def test_a_file_or_folder_that_may_not_be_written(files: Files) -> None:
    write(files, "# mine\n")
    opened(files)
    Path(files.user).chmod(0o444)
    Path(files.user).parent.chmod(0o777)
    assert as_ordinary_user(lambda: change_wishes(files, add)) == 24
    Path(files.user).chmod(0o666)
    Path(files.user).parent.chmod(0o555)
    assert as_ordinary_user(lambda: change_wishes(files, add)) == 24
    Path(files.user).parent.chmod(0o755)
    assert Path(files.user).read_text() == "# mine\n"


@given(st.lists(st.tuples(st.sampled_from((*settings.DEFAULTS, "other.key")), ANY_VALUE), max_size=4))
def test_whatever_the_file_holds_it_is_read_or_refused(lines: list[tuple[str, bytes]]) -> None:
    with TemporaryDirectory() as folder:
        files = Files(system=f"{folder}/none", user=f"{folder}/client.conf")
        Path(files.user).write_bytes(b"".join(b"%s=%s\n" % (key.encode(), value) for key, value in lines))
        code = ""
        try:
            read = load(files)
            for text in (read.helper, read.usbroot, read.database, *read.commands.values()):
                assert "\0" not in text.encode().decode()
        except QvdUsbError as error:
            code = error.problem.code
    assert code in {"", "config-not-text", "settings-malformed", "share-list-malformed"}
