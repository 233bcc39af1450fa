"""What somebody can get wrong in an image, by the real programs: its own exit status, what to do, nothing half done."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.refusals import UNUSABLE, assert_refused, make_unusable
from tests.unit.vma_hooks.conftest import Image, own_group

USB = "/devices/platform/vhci_hcd.3/usb7/7-1"


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
def test_a_vma_conf_that_cannot_be_read_leaves_the_node_to_root(
    image: Image, capsys: pytest.CaptureFixture[str], kind: str, code: str
) -> None:
    make_unusable(image.top / "vma.conf", kind)
    event = image.plug(USB, "bus/usb/007/005", "189:772")
    status = image.on(event)
    assert_refused(status, capsys.readouterr().err, code)
    assert image.acl("bus/usb/007/005") is None
    assert (image.dev / "bus/usb/007/005").stat().st_mode & 0o777 == 0o600
    assert image.on(image.unplug(event)) == 0
    assert image.left() == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("createdevice.acl.enable=perhaps", "settings-malformed"),
        ("createdevice.acl.permissions=rwz", "settings-malformed"),
        ("createdevice.acl.group=", "settings-malformed"),
        ("createdevice.acl.group=nobody-made-this", "group-unknown"),
        ("internal.vma.slave.config=slave.key", "settings-malformed"),
    ],
)
def test_a_value_in_vma_conf_that_makes_no_sense_leaves_the_node_to_root(
    image: Image, capsys: pytest.CaptureFixture[str], line: str, code: str
) -> None:
    image.settings(f"createdevice.acl.group={own_group()}\n{line}\n")
    status = image.on(image.plug(USB, "bus/usb/007/005", "189:772"))
    assert_refused(status, capsys.readouterr().err, code)
    assert image.acl("bus/usb/007/005") is None


def start_server(conf: Path) -> tuple[int, str, bytes]:
    """The slave server with this vma.conf and a client as standard input: exit status, words, what the client heard."""
    code = (
        "from vma_hooks import settings, slave_server\n"
        f"settings.load_settings.__defaults__ = ({str(conf)!r},)\n"
        "raise SystemExit(slave_server.main([]))"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b"GET /usbip/ping?hello HTTP/1.1\r\nHost: x\r\n\r\n")
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=theirs.fileno(), capture_output=True, text=True, check=False, timeout=30
        )
        theirs.close()
        return done.returncode, done.stderr, rest_of(ours)


def rest_of(connection: socket.socket) -> bytes:
    """What the client hears until the end; closing with unread bytes resets the connection."""
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
@pytest.mark.parametrize("which", ["vma.conf", "slave.key"])
def test_the_slave_server_does_not_start_on_what_it_cannot_read(
    tmp_path: Path, which: str, kind: str, code: str
) -> None:
    conf, key = tmp_path / "vma.conf", tmp_path / "slave.key"
    conf.write_text(f"internal.vma.slave.config={key}\n")
    key.write_text("secret\n")
    make_unusable(tmp_path / which, kind)
    status, err, heard = start_server(conf)
    assert_refused(status, err, code)
    assert str(tmp_path / which) in err
    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"secret" not in heard


def test_the_slave_server_does_not_start_without_a_key(tmp_path: Path) -> None:
    conf = tmp_path / "vma.conf"
    conf.write_text(f"internal.vma.slave.config={tmp_path}/none\n")
    status, err, heard = start_server(conf)
    assert_refused(status, err, "slave-key-missing")
    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"secret" not in heard


def test_the_slave_server_does_not_start_with_a_key_that_others_may_read(tmp_path: Path) -> None:
    conf, key = tmp_path / "vma.conf", tmp_path / "key"
    conf.write_text(f"internal.vma.slave.config={key}\n")
    key.write_text("secret\n")
    key.chmod(0o644)
    status, err, heard = start_server(conf)
    assert_refused(status, err, "slave-key-unsafe")
    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"slave-key-unsafe" in heard
    assert b"secret" not in heard


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "peer-gone"),
        (b"65538", "peer-gone"),
        (b"65538 3 1\n", "slave-protocol"),
        (b"0 3\n", "slave-protocol"),
        (b"65538 \xff\n", "slave-protocol"),
        (b"9" * 70, "slave-protocol"),
        (b"65538 3\n", "broker-missing"),
    ],
)
def test_the_attach_program_of_old_servers(tmp_path: Path, said: bytes, code: str) -> None:
    program = "from vma_hooks import attach; raise SystemExit(attach.main([]))"
    ours, theirs = socket.socketpair()
    with theirs, ours:
        ours.sendall(said)
        ours.shutdown(socket.SHUT_WR)
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=theirs.fileno(), capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert_refused(done.returncode, done.stderr, code)
        theirs.close()
        assert rest_of(ours) == b"", "from the device line on the connection is the kernel's"
