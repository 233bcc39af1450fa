"""What an administrator or LXC can get wrong, by the real command: its own exit status, what to do, nothing changed."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from server_agent import asking, check, cli, settings
from tests.kit.refusals import UNUSABLE, assert_refused, identity, make_unusable

READERS = (
    ("config", "get"),
    ("config", "get", "vm.lxc.use_vhci_hubs"),
    ("config", "set", "key=vm.lxc.use_vhci_hubs,value=1"),
    ("lxc-config", "desk1"),
)
ASKERS = (
    ("status",),
    ("hubs",),
    ("watch",),
    ("explain", "desk1"),
    ("reserve", "desk1"),
    ("release", "desk1"),
    ("revoke", "desk1", "7-1"),
    ("hook", "desk1", "lxc", "pre-start"),
)


@pytest.fixture
def node_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node.conf that the command reads and writes."""
    path = tmp_path / "etc/node.conf"
    path.parent.mkdir()
    for reader in (settings.load, settings.values):
        monkeypatch.setattr(reader, "__defaults__", (path,))
    monkeypatch.setattr(settings.save, "__defaults__", (path,))
    return path


@pytest.fixture
def control_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command looks for the agent; short patience."""
    path = tmp_path / "control.sock"
    for question in (asking.ask, asking.watch):
        monkeypatch.setattr(question, "__defaults__", (path, 1.0))
    for name in ("LXC_NAME", "LXC_HOOK_TYPE"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def mute_agent(control_socket: Path) -> Iterator[Path]:
    """An agent that takes connections and says nothing."""
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(control_socket))
        listening.listen(8)
        yield control_socket


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = cli.main(arguments)
    return status, capsys.readouterr().err


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
def test_a_node_conf_that_cannot_be_read(
    node_conf: Path, capsys: pytest.CaptureFixture[str], kind: str, code: str
) -> None:
    make_unusable(node_conf, kind)
    before = identity(node_conf), list(node_conf.parent.iterdir())
    for arguments in READERS:
        status, err = run(capsys, *arguments)
        assert_refused(status, err, code)
        assert str(node_conf) in err
        assert (identity(node_conf), list(node_conf.parent.iterdir())) == before


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
def test_check_names_a_node_conf_that_cannot_be_read(
    node_conf: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str, code: str
) -> None:
    make_unusable(node_conf, kind)
    monkeypatch.setattr(check, "LOOKS", (("setting", check.use_vhci_hubs),))
    status = cli.main(["check"])
    out = capsys.readouterr().out
    sentence, remedy = out.splitlines()
    assert_refused(status, f"error: {sentence.removeprefix('FAIL  setting: ')}\n  {remedy.strip()}\n", code)


@pytest.mark.parametrize(
    "line", ["vm.lxc.use_vhci_hubs=yes", "path.storage.devicefs=here", "path.storage.root=${path.storage.root}"]
)
def test_a_value_in_node_conf_that_makes_no_sense(
    node_conf: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    node_conf.write_text(f"{line}\n")
    status, err = run(capsys, "lxc-config", "desk1")
    assert_refused(status, err, "settings-malformed")
    key = line.partition("=")[0]
    status, err = run(capsys, "config", "set", key, "nonsense")
    assert_refused(status, err, "settings-malformed")
    assert node_conf.read_text() == f"{line}\n"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("revoke", "desk1", "usb1"), "busid-malformed"),
        (("revoke", "desk1", "../1-4"), "busid-malformed"),
        (("revoke", "../desk1", "7-1"), "container-name-malformed"),
        (("reserve", ""), "container-name-malformed"),
        (("release", "a/b"), "container-name-malformed"),
        (("lxc-config", "a b"), "container-name-malformed"),
        (("hook", "../x", "lxc", "pre-start"), "container-name-malformed"),
        (("hook",), "usage"),
        (("hook", "--container", "desk1", "desk2", "lxc", "pre-start"), "lxc-config-missing"),
        (("hook", "desk1", "lxc", "mount"), "usage"),
        (("config", "set", "use_vhci_hubs=1"), "settings-malformed"),
        (("config", "set", "key=vm.lxc.use_vhci_hubs,value=2"), "settings-malformed"),
        (("revoke", "desk1"), "usage"),
        (("fly",), "usage"),
        ((), "usage"),
        (("status", "--fast"), "usage"),
        (("reserve", "--broker-gid", "many", "desk1"), "usage"),
        (("reserve", "--broker-gid", "-1", "desk1"), "usage"),
        (("config",), "usage"),
    ],
)
@pytest.mark.usefixtures("control_socket")
def test_words_that_mean_nothing(
    node_conf: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: str
) -> None:
    status, err = run(capsys, *arguments)
    assert_refused(status, err, code)
    assert not node_conf.exists()


@pytest.mark.parametrize("arguments", ASKERS)
@pytest.mark.usefixtures("control_socket")
def test_an_agent_that_does_not_run(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, err = run(capsys, *arguments)
    assert_refused(status, err, "agent-unreachable")


@pytest.mark.usefixtures("mute_agent")
def test_an_agent_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status, err = run(capsys, "status")
    assert_refused(status, err, "agent-unreachable")


@pytest.mark.parametrize("answer", [b"", b"{", b"[]\n", b"hello\n", b'{"ok":false,"problem":7}\n'])
def test_an_agent_that_dies_or_talks_nonsense(
    control_socket: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(control_socket))
        listening.listen(1)

        def serve() -> None:
            with closing(listening.accept()[0]) as connection:
                connection.recv(4096)
                connection.sendall(answer)

        serving = threading.Thread(target=serve)
        serving.start()
        status, err = run(capsys, "status")
        serving.join()
    code = "internal" if b'"problem"' in answer else "agent-unreachable"
    assert_refused(status, err, code)


@pytest.mark.usefixtures("control_socket")
def test_a_stop_that_the_agent_does_not_hear_of_is_no_failure_of_the_container(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, err = run(capsys, "hook", "desk1", "lxc", "post-stop")
    assert status == 0
    assert "releases 'desk1' when it starts" in err


def test_run_is_for_root(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    status, err = run(capsys, "run")
    assert_refused(status, err, "agent-needs-root")
