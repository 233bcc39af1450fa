"""What a target is: a function from bytes to a parser, and what may come out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qvd_usbip.errors import Problem, QvdUsbError, printable, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Body = Callable[[bytes], Iterator[None]]

CORPUS = Path(__file__).with_name("corpus")
Documented = Problem | type[Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser.

    Args:
        name: also the name of its folder in the corpus.
        module: where its function stands.
        documented: the problems and exceptions that its docstring says it raises.
        body: reads, yields, and then looks whether what was read is right. Only the reading may raise.
    """

    name: str
    module: str
    documented: tuple[Documented, ...]
    body: Body

    def run(self, data: bytes) -> None:
        """Give the parser one input.

        Raises:
            Exception: whatever it may not raise, and AssertionError for what is not right.
        """
        steps = self.body(data)
        try:
            next(steps, None)
        except QvdUsbError as error:
            if error.problem not in self.documented and QvdUsbError not in self.documented:
                raise
            _assert_can_be_told(error)
            return
        except self._exceptions():
            return
        next(steps, None)

    def _exceptions(self) -> tuple[type[Exception], ...]:
        return tuple(each for each in self.documented if isinstance(each, type))

    def inputs(self) -> list[Path]:
        """What the repository keeps for it."""
        return sorted(path for path in (CORPUS / self.name).iterdir() if path.is_file())


def _assert_can_be_told(error: QvdUsbError) -> None:
    """Hostile text in it makes neither a third line nor what a terminal or log cannot show."""
    first, second = report(error).split("\n")
    assert printable(first) == first
    assert printable(second) == second
    report(error).encode()


TARGETS: dict[str, Target] = {}


def target(*documented: Documented) -> Callable[[Body], Body]:
    """Make a function a target, under its own name."""

    def made(body: Body) -> Body:
        assert body.__name__ not in TARGETS
        TARGETS[body.__name__] = Target(
            name=body.__name__, module=body.__module__, documented=documented, body=body
        )  # fmt: skip
        return body

    return made


def text_of(data: bytes) -> str:
    """Bytes as files and the environment come as text here: what is no UTF-8 stays, as a surrogate."""
    return data.decode("utf-8", "surrogateescape")


def pieces(data: bytes, count: int) -> list[bytes]:
    """Several inputs of one: what stands between NUL bytes; missing ones are empty, the last has all the rest."""
    found = data.split(b"\0", count - 1)
    return found + [b""] * (count - len(found))


def chosen(data: bytes) -> tuple[int, bytes]:
    """A number for a choice, from the first byte, and the rest."""
    return (data[0] if data else 0), data[1:]
