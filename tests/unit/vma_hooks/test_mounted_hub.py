"""A host without our agent: the image writes the mounted hub's own `attach`, and answers what the agent would."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qvd_usbip import broker
from qvd_usbip.ack import AckState
from qvd_usbip.errors import QvdUsbError
from tests.kit.old_peers.host import OldHost
from tests.unit.vma_hooks.fake_broker import ATTACH_ID
from vma_hooks.broker_client import BrokerClient
from vma_hooks.mounted_hub import MountedHub, find_hub, way_to_host

SECOND_ID = ATTACH_ID.replace("0b", "1b", 1)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[OldHost]:
    host = OldHost(tmp_path)
    yield host
    host.end()


@pytest.fixture
def hub(old: OldHost) -> Iterator[MountedHub]:
    with open(old.hub / "attach", "wb") as attach:
        yield MountedHub(old.sysfs, old.hub, attach.fileno(), old.write)


@pytest.fixture
def connection() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    yield ours
    ours.close()
    theirs.close()


def attach(hub: MountedHub, connection: socket.socket, speed: int = 3, attach_id: str = ATTACH_ID) -> None:
    hub.ask(broker.Attach(devid=65541, speed=speed, attach_id=attach_id), connection)


def state(hub: MountedHub, wait: int = 0, seen: AckState | None = None) -> AckState:
    ack = hub.ask(broker.Status(attach_id=ATTACH_ID, wait=wait, seen=seen)).ack
    assert ack is not None
    return ack.state


def refusal(hub: MountedHub, request: broker.Request, connection: socket.socket | None = None) -> str:
    with pytest.raises(QvdUsbError) as refused:
        hub.ask(request, connection)
    return refused.value.problem.code


@pytest.mark.parametrize(("speed", "port", "written"), [(1, 0, 1), (3, 0, 3), (5, 4, 5), (6, 4, 5)])
def test_a_device_goes_to_the_half_of_its_speed(
    hub: MountedHub, old: OldHost, connection: socket.socket, speed: int, port: int, written: int
) -> None:
    attach(hub, connection, speed)
    assert list(old.taken) == [port]
    assert old.devids == [(65541, written)], "a kernel that does not know SuperSpeed Plus gets SuperSpeed"


def test_ports_are_taken_one_after_the_other_until_none_is_free(
    hub: MountedHub, old: OldHost, connection: socket.socket
) -> None:
    for number in range(old.ports):
        attach(hub, connection, attach_id=ATTACH_ID.replace("0b", f"{number}b", 1))
    assert sorted(old.taken) == [0, 1, 2, 3]
    request = broker.Attach(devid=65541, speed=3, attach_id=ATTACH_ID.replace("0b", "9b", 1))
    assert refusal(hub, request, connection) == "no-free-port"


def test_a_port_that_another_took_meanwhile_is_passed_over(
    hub: MountedHub, old: OldHost, connection: socket.socket
) -> None:
    table = (old.hub / "status").read_text()
    attach(hub, connection)
    (old.hub / "status").write_text(table)  # as read just before
    attach(hub, connection, attach_id=SECOND_ID)
    assert sorted(old.taken) == [0, 1]


def test_what_the_kernel_refuses_is_said(hub: MountedHub, old: OldHost) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as odd:
        request = broker.Attach(devid=65541, speed=3, attach_id=ATTACH_ID)
        assert refusal(hub, request, odd) == "attach-failed"


def test_how_far_it_is_is_what_the_hub_shows(hub: MountedHub, old: OldHost, connection: socket.socket) -> None:
    attach(hub, connection)
    assert state(hub) is AckState.ATTACHED
    devname = old.enumerate(0)
    answer = hub.ask(broker.Status(attach_id=ATTACH_ID))
    assert answer.ack is not None
    assert (answer.ack.state, answer.nodes) == (AckState.AUTHORISED, (devname,))
    hub.ask(broker.Ready(attach_id=ATTACH_ID, node=f"/dev/{devname}"))
    assert state(hub) is AckState.READY
    ack = hub.ask(broker.Status(attach_id=ATTACH_ID)).ack
    assert ack is not None
    assert list(ack.at) == [AckState.ATTACHED, AckState.AUTHORISED, AckState.READY]
    old.end()
    assert refusal(hub, broker.Status(attach_id=ATTACH_ID)) == "device-gone"


def test_a_question_waits_for_news(hub: MountedHub, old: OldHost, connection: socket.socket) -> None:
    attach(hub, connection)
    assert state(hub, wait=1, seen=AckState.ATTACHED) is AckState.ATTACHED
    old.enumerate(0)
    assert state(hub, wait=30, seen=AckState.ATTACHED) is AckState.AUTHORISED


def test_another_ports_device_is_not_taken_for_it(hub: MountedHub, old: OldHost, connection: socket.socket) -> None:
    attach(hub, connection)
    attach(hub, connection, attach_id=SECOND_ID)
    attach(hub, connection, speed=5, attach_id=ATTACH_ID.replace("0b", "2b", 1))
    old.enumerate(1)
    old.enumerate(4)
    assert state(hub) is AckState.ATTACHED


def test_the_next_device_on_its_port_is_not_taken_for_it(
    hub: MountedHub, old: OldHost, connection: socket.socket
) -> None:
    attach(hub, connection)
    old.end()
    attach(hub, connection, attach_id=SECOND_ID)
    assert refusal(hub, broker.Status(attach_id=ATTACH_ID)) == "device-gone"


def test_nor_one_that_comes_while_it_is_looked_at(
    hub: MountedHub, old: OldHost, connection: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def next_one(_: int) -> list[str]:
        old.end()
        attach(hub, connection, attach_id=SECOND_ID)
        return []

    attach(hub, connection)
    monkeypatch.setattr("vma_hooks.mounted_hub.list_devices", next_one)
    assert refusal(hub, broker.Status(attach_id=ATTACH_ID)) == "device-gone"


def test_nor_one_that_another_program_attached(hub: MountedHub, old: OldHost, connection: socket.socket) -> None:
    attach(hub, connection)
    old.end()
    with open(old.hub / "attach", "wb") as attach_file:
        old.write(attach_file.fileno(), b"0 %d 65542 3" % connection.fileno())
    assert refusal(hub, broker.Status(attach_id=ATTACH_ID)) == "device-gone"


@pytest.mark.parametrize(
    ("problem", "question"),
    [
        ("device-gone", broker.Status(attach_id=SECOND_ID)),
        ("device-gone", broker.Ready(attach_id=SECOND_ID, node="/dev/x")),
        ("broker-protocol", broker.Detach(attach_id=ATTACH_ID)),
    ],
)
def test_what_it_does_not_know(hub: MountedHub, problem: str, question: broker.Request) -> None:
    assert refusal(hub, question) == problem
    assert hub.ask(broker.Ping()).ok


def test_the_agent_comes_first(old: OldHost, tmp_path: Path) -> None:
    agent = BrokerClient(tmp_path / "run/broker.sock")
    found = way_to_host(agent, old.sysfs)
    assert isinstance(found, MountedHub)
    found.close()
    (tmp_path / "run").mkdir()
    assert way_to_host(agent, old.sysfs) is agent, "a host with an agent is never bypassed, even while it is down"


def test_a_hub_whose_attach_reaches_other_hubs_is_left_alone(old: OldHost) -> None:
    (old.hub / "status.1").touch()
    assert find_hub(old.sysfs) is None


def test_which_hub_is_ours_is_not_guessed(old: OldHost) -> None:
    (old.sysfs / "devices/platform/vhci_hcd.4").mkdir()
    assert find_hub(old.sysfs) is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOENT])
def test_an_attach_that_may_not_be_written_is_none(old: OldHost, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vma_hooks.mounted_hub.os.open", refuse)
    assert find_hub(old.sysfs) is None
