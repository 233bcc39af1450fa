"""The three back ends for device rights: one contract on fakes, and what each has to guard against by itself."""

import errno
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from server_agent import device_list
from server_agent.backend import Backend
from server_agent.kernel import bpf, cgroup_tree, cgroup_v1, cgroup_v2_lxc
from server_agent.kernel.cgroup_v1 import DeviceFiles
from server_agent.kernel.cgroup_v2_lxc import LxcLists
from server_agent.kernel.cgroup_v2_map import DeviceMaps
from server_agent.kernel.rights import ByContainer, default_backend
from tests.kit import rights_contract
from tests.kit.rights_contract import KMSG, LOOP, Bench
from tests.unit.server_agent.fake_rights import ONE, ByLxc, Files, Unified, bench_of


@pytest.fixture(params=list(Backend))
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unified | Files:
    return bench_of(request.param, tmp_path, monkeypatch)


@pytest.fixture
def lxc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ByLxc:
    bench = bench_of(Backend.LXC, tmp_path, monkeypatch)
    assert isinstance(bench, ByLxc)
    return bench


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    bench = bench_of(Backend.V1, tmp_path, monkeypatch)
    assert isinstance(bench, Files)
    return bench


@pytest.mark.parametrize("case", rights_contract.CASES, ids=lambda case: case.__name__)
def test_every_back_end(bench: Bench, case: Callable[[Bench], None]) -> None:
    case(bench)
    rights_contract.clear(bench)
    assert bench.rights.held(bench.name) == frozenset()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_program_that_goes_while_one_looks_is_none_and_no_descriptor_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(Backend.MAP, tmp_path, monkeypatch)
    bench.rights.allow(ONE, LOOP)
    before = open_descriptors()

    def vanished(_: int) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    def unreadable(_: int) -> tuple[bytes, list[int]]:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as gone:
        gone.setattr(bpf, "program_by_id", vanished)
        assert bench.rights.held(ONE) is None
    with monkeypatch.context() as refused:
        refused.setattr(bpf, "program_maps", unreadable)
        for look in (bench.rights.held, bench.rights.create):
            with pytest.raises(PermissionError):
                look(ONE)
    assert open_descriptors() == before
    assert bench.rights.held(ONE) == frozenset({LOOP})


def test_stopped_nothing_is_left(bench: Bench) -> None:
    rights_contract.stopped_nothing_is_left_and_the_next_life_begins_without_rights(bench)


def test_while_it_runs_its_rights_go_and_the_rest_stays(bench: Bench) -> None:
    bench.rights.allow(ONE, LOOP)
    with pytest.raises(OSError, match="busy"):
        bench.rights.remove(ONE)
    assert not any(bench.opens(LOOP))


def test_a_repair_under_a_running_container_leaves_no_right_that_nobody_remembers(files: Files) -> None:
    files.rights.allow(ONE, LOOP)
    files.rights.create(ONE)
    assert files.rights.held(ONE) == frozenset()
    assert not any(files.opens(LOOP))


# LXC's program ----------------------------------------------------------------------------------------------------
def test_what_lxc_says_it_did_is_not_believed(lxc: ByLxc) -> None:
    lxc.tell(deaf=True)
    with pytest.raises(QvdUsbError, match="does not have it"):
        lxc.rights.allow(ONE, LOOP)
    lxc.tell(deaf=False)
    lxc.rights.allow(ONE, LOOP)
    lxc.tell(deaf=True)
    with pytest.raises(QvdUsbError, match="still has it"):
        lxc.rights.deny(ONE, LOOP)


def test_a_program_of_lxc_that_hangs_is_left_after_its_deadline(lxc: ByLxc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup_v2_lxc, "DEADLINE", 0.2)
    lxc.tell(hangs=30)
    began = time.monotonic()
    with pytest.raises(QvdUsbError, match="did not end"):
        lxc.rights.allow(ONE, LOOP)
    assert time.monotonic() - began < 10


def test_what_a_monitor_that_hangs_may_still_allow_counts_as_given_for_the_next_agent_too(
    lxc: ByLxc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup_v2_lxc, "DEADLINE", 0.2)
    lxc.tell(hangs=30)
    with pytest.raises(QvdUsbError, match="did not end"):
        lxc.rights.allow(ONE, LOOP)
    started_anew = LxcLists(cgroups=lxc.folder.parent, program=lxc.state.parent / "lxc-cgroup")
    assert started_anew.held(ONE) == frozenset({LOOP})
    assert not any(lxc.opens(LOOP))
    with pytest.raises(QvdUsbError, match="did not end"):
        started_anew.deny(ONE, LOOP)
    monkeypatch.setattr(cgroup_v2_lxc, "DEADLINE", 10)
    lxc.tell(hangs=0)
    started_anew.deny(ONE, LOOP)
    assert started_anew.held(ONE) == lxc.rights.held(ONE) == frozenset()


def test_what_a_monitor_was_asked_is_over_with_its_container(lxc: ByLxc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup_v2_lxc, "DEADLINE", 0.2)
    lxc.tell(hangs=30)
    with pytest.raises(QvdUsbError, match="did not end"):
        lxc.rights.allow(ONE, LOOP)
    lxc.stop()
    lxc.rights.deny(ONE, LOOP)
    assert lxc.rights.held(ONE) == frozenset()


def test_a_deny_that_another_line_keeps_open_is_no_deny(lxc: ByLxc) -> None:
    lxc.tell(rows=[*map(str, device_list.BASE), "b 7:0 rwm"])
    with pytest.raises(QvdUsbError, match="still has it"):
        lxc.rights.deny(ONE, LOOP)
    assert lxc.rights.held(ONE) == frozenset(), "what an administrator added is not the agent's to take"


@pytest.mark.parametrize("rows", [["a *:* rwm"], ["c *:* rwm", "b *:* rwm"], ["c *:* m", "b 7:* r"]])
def test_nothing_is_given_to_a_container_with_an_open_list(lxc: ByLxc, rows: list[str]) -> None:
    lxc.tell(rows=rows)
    assert lxc.rights.held(ONE) is None
    with pytest.raises(QvdUsbError, match="its device list has"):
        lxc.rights.allow(ONE, KMSG)
    with pytest.raises(QvdUsbError, match="its device list has"):
        lxc.rights.create(ONE)


def test_a_container_that_runs_without_any_list_has_none(lxc: ByLxc) -> None:
    lxc.tell(running=False)  # no program on its cgroup
    assert lxc.rights.held(ONE) is None
    with pytest.raises(QvdUsbError, match="no device list of LXC"):
        lxc.rights.allow(ONE, KMSG)
    with pytest.raises(QvdUsbError, match="not running"):
        lxc.rights.deny(ONE, KMSG)


def test_before_the_container_is_there_nothing_is_open_to_anyone(lxc: ByLxc) -> None:
    lxc.stop()
    lxc.rights.create(ONE)
    assert lxc.rights.held(ONE) == frozenset()


def test_without_its_program_the_back_end_says_what_is_missing(tmp_path: Path) -> None:
    lists = LxcLists(cgroups=tmp_path, program=tmp_path / "lxc-cgroup")
    with pytest.raises(QvdUsbError, match="lxc-cgroup is not installed"):
        lists.create(ONE)


def test_while_a_container_runs_the_mark_that_lxcs_list_counts_is_not_taken(
    lxc: ByLxc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup_v2_lxc, "remove_cgroups", shutil.rmtree)
    with pytest.raises(OSError, match="busy"):
        lxc.rights.remove(ONE)
    assert lxc.rights.knows(ONE)
    lxc.stop()
    lxc.rights.remove(ONE)
    assert not lxc.rights.knows(ONE)


# cgroup v1 --------------------------------------------------------------------------------------------------------
def test_without_a_devices_hierarchy_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError, match="no devices hierarchy"):
        DeviceFiles(hierarchies=tmp_path, parent="qvd").create(ONE)
    assert not list(tmp_path.iterdir())


def test_a_cgroup_that_comes_while_an_allow_is_written_gets_it(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, late = cgroup_v1.write_line, files.folder / "payload/late"

    def write(path: Path, line: str) -> None:
        plain(path, line)
        if path.parent.resolve() == files.folder / "payload" and not late.exists():
            files.make(late)

    monkeypatch.setattr(cgroup_v1, "write_line", write)
    files.rights.allow(ONE, LOOP)
    assert late in files.made
    assert all(files.opens(LOOP))


def test_a_deny_that_one_cgroup_did_not_hear_is_told(files: Files) -> None:
    files.rights.allow(ONE, LOOP)
    deep = files.made[-1] / "devices.list"
    kept = deep.read_text()
    deep.write_text(kept + "b 7:* r\n")
    with pytest.raises(QvdUsbError, match="still has it"):
        files.rights.deny(ONE, LOOP)


def test_a_container_cannot_keep_a_number_from_others_by_making_cgroups(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.rights.allow(ONE, LOOP)
    monkeypatch.setattr(cgroup_tree, "CGROUPS", 5)
    for number in range(9):
        files.make(files.folder / f"payload/ns/{number}")
    files.rights.deny(ONE, LOOP)
    assert not any(files.opens(LOOP))
    assert files.rights.has_processes(ONE)
    with pytest.raises(OSError, match="too many"):
        files.rights.allow(ONE, LOOP)


def test_a_link_in_the_tree_leads_nowhere(files: Files, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (files.folder / "payload/ns/link").symlink_to(tmp_path / "elsewhere")
    assert len(list(cgroup_tree.walk(files.folder))) == 3
    assert list(cgroup_tree.walk(tmp_path / "gone")) == []


# which one --------------------------------------------------------------------------------------------------------
def by_container(root: Path) -> ByContainer:
    cgroups = root / "cgroup"
    return ByContainer(
        backends={
            Backend.V1: DeviceFiles(hierarchies=cgroups, parent="qvd"),
            Backend.LXC: LxcLists(cgroups=cgroups / "qvd", program=root / "lxc-cgroup"),
            Backend.MAP: DeviceMaps(cgroups=cgroups / "qvd", pins=root / "pins"),
        }
    )


@pytest.mark.parametrize("backend", list(Backend))
def test_the_kernel_shows_which_back_end_a_container_has(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(backend, tmp_path, monkeypatch)
    rights = by_container(tmp_path)
    assert rights.backend(ONE) == backend
    assert rights.known() == rights.running() == {ONE}
    assert rights.backend(VmId("nobody")) == Backend.MAP
    assert rights.held(VmId("nobody")) is None
    rights.allow(ONE, LOOP)
    assert rights.held(ONE) == frozenset({LOOP})
    rights.deny(ONE, LOOP)
    assert not any(bench.opens(LOOP))
    bench.stop()
    rights.remove(ONE)
    assert rights.known() == frozenset()


@pytest.mark.parametrize(("old", "new"), [(Backend.LXC, Backend.MAP), (Backend.MAP, Backend.LXC)])
def test_configured_anew_nothing_of_the_older_back_end_is_left(
    old: Backend, new: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_of(old, tmp_path, monkeypatch)
    (tmp_path / "lxc-cgroup").touch()
    rights = by_container(tmp_path)
    with pytest.raises(OSError, match="busy"):
        rights.create(ONE, new)
    bench.stop()
    rights.create(ONE, new)
    assert rights.backend(ONE) == new
    assert not rights.backends[old].knows(ONE)


def test_a_host_takes_what_it_has(tmp_path: Path) -> None:
    assert default_backend(tmp_path) == Backend.MAP
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/devices.list").touch()
    assert default_backend(tmp_path) == Backend.V1
    (tmp_path / "cgroup.controllers").touch()
    assert default_backend(tmp_path) == Backend.MAP
