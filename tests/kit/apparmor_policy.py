"""EFFECT: an AppArmor profile as the kernel reads it: compiled by apparmor_parser, then asked path by path.

So a rule is judged by what it became, on a machine without AppArmor too. Source: security/apparmor/{match,mount,file}.c
and policy_unpack.c, the encoding without a table of permissions.
"""

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

FEATURES = "/etc/apparmor.d/abi/3.0"
MAGIC = bytes.fromhex("1b5e783d")
ACCEPT, BASE, CHECK, DEFAULT, CLASSES, NEXT = 1, 2, 3, 4, 5, 8
START, MOUNT_CLASS = 1, 7
DIFFERENCE, INDEX = 0x80000000, 0xFFFFFF
FILE_WORDS = {2: "w", 4: "r", 1: "x", 16: "l", 32: "k", 64: "m"}
PIVOT, MOUNT, UMOUNT, WITH_DATA = 1, 2, 4, 0x40


class Automaton:
    """Tables by which a string is judged."""

    def __init__(self, blob: bytes) -> None:
        _, offset, end = struct.unpack_from(">III", blob)
        self.tables: dict[int, Sequence[int]] = {}
        while offset < end:
            kind, width, _, length = struct.unpack_from(">HHII", blob, offset)
            self.tables[kind] = struct.unpack_from(f">{length}{' BH I'[width]}", blob, offset + 12)
            offset += (12 + length * width + 7) // 8 * 8

    def step(self, state: int, letter: int) -> int:
        if CLASSES in self.tables:
            letter = self.tables[CLASSES][letter]
        while True:
            base = self.tables[BASE][state]
            place = (base & INDEX) + letter
            if self.tables[CHECK][place] == state:
                return self.tables[NEXT][place]
            state = self.tables[DEFAULT][state]
            if not base & DIFFERENCE:
                return state

    def run(self, state: int, letters: bytes) -> int:
        for letter in letters:
            state = self.step(state, letter)
        return state

    def accepts(self, state: int) -> int:
        return self.tables[ACCEPT][state]


class Profile:
    """One compiled profile."""

    def __init__(self, blob: bytes) -> None:
        rules, files = (MAGIC + part for part in blob.split(MAGIC)[-2:])
        self._rules, self._files = Automaton(rules), Automaton(files)

    def file(self, path: str) -> str:
        """What may be done with a path, as the letters of a rule; a folder ends in a slash."""
        found = self._files.accepts(self._files.run(START, path.encode()))
        return "".join(letter for bit, letter in FILE_WORDS.items() if found & bit)

    def mount(self, point: str, source: str = "", kind: str = "", flags: int = 0, data: str = "") -> bool:
        """Whether mount(2) is allowed: a new file system, or a bind, a move, a remount, by its flags."""
        state = self._rules.step(START, MOUNT_CLASS)
        for word in (point, source, kind):
            state = self._rules.step(self._rules.run(state, word.encode()), 0)
        for bit in range(32):
            if flags >> bit & 1:
                state = self._rules.step(state, bit + 1)
        found = self._rules.accepts(state)
        if not found & MOUNT and data and found & WITH_DATA:
            found = self._rules.accepts(self._rules.run(self._rules.step(state, 0), data.encode()))
        return bool(found & MOUNT)

    def umount(self, point: str) -> bool:
        """Whether a mount may be taken away."""
        state = self._rules.run(self._rules.step(START, MOUNT_CLASS), point.encode())
        return bool(self._rules.accepts(state) & UMOUNT)

    def pivot_root(self, new: str, old: str) -> bool:
        """Whether the root may be exchanged."""
        state = self._rules.step(self._rules.run(self._rules.step(START, MOUNT_CLASS), new.encode()), 0)
        return bool(self._rules.accepts(self._rules.run(state, old.encode())) & PIVOT)


def compiled(folder: Path, name: str) -> dict[str, Profile]:
    """The profiles of a file, by name.

    Args:
        folder: what stands for /etc/apparmor.d; includes that it lacks are Debian's.
        name: the file in it.
    """
    done = subprocess.run(
        [
            *("apparmor_parser", "--quiet", "--skip-kernel-load", "--skip-cache", "--stdout"),
            *("--kernel-features", FEATURES, "--base", str(folder), "--Include", "/etc/apparmor.d", str(folder / name)),
        ],
        check=True,
        capture_output=True,
    )
    head = done.stdout[:12]  # each profile has its version in front
    parts = [part for part in done.stdout.split(head) if part]
    return {_name(part): Profile(part) for part in parts}


def _name(blob: bytes) -> str:
    """What follows the tag of the record `profile`: a string with its length in front."""
    start = blob.index(b"profile\0") + len(b"profile\0")
    place = blob.index(b"\x05", start) + 1
    (length,) = struct.unpack_from("<H", blob, place)
    return blob[place + 2 : place + 1 + length].decode()
