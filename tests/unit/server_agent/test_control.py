"""The administrator's socket: who may do what, watching as it happens, and asking why."""

import asyncio
import io
import json
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from qvd_usbip.errors import QvdUsbError
from server_agent import asking, control
from tests.unit.server_agent.conftest import Bench, Run


def test_who_watches_sees_each_thing_as_it_happens(run: Run) -> None:
    async def work(bench: Bench) -> None:
        seen: list[dict[str, Any]] = []
        ended = threading.Event()

        def watch() -> None:
            with pytest.raises(QvdUsbError) as caught:
                seen.extend(asking.watch(bench.path, 5))
            assert caught.value.problem.code == "agent-unreachable"
            ended.set()

        watching = threading.Thread(target=watch)
        watching.start()
        await bench.until(lambda: bool(bench.daemon._wiring.records._followers))
        await bench.in_use()
        await bench.until(lambda: len(seen) == 3)
        assert [row["event"] for row in seen] == ["lease", "attach", "grant"]
        await bench.server.stop()
        await bench.until(ended.is_set)
        watching.join()
        assert not bench.daemon._wiring.records._followers

    run(work)


def test_a_watcher_that_hangs_up_is_forgotten(run: Run) -> None:
    async def work(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(b'{"op":"watch"}\n')
        assert json.loads(await reader.readline()) == {"ok": True}
        await bench.until(lambda: bool(bench.daemon._wiring.records._followers))
        writer.close()
        await bench.until(lambda: not bench.daemon._wiring.records._followers)

    run(work)


@pytest.mark.parametrize(
    ("request_", "allowed"),
    [
        ({"op": "status"}, True),
        ({"op": "hubs"}, True),
        ({"op": "explain", "subject": "one"}, True),
        ({"op": "watch"}, True),
        ({"op": "clients"}, True),
        ({"op": "unpair", "name": "ann"}, False),
        ({"op": "pair", "container": "one"}, False),
        ({"op": "pair-confirm", "container": "one", "code": "123456"}, False),
        ({"op": "pair-state", "window": "", "stage": "", "wait": 0}, False),
        ({"op": "reserve", "container": "one", "broker_gid": 0}, False),
        ({"op": "release", "container": "one"}, False),
        ({"op": "revoke", "container": "one", "busid": "3-1"}, False),
        ({"op": ["status"]}, False),
    ],
)
def test_who_is_not_root_may_look_and_no_more(
    run: Run, monkeypatch: pytest.MonkeyPatch, request_: dict[str, object], *, allowed: bool
) -> None:
    monkeypatch.setattr(control, "_uid", lambda _: 1000)

    async def work(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(json.dumps(request_).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        assert answer["ok"] == allowed
        assert allowed or answer["problem"] == "control-refused"

    run(work)


@pytest.mark.parametrize("line", [b"[" * 4000, b"{", b"[]", b"\xff\xfe"])
def test_what_is_no_request_is_answered_so(run: Run, line: bytes) -> None:
    async def work(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(line + b"\n")
        assert json.loads(await reader.readline())["problem"] == "internal"
        writer.close()

    run(work)


def test_an_answer_that_is_too_deep_is_none() -> None:
    with pytest.raises(ValueError, match="too deep"):
        asking.parse_answer(io.BytesIO(b"[" * 5000 + b"\n"))


def test_the_kernel_says_who_asks(run: Run) -> None:
    async def work(bench: Bench) -> None:
        reader, writer = await asyncio.open_unix_connection(bench.path)
        writer.write(b'{"op":"status"}\n')
        assert json.loads(await reader.readline())["ok"]
        assert control._uid(writer) == os.getuid()
        writer.close()

    run(work)


def test_a_group_may_be_let_to_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[Path, int, int]] = []
    monkeypatch.setattr("server_agent.control.os.chown", lambda *words: given.append(words))

    async def work() -> None:
        async def nothing(_: control.Reply) -> control.Reply:
            return {}

        server = control.Server(tmp_path / "control.sock", nothing, cast("Any", None), 77)
        await server.start()
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o660
        await server.stop()

    asyncio.run(work())
    assert given == [(tmp_path / "control.sock", -1, 77)]


def test_explain_answers_for_containers_and_devices(run: Run) -> None:
    async def work(bench: Bench) -> None:
        await bench.in_use()
        assert "has vhci_hcd.1" in (await bench.ask(op="explain", subject="one"))["lines"][0]
        assert "belongs to one" in (await bench.ask(op="explain", subject="3-1"))["lines"][0]
        with pytest.raises(QvdUsbError) as caught:
            await bench.ask(op="explain", subject="../x")
        assert caught.value.problem.code == "container-name-malformed"

    run(work)


def test_a_container_that_is_called_as_a_device_is_explained_all_the_same(run: Run) -> None:
    async def work(bench: Bench) -> None:
        (bench.daemon._wiring.brokers / "3-1").mkdir()
        await bench.ask(op="reserve", container="3-1", broker_gid=0)
        assert (await bench.ask(op="explain", subject="3-1"))["lines"][0].startswith("3-1 has vhci_hcd.1 ")

    run(work)


def test_those_who_look_leave_room_for_root(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        uids = iter([1000] * (control.MOST_LOOKING + 1) + [0])
        monkeypatch.setattr(control, "_uid", lambda _: next(uids))
        watching = []
        for number in range(control.MOST_LOOKING + 2):
            reader, writer = await asyncio.open_unix_connection(bench.path)
            writer.write(b'{"op":"watch"}\n')
            answer = json.loads(await reader.readline())
            assert answer["ok"] == (number != control.MOST_LOOKING)
            watching.append(writer)
        for writer in watching:
            writer.close()

    run(work)
