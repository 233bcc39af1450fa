"""`qvd-usb pair` where there is nobody to pair with: what it says, and what it makes of its arguments."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest

from client_gui import cli as client_cli
from client_gui import pair
from qvd_usbip.errors import PROBLEMS, QvdUsbError
from qvd_usbip.system.identity import Identity
from tests.unit.pairing.conftest import Home


def test_where_nothing_listens_or_something_else_does_the_client_says_so(home: Home) -> None:
    async def work() -> None:
        assert await home.client("pair", "127.0.0.1:1").end() == PROBLEMS["host-unreachable"].exit_status
        plain = await asyncio.start_server(lambda _, writer: writer.write(b"SSH-2.0\r\n" * 10), "127.0.0.1", 0)
        async with plain:
            port = plain.sockets[0].getsockname()[1]
            assert await home.client("pair", f"127.0.0.1:{port}").end() == PROBLEMS["slave-protocol"].exit_status

    asyncio.run(work())


def test_a_session_without_a_name_is_called_after_container_and_host() -> None:
    assert pair.name_of("desk1", pair.address_of("host")) == "desk1@host"
    assert pair.name_of("desk1", pair.address_of("[::1]:80")) == "desk1@::1:80"


def test_without_the_library_for_keys_the_client_names_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "qvd_usbip.system.identity", None)
    assert client_cli.main(["pair", "host.example"]) == PROBLEMS["keys-unavailable"].exit_status
    assert "python3-cryptography" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("server.example", "server.example:9020"), ("server:80", "server:80"), ("[::1]", "[::1]:9020"),
        ("[::1]:80", "[::1]:80"), ("192.0.2.7", "192.0.2.7:9020"),
    ],
)  # fmt: skip
def test_a_host_may_be_named_without_its_port(text: str, address: str) -> None:
    assert str(pair.address_of(text)) == address


@pytest.mark.parametrize("text", ["", ":80", "a b", "unix:/x", "host:0", "host:x", "::1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        pair.address_of(text)
    assert caught.value.problem.code in {"session-malformed", "usage"}


def test_a_name_that_stands_for_another_host_is_not_taken_from_it(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = home.folder / ".config/qvd-usbip/sessions"
    folder.mkdir(parents=True)
    fields = {"v": 1, "name": "work", "address": "a:1", "encryption": "tls", "host_fingerprint": "0" * 64}
    (folder / "work.json").write_text(json.dumps(fields))
    for name in ("work", "../work", ""):
        assert client_cli.main(["pair", "127.0.0.1:1", "--name", name]) == PROBLEMS["usage"].exit_status
    assert "qvd-usb forget work" in capsys.readouterr().err


def test_only_tls_1_3_is_spoken(home: Home, host_identity: Identity) -> None:
    async def work() -> None:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.load_cert_chain(host_identity.certificate, host_identity.key)
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=old)
        async with server:
            port = server.sockets[0].getsockname()[1]
            assert await home.client("pair", f"127.0.0.1:{port}").end() == PROBLEMS["slave-protocol"].exit_status

    asyncio.run(work())
