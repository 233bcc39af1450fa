"""EFFECT: runs libFuzzer on one target after the other, each in a process of its own, and reads what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.target import CORPUS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.target import Target

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_INPUT = 4096
SECONDS_AN_INPUT = 10  # a parser that takes longer for one input hangs
MEGABYTES = 1024
SAY_EVERY = 15.0
# What the repository keeps for a target besides its seeds.
KEPT_INPUTS, KEPT_BYTES = 2, 1024
_COUNT = re.compile(rb"#(\d+)\s")
_WORD = re.compile(rb"[A-Za-z0-9_.:/-]{2,40}")
_ODD_WORDS = (b"null", b"true", b"[]", b"{}", b"1e999", b"-1", b"NaN", b"\\ud800", b"[" * 40, b"9" * 40, b"\xff\xfe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one target.

    Args:
        runs: how many inputs it was given.
        new: how many inputs in its corpus were not there before.
        finding: the input that it cannot bear, None for none.
        words: libFuzzer's last ones, for a finding or a run that broke.
        ended: whether all the runs were made.
    """

    name: str
    runs: int
    seconds: float
    new: int
    finding: Path | None
    words: str
    ended: bool

    @property
    def is_good(self) -> bool:
        """Whether all runs were made and nothing was found."""
        return self.ended and self.finding is None


def fuzz(target: Target, runs: int, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Give a target so many inputs, or as many as it bears.

    Args:
        target: one of TARGETS.
        runs: how many.
        folder: where the growing corpus, findings and libFuzzer's words go.
        say: what to do with a line of progress.
    """
    grown, findings = folder / "corpus" / target.name, folder / "findings" / target.name
    shutil.rmtree(findings, ignore_errors=True)
    for each in (grown, findings):
        each.mkdir(parents=True, exist_ok=True)
    words = folder / "words" / target.name
    words.parent.mkdir(exist_ok=True)
    words.write_text(dictionary(target), encoding="ascii")
    known = len(list(grown.iterdir()))
    start = time.monotonic()
    process = _libfuzzer(
        target, f"-runs={runs}", f"-dict={words}", f"-artifact_prefix={findings}/", f"-max_len={LONGEST_INPUT}",
        f"-timeout={SECONDS_AN_INPUT}", str(grown), str(CORPUS / target.name),
    )  # fmt: skip
    done, last, said = 0, b"", start
    with process, (folder / f"{target.name}.log").open("wb") as log:
        assert process.stderr is not None
        for line in process.stderr:
            log.write(line)
            count = _COUNT.match(line)
            done = int(count[1]) if count else done
            last = (last + line)[-4000:]
            if time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                say(f"{target.name}: {done} of {runs}")
    finding = next(iter(sorted(findings.iterdir())), None)
    return Outcome(
        name=target.name, runs=done, seconds=time.monotonic() - start, new=len(list(grown.iterdir())) - known,
        finding=finding, words=last.decode(errors="replace"), ended=process.returncode == 0,
    )  # fmt: skip


def keep(target: Target, folder: Path) -> int:
    """Put some of the inputs that reached something of their own into the repository; how many there are now.

    Seeds, which have a word for a name, stay; what an earlier run had put there gives way. libFuzzer's own merging
    starts its program anew by name, which a module of Python does not have.
    """
    kept = CORPUS / target.name
    found = [path for path in (folder / "corpus" / target.name).iterdir() if path.stat().st_size <= KEPT_BYTES]
    if not found:
        return len(target.inputs())
    for path in target.inputs():
        if _is_digest(path.name):
            path.unlink()
    found.sort(key=lambda path: (path.stat().st_size, path.name))
    # The smallest ones are hardly more than nothing: those in the middle say most for their size.
    for path in found[len(found) // 2 :][:KEPT_INPUTS]:
        shutil.copyfile(path, kept / path.name)
    return len(target.inputs())


def _is_digest(name: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{40}", name) is not None


def _libfuzzer(target: Target, *arguments: str) -> subprocess.Popen[bytes]:
    # The order of sets and dicts must not make a finding come and go.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-B", "-m", "tests.fuzz.one", target.module, target.name]
    return subprocess.Popen(
        [*command, f"-rss_limit_mb={MEGABYTES}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=environment,
    )


def dictionary(target: Target) -> str:
    """The words of the target's own inputs, and odd ones: what libFuzzer puts in the place of others."""
    found = {word for path in target.inputs() for word in _WORD.findall(path.read_bytes())}
    return "".join(f'"{_escaped(word)}"\n' for word in (*sorted(found), *_ODD_WORDS))


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
