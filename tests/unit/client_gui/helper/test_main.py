"""The verbs of old callers, `recover`, the exit statuses, and what a start costs."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from client_gui.helper import main as helper
from client_gui.helper import request
from client_gui.helper.authorise import Caller
from client_gui.helper.handover import Place
from client_gui.helper.main import serve
from client_gui.helper.request import parse_arguments
from qvd_usbip.errors import QvdUsbError, report
from tests.unit.client_gui.helper.fake_kernel import CAMERA, KEYBOARD, FakeKernel

ROOT = Path(__file__).parents[4]
SCRIPT = ROOT / "client_gui/helper/main.py"
# what importing them costs was measured against a bare start: 2 to 3 times as much each
HEAVY = {
    "dataclasses",
    "pathlib",
    "typing",
    "argparse",
    "re",
    "enum",
    "subprocess",
    "logging",
    "inspect",
    "collections",
}


@pytest.fixture
def me(monkeypatch: pytest.MonkeyPatch) -> int:
    """An account that the default policy lets."""
    monkeypatch.setattr(helper, "identify", lambda root, uid, gid: helper_caller(uid))
    return 1000


def helper_caller(uid: int) -> Caller:
    return Caller(uid=uid, groups=frozenset({"qvdusb"}), seated=False)


def ask(place: Place, uid: int, *arguments: str) -> None:
    serve(place, parse_arguments(list(arguments)), uid, uid)


def problem(place: Place, uid: int, *arguments: str) -> str:
    with pytest.raises(QvdUsbError) as caught:
        ask(place, uid, *arguments)
    return caught.value.problem.code


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """The far end of a connection whose near end is where the launcher leaves it."""
    near, far = socket.socketpair()
    monkeypatch.setattr(helper, "SOCKET_FD", near.detach())
    far.settimeout(5)
    return far


def test_bind_connect_unbind(kernel: FakeKernel, place: Place, me: int, connection: socket.socket) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    ask(place, me, "connect", "1-4", "3")
    with connection:
        assert connection.recv(64) == b"65541 3\n"
        assert kernel.folder("1-4").joinpath("usbip_status").read_text() == "2\n"
        ask(place, me, "unbind", "1-4")
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert list((kernel.root / "run/qvd-usbip").iterdir()) == []


def test_bind_twice_is_no_failure(kernel: FakeKernel, place: Place, me: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    ask(place, me, "bind", "1-4")
    assert kernel.driver_of("1-4") == "usbip-host"


def test_a_second_connect_says_already_in_use(
    kernel: FakeKernel, place: Place, me: int, connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    ask(place, me, "connect", "1-4", "3")
    near, far = socket.socketpair()
    monkeypatch.setattr(helper, "SOCKET_FD", near.detach())
    with pytest.raises(QvdUsbError) as caught:
        ask(place, me, "connect", "1-4", "3")
    assert "already in use" in report(caught.value)
    far.close()
    connection.close()


@pytest.mark.parametrize("arguments", [("unbind", "1-4"), ("connect", "1-4", "3")])
def test_not_bound_names_the_driver(kernel: FakeKernel, place: Place, me: int, arguments: tuple[str, ...]) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    with pytest.raises(QvdUsbError) as caught:
        ask(place, me, *arguments)
    assert "not bound to usbip-host driver, but to usb:" in report(caught.value)


def test_no_slot_is_said_as_old_callers_know_it(kernel: FakeKernel, place: Place, me: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    (kernel.driver / "match_busid").write_text(" ".join(f"2-{number}" for number in range(1, 17)))
    with pytest.raises(QvdUsbError) as caught:
        ask(place, me, "bind", "1-4")
    assert "Unable to find an unused USB-IP port" in report(caught.value)


def test_old_callers_have_no_consent(kernel: FakeKernel, place: Place, me: int) -> None:
    kernel.plug("1-4", "046d:c31c", interfaces=KEYBOARD)
    assert problem(place, me, "bind", "1-4") == "device-locked"


def test_a_replug_ends_an_old_callers_bind(kernel: FakeKernel, place: Place, me: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    kernel.unplug("1-4")
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    assert problem(place, me, "unbind", "1-4") == "not-bound"
    assert list((kernel.root / "run/qvd-usbip").iterdir()) == []
    ask(place, me, "bind", "1-4")
    ask(place, me, "unbind", "1-4")
    assert kernel.entry("1-4") is None


@pytest.mark.parametrize("arguments", [("unbind", "1-4"), ("bind", "1-4")])
def test_only_the_owner_or_root(kernel: FakeKernel, place: Place, me: int, arguments: tuple[str, ...]) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    assert problem(place, me + 1, *arguments) == "foreign-owner"
    ask(place, 0, *arguments)


def test_an_account_without_permission(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    assert problem(place, 4_000_000, "bind", "1-4") == "not-permitted"
    assert not kernel.writes


@pytest.mark.parametrize("since", ["left the group", "the policy was spoilt"])
def test_its_owner_gets_a_device_back_whatever_became_of_the_permission(
    kernel: FakeKernel, place: Place, me: int, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    if since == "left the group":
        monkeypatch.setattr(
            helper, "identify", lambda root, uid, gid: Caller(uid=uid, groups=frozenset(), seated=False)
        )
    else:
        (kernel.root / "etc/qvd/usbip-policy.conf").mkdir(parents=True)
    assert problem(place, me, "connect", "1-4", "3") in {"not-permitted", "policy-unsafe"}
    assert problem(place, me + 1, "unbind", "1-4") == "foreign-owner"
    ask(place, me, "unbind", "1-4")
    assert kernel.driver_of("1-4") == "usb"
    assert problem(place, me, "unbind", "1-4") in {"not-permitted", "policy-unsafe"}


def test_recover_leaves_what_stands(
    kernel: FakeKernel, place: Place, me: int, capfd: pytest.CaptureFixture[str]
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    kernel.plug("1-5", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    ask(place, me, "bind", "1-5")
    record = kernel.root / "run/qvd-usbip/1-5"
    record.write_text(record.read_text().replace("mode=called", "mode=lent"))
    (kernel.root / "run/qvd-usbip/broker").mkdir()
    serve(place, request.Call("recover", None), 0, 0)
    assert kernel.driver_of("1-4") == "usbip-host"
    assert kernel.driver_of("1-5") == "usb"
    assert capfd.readouterr().out == "1-5: given back\n"


def test_recover_of_a_torn_record(kernel: FakeKernel, place: Place, me: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    (kernel.root / "run/qvd-usbip/1-4").write_bytes(b"\xff\0=")
    serve(place, request.Call("recover", None), 1000, 1000)
    assert kernel.driver_of("1-4") == "usbip-host"
    serve(place, request.Call("recover", None), 0, 0)
    assert kernel.driver_of("1-4") == "usb"


def start(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", SCRIPT, *arguments],
        env=environment or {"QVD_CALLER_UID": "4000000", "QVD_CALLER_GID": "4000000"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("arguments", "status"),
    [((), 28), (("bind",), 28), (("bind", "x"), 11), (("bind", "1-4"), 29), (("lend",), 29), (("recover",), 0)],
)
def test_each_refusal_has_its_exit_status(arguments: tuple[str, ...], status: int) -> None:
    done = start(*arguments)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert status == 0 or done.stderr.startswith("error: ")


def test_it_is_not_started_without_the_launcher() -> None:
    assert start("bind", "1-4", environment={"PATH": "/bin"}).returncode == 28


@pytest.mark.parametrize("verb", ["bind", "lend"])
def test_the_import_budget(verb: str) -> None:
    """A start of `bind` imports nothing heavy; `lend` may have json and signals, and sockets once it has the device."""
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); bare = set(sys.modules)\n"
        "import client_gui.helper.main\n"
        + ("import client_gui.helper.lend\n" if verb == "lend" else "")
        + "print(*sorted(set(sys.modules) - bare))"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    if verb == "bind":
        assert not loaded & (HEAVY | {"json", "socket", "signal", "array", "selectors"})
        assert len(loaded) <= 20, sorted(loaded)
    assert not loaded & {"contextlib", "dataclasses", "selectors", "socket", "typing"}
    assert loaded <= set(sys.stdlib_module_names) | {"client_gui", "qvd_usbip"}
    assert not loaded & {"argparse", "subprocess", "logging", "h11"}


def test_a_full_run_folder_is_a_clear_refusal(
    kernel: FakeKernel, place: Place, me: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    ask(place, me, "bind", "1-4")
    ask(place, me, "unbind", "1-4")
    shutil.rmtree(kernel.root / "run/qvd-usbip")
    (kernel.root / "run/qvd-usbip").write_text("in the way")
    with pytest.raises(OSError, match="exists"):
        ask(place, me, "bind", "1-4")
    assert kernel.driver_of("1-4") == "usb"
