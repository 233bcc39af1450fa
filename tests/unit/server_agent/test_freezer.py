"""A container stands still until nobody of it is in the kernel, for a moment, and goes on whatever happens."""

import errno
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qvd_usbip.ids import VmId
from server_agent.kernel import freezer
from server_agent.kernel.freezer import Freezer, FreezerFiles, Unified

ONE = VmId("one")


class Version2:
    """A cgroup v2 in files: what is written freezes it when `out` is set."""

    def __init__(self, root: Path) -> None:
        self.hierarchy = Unified(cgroups=root)
        self.folder = root / str(ONE)
        self.folder.mkdir(parents=True)
        self.switch = self.folder / "cgroup.freeze"
        self.switch.write_text("0")
        self.come(out=False)

    def come(self, *, out: bool) -> None:
        (self.folder / "cgroup.events").write_text(f"populated 1\nfrozen {int(out)}\n")

    def is_thawed(self) -> bool:
        return self.switch.read_text() == "0"


class Version1:
    """The same of cgroup v1, where one file is both."""

    def __init__(self, root: Path) -> None:
        self.hierarchy = FreezerFiles(cgroups=root)
        self.folder = root / str(ONE)
        self.folder.mkdir(parents=True)
        self.switch = self.folder / "freezer.state"
        self.switch.write_text("THAWED\n")

    def come(self, *, out: bool) -> None:
        self.switch.write_text("FROZEN\n" if out else "FREEZING\n")

    def is_thawed(self) -> bool:
        return self.switch.read_text() == "THAWED"


@pytest.fixture(params=[Version2, Version1])
def cgroup(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path / "cgroups")


class Asked:
    """A hierarchy that says what was asked of it, and lets something happen when it is."""

    def __init__(self, hierarchy: Any, meanwhile: Callable[[], None]) -> None:
        self._hierarchy, self._meanwhile = hierarchy, meanwhile
        self.said: list[bool] = []

    def switch(self, name: VmId) -> Path:
        found: Path = self._hierarchy.switch(name)
        return found

    def set(self, name: VmId, *, frozen: bool) -> None:
        self.said.append(frozen)
        self._hierarchy.set(name, frozen=frozen)
        if frozen:
            self._meanwhile()

    def is_frozen(self, name: VmId) -> bool:
        return bool(self._hierarchy.is_frozen(name))

    def names(self) -> frozenset[VmId]:
        return frozenset({ONE})


def test_it_stands_still_until_all_are_out_and_goes_on(cgroup: Any) -> None:
    out = threading.Timer(0.05, lambda: cgroup.come(out=True))

    def begin() -> None:
        cgroup.come(out=False)
        out.start()

    asked = Asked(cgroup.hierarchy, begin)
    began = time.monotonic()
    assert Freezer(hierarchies=(asked,)).no_call_under_way(ONE)
    assert time.monotonic() - began >= 0.05
    assert asked.said == [True, False]
    assert cgroup.is_thawed()


def test_one_that_does_not_come_out_is_not_waited_for_and_all_go_on(
    cgroup: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezer, "LONGEST", 0.03)
    asked = Asked(cgroup.hierarchy, lambda: cgroup.come(out=False))
    assert not Freezer(hierarchies=(asked,)).no_call_under_way(ONE)
    assert asked.said == [True, False]
    assert cgroup.is_thawed()


def test_one_that_goes_meanwhile_is_out(cgroup: Any) -> None:
    def go() -> None:
        for path in cgroup.folder.iterdir():
            path.unlink()
        cgroup.folder.rmdir()

    assert Freezer(hierarchies=(Asked(cgroup.hierarchy, go),)).no_call_under_way(ONE)


def test_it_goes_on_when_the_kernel_does_not_say_how_far_it_is(cgroup: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(cgroup.hierarchy, lambda: None)

    def silent(_: VmId) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(asked, "is_frozen", silent)
    with pytest.raises(OSError, match="Input/output"):
        Freezer(hierarchies=(asked,)).no_call_under_way(ONE)
    assert cgroup.is_thawed()


def test_one_that_nothing_can_freeze_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no cgroup"):
        Freezer(hierarchies=(Unified(cgroups=tmp_path), FreezerFiles(cgroups=tmp_path))).no_call_under_way(ONE)


def test_what_was_left_frozen_goes_on(cgroup: Any) -> None:
    cgroup.hierarchy.set(ONE, frozen=True)
    Freezer(hierarchies=(cgroup.hierarchy,)).thaw_all()
    assert cgroup.is_thawed()
