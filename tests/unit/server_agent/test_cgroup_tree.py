"""The cgroups of a container that is over go, however many there are, and what stays is told."""

import errno
from pathlib import Path

import pytest

from qvd_usbip.ids import VmId
from server_agent.kernel import cgroup_tree
from server_agent.kernel.cgroup_tree import NAMED, TooManyError, remove_cgroups
from server_agent.kernel.cgroup_v1 import DeviceFiles


def keep(cgroup: Path) -> None:
    """Of plain folders, one with a file in it is what a cgroup with a process is: it cannot be removed."""
    cgroup.mkdir(parents=True)
    (cgroup / "process").touch()


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_dir())


def test_a_cgroup_is_removed_with_those_below_it(tmp_path: Path) -> None:
    (tmp_path / "one/payload/ns/system.slice").mkdir(parents=True)
    remove_cgroups(tmp_path / "one")
    remove_cgroups(tmp_path / "one")
    assert not left(tmp_path)


def test_where_lxcs_monitor_hangs_the_rest_of_the_container_goes_and_the_monitor_is_named(tmp_path: Path) -> None:
    """Whichever of them is looked at first."""
    for number, name in enumerate(("monitor", *"abcdefgh")):
        (tmp_path / f"one/{name}/below").mkdir(parents=True)
        if not number:
            (tmp_path / "one/monitor/process").touch()
    with pytest.raises(OSError, match="not empty") as caught:
        remove_cgroups(tmp_path / "one")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOTEMPTY, "one/monitor")
    assert left(tmp_path) == ["one", "one/monitor"]


def test_of_many_that_stay_a_few_are_named_and_the_others_counted(tmp_path: Path) -> None:
    for number in range(NAMED + 2):
        keep(tmp_path / f"one/payload/{number}")
    with pytest.raises(OSError, match=" and 2 more") as caught:
        remove_cgroups(tmp_path / "one")
    assert str(caught.value.filename).count("one/payload/") == NAMED


def test_a_hierarchy_in_which_something_stays_keeps_nothing_in_the_others(tmp_path: Path) -> None:
    for hierarchy in ("cpu", "memory", "pids"):
        (tmp_path / hierarchy / "qvd/one/payload").mkdir(parents=True)
        keep(tmp_path / hierarchy / "qvd/one/monitor")
    with pytest.raises(OSError, match="not empty"):
        DeviceFiles(hierarchies=tmp_path, parent="qvd").remove(VmId("one"))
    assert not list(tmp_path.glob("*/qvd/one/payload"))


def test_cgroups_without_number_or_end_are_removed_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroup_tree, "CGROUPS", 20)
    for number in range(30):
        (tmp_path / f"one/payload/{number}").mkdir(parents=True)
    with pytest.raises(TooManyError):
        remove_cgroups(tmp_path / "one", tmp_path / "gone/two")
    remove_cgroups(tmp_path / "one")
    assert not left(tmp_path)


def test_what_is_nested_too_deeply_stays_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup_tree, "DEPTH", 5)
    (tmp_path / "one" / "/".join("x" * 6)).mkdir(parents=True)
    for name in "abwyz":
        (tmp_path / f"one/{name}").mkdir(parents=True)
    with pytest.raises(TooManyError) as caught:
        remove_cgroups(tmp_path / "one")
    assert caught.value.filename == "one/x/x/x/x/x"
    assert not [path for path in left(tmp_path) if path.strip("onex/")]
