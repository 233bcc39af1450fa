"""What every back end for device rights promises, as cases that run on fakes and, in a guest, on real kernels.

A bench makes a container of the back end's kind and tells what one of its cgroups may open. The numbers are of nodes
that every Linux has, so that a real open says more than the list: the kernel's log, its first loop devices.
"""

from collections.abc import Callable
from typing import Protocol

from qvd_usbip.ids import DevNum, VmId
from server_agent.kernel.rights import Rights
from server_agent.state import Right

NULL = Right(kind="c", number=DevNum(1, 3))
KMSG = Right(kind="c", number=DevNum(1, 11))
LOOP = Right(kind="b", number=DevNum(7, 0))
NEIGHBOUR = Right(kind="b", number=DevNum(7, 1))
PORT = Right(kind="c", number=DevNum(4, 64))


class Bench(Protocol):
    """A container whose init runs, with cgroups of its own making below."""

    rights: Rights
    name: VmId

    def start(self) -> None:
        """What LXC does between the hook before the start and the container's first program."""

    def stop(self) -> None:
        """The container's processes are gone; its cgroups need not be."""

    def deepen(self) -> None:
        """The container makes another cgroup below the deepest it has."""

    def opens(self, right: Right, access: str = "rw") -> list[bool]:
        """Whether a process may open the number, in each of the container's cgroups from the top down."""


def everywhere(found: list[bool]) -> bool:
    assert found, "no cgroup was asked"
    assert len(set(found)) == 1, f"it depends on the cgroup: {found}"
    return found[0]


def at_first_only_the_base_list_is_open(bench: Bench) -> None:
    assert bench.rights.held(bench.name) == frozenset()
    assert everywhere(bench.opens(NULL))
    for right in (KMSG, LOOP, NEIGHBOUR, PORT):
        assert not everywhere(bench.opens(right)), right
        assert not everywhere(bench.opens(right, "r")), right


def an_allow_is_for_one_kind_and_one_number_in_cgroups_that_are_and_that_come(bench: Bench) -> None:
    bench.deepen()
    bench.rights.allow(bench.name, LOOP)
    bench.deepen()
    assert everywhere(bench.opens(LOOP))
    assert everywhere(bench.opens(NULL))
    for right in (NEIGHBOUR, KMSG, PORT, Right(kind="c", number=LOOP.number)):
        assert not everywhere(bench.opens(right)), right
    assert bench.rights.held(bench.name) == frozenset({LOOP})


def a_deny_reaches_every_cgroup_and_leaves_the_other_rights(bench: Bench) -> None:
    for right in (LOOP, NEIGHBOUR, KMSG):
        bench.rights.allow(bench.name, right)
    bench.deepen()
    bench.rights.deny(bench.name, LOOP)
    assert not everywhere(bench.opens(LOOP))
    assert not everywhere(bench.opens(LOOP, "r"))
    assert everywhere(bench.opens(NEIGHBOUR))
    assert everywhere(bench.opens(KMSG))
    assert bench.rights.held(bench.name) == frozenset({NEIGHBOUR, KMSG})


def what_is_said_twice_is_true_once(bench: Bench) -> None:
    bench.rights.deny(bench.name, PORT)
    bench.rights.allow(bench.name, KMSG)
    bench.rights.allow(bench.name, KMSG)
    assert bench.rights.held(bench.name) == frozenset({KMSG})
    bench.rights.deny(bench.name, KMSG)
    bench.rights.deny(bench.name, KMSG)
    assert bench.rights.held(bench.name) == frozenset()
    assert not everywhere(bench.opens(KMSG))


def taken_and_given_again_it_is_there_again(bench: Bench) -> None:
    for _ in range(3):
        bench.rights.allow(bench.name, LOOP)
        assert everywhere(bench.opens(LOOP))
        bench.rights.deny(bench.name, LOOP)
        assert not everywhere(bench.opens(LOOP))


def it_knows_its_container_and_whether_it_runs(bench: Bench) -> None:
    assert bench.rights.knows(bench.name)
    assert bench.name in bench.rights.known()
    assert bench.rights.has_processes(bench.name)


#: Each begins and ends with a running container that has no right.
CASES: tuple[Callable[[Bench], None], ...] = (
    at_first_only_the_base_list_is_open,
    an_allow_is_for_one_kind_and_one_number_in_cgroups_that_are_and_that_come,
    a_deny_reaches_every_cgroup_and_leaves_the_other_rights,
    what_is_said_twice_is_true_once,
    taken_and_given_again_it_is_there_again,
    it_knows_its_container_and_whether_it_runs,
)


def clear(bench: Bench) -> None:
    """Between two cases."""
    for right in bench.rights.held(bench.name) or ():
        bench.rights.deny(bench.name, right)


def stopped_nothing_is_left_and_the_next_life_begins_without_rights(bench: Bench) -> None:
    """From a running container to a running one."""
    bench.rights.allow(bench.name, LOOP)
    bench.stop()
    assert not bench.rights.has_processes(bench.name)
    bench.rights.remove(bench.name)
    assert not bench.rights.knows(bench.name)
    assert bench.rights.held(bench.name) is None
    bench.rights.remove(bench.name)
    bench.rights.deny(bench.name, LOOP)
    bench.rights.create(bench.name)
    bench.rights.create(bench.name)
    bench.start()
    assert bench.rights.held(bench.name) == frozenset()
    assert not everywhere(bench.opens(LOOP))
