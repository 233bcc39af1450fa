"""Both programs' commands pair over TLS on the loopback; whoever is in the middle is found out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from client_gui import pair
from client_gui.session import parse_session
from qvd_usbip.errors import PROBLEMS, QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.pairing import fingerprint_of, shown
from qvd_usbip.system.identity import Identity, load_or_make
from qvd_usbip.wire import PairClient
from server_agent import paired, pairing
from tests.kit.pairing_peers import Middle, door, stranger_context
from tests.unit.pairing.conftest import Home, serving
from tests.unit.server_agent.conftest import Bench, Run

CODE_WRONG, ENDED, CLOSED = (PROBLEMS[f"pairing-{word}"].exit_status for word in ("code-wrong", "ended", "closed"))


def events(bench: Bench) -> list[object]:
    return [row["event"] for row in bench.daemon._wiring.records.recent]


def sessions(home: Home) -> list[Path]:
    return sorted((home.folder / ".config/qvd-usbip/sessions").glob("*"))


async def known(bench: Bench) -> tuple[paired.Paired, ...]:
    return (await bench.pairing.clients()).clients


async def reserve(bench: Bench) -> None:
    await bench.ask(op="reserve", container="one", broker_gid=0)


def test_both_sides_show_the_same_code_both_say_yes_and_each_knows_the_other(
    run: Run, home: Home, host_identity: Identity
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            code = (await client.event("code"))["code"]
            assert (await host.event("code"))["code"] == code
            assert len(code) == 6
            assert await known(bench) == ()
            host.say("y")
            client.say(shown(code))
            assert (await client.end(), await host.end()) == (0, 0)
        (stored,) = await known(bench)
        (path,) = sessions(home)
        session = parse_session(path.read_text())
        assert session.name == path.stem == f"one@127.0.0.1:{port}"
        assert path.stat().st_mode & 0o777 == 0o600
        assert session.host_fingerprint == host_identity.fingerprint
        assert (str(session.address), session.encryption, session.key) == (f"127.0.0.1:{port}", "tls", "")
        own = load_or_make(home.folder / ".config/qvd-usbip/identity", "")
        assert (stored.container, stored.fingerprint, stored.certificate) == (VmId("one"), own.fingerprint, own.der)
        assert (await host.event("paired"))["name"] == stored.name == (await client.event("paired"))["client"]
        assert events(bench)[-2:] == ["pairing", "pair"]

    run(work)


def test_somebody_in_the_middle_gets_another_code_on_each_side_and_nobody_is_paired(
    run: Run, home: Home, host_identity: Identity, tmp_path: Path
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as real_port:
            middle = Middle(load_or_make(tmp_path / "middle", "middle"), real_port)
            async with door(middle._identity, middle.converse) as port:
                client = home.client("pair", f"127.0.0.1:{port}")
                codes = (await client.event("code"))["code"], (await host.event("code"))["code"]
                assert codes == middle.codes
                assert codes[0] != codes[1]
                host.say(codes[0])  # what the client shows, as an administrator reads it there
                assert await host.end() == CODE_WRONG
                client.say("n")
                assert await client.end() == CODE_WRONG
        assert await known(bench) == ()
        assert sessions(home) == []
        assert bench.daemon._wiring.records.recent[-1]["problem"] == "pairing-code-wrong"
        assert not bench.pairing.is_open

    run(work)


def test_the_code_of_the_clients_screen_can_be_given_to_another_call_of_the_command(
    run: Run, home: Home, host_identity: Identity
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}", "--name", "work")
            code = (await client.event("code"))["code"]
            client.say("yes")
            other = home.agent("pair", "one", "--code", shown(code))
            assert [await each.end() for each in (client, other, host)] == [0, 0, 0]
        assert [path.name for path in sessions(home)] == ["work.json"]

    run(work)


@pytest.mark.parametrize("answer", ["n", "", "000 00", "YESS"])
def test_a_host_that_does_not_say_yes_pairs_nobody_and_the_client_is_told(
    run: Run, home: Home, host_identity: Identity, answer: str
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            await host.event("code")
            host.say(answer)
            assert (await host.end(), await client.end()) == (CODE_WRONG, CODE_WRONG)
        assert await known(bench) == ()
        assert sessions(home) == []

    run(work)


def test_a_client_that_says_no_is_not_paired_though_the_host_said_yes(
    run: Run, home: Home, host_identity: Identity
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            await host.event("code")
            host.say("y")
            await asyncio.sleep(0.1)
            assert await known(bench) == ()
            client.say("n")
            assert (await client.end(), await host.end()) == (CODE_WRONG, CODE_WRONG)
        assert await known(bench) == ()

    run(work)


def test_a_client_that_says_yes_alone_is_not_paired(run: Run, home: Home, host_identity: Identity) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            await host.event("code")
            client.say("y")
            await asyncio.sleep(0.3)
            assert await known(bench) == ()
            assert sessions(home) == []
            host.say("n")
            assert (await host.end(), await client.end()) == (CODE_WRONG, CODE_WRONG)
        assert await known(bench) == ()

    run(work)


async def committed(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has committed itself and been told the host's nonce."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=stranger_context())
    writer.write(PairClient().request + b'{"v":1,"commit":"' + b"0" * 64 + b'"}\n')
    assert await reader.readuntil(b"\r\n\r\n")
    assert b"nonce" in await reader.readline()
    return reader, writer


def test_who_hangs_up_after_learning_the_hosts_nonce_has_used_the_window_up(
    run: Run, home: Home, host_identity: Identity
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse, lambda: bench.pairing.is_open) as port:
            _, writer = await committed(port)
            assert not bench.pairing.is_open
            writer.close()
            assert await host.end() == ENDED
            assert await home.client("pair", f"127.0.0.1:{port}").end() == CLOSED

    run(work)


@pytest.mark.parametrize("first", [b"", b"{}\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 9000])
def test_who_says_nothing_that_counts_leaves_the_window_to_the_next(
    run: Run, home: Home, host_identity: Identity, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(pairing, "STEP_SECONDS", 0.2)

    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse, lambda: bench.pairing.is_open) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=stranger_context())
            writer.write(PairClient().request + first)
            await reader.read()
            writer.close()
            await bench.until(lambda: bench.pairing.is_open)
            monkeypatch.setattr(pairing, "STEP_SECONDS", 10)
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            client.say("n")
            assert await client.end() == CODE_WRONG
            await host.end()

    run(work)


def test_while_one_client_is_talked_to_no_other_is(run: Run, home: Home, host_identity: Identity) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse, lambda: bench.pairing.is_open) as port:
            first = home.client("pair", f"127.0.0.1:{port}")
            await first.event("code")
            assert await home.client("pair", f"127.0.0.1:{port}").end() == CLOSED
            first.say("n")
            await first.end()
            await host.end()

    run(work)


def test_a_window_closes_by_itself_and_both_are_told(
    run: Run, home: Home, host_identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "WINDOW_SECONDS", 3.0)

    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            assert (await host.end(), await client.end()) == (ENDED, ENDED)
        monkeypatch.setattr(pairing, "WINDOW_SECONDS", 0.1)
        assert await home.agent("pair", "one").end() == ENDED
        assert not bench.pairing.is_open

    run(work)


def test_another_pairing_ends_the_one_before(run: Run, home: Home, host_identity: Identity) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        first = home.agent("pair", "one")
        await first.event("waiting")
        second = home.agent("pair", "one")
        await second.event("waiting")
        assert await first.end() == ENDED
        assert bench.pairing.is_open
        bench.pairing.refuse((await second.event("waiting"))["window"])
        assert await second.end() == ENDED

    run(work)


def test_a_disk_that_is_full_pairs_nobody_and_both_are_told(
    run: Run, home: Home, host_identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> paired.Paired:
        raise QvdUsbError(PROBLEMS["config-unwritable"], path="x", reason="the disk is full")

    monkeypatch.setattr(paired, "add", full)

    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await client.event("code")
            await host.event("code")
            client.say("y")
            host.say("y")
            assert (await host.end(), await client.end()) == (PROBLEMS["config-unwritable"].exit_status, ENDED)
        assert sessions(home) == []

    run(work)


def test_a_host_whose_certificate_is_not_the_connections_is_refused(
    run: Run, home: Home, host_identity: Identity, tmp_path: Path
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, load_or_make(tmp_path / "other", "other")))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            assert await client.end() == PROBLEMS["pairing-protocol"].exit_status
            assert await host.end() == ENDED

    run(work)


def test_a_client_whose_certificate_is_none_is_refused(
    run: Run, home: Home, host_identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair, "_own_certificate", lambda *_: b"no certificate")

    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            assert await client.end() == ENDED
            assert await host.end() == PROBLEMS["pairing-protocol"].exit_status

    run(work)


def test_unpairing_is_in_force_when_it_is_answered(run: Run, host_identity: Identity) -> None:
    async def work(bench: Bench) -> None:
        seen: list[int] = []

        async def changed() -> None:
            seen.append(len(await known(bench)))

        bench.pairing.serve(host_identity.der, changed)
        certificate = b"ann's"
        paired.add(
            bench.pairing._folder,
            paired.Paired(
                name="ann",
                container=VmId("one"),
                fingerprint=fingerprint_of(certificate),
                added="",
                certificate=certificate,
            ),
        )  # fmt: skip
        assert [each["name"] for each in (await bench.ask(op="clients"))["clients"]] == ["ann"]
        assert (await bench.ask(op="unpair", name="ann"))["client"]["container"] == "one"
        assert seen == [0]
        assert (
            bench.daemon._wiring.records.recent[-1] | {"event": "unpair", "client": "ann", "container": "one"}
            == (bench.daemon._wiring.records.recent[-1])
        )
        with pytest.raises(QvdUsbError) as caught:
            await bench.ask(op="unpair", name="ann")
        assert caught.value.problem.code == "client-unknown"

    run(work)


def test_without_an_endpoint_and_for_a_container_that_is_not_there_nobody_is_waited_for(
    run: Run, home: Home, host_identity: Identity
) -> None:
    async def work(bench: Bench) -> None:
        await reserve(bench)
        assert await home.agent("pair", "one").end() == PROBLEMS["endpoint-off"].exit_status
        serving(bench, host_identity)
        assert await home.agent("pair", "nowhere").end() == PROBLEMS["container-unknown"].exit_status
        assert await home.agent("pair", "one", "--code", "1").end() == ENDED

    run(work)


def test_an_answer_that_never_comes_is_no_yes(run: Run, home: Home, host_identity: Identity) -> None:
    async def work(bench: Bench) -> None:
        await reserve(serving(bench, host_identity))
        host = home.agent("pair", "one")
        await host.event("waiting")
        async with door(host_identity, bench.pairing.converse) as port:
            client = home.client("pair", f"127.0.0.1:{port}")
            await host.event("code")
            host.hang_up()  # another call of the command may still say yes
            client.hang_up()
            assert (await client.end(), await host.end()) == (ENDED, ENDED)
        assert await known(bench) == ()

    run(work)
