"""PURE: whether a container's user may open a device's nodes, as far as that can be seen from the host.

Of a container whose nodes the host makes all of it can be seen without a look at one of its files: nodes and lists are
the host's own, and the kernel says what is mounted where they should be. In another container the nodes are its root's.
"""

from collections.abc import Collection
from dataclasses import dataclass

from qvd_usbip.ack import AckState
from qvd_usbip.ids import VmId
from server_agent import mounts
from server_agent.host_nodes import name_inside, wanted_nodes
from server_agent.mounts import Mount
from server_agent.state import HostNodes, Right, State

MADE_INSIDE = "its image makes the nodes, and the host does not look into a container"
NOT_WHOLE = "not each of its numbers has its right yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is to be looked for: one device's nodes.

    Args:
        container: whose device it is.
        nodes: names as the kernel gives them, each with its number.
        places: the same nodes' names below the container's /dev, in the same order.
        access: whose the nodes are to be; None: the container makes its own.
        whole: each number that the device has is among them.
    """

    container: VmId
    nodes: tuple[tuple[str, Right], ...]
    places: tuple[str, ...]
    access: HostNodes | None
    whole: bool

    @property
    def main(self) -> str:
        """The device's own node, below /dev."""
        return next((place for place in self.places if place.startswith("bus/usb/")), self.places[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen.

    Args:
        right: names of nodes that have the number and the list they should have.
        device: the file system that the host's nodes are on, "0:45".
        mounts: of the container's first process; empty when it has none.
    """

    right: Collection[str]
    device: str
    mounts: Collection[Mount]


def question_of(state: State, container: VmId, attach_id: str) -> Question | None:
    """What has to be looked for so that this attach is ready; None: nothing, or nothing any more."""
    progress, device = state.progress.get(attach_id), state.device_of_attach(container, attach_id)
    owner = state.containers.get(container)
    if progress is None or progress.state is not AckState.AUTHORISED or device is None or owner is None:
        return None
    wanted = sorted((name, right) for right, name in wanted_nodes(device).items())
    return Question(
        container=container,
        nodes=tuple(wanted),
        places=tuple(name_inside(owner, name) for name, _ in wanted),
        access=owner.nodes,
        whole=bool(wanted) and {right for _, right in wanted} == set(device.names),
    )


def find_obstacle(question: Question, seen: Seen) -> str:
    """What keeps the group's member from the first node that cannot be opened; empty when each can be."""
    if not question.whole:
        return NOT_WHOLE
    for (name, _), place in zip(question.nodes, question.places, strict=True):
        if name not in seen.right:
            return f"/dev/{place}: the host has not made it"
        path = f"/dev/{place}"
        found = mounts.find(seen.mounts, path)
        if found is None:
            return f"{path}: the container has no process"
        if found.device != seen.device or found.within(path) != f"/{question.container}/{name}":
            return f"{path}: something else is mounted there"
        if found.nodev:
            return f"{path}: no device can be opened there (nodev)"
    return ""
