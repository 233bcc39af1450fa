"""What the agent sees of a container's nodes: the host's own files, and the mounts of the container's init."""

import os
from pathlib import Path

import pytest

from server_agent.kernel.inside import Inside
from server_agent.usable import Question, find_obstacle
from tests.unit.server_agent.test_nodes import ACCESS, NAME, NODE, OTHER, USB, FakeNodes
from tests.unit.server_agent.test_uevents import Host

QUESTION = Question(container=NAME, nodes=((NODE, USB),), places=(NODE,), access=ACCESS, whole=True)


class Scene:
    """A container whose init is a process of the test, with the mounts that LXC makes for it."""

    def __init__(self, folder: Path) -> None:
        self.nodes = FakeNodes(folder / "nodes")
        self.nodes.folders.create(NAME)
        self.host = Host(folder)
        self.inside = Inside(nodes=self.nodes.folders, cgroups=folder / "cgroup", proc=folder / "proc")
        self.proc = folder / "proc"

    def boot(self, folder: str = "/three/bus/usb") -> None:
        number = self.nodes.root.stat().st_dev
        device = f"{os.major(number)}:{os.minor(number)}"
        pid = self.host.process("three/payload/init.scope", "1")
        (self.proc / str(pid) / "mountinfo").write_text(
            f"1 0 8:1 / / rw - ext4 r rw\n2 1 {device} {folder} /dev/bus/usb rw - tmpfs q rw\n"
        )

    def obstacle(self) -> str:
        return find_obstacle(QUESTION, self.inside.look(QUESTION))


@pytest.fixture
def scene(tmp_path: Path) -> object:
    made = Scene(tmp_path)
    yield made
    made.host.end()


def test_a_node_with_number_and_list_at_its_place_is_all_there_has_to_be(scene: Scene) -> None:
    scene.boot()
    assert "has not made it" in scene.obstacle()
    scene.nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert scene.obstacle() == ""


def test_a_node_of_another_number_or_list_is_none(scene: Scene) -> None:
    scene.boot()
    scene.nodes.folders.make(NAME, NODE, OTHER, ACCESS)
    assert "has not made it" in scene.obstacle()
    scene.nodes.folders.make(NAME, NODE, USB, ACCESS)
    os.removexattr(scene.nodes.root / "three" / NODE, "system.posix_acl_access")
    assert "has not made it" in scene.obstacle()


def test_what_stands_elsewhere_in_the_container_is_not_at_its_place(scene: Scene) -> None:
    scene.boot("/four/bus/usb")
    scene.nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert "something else is mounted there" in scene.obstacle()


def test_a_container_that_has_ended_has_nothing_at_its_place(scene: Scene) -> None:
    scene.nodes.folders.make(NAME, NODE, USB, ACCESS)
    assert "no process" in scene.obstacle()
    scene.boot()
    scene.host.end()
    assert "no process" in scene.obstacle()
