"""A container for each back end of device rights, on fakes: bpf(2) in memory, an lxc-cgroup, the files of cgroup v1."""

import errno
import json
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from qvd_usbip.ids import VmId
from server_agent import device_list
from server_agent.backend import Backend
from server_agent.device_list import Row
from server_agent.kernel import bpf, cgroup_v1, cgroup_v2_lxc, cgroup_v2_map
from server_agent.kernel.bpf import Instruction
from server_agent.kernel.rights import Rights
from server_agent.state import Right
from tests.unit.server_agent.device_machine import verdict

ONE = VmId("one")
KINDS = {"b": 1, "c": 2}
BITS = {"m": 1, "r": 2, "w": 4}


def mask(letters: str) -> int:
    return sum(BITS[letter] for letter in letters)


def lxc_program(rows: tuple[Row, ...], *, allow: bool = True, access_first: bool = True) -> bytes:
    """A device program as LXC makes it: the rows, and the opposite for everything else."""
    code = [
        Instruction(bpf.LOAD_WORD, 2, 1, 0), Instruction(bpf.AND_WORD, 2, 0, 0, 0xFFFF),
        Instruction(bpf.LOAD_WORD, 3, 1, 0), Instruction(bpf.SHIFT_RIGHT_WORD, 3, 0, 0, 16),
        Instruction(bpf.LOAD_WORD, 4, 1, 4), Instruction(bpf.LOAD_WORD, 5, 1, 8),
    ]  # fmt: skip
    for row in rows:
        kind = [] if row.kind == "a" else [(bpf.JUMP_NOT_EQUAL, 2, 0, KINDS[row.kind])]
        access = (
            []
            if mask(row.access) == 7
            else [
                (bpf.MOVE_WORD, 1, 3, 0),
                (bpf.AND_WORD, 1, 0, mask(row.access)),
                (bpf.JUMP_NOT_EQUAL_REGISTER, 1, 3, 0),
            ]
        )
        numbers = [(bpf.JUMP_NOT_EQUAL, r, 0, n) for r, n in ((4, row.major), (5, row.minor)) if n is not None]
        tests = [*(access + kind if access_first else kind + access), *numbers]
        for place, (operation, dst, src, imm) in enumerate(tests):
            jump = operation in {bpf.JUMP_NOT_EQUAL, bpf.JUMP_NOT_EQUAL_REGISTER}
            code.append(Instruction(operation, dst, src, len(tests) - place + 1 if jump else 0, imm))
        code += [Instruction(bpf.MOVE_IMMEDIATE, 0, imm=int(allow)), Instruction(bpf.EXIT)]
    return bpf.assemble([*code, Instruction(bpf.MOVE_IMMEDIATE, 0, imm=int(not allow)), Instruction(bpf.EXIT)])


@dataclass(slots=True)
class Bpf:
    """Maps, programs and what is attached where."""

    maps: list[dict[bytes, bytes]] = field(default_factory=list)
    pins: dict[Path, int] = field(default_factory=dict)
    programs: list[tuple[bytes, bytes, list[int]]] = field(default_factory=list)
    attached: dict[Path, list[int]] = field(default_factory=dict)
    refresh: Callable[[], None] = lambda: None
    _fds: dict[int, int] = field(default_factory=dict)

    def fd(self, number: int) -> int:
        fd = os.open("/dev/null", os.O_RDONLY)
        self._fds[fd] = number
        return fd

    def number(self, fd: int) -> int:
        return self._fds[fd]

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the place of bpf(2)."""
        for name, fake in {
            "HashMap": SimpleNamespace(create=self._create, pinned=self._pinned),
            "load_program": self._load, "attach": self._attach, "detach": self._detach,
            "attached": self._attached, "program_by_id": self.fd,
            "program_maps": lambda fd: (self.programs[self.number(fd)][0], self.programs[self.number(fd)][2]),
            "program_code": lambda fd: self.programs[self.number(fd)][1],
            "map_id": self.number,
        }.items():  # fmt: skip
            monkeypatch.setattr(bpf, name, fake)

    def _create(self, **_: Any) -> "FakeMap":
        self.maps.append({})
        return FakeMap(self, self.fd(len(self.maps) - 1))

    def _pinned(self, path: Path, **_: int) -> "FakeMap":
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, "no pin", str(path))
        return FakeMap(self, self.fd(self.pins[path]))

    def _load(self, name: bytes, code: bytes) -> int:
        used = [imm for operation, registers, _, imm in struct.iter_unpack("=BBhi", code) if operation == bpf.LOAD_MAP]
        self.programs.append((name, code, sorted({self.number(fd) for fd in used})))
        return self.fd(len(self.programs) - 1)

    def _attached(self, cgroup: int) -> list[int]:
        self.refresh()
        return list(self.attached.get(place(cgroup), []))

    def _attach(self, cgroup: int, program: int) -> None:
        self.attached.setdefault(place(cgroup), []).append(self.number(program))

    def _detach(self, cgroup: int, program: int) -> None:
        self.attached[place(cgroup)].remove(self.number(program))

    def opens(self, cgroup: Path, right: Right, access: str) -> bool:
        """All programs on the way down have to agree."""
        programs = [self.programs[n] for where in (cgroup, *cgroup.parents) for n in self.attached.get(where, [])]
        number = (KINDS[right.kind], right.number.major, right.number.minor)
        return all(verdict(code, self._entries(maps), *number, mask(access)) for _, code, maps in programs)

    def _entries(self, maps: list[int]) -> dict[tuple[int, int, int], int]:
        key, value = cgroup_v2_map.KEY, cgroup_v2_map.VALUE
        return {key.unpack(k): value.unpack(v)[0] for number in maps for k, v in self.maps[number].items()}


def place(fd: int) -> Path:
    return Path(f"/proc/self/fd/{fd}").readlink()


@dataclass(slots=True)
class FakeMap:
    """One map by descriptor."""

    kernel: Bpf
    fd: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    @property
    def _entries(self) -> dict[bytes, bytes]:
        return self.kernel.maps[self.kernel.number(self.fd)]

    def pin(self, path: Path) -> None:
        path.touch()
        self.kernel.pins[path] = self.kernel.number(self.fd)

    def update(self, key: bytes, value: bytes) -> None:
        self._entries[key] = value

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def delete(self, key: bytes) -> None:
        self._entries.pop(key, None)

    def keys(self) -> Iterator[bytes]:
        return iter(list(self._entries))


@dataclass(slots=True)
class Unified:
    """A container on cgroup v2; its parent cgroup is on a plain file system, so what a kernel writes there we write."""

    rights: Rights
    kernel: Bpf
    folder: Path
    name: VmId = ONE
    made: list[Path] = field(default_factory=list)

    def start(self) -> None:
        self.made = []
        self._make(self.folder / "payload")
        self._make(self.folder / "payload/ns")
        (self.folder / "payload/cgroup.events").write_text("populated 1\n")

    def stop(self) -> None:
        (self.folder / "payload/cgroup.events").write_text("populated 0\n")

    def deepen(self) -> None:
        self._make(self.made[-1] / "user.slice")

    def _make(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.made.append(path)

    def opens(self, right: Right, access: str = "rw") -> list[bool]:
        return [self.kernel.opens(cgroup, right, access) for cgroup in self.made]


LXC_CGROUP = """#!{python}
import json, pathlib, sys, time
state = pathlib.Path({state!r})
known = json.loads(state.read_text())
time.sleep(known["hangs"])
option, name, key, row = sys.argv[1:]
assert (option, name) == ("-n", "one"), sys.argv
if not known["running"]:
    sys.exit("lxc-cgroup: one: is not running")
if key == "devices.allow":
    known["rows"] += [row] if row not in known["rows"] else []
elif row in known["rows"]:
    known["rows"].remove(row)
if not known["deaf"]:
    state.write_text(json.dumps(known))
"""


@dataclass(slots=True)
class ByLxc(Unified):
    """LXC, which makes its program anew after each change of its list."""

    state: Path = Path()

    def start(self) -> None:
        Unified.start(self)
        self.tell(running=True, rows=[str(row) for row in device_list.BASE])

    def stop(self) -> None:
        Unified.stop(self)
        self.tell(running=False, rows=[])

    def tell(self, **words: object) -> None:
        known = json.loads(self.state.read_text()) if self.state.exists() else {"hangs": 0, "deaf": False}
        self.state.write_text(json.dumps(known | words))

    def sync(self) -> None:
        """What LXC does at each change: its program from its list, on the payload."""
        known = json.loads(self.state.read_text())
        payload = self.folder / "payload"
        rows = device_list.parse("\n".join(known["rows"]))
        self.kernel.programs.append((b"", lxc_program(rows), []))
        self.kernel.attached[payload] = [len(self.kernel.programs) - 1] if known["running"] else []

    def opens(self, right: Right, access: str = "rw") -> list[bool]:
        self.sync()
        return Unified.opens(self, right, access)


@dataclass(slots=True)
class Files:
    """A container on cgroup v1, with a kernel that keeps the rules of its devices controller."""

    rights: Rights
    devices: Path
    name: VmId = ONE
    made: list[Path] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.devices / "qvd" / str(self.name)

    def start(self) -> None:
        self.made = []
        for path in (self.folder / "payload", self.folder / "payload/ns"):
            self.make(path)
        (self.made[-1] / "cgroup.procs").write_text("77\n")

    def stop(self) -> None:
        for cgroup in self.made:
            (cgroup / "cgroup.procs").write_text("")

    def deepen(self) -> None:
        self.make(self.made[-1] / "user.slice")

    def make(self, path: Path) -> None:
        make_v1(path)
        self.made.append(path)

    def opens(self, right: Right, access: str = "rw") -> list[bool]:
        lists = [device_list.parse((cgroup / "devices.list").read_text()) for cgroup in self.made]
        return [any(row.covers(right) and set(access) <= set(row.access) for row in rows) for rows in lists]


def bench_of(backend: Backend, root: Path, monkeypatch: pytest.MonkeyPatch) -> Unified | Files:
    """A container of this back end that runs."""
    cgroups, kernel = root / "cgroup", Bpf()
    kernel.install(monkeypatch)
    for module in (cgroup_v1, cgroup_v2_lxc, cgroup_v2_map):
        monkeypatch.setattr(module, "remove_cgroups", partial(remove_trees, kernel))
    bench: Unified | Files
    if backend == Backend.V1:
        monkeypatch.setattr(cgroup_v1, "make_cgroup", make_v1)
        monkeypatch.setattr(cgroup_v1, "write_line", write_v1)
        (cgroups / "devices").mkdir(parents=True)
        (cgroups / "devices/devices.list").write_text(f"{device_list.EVERYTHING}\n")
        rights: Rights = cgroup_v1.DeviceFiles(hierarchies=cgroups, parent="qvd")
        bench = Files(rights=rights, devices=cgroups / "devices")
    elif backend == Backend.LXC:
        program, state = root / "lxc-cgroup", root / "lxc.json"
        program.write_text(LXC_CGROUP.format(python=sys.executable, state=str(state)))
        program.chmod(0o755)
        rights = cgroup_v2_lxc.LxcLists(cgroups=cgroups / "qvd", program=program)
        lxc = ByLxc(rights=rights, kernel=kernel, folder=cgroups / "qvd/one", state=state)
        lxc.tell(running=False, rows=[])
        kernel.refresh = lxc.sync
        bench = lxc
    else:
        rights = cgroup_v2_map.DeviceMaps(cgroups=cgroups / "qvd", pins=root / "pins")
        bench = Unified(rights=rights, kernel=kernel, folder=cgroups / "qvd/one")
    bench.rights.create(bench.name)
    bench.start()
    return bench


def remove_trees(kernel: Bpf, *tops: Path) -> None:
    """The kernel removes cgroups with the files it shows there, but not those with processes."""
    for cgroup in tops:
        files = [*cgroup.glob("**/cgroup.procs"), *cgroup.glob("**/cgroup.events")]
        if any(file.read_text() not in {"", "populated 0\n"} for file in files):
            raise OSError(errno.EBUSY, "Device or resource busy")
        shutil.rmtree(cgroup, ignore_errors=True)
        for place in [place for place in kernel.attached if place == cgroup or cgroup in place.parents]:
            del kernel.attached[place]


def make_v1(path: Path) -> None:
    """A new cgroup has what its parent has."""
    for cgroup in (*reversed(path.parents), path):
        if not cgroup.exists():
            cgroup.mkdir()
            (cgroup / "devices.list").write_text((cgroup.parent / "devices.list").read_text())
            (cgroup / "cgroup.procs").touch()


def write_v1(path: Path, line: str) -> None:
    """What the kernel makes of a line. Source: security/device_cgroup.c, devcgroup_update_access."""
    cgroup = path.parent.resolve()
    children = [child for child in cgroup.iterdir() if child.is_dir()]
    if line == "a":
        if children:
            raise OSError(errno.EINVAL, "Invalid argument")
        _save(cgroup, ())
        return
    (row,) = device_list.parse(line)
    if path.name == "devices.allow":
        above = _rows(cgroup.parent)
        if not any(_within(row, one) for one in above):
            raise OSError(errno.EPERM, "Operation not permitted")
        _save(cgroup, (*(one for one in _rows(cgroup) if one != row), row))
        return
    _save(cgroup, tuple(one for one in _rows(cgroup) if one != row))
    for child in children:
        write_v1(child / path.name, line)


def _within(row: Row, one: Row) -> bool:
    kinds, numbers = {one.kind, "a"} >= {row.kind} or one.kind == "a", ((row.major, one.major), (row.minor, one.minor))
    return kinds and all(mine == theirs or theirs is None for mine, theirs in numbers) and row.access in one.access


def _rows(cgroup: Path) -> tuple[Row, ...]:
    return device_list.parse((cgroup / "devices.list").read_text())


def _save(cgroup: Path, rows: tuple[Row, ...]) -> None:
    (cgroup / "devices.list").write_text("".join(f"{row}\n" for row in rows))
