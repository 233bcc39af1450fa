"""Events said inside containers: the injector's protocol, what is kept of what was told, who the init is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qvd_usbip.ids import DevNum, VmId
from server_agent.actions import Announce
from server_agent.kernel import cgroup_tree
from server_agent.kernel.inits import Inits, alive
from server_agent.kernel.told import Told, parse_record
from server_agent.kernel.uevents import INJECTOR, Injector, Uevents, request_of
from server_agent.state import Right, Thing

NAME = VmId("three")
ROOT = Thing(devpath="/devices/platform/vhci_hcd.1/usb3/3-1", properties=("SUBSYSTEM=usb", "NAME=\udcff"))
TTY = Thing(
    devpath=f"{ROOT.devpath}/3-1:1.0/tty/ttyACM0", properties=("SUBSYSTEM=tty", "DEVNAME=ttyACM0"),
    right=Right(kind="c", number=DevNum(166, 0)),
)  # fmt: skip
BATCH = [
    Announce(container=NAME, event="add", thing=ROOT),
    Announce(container=NAME, event="add", thing=TTY, link="ttyACM0"),
]
GONE = [Announce(container=NAME, event="remove", thing=TTY, link="ttyACM0")]
WRAPPER = """
import os, runpy, sys, time
names = runpy.run_path({path!r})
inside = names["main"].__globals__
inside.update(SECONDS=0.3, drop_capabilities=lambda: None, status_of=lambda request, init: {body})
inside["main"]()
"""


def injector(body: str) -> Injector:
    """The injector with another child: entering a container takes a container."""
    return Injector(command=(sys.executable, "-c", WRAPPER.format(path=str(INJECTOR), body=body)))


@pytest.fixture
def own_pidfd() -> object:
    fd = os.pidfd_open(os.getpid())
    yield fd
    os.close(fd)


def test_a_request_is_answered_by_a_child_that_saw_all_of_it(own_pidfd: int) -> None:
    found = injector("len(request['events']) * 10 + len(request['links'])")
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the number is looked at)
        found.ask(own_pidfd, request_of(BATCH))
    assert caught.value.errno == 21
    found.stop()


def test_it_is_warm_it_takes_one_after_another_and_ends_with_its_socket(own_pidfd: int) -> None:
    found = injector("0")
    found.start()
    process = found._process
    for _ in range(20):
        found.ask(own_pidfd, request_of(GONE))
    assert found._process is process
    found.stop()
    assert process is not None
    assert process.returncode == 0


def test_a_child_that_hangs_is_killed_and_the_next_one_is_served(own_pidfd: int) -> None:
    found = injector("time.sleep(60) if request['links'] else 0")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        found.ask(own_pidfd, request_of(GONE))
    assert time.monotonic() - began < 5
    found.ask(own_pidfd, request_of(BATCH[:1]))
    found.stop()


def test_a_child_that_fails_in_a_way_of_its_own_is_a_failure(own_pidfd: int) -> None:
    found = injector("[][0]")
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        found.ask(own_pidfd, request_of(GONE))
    found.stop()


def test_an_injector_that_died_is_started_again(own_pidfd: int) -> None:
    found = injector("0")
    found.ask(own_pidfd, request_of(GONE))
    first = found._process
    assert first is not None
    first.kill()
    first.wait()
    found.ask(own_pidfd, request_of(GONE))
    assert found._process is not first
    found.stop()


def test_without_a_container_to_enter_nothing_is_said(own_pidfd: int) -> None:
    found = Injector()
    with pytest.raises(OSError) as caught:  # noqa: PT011 (the number is looked at)
        found.ask(own_pidfd, request_of(BATCH))
    assert caught.value.errno in {1, 22}, "the own namespaces are entered by nobody"
    found.stop()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000, '["",[],"x"]', '["",[],{}]', '["",[],[]]', '["",[],["c",7]]', '["",[],["a","1:2"]]', "[[],[],null]",
        '["",[1.5],null]', '["",{},null]', "[]", "7", '["",[],["c","x"]]',
    ],
)  # fmt: skip
def test_what_is_no_record_of_a_thing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_record(text)


# what was told -------------------------------------------------------------------------------------------------------
def test_what_was_told_is_kept_word_for_word_parents_first(tmp_path: Path) -> None:
    told = Told(root=tmp_path / "told")
    for thing in (TTY, ROOT):
        told.note(NAME, thing)
    assert [(t.devpath, t.properties, t.right, t.told) for t in told.of(NAME)] == [
        (t.devpath, t.properties, t.right, True) for t in (ROOT, TTY)
    ]
    told.forget(NAME, TTY)
    told.forget(NAME, TTY)
    assert [t.devpath for t in told.of(NAME)] == [ROOT.devpath]
    assert told.known() == {NAME}
    told.remove(NAME)
    told.remove(NAME)
    assert told.of(NAME) == ()
    assert told.known() == frozenset()


def test_a_record_that_makes_no_sense_is_left_out(tmp_path: Path) -> None:
    told = Told(root=tmp_path)
    told.note(NAME, ROOT)
    (tmp_path / "three/x.json").write_text("{", encoding="ascii")
    (tmp_path / "three/y.json").write_text('["/x", [], ["c", "x"]]', encoding="ascii")
    (tmp_path / "three/z.json").write_text('["/x", [], []]', encoding="ascii")
    assert len(told.of(NAME)) == 1


class FakeInits:
    """An init, or none."""

    def __init__(self, *, there: bool = True) -> None:
        self.there = there

    def pidfd(self, name: VmId) -> int:
        if not self.there:
            raise ProcessLookupError(name)
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


class FakeInjector:
    """Keeps what it is asked."""

    def __init__(self, fault: OSError | None = None) -> None:
        self.fault = fault
        self.asked: list[dict[str, object]] = []

    def ask(self, init: int, request: dict[str, object]) -> None:
        assert Path(f"/proc/self/fd/{init}").readlink() == Path("/dev/null")
        if self.fault is not None:
            raise self.fault
        self.asked.append(request)


def uevents(told: Told, asked: FakeInjector, inits: FakeInits) -> Uevents:
    return Uevents(injector=asked, inits=inits, told=told)  # type: ignore[arg-type]


def test_a_batch_is_one_request_and_what_is_there_is_noted(tmp_path: Path) -> None:
    told, asked = Told(root=tmp_path), FakeInjector()
    uevents(told, asked, FakeInits()).say(NAME, BATCH)
    assert asked.asked == [
        {
            "links": [["add", "ttyACM0"]],
            "events": [
                ["add", ROOT.devpath, ["SUBSYSTEM=usb", "NAME=\udcff"]],
                ["add", TTY.devpath, ["SUBSYSTEM=tty", "DEVNAME=ttyACM0"]],
            ],
        }
    ]
    assert len(told.of(NAME)) == 2
    uevents(told, asked, FakeInits()).say(NAME, GONE)
    assert [t.devpath for t in told.of(NAME)] == [ROOT.devpath]


def test_what_was_not_heard_to_go_is_kept_as_told(tmp_path: Path) -> None:
    told = Told(root=tmp_path)
    told.note(NAME, TTY)
    with pytest.raises(OSError, match="hangs"):
        uevents(told, FakeInjector(OSError(110, "hangs")), FakeInits()).say(NAME, GONE)
    assert len(told.of(NAME)) == 1


def test_a_container_without_processes_hears_nothing_and_was_told_nothing(tmp_path: Path) -> None:
    told, asked = Told(root=tmp_path), FakeInjector()
    told.note(NAME, ROOT)
    uevents(told, asked, FakeInits(there=False)).say(NAME, BATCH)
    assert asked.asked == []
    assert told.of(NAME) == ()


# the init ------------------------------------------------------------------------------------------------------------
class Host:
    """Cgroups and /proc of fake processes that are real ones: sleeping children."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inits = Inits(cgroups=root / "cgroup", proc=root / "proc")
        self.children: list[subprocess.Popen[bytes]] = []

    def process(self, folder: str, numbers: str, cgroup: str = "0::/qvd/three/payload/init.scope") -> int:
        child = subprocess.Popen(["sleep", "60"])
        self.children.append(child)
        place = self.root / "cgroup" / folder
        place.mkdir(parents=True, exist_ok=True)
        with (place / "cgroup.procs").open("a", encoding="ascii") as file:
            file.write(f"{child.pid}\n")
        proc = self.root / "proc" / str(child.pid)
        proc.mkdir(parents=True)
        (proc / "status").write_text(f"Name:\tx\nNSpid:\t{child.pid}\t{numbers}\n", encoding="ascii")
        (proc / "cgroup").write_text(f"{cgroup}\n", encoding="ascii")
        return child.pid

    def init(self) -> int:
        found = self.inits.pidfd(NAME)
        try:
            return pid_of(found)
        finally:
            os.close(found)

    def end(self) -> None:
        for child in self.children:
            child.kill()
            child.wait()


@pytest.fixture
def host(tmp_path: Path) -> object:
    host = Host(tmp_path)
    yield host
    host.inits.forget(NAME)
    host.end()


def pid_of(pidfd: int) -> int:
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("Pid:")).split()[1])


def test_the_init_is_the_first_process_right_below_the_host(host: Host) -> None:
    host.process("three/payload/ns/system.slice", "77")
    host.process("three/payload/ns/nested", "80\t1")
    host.process("three/payload/ns/moved", "1", cgroup="0::/qvd/other/payload")
    init = host.process("three/payload/ns/init.scope", "1")
    assert host.init() == init
    (host.root / "cgroup/three/payload/ns/init.scope/cgroup.procs").write_text("", encoding="ascii")
    assert host.init() == init, "it is not looked for again"


def test_a_descriptor_of_an_init_stays_that_inits_when_the_container_is_forgotten_meanwhile(host: Host) -> None:
    init = host.process("three/payload/init.scope", "1")
    held = host.inits.pidfd(NAME)
    host.inits.forget(NAME)
    assert pid_of(held) == init
    os.close(held)


def test_more_cgroups_than_anybody_needs_are_not_walked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        host.process(f"three/payload/{number}", "1")
    monkeypatch.setattr(cgroup_tree, "CGROUPS", 9)
    with pytest.raises(cgroup_tree.TooManyError):
        host.inits.pidfd(NAME)
    deep = host.root / "cgroup/four/payload" / "/".join("d" * (cgroup_tree.DEPTH + 1))
    deep.mkdir(parents=True)
    monkeypatch.setattr(cgroup_tree, "CGROUPS", 1000)
    with pytest.raises(cgroup_tree.TooManyError):
        host.inits.pidfd(VmId("four"))


def test_an_init_that_ended_is_not_taken_for_the_next_one(host: Host) -> None:
    host.process("three/payload/init.scope", "1")
    first = host.inits.pidfd(NAME)
    host.children[0].kill()
    host.children[0].wait()
    assert not alive(first)
    os.close(first)
    second = host.process("three/payload/init.scope", "1")
    assert host.init() == second


def test_without_a_process_there_is_no_init(host: Host) -> None:
    with pytest.raises(ProcessLookupError):
        host.inits.pidfd(NAME)
