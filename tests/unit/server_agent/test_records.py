"""Where entries go: the journal gets a line with fields, figures count, watchers see all or how much they missed."""

import asyncio
import errno
import io
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qvd_usbip.ids import HubId, VmId
from server_agent import display, records
from server_agent.chronicle import Entry, Kind
from server_agent.figures import Figures
from server_agent.journal import Journal
from server_agent.lending import Lease
from server_agent.metrics import Metrics
from server_agent.records import Records
from server_agent.state import State
from tests.unit.server_agent.test_chronicle import in_use

ONE = VmId("one")
GRANT = Entry(
    at=1.0, kind=Kind.GRANT, container=ONE,
    words={"device": "3-1", "identity": "0bda:58c2@a\nb", "right": "c 189:5", "node": "/dev/bus/usb/003/002", "ms": 4},
)  # fmt: skip
REFUSAL = Entry(at=1.0, kind=Kind.REFUSAL, container=ONE, words={"device": "3-1", "problem": "device-is-hub"})


def fields_of(datagram: bytes) -> dict[str, str]:
    return dict(line.split("=", 1) for line in datagram.decode().splitlines())


def test_the_journal_gets_one_line_of_json_and_fields_to_search_by(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "socket"))
        journal = Journal(path=tmp_path / "socket")
        kept = Records(sinks=(journal,), clock=lambda: 0.25)
        kept.add(GRANT)
        kept.add(REFUSAL)
        fields = fields_of(heard.recv(4096))
        assert json.loads(fields.pop("MESSAGE")) == {
            "v": 1, "event": "grant", "container": "one", "time": "1970-01-01T00:00:00.250+00:00", **GRANT.words,
        }  # fmt: skip
        assert fields == {
            "PRIORITY": "5", "SYSLOG_IDENTIFIER": "qvd-usb-audit", "QVD_EVENT": "grant", "QVD_CONTAINER": "one",
            "QVD_DEVICE": "3-1",
        }  # fmt: skip
        assert fields_of(heard.recv(4096))["PRIORITY"] == "4"
        journal.close()


def test_a_journal_that_is_away_or_full_loses_nothing(tmp_path: Path) -> None:
    fallback = io.StringIO()
    journal = Journal(path=tmp_path / "socket", fallback=fallback)
    journal(GRANT, GRANT.as_json())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "socket"))
        sent = 0
        for _ in range(5000):
            journal(REFUSAL, REFUSAL.as_json())
        deaf.setblocking(False)
        try:
            while deaf.recv(4096):
                sent += 1
        except BlockingIOError:
            pass
    journal.close()
    rows = [json.loads(line) for line in fallback.getvalue().splitlines()]
    assert rows[0]["event"] == "grant"
    assert sent > 0
    assert len(rows) == 1 + 5000 - sent


class Full(io.StringIO):
    """A file on a disk that is full."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_audit_that_nothing_takes_stops_nobody_and_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(path=tmp_path / "nowhere", fallback=Full())
    with caplog.at_level(logging.WARNING):
        Records(sinks=(journal,)).add(GRANT)
    journal.close()
    assert "a line of the audit is lost: [Errno 28] No space left on device" in caplog.text


def figures(metrics: Metrics, state: State) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.text(state).decode())
        for sample in family.samples
    }


def test_figures_count_what_happened_and_show_what_is(tmp_path: Path) -> None:
    world = in_use()
    metrics = Metrics()
    for entry in [*world.told, REFUSAL, REFUSAL, Entry(at=1.0, kind=Kind.OVERFLOW)]:
        metrics(entry, entry.as_json())
    found = figures(metrics, world.state)
    assert found["qvd_usb_grants_total",] == 2
    assert found["qvd_usb_attaches_total",] == 1
    assert found["qvd_usb_grant_seconds_count",] == 2
    assert found["qvd_usb_refusals_total", "refusal", "device-is-hub"] == 2
    assert found["qvd_usb_overflows_total",] == 1
    assert found["qvd_usb_devices", "authorised"] == 1
    assert found["qvd_usb_devices", "detaching"] == 0
    assert found["qvd_usb_rights",] == 2
    assert (found["qvd_usb_hubs", "lent"], found["qvd_usb_hubs", "free"]) == (1, 2)
    assert found["qvd_usb_containers", "yes"] == 1
    metrics.write(tmp_path / "usb.prom", State(quarantine={Lease(hub=HubId(1)): "in use"}))
    assert 'qvd_usb_hubs{state="quarantined"} 1.0' in (tmp_path / "usb.prom").read_text()
    assert (tmp_path / "usb.prom").stat().st_mode & 0o777 == 0o644
    metrics.write(tmp_path / "usb.prom/none", world.state)  # no folder: said in the log, nothing else


def test_figures_count_what_came_before_their_library_was_loaded_and_what_comes_after(tmp_path: Path) -> None:
    world, counting, path = in_use(), Figures(), tmp_path / "usb.prom"
    for entry in world.told:
        counting(entry, entry.as_json())
    counting.write(path, world.state)
    assert "qvd_usb_grants_total 2.0" in path.read_text()
    counting(REFUSAL, REFUSAL.as_json())
    counting.write(path, world.state)
    assert 'qvd_usb_refusals_total{event="refusal",problem="device-is-hub"} 1.0' in path.read_text()
    assert "qvd_usb_grants_total 2.0" in path.read_text(), "each once"


def test_a_start_of_the_agent_does_not_load_the_library_for_figures() -> None:
    code = "import sys, server_agent.main; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_without_the_library_for_figures_the_log_says_that_none_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "server_agent.metrics", None)
    with caplog.at_level(logging.WARNING):
        Figures().write(tmp_path / "usb.prom", State())
    assert "figures not written, and 0 entries are not counted any more: import of server_agent" in caplog.text
    assert not list(tmp_path.iterdir())


def test_what_was_not_counted_for_want_of_room_before_the_first_write_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server_agent.figures.EARLY", 2)
    counting, path = Figures(), tmp_path / "usb.prom"
    for _ in range(5):
        counting(REFUSAL, REFUSAL.as_json())
    with caplog.at_level(logging.WARNING):
        counting.write(path, State())
        counting.write(path, State())
    assert caplog.text.count("figures lack the first 3 entries") == 1
    assert 'qvd_usb_refusals_total{event="refusal",problem="device-is-hub"} 2.0' in path.read_text()


def test_a_slow_watcher_is_told_how_much_it_missed() -> None:
    async def watch() -> None:
        kept = Records()
        with kept.followed() as follower:
            for _ in range(records.WATCHER_BACKLOG + 3):
                kept.add(GRANT)
            seen = [await follower.next() for _ in range(records.WATCHER_BACKLOG + 1)]
        assert [row["event"] for row in seen[:-1]] == ["grant"] * records.WATCHER_BACKLOG
        assert seen[-1] == {"v": 1, "event": "lost", "count": 3}
        kept.add(GRANT)
        assert follower.queue.empty()
        assert len(kept.recent) == records.KEPT

    asyncio.run(watch())


def test_a_line_for_people_is_one_line() -> None:
    row = {**GRANT.as_json(), "time": "1970-01-01T00:00:00.250+00:00"}
    assert display.format_row(row) == (
        "00:00:00.250  grant       one  3-1  0bda:58c2@a\\x0ab  right=c 189:5  node=/dev/bus/usb/003/002  took 4 ms"
    )
    assert display.format_row({"v": 1, "event": "lost", "count": 3}).split() == ["lost", "-", "count=3"]
