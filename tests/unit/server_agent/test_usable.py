"""Whether a container's user may open a device, as the host can see it: every node, at its place, or a reason."""

import uuid
from dataclasses import replace

import pytest

from qvd_usbip.ack import AckState
from qvd_usbip.ids import DevNum, HubId, VmId
from server_agent import events, mounts, usable
from server_agent.decide import decide
from server_agent.state import Container, Device, Hold, HostNodes, Phase, Port, Progress, Right, Stage, State
from server_agent.usable import Question, Seen, find_obstacle, question_of

NAME, ID = VmId("three"), str(uuid.UUID(int=9))
PORT = Port(hub=HubId(1), half="hs", rhport=0)
USB = Right(kind="c", number=DevNum(189, 257))
TTY = Right(kind="c", number=DevNum(166, 0))
ACCESS = HostNodes(root=100000, group=100997)
MOUNTS = mounts.parse("""1 0 8:1 / / rw - ext4 r rw
2 1 0:30 / /dev rw - tmpfs n rw
3 2 0:45 /three /dev/qvd rw - tmpfs q rw
4 2 0:45 /three/bus/usb /dev/bus/usb rw - tmpfs q rw""")
NODES = ("bus/usb/003/002", "ttyACM0")
SEEN = Seen(right=NODES, device="0:45", mounts=MOUNTS)


def state_with(nodes: HostNodes | None = ACCESS, tty: Hold = Hold.GRANTED, at: AckState = AckState.AUTHORISED) -> State:
    device = Device(
        port=PORT, container=NAME, attach_id=ID, stage=Stage.AUTHORISED, number=USB,
        rights={USB: Hold.GRANTED, TTY: tty}, names={USB: NODES[0], TTY: NODES[1]},
    )  # fmt: skip
    return State(
        containers={NAME: Container(name=NAME, hub=HubId(1), phase=Phase.IN_FORCE, nodes=nodes)},
        devices={PORT: device},
        progress={ID: Progress(container=NAME, started=0.0, state=at)},
    )


def question(nodes: HostNodes | None = ACCESS, tty: Hold = Hold.GRANTED) -> Question:
    asked = question_of(state_with(nodes, tty), NAME, ID)
    assert asked is not None
    return asked


def test_a_device_whose_every_node_is_where_the_user_finds_it_is_usable() -> None:
    assert question().places == ("bus/usb/003/002", "qvd/ttyACM0")
    assert question().main == "bus/usb/003/002"
    assert find_obstacle(question(), SEEN) == ""


@pytest.mark.parametrize("missing", NODES)
def test_one_node_that_is_not_right_is_a_reason(missing: str) -> None:
    seen = replace(SEEN, right=[name for name in NODES if name != missing])
    assert missing in find_obstacle(question(), seen)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5 4 0:46 / /dev/bus/usb rw - tmpfs n rw", "something else"),
        ("5 2 0:46 / /dev/bus rw - tmpfs n rw", "something else"),
        ("5 4 0:45 /four/bus/usb /dev/bus/usb rw - tmpfs q rw", "something else"),
        ("5 4 0:45 /three/bus/usb /dev/bus/usb rw,nodev - tmpfs q rw", "nodev"),
    ],
)
def test_what_the_containers_root_has_mounted_over_it_is_a_reason(line: str, reason: str) -> None:
    seen = replace(SEEN, mounts=(*MOUNTS, *mounts.parse(line)))
    found = find_obstacle(question(), seen)
    assert found.startswith("/dev/bus/usb/003/002: ")
    assert reason in found


def test_a_container_without_a_process_has_no_user() -> None:
    assert "no process" in find_obstacle(question(), replace(SEEN, mounts=()))


def test_as_long_as_a_number_waits_for_its_right_it_is_not_usable() -> None:
    assert find_obstacle(question(tty=Hold.WANTED), SEEN) == usable.NOT_WHOLE


def test_where_the_image_makes_the_nodes_the_host_knows_nothing_of_them() -> None:
    assert question(nodes=None).access is None


@pytest.mark.parametrize("reached", [AckState.ATTACHED, AckState.GRANTED, AckState.READY, AckState.GONE])
def test_only_of_a_device_that_drivers_have_and_that_is_not_ready_it_is_asked(reached: AckState) -> None:
    assert question_of(state_with(at=reached), NAME, ID) is None


def test_of_another_containers_device_nothing_is_asked() -> None:
    assert question_of(state_with(), VmId("four"), ID) is None
    assert question_of(state_with(), NAME, "another") is None


def test_what_cannot_be_seen_is_said_of_the_containers_own_device_until_it_is_ready() -> None:
    state = state_with()
    for container, problem in ((VmId("four"), ""), (NAME, "node-unseen")):
        state, _ = decide(state, events.Unseen(at=1.0, container=container, attach_id=ID, request=1))
        assert (state.progress[ID].state, state.progress[ID].problem) == (AckState.AUTHORISED, problem)
    state, _ = decide(state, events.Ready(at=2.0, container=NAME, attach_id=ID, node="/dev/x", request=2))
    state, _ = decide(state, events.Unseen(at=3.0, container=NAME, attach_id=ID, request=3))
    assert (state.progress[ID].state, state.progress[ID].problem) == (AckState.READY, "")
