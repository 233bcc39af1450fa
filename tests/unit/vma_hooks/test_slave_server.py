"""The slave server's conversations, over real sockets and with a broker that does what a test tells it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from qvd_usbip import broker
from qvd_usbip.ack import AckState
from tests.unit.vma_hooks.fake_broker import ATTACH_ID, FakeBroker
from tests.unit.vma_hooks.slave_client import KEY, LINE, Peer, get, upgrade
from vma_hooks.broker_client import BrokerClient
from vma_hooks.conversation import Host, converse
from vma_hooks.follow import Follower
from vma_hooks.listener import Listener


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[FakeBroker]:
    fake = FakeBroker(tmp_path / "broker.sock")
    yield fake
    fake.close()


@pytest.fixture
def host(tmp_path: Path, agent: FakeBroker) -> Host:
    client = BrokerClient(agent.path, patience=2)
    return Host(KEY, client, Follower(client, tmp_path / "dev", 6), head_seconds=2)


@pytest.fixture
def dial(host: Host) -> Iterator[Callable[[], Peer]]:
    """A server on a TCP port of this machine; call it for a new connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listener = Listener([listening], host, limit=4)
        thread = threading.Thread(target=listener.serve)
        thread.start()
        peers: list[Peer] = []

        def connect() -> Peer:
            peers.append(Peer(socket.create_connection(listening.getsockname())))
            return peers[-1]

        yield connect
        for peer in peers:
            peer.connection.close()
        listener.stop()
        thread.join()


def ask(dial: Callable[[], Peer], wait: int = 0, attach_id: str = ATTACH_ID) -> dict[str, object]:
    peer = dial()
    peer.send(get(f"/usbip/attach/{attach_id}?wait={wait}"))
    head, _, body = peer.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    state: dict[str, object] = json.loads(body)
    return state


def wait_for(holds: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- a device comes -------------------------------------------------------------------------------------------------


def test_a_device_is_handed_to_the_agent(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    peer = dial()
    peer.send(upgrade())
    assert peer.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    peer.send(LINE)
    wait_for(lambda: agent.connections)
    assert agent.requests == [broker.Attach(devid=65538, speed=3, attach_id=ATTACH_ID)]


def test_what_follows_the_device_line_is_left_for_the_kernel(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    peer = dial()
    peer.send(upgrade() + LINE + b"first URB")
    wait_for(lambda: agent.connections)
    passed = agent.connections[0]
    assert passed.recv(100) == b"first URB"
    passed.sendall(b"answer")
    assert peer.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    assert peer.until(b"answer") == b"answer"  # nothing of the server's between its 101 and the kernel's first word


def test_the_connection_is_quick_and_notices_a_vanished_peer(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    dial().send(upgrade() + LINE)
    wait_for(lambda: agent.connections)
    passed = agent.connections[0]
    assert passed.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert passed.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert 0 < passed.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 4000


def test_the_server_keeps_no_copy_of_a_device_connection(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    peer = dial()
    peer.send(upgrade() + LINE)
    wait_for(lambda: agent.connections)
    peer.until(b"\r\n\r\n")
    agent.connections[0].shutdown(socket.SHUT_RDWR)
    agent.connections[0].close()
    assert peer.rest() == b""


def test_an_old_client_without_an_attach_id_is_served(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    head = (
        f"POST /usbip HTTP/1.1\r\nAuthorization: Basic {KEY}\r\nConnection: Upgrade\r\nUpgrade: qvd:usbip/1.0\r\n\r\n"
    )
    dial().send(head.encode() + LINE)
    wait_for(lambda: agent.connections)


def test_a_head_in_single_bytes(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    peer = dial()
    for byte in upgrade():
        peer.send(bytes([byte]))
    peer.until(b"\r\n\r\n")
    for byte in LINE:
        peer.send(bytes([byte]))
    wait_for(lambda: agent.connections)


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade(key="wrong"), 403),
        (upgrade(key=None), 401),
        (upgrade(protocol="websocket"), 400),
        (upgrade(attach_id="../../x"), 400),
        (get("/"), 404),
        (get("/usbip/attach/x"), 404),
        (get("/usbip/ping", key="wrong"), 403),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 9000 + b"\r\n\r\n", 431),
    ],
)
def test_a_refusal_is_the_last_word(
    dial: Callable[[], Peer], agent: FakeBroker, request_bytes: bytes, status: int
) -> None:
    peer = dial()
    peer.send(request_bytes + LINE)
    answer = peer.rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1") == 1
    assert answer.endswith(b"\r\n\r\n")
    assert (b'WWW-Authenticate: Basic realm="QVD"' in answer) == (status == 401)
    assert agent.requests == []


def test_a_peer_that_says_nothing_is_let_go(dial: Callable[[], Peer]) -> None:
    began = time.monotonic()
    assert dial().rest() == b""
    assert time.monotonic() - began < 8


def test_a_peer_that_is_slow_on_purpose_is_let_go(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    peer = dial()
    end = time.monotonic() + 8
    try:
        while time.monotonic() < end:
            peer.send(b"x")
            time.sleep(0.2)
    except ConnectionError:
        pass
    assert time.monotonic() < end
    assert agent.requests == []


@pytest.mark.parametrize("line", [b"1 2 3\n", b"65538 9\n", b"-1 3\n", b"0x10002 3\n", b"9" * 64, b"\n", b"65538 3"])
def test_a_wrong_device_line_ends_the_connection(dial: Callable[[], Peer], agent: FakeBroker, line: bytes) -> None:
    peer = dial()
    peer.send(upgrade())
    peer.until(b"\r\n\r\n")
    peer.send(line)
    peer.connection.shutdown(socket.SHUT_WR)
    assert peer.rest() == b""
    assert agent.connections == []
    assert ask(dial)["state"] == "failed"


def test_what_a_client_did_wrong_is_logged_with_its_remedy(
    dial: Callable[[], Peer], caplog: pytest.LogCaptureFixture
) -> None:
    peer = dial()
    peer.send(upgrade(key="d3Jvbmc"))
    peer.rest()
    wait_for(lambda: caplog.messages)
    assert caplog.messages[0].startswith("refused problem=slave-refused-key The session refused its key. Reconnect ")
    assert "d3Jvbmc" not in caplog.text


def test_more_connections_than_fit_are_told_so(dial: Callable[[], Peer]) -> None:
    held = [dial() for _ in range(4)]
    for peer in held:
        peer.send(b"POST /usbip")
    time.sleep(0.2)
    answer = dial().rest()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"slave-limit" in answer
    held[0].connection.close()
    wait_for(lambda: ping(dial).startswith(b"HTTP/1.1 200 "))


def ping(dial: Callable[[], Peer]) -> bytes:
    peer = dial()
    peer.send(get("/usbip/ping?hello"))
    return peer.rest()


def test_ping_is_echoed(dial: Callable[[], Peer]) -> None:
    answer = ping(dial)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\nhello")


# --- the broker -----------------------------------------------------------------------------------------------------


def attach(dial: Callable[[], Peer]) -> Peer:
    peer = dial()
    peer.send(upgrade())
    peer.until(b"\r\n\r\n")
    peer.send(LINE)
    return peer


def test_what_the_agent_refuses_is_closed_and_the_reason_is_acknowledged(
    dial: Callable[[], Peer], agent: FakeBroker
) -> None:
    agent.problem = "no-free-port"
    assert attach(dial).rest() == b""
    told = ask(dial)
    assert (told["state"], told["problem"]) == ("failed", "no-free-port")


def test_what_the_policy_refuses_is_acknowledged_as_refused(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    agent.problem = "device-refused"
    attach(dial).rest()
    assert ask(dial)["state"] == "refused"


def test_without_a_broker_the_client_is_told(tmp_path: Path, dial: Callable[[], Peer], host: Host) -> None:
    nowhere = BrokerClient(tmp_path / "none" / "broker.sock")
    host.agent, host.follower = nowhere, Follower(nowhere, tmp_path, 6)
    assert attach(dial).rest() == b""
    told = ask(dial)
    assert (told["state"], told["problem"]) == ("failed", "broker-missing")


def test_an_agent_that_crashes_in_between(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    attach(dial)
    wait_for(lambda: agent.connections)
    agent.close()
    peer = dial()
    peer.send(get(f"/usbip/attach/{ATTACH_ID}?wait=1"))
    answer = peer.rest()
    assert answer.startswith(b"HTTP/1.1 503 ")  # nothing is known: the client asks again
    assert b"agent-unreachable" in answer


def test_an_agent_that_says_nothing(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    agent.mute = True
    assert attach(dial).rest() == b""
    told = ask(dial)
    assert (told["state"], told["problem"]) == ("failed", "agent-unreachable")


@pytest.mark.parametrize("answer", [b"no json", b'{"v":1}', b'{"v":2,"ok":true}', b'{"v":1,"ok":true,"more":1}'])
def test_an_agent_that_talks_nonsense(dial: Callable[[], Peer], agent: FakeBroker, answer: bytes) -> None:
    agent.reply = lambda _request: answer
    assert attach(dial).rest() == b""
    assert ask(dial)["problem"] == "broker-protocol"


# --- the acknowledgement --------------------------------------------------------------------------------------------


def test_news_are_told_at_once_and_again_only_when_they_change(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    assert ask(dial, wait=10)["state"] == "attached"
    timer = threading.Timer(0.3, agent.set, [AckState.GRANTED])
    timer.start()
    began = time.monotonic()
    assert ask(dial, wait=10)["state"] == "granted"
    assert 0.2 < time.monotonic() - began < 5
    timer.join()


def test_a_device_that_was_never_heard_of_is_gone(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    agent.problem = "device-gone"
    assert ask(dial)["state"] == "gone"


def test_a_client_may_ask_before_its_device_line_was_read(dial: Callable[[], Peer], agent: FakeBroker) -> None:
    agent.problem = "device-gone"
    threading.Timer(0.3, setattr, [agent, "problem", ""]).start()
    assert ask(dial, wait=10)["state"] == "attached"


def test_standard_input_mode(host: Host, agent: FakeBroker) -> None:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.sendall(upgrade() + LINE + b"URB")
        converse(theirs, host)
        assert agent.connections[0].recv(10) == b"URB"
