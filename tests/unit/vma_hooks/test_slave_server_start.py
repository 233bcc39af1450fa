"""How the slave server starts, and what the next client hears when it cannot."""

import os
import resource
import socket
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qvd_usbip.errors import GROUP_UNKNOWN, QvdUsbError
from tests.unit.vma_hooks.slave_client import KEY, LINE, Peer, upgrade
from vma_hooks import listener
from vma_hooks.listener import refuse_next
from vma_hooks.slave_key import read_key
from vma_hooks.slave_server import passed_sockets


def key_file(folder: Path, mode: int = 0o600) -> Path:
    (folder / "key").write_text(f"{KEY}\nmore\n")
    (folder / "key").chmod(mode)
    return folder / "key"


def test_the_first_line_of_the_key_file_is_the_key(tmp_path: Path) -> None:
    assert read_key(str(key_file(tmp_path))) == KEY


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o610])
def test_a_key_that_others_may_have_read_or_written_is_not_used(tmp_path: Path, mode: int) -> None:
    with pytest.raises(QvdUsbError) as refused:
        read_key(str(key_file(tmp_path, mode)))
    assert refused.value.problem.code == "slave-key-unsafe"


@pytest.mark.parametrize(("user", "used"), [("mine", True), ("another's", False)])
def test_a_key_that_belongs_to_another_user_than_root_or_oneself_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str, used: bool
) -> None:
    mine = key_file(tmp_path)
    found = os.stat_result((0o100600, 0, 0, 1, 4711, 0, 9, 0, 0, 0))
    monkeypatch.setattr("vma_hooks.slave_key.os.stat", lambda _path: found)
    monkeypatch.setattr("vma_hooks.slave_key.os.geteuid", lambda: 4711 if user == "mine" else 1000)
    if used:
        assert read_key(str(mine)) == KEY
        return
    with pytest.raises(QvdUsbError) as refused:
        read_key(str(mine))
    assert refused.value.problem.code == "slave-key-unsafe"


@pytest.mark.parametrize("text", ["", "\n", "  \nkey\n"])
def test_a_key_file_without_a_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(QvdUsbError) as refused:
        read_key(str(tmp_path / "key"))
    assert refused.value.problem.code == "slave-key-missing"


def test_a_missing_key_file(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError) as refused:
        read_key(str(tmp_path / "none"))
    assert refused.value.problem.code == "slave-key-missing"


@pytest.mark.parametrize("environment", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}])
def test_sockets_meant_for_another_process_are_left_alone(environment: dict[str, str]) -> None:
    assert passed_sockets(environment, os.getpid()) == []


@pytest.mark.parametrize("module", ["slave_server", "attach"])
def test_the_programs_explain_themselves(module: str) -> None:
    code = f"from vma_hooks.{module} import main; raise SystemExit(main())"
    shown = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: ")
    wrong = subprocess.run([sys.executable, "-c", code, "--odd"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 10
    assert "error: " in wrong.stderr


def test_attach_without_a_connection_says_so() -> None:
    code = "from vma_hooks.attach import main; raise SystemExit(main())"
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 10


def test_attach_without_a_broker_says_nothing_to_the_client() -> None:
    code = "from vma_hooks.attach import main; raise SystemExit(main([]))"
    ours, theirs = socket.socketpair()
    with closing(ours):
        descriptor = theirs.fileno()
        child = subprocess.Popen([sys.executable, "-c", code], stdin=descriptor, stdout=descriptor, stderr=descriptor)
        theirs.close()
        ours.sendall(LINE)
        assert child.wait(20) == 74
        assert ours.recv(100) == b""


def test_a_server_that_cannot_start_tells_the_next_client_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = Peer(socket.create_connection(listening.getsockname()))
        peer.send(upgrade())
        refuse_next([listening], GROUP_UNKNOWN, 5)
        answer = peer.rest()
        peer.connection.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"group-unknown" in answer


def test_who_is_gone_before_it_hears_why_is_not_the_client_that_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gone = socket.create_connection(listening.getsockname())
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()  # with a reset
        peer = Peer(socket.create_connection(listening.getsockname()))
        peer.send(upgrade())
        refuse_next([listening], GROUP_UNKNOWN, 5)
        assert b"group-unknown" in peer.rest()
        peer.connection.close()


def test_without_a_descriptor_the_next_client_waits_until_it_can_be_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    def given_back(seconds: float) -> None:
        assert seconds == listener.BUSY_SECONDS
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        peer = Peer(socket.create_connection(listening.getsockname()))
        peer.send(upgrade())
        monkeypatch.setattr("vma_hooks.listener.time.sleep", given_back)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            refuse_next([listening], GROUP_UNKNOWN, 5)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert b"group-unknown" in peer.rest()
        peer.connection.close()
    assert "a connection waits" in caplog.text


def test_where_another_process_was_faster_nobody_is_told_and_it_ends_in_time() -> None:
    class Emptied(socket.socket):
        """A listening socket whose only connection somebody else takes as it is seen."""

        def accept(self) -> tuple[socket.socket, object]:
            super().accept()[0].close()
            return super().accept()

    with Emptied() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(True)
        client.connect(listening.getsockname())
        refuse_next([listening], GROUP_UNKNOWN, 0.2)


def test_standard_input_without_a_key_file_tells_the_client_why(tmp_path: Path) -> None:
    code = (
        "from vma_hooks import settings, slave_server; "
        f"slave_server.load_settings = lambda: settings.Settings(None, 'none', {str(tmp_path / 'none')!r}); "
        "raise SystemExit(slave_server.main([]))"
    )
    ours, theirs = socket.socketpair()
    with closing(ours):
        descriptor = theirs.fileno()
        child = subprocess.Popen([sys.executable, "-c", code], stdin=descriptor, stdout=descriptor, stderr=descriptor)
        theirs.close()
        ours.sendall(upgrade())
        answer = Peer(ours).rest()
        assert child.wait(20) == 52
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"slave-key-missing" in answer
    assert answer.endswith(b"\r\n\r\n")
