"""Who may take which device: policy, caller, session."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.helper.authorise import (
    Caller,
    check_caller,
    is_seated,
    parse_policy,
    session_of,
)
from client_gui.helper.caller import identify, read_policy
from client_gui.helper.handover import Place
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.helper.fake_kernel import FakeKernel

SEATED = "UID=1000\nUSER=user\nACTIVE=1\nREMOTE=0\nSEAT=seat0\nCLASS=user\nTYPE=wayland\n"


def test_without_a_policy_the_default_holds(place: Place) -> None:
    policy = read_policy(place.root)
    assert (policy.group, policy.seat) == ("qvdusb", True)
    assert policy.locked == {"keyboard", "mouse", "network", "bluetooth"}
    assert policy.consent == {"storage", "keyboard", "mouse", "network", "bluetooth"}


def test_the_policy_that_is_installed_is_the_default() -> None:
    shipped = Path(__file__).parents[4] / "resources/conf/usbip-policy.conf"
    found, default = parse_policy(shipped.read_text()), parse_policy("")
    assert (found.group, found.seat, found.locked, found.consent) == (
        default.group,
        default.seat,
        default.locked,
        default.consent,
    )


@pytest.mark.parametrize(
    "text",
    [
        "usbip.allow.seat=yes",
        "usbip.allow.seat=",
        "usbip.consent.user=everything",
        "usbip.locked=keyboard,hub",
        "usbip.allow.groups=users",
    ],
)
def test_a_policy_that_is_not_understood_refuses_everybody(text: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        parse_policy(text)
    assert caught.value.problem.code == "policy-unsafe"


@given(st.text(max_size=200))
def test_any_policy_text(text: str) -> None:
    try:
        parse_policy(text)
    except QvdUsbError as error:
        code = error.problem.code
    else:
        code = "policy-unsafe"
    assert code == "policy-unsafe"


def policy_folder(kernel: FakeKernel) -> Path:
    folder = kernel.root / "etc/qvd"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


@pytest.mark.parametrize("unsafe", ["group", "world", "owner", "link", "folder", "fifo", "binary", "huge"])
def test_a_policy_root_did_not_write(
    kernel: FakeKernel, place: Place, unsafe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = policy_folder(kernel) / "usbip-policy.conf"
    content = {"binary": b"\xff\xfe", "huge": b"#" * 70_000}.get(unsafe, b"usbip.allow.group=users\n")
    if unsafe == "folder":
        path.mkdir()
    elif unsafe == "fifo":
        os.mkfifo(path, 0o644)
    elif unsafe == "link":
        path.symlink_to("elsewhere")
        path.with_name("elsewhere").write_bytes(content)
    else:
        path.write_bytes(content)
        path.chmod({"group": 0o664, "world": 0o646}.get(unsafe, 0o644))
    if unsafe != "owner":
        owned_by_root(monkeypatch)
    else:
        owned_by_root(monkeypatch, uid=1000)
    with pytest.raises(QvdUsbError) as caught:
        read_policy(place.root)
    assert caught.value.problem.code == "policy-unsafe"


def test_a_policy_that_anybody_may_take_away(kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the file the default would hold, which may let more than the administrator does."""
    owned_by_root(monkeypatch)
    policy_folder(kernel).chmod(0o777)
    with pytest.raises(QvdUsbError) as caught:
        read_policy(place.root)
    assert caught.value.problem.code == "policy-unsafe"
    assert "/etc/qvd " in str(caught.value)


def owned_by_root(monkeypatch: pytest.MonkeyPatch, uid: int = 0) -> None:
    """The tests may run as anybody: the files of the fake tree are said to be this account's."""
    plain = os.fstat

    def fstat(fd: int) -> os.stat_result:
        found = list(plain(fd))
        found[4] = uid
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", fstat)


def test_the_administrators_policy(kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    owned_by_root(monkeypatch)
    path = policy_folder(kernel) / "usbip-policy.conf"
    path.write_text("usbip.allow.group=\nusbip.allow.seat=0\nusbip.locked=storage\nusbip.consent.user=\n")
    path.chmod(0o644)
    policy = read_policy(place.root)
    assert (policy.group, policy.seat, policy.locked, policy.consent) == (
        "",
        False,
        frozenset({"storage"}),
        frozenset(),
    )


@pytest.mark.parametrize(
    ("uid", "groups", "seated", "allowed"),
    [
        (0, "", False, True),
        (1000, "users qvdusb", False, True),
        (1000, "users", True, True),
        (1000, "users", False, False),
        (1000, "", False, False),
    ],
)
def test_who_may(uid: int, groups: str, seated: bool, allowed: bool) -> None:
    caller = Caller(uid=uid, groups=frozenset(groups.split()), seated=seated)
    if allowed:
        check_caller(parse_policy(""), caller)
        return
    with pytest.raises(QvdUsbError) as caught:
        check_caller(parse_policy(""), caller)
    assert caught.value.problem.code == "not-permitted"


def test_an_empty_group_is_nobodys() -> None:
    policy = parse_policy("usbip.allow.group=\nusbip.allow.seat=0\n")
    with pytest.raises(QvdUsbError):
        check_caller(policy, Caller(uid=1000, groups=frozenset({"", "qvdusb"}), seated=True))


@pytest.mark.parametrize(
    ("cgroup", "found"),
    [
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ("3", -1)),
        ("0::/user.slice/user-1000.slice/session-c1.scope\n", ("c1", -1)),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome.scope\n", ("", 1000)),
        ("5:devices:/x\n1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n", ("3", -1)),
        ("0::/system.slice/cron.service\n", ("", -1)),
        ("0::/user.slice/user-1000.slice/session-../../etc.scope\n", ("", -1)),
        ("0::/user.slice/user-1000.slice/session-.scope\n", ("", -1)),
        ("0::/\n", ("", -1)),
        (f"0::/user.slice/user-1.slice/user@{'1' * 5000}.service\n", ("", -1)),
        ("", ("", -1)),
    ],
)
def test_which_session_a_process_is_in(cgroup: str, found: tuple[str, int]) -> None:
    assert session_of(cgroup) == found


@given(st.text())
def test_any_cgroup_and_session_text(text: str) -> None:
    session, user = session_of(text)
    assert "/" not in session
    assert user >= -1
    assert is_seated(text, 1000) in {True, False}


@pytest.mark.parametrize(
    ("change", "seated"),
    [
        ("", True),
        ("ACTIVE=0\n", False),
        ("REMOTE=1\n", False),
        ("SEAT=\n", False),
        ("UID=1001\n", False),
        ("CLASS=greeter\n", False),
    ],
)
def test_active_local_and_at_a_seat(change: str, seated: bool) -> None:
    assert is_seated(SEATED + change, 1000) is seated


def test_a_remote_login_of_somebody_who_also_sits_here(kernel: FakeKernel, place: Place) -> None:
    """By pid: the session that the caller is in decides, not another one of the same account."""
    sessions = kernel.root / "run/systemd/sessions"
    (sessions / "3").write_text(SEATED + "REMOTE=1\nSEAT=\n")
    (sessions / "4").write_text(SEATED)
    assert not identify(place.root, 1000, 1000).seated
    (kernel.root / "proc/self/cgroup").write_text(
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n"
    )
    assert identify(place.root, 1000, 1000).seated
    assert not identify(place.root, 1001, 1001).seated


def test_groups_come_from_the_account_database(place: Place) -> None:
    caller = identify(place.root, 0, 0)
    assert "root" in caller.groups
    assert identify(place.root, 4_000_000, 4_000_000).groups == frozenset()
