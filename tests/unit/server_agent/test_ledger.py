"""The record of leases: what was written is read again; anything else counts as nothing."""

import errno
import json
import os
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import HubId, VmId
from qvd_usbip.port_range import ALL_PORTS, PortRange
from server_agent.backend import Backend
from server_agent.ledger import Ledger, format_ledger, parse_ledger
from server_agent.lending import Lease
from server_agent.state import Container, Device, HostNodes, Phase, Port, Progress, Stage, State

BOOT = "0f0e"
PARTS = (ALL_PORTS, PortRange(0, 3), PortRange(4, 7))
names = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,10}", fullmatch=True).map(VmId)


@st.composite
def states(draw: st.DrawFn) -> State:
    chosen = draw(st.lists(names, unique=True, max_size=5))
    hubs = draw(st.permutations([HubId(n) for n in range(8)]))
    containers = {
        name: Container(
            name=name, hub=hub, ports=draw(st.sampled_from(PARTS)) if hub else ALL_PORTS, phase=Phase.IN_FORCE,
            backend=draw(st.sampled_from(list(Backend))),
            switched_off=draw(st.booleans()), broker_gid=draw(st.integers(0, 99999)), since=draw(st.floats(0, 50)),
            nodes=draw(st.none() | st.builds(HostNodes, root=st.integers(1, 99999), group=st.integers(0, 99999))),
        )
        for name, each in zip(chosen, hubs, strict=False)
        for hub in (draw(st.sampled_from([None, each])),)
    }  # fmt: skip
    if draw(st.booleans()):  # two that share the last hub
        for name, ports in zip((VmId("y_1"), VmId("y_2")), PARTS[1:], strict=True):
            containers[name] = Container(name=name, hub=HubId(9), ports=ports, phase=Phase.IN_FORCE)
    devices, progress = {}, {}
    for number, container in enumerate(c for c in containers.values() if c.hub is not None):
        assert container.hub is not None
        rhport = container.ports.first + draw(st.integers(0, 3))
        port = Port(hub=container.hub, half=draw(st.sampled_from(["hs", "ss"])), rhport=rhport)
        devices[port] = Device(
            port=port, container=container.name, attach_id=str(number), devid=65538, speed=3, stage=Stage.ATTACHED
        )
        progress[str(number)] = Progress(
            container=container.name, started=draw(st.floats(0, 50)), state=AckState.ATTACHED,
            at={AckState.ATTACHED: draw(st.integers(0, 9999))}, node=draw(st.sampled_from(["", "/dev/x"])),
        )  # fmt: skip
    held = {Lease(hub=hub, ports=draw(st.sampled_from(PARTS))): "in use" for hub in hubs[5:] if draw(st.booleans())}
    return State(containers=containers, devices=devices, quarantine=held, progress=progress)


@given(states())
def test_what_is_written_is_read_again(state: State) -> None:
    assert parse_ledger(format_ledger(state, BOOT), BOOT, 100.0) == state


@given(states())
def test_a_record_of_an_agent_that_noted_less_is_read_too(state: State) -> None:
    """An upgrade restarts the agent beneath running containers."""
    record = json.loads(format_ledger(state, BOOT))
    for row in record["containers"]:
        del row["switched_off"], row["nodes"]
    known = parse_ledger(json.dumps(record), BOOT, 100.0).containers
    assert known == {
        name: replace(container, switched_off=False, nodes=None) for name, container in state.containers.items()
    }


@given(states())
def test_another_boot_knows_nothing_of_it(state: State) -> None:
    assert parse_ledger(format_ledger(state, BOOT), "another", 100.0) == State()


@given(states(), st.data())
def test_any_damage_counts_as_nothing_or_reads_as_a_state(state: State, data: st.DataObject) -> None:
    text = format_ledger(state, BOOT)
    at = data.draw(st.integers(0, len(text)))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[data.draw(st.integers(at, len(text))) :]
    try:
        found = parse_ledger(damaged, BOOT, 100.0)
    except (ValueError, KeyError, TypeError, AttributeError, QvdUsbError):
        return
    assert not any(one.meets(other) for one, other in combinations(found.leases(), 2))
    assert all(found.owner(d.port) is found.containers[d.container] for d in found.devices.values())


@given(states())
@settings(max_examples=10, deadline=None)
def test_cut_off_at_any_byte_it_counts_as_nothing(state: State) -> None:
    text = format_ledger(state, BOOT)
    for length in range(len(text) - 1):
        with pytest.raises((ValueError, KeyError, TypeError)):
            parse_ledger(text[:length], BOOT, 100.0)


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.RELEASING, Phase.TEARING])
def test_what_was_not_in_force_is_released(phase: Phase) -> None:
    one = Container(name=VmId("one"), hub=HubId(1), phase=phase)
    text = format_ledger(State(containers={one.name: one}), BOOT)
    assert parse_ledger(text, BOOT, 1.0).containers[one.name].phase == Phase.RELEASING


@pytest.mark.parametrize("backend", list(Backend))
def test_a_back_end_is_remembered(backend: Backend) -> None:
    one = Container(name=VmId("one"), hub=None, phase=Phase.IN_FORCE, backend=backend)
    text = format_ledger(State(containers={one.name: one}), BOOT)
    assert parse_ledger(text, BOOT, 1.0).containers[one.name].backend == backend


@pytest.mark.parametrize(
    ("names", "leases"),
    [
        ("ab", [["vhci_hcd.1", "1-255"], ["vhci_hcd.1", "1-4"]]),
        ("ab", [["vhci_hcd.1", "1-4"], ["vhci_hcd.1", "4-8"]]),
        ("aa", [["vhci_hcd.1", "1-4"], ["vhci_hcd.1", "5-8"]]),
    ],
)
def test_one_port_for_two_is_no_record(names: str, leases: list[list[str]]) -> None:
    rows = [
        {"name": name, "lease": lease, "backend": "map", "gid": 0, "phase": "in-force", "since": 0}
        for name, lease in zip(names, leases, strict=True)
    ]
    text = json.dumps({"v": 2, "boot": BOOT, "containers": rows, "quarantine": [], "attaches": []})
    with pytest.raises(ValueError, match="twice"):
        parse_ledger(text, BOOT, 1.0)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"[" * 5000, b"\xff\xfe", b'{"v":1}', b'{"v":2}', b"0" * (2 << 20)]
)
def test_an_unusable_file_is_an_empty_state(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(content)
    assert Ledger(path=path, boot_id=BOOT).load(1.0) == State()
    assert "rebuilt from the kernel" in caplog.text


@pytest.mark.parametrize("field", [{"nodes": [7]}, {"gid": 1e999}, {"since": float("nan")}, {"since": float("inf")}])
def test_a_container_whose_numbers_are_none_is_no_record(field: dict[str, object]) -> None:
    row = {"name": "a", "lease": None, "backend": "map", "gid": 0, "nodes": None, "phase": Phase.IN_FORCE, "since": 1}
    text = {"v": 2, "boot": BOOT, "containers": [row | field], "attaches": [], "quarantine": []}
    with pytest.raises(ValueError, match=r"\w"):
        parse_ledger(json.dumps(text), BOOT, 1.0)


def test_no_file_is_an_empty_state_without_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Ledger(path=tmp_path / "none", boot_id=BOOT).load(1.0) == State()
    assert not caplog.text


def test_the_file_is_for_root_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    ledger = Ledger(path=tmp_path / "ledger.json", boot_id=BOOT)
    ledger.save(State())
    before = ledger.path.stat()
    ledger.save(State(quarantine={Lease(hub=HubId(1)): "in use"}))
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert ledger.path.stat().st_ino != before.st_ino
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]
    assert ledger.load(1.0).quarantine == {Lease(hub=HubId(1)): "in use"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_a_save_that_fails_leaves_the_record_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    ledger = Ledger(path=tmp_path / "ledger.json", boot_id=BOOT)
    ledger.save(State(quarantine={Lease(hub=HubId(1)): "in use"}))
    before = ledger.path.read_bytes()

    def fails(*_: object, **__: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(f"qvd_usbip.system.files.os.{call}", fails)
        with pytest.raises(QvdUsbError) as caught:
            ledger.save(State())
    assert caught.value.problem.code == "config-unwritable"
    assert ledger.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.json"]
