"""Values that start quickly behave like the dataclasses that they are taken for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from qvd_usbip.values import dataclass, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """A value."""

    name: str
    number: int = 3
    items: dict[str, int] = field(default_factory=dict)

    @property
    def double(self) -> int:
        """Twice the number."""
        return self.number * 2

    @classmethod
    def named(cls, name: str) -> Ours:
        return cls(name=name)

    def __str__(self) -> str:
        return f"<{self.name}>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """The same by the standard library."""

    name: str
    number: int = 3
    items: dict[str, int] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize("kind", [Ours, Theirs])
def test_both_are_made_compared_and_shown_alike(kind: Callable[..., Any]) -> None:
    one = kind(name="a")
    assert (one.name, one.number, one.items) == ("a", 3, {})
    assert one == kind(name="a", number=3)
    assert one != kind(name="b")
    assert one != ("a", 3, {})
    assert kind(name="a").items is not one.items
    assert repr(one).endswith("(name='a', number=3, items={})")
    assert copy.deepcopy(one) == copy.copy(one) == pickle.loads(pickle.dumps(one)) == one
    assert not hasattr(one, "__dict__")
    for wrong in ({}, {"name": "a", "other": 1}):
        with pytest.raises(TypeError):
            kind(**wrong)
    with pytest.raises(TypeError):
        kind("a")
    with pytest.raises(AttributeError):
        one.name = "b"
    with pytest.raises(AttributeError):
        del one.name
    with pytest.raises((AttributeError, TypeError)):  # the standard library's own word for it is TypeError
        one.other = 1


def test_methods_properties_and_hash_stay() -> None:
    one = Ours.named("a")
    assert (one.double, str(one), Ours.__doc__) == (6, "<a>", "A value.")

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Plain:
        a: int
        b: str = ""

    assert len({Plain(a=1), Plain(a=1), Plain(a=2)}) == 2
    match Plain(a=1):
        case Plain(a=1, b=text):
            assert text == ""
        case _:
            pytest.fail("it is matched by keyword")


@pytest.mark.parametrize("change", [replace, dataclasses.replace])
def test_both_ways_of_changing_work(change: Callable[..., Ours]) -> None:
    one = Ours(name="a", number=5)
    assert change(one, name="b") == Ours(name="b", number=5)
    with pytest.raises(TypeError):
        change(one, other=1)


def test_the_standard_library_finds_the_fields() -> None:
    assert dataclasses.is_dataclass(Ours)
    assert [each.name for each in dataclasses.fields(Ours)] == ["name", "number", "items"]
    assert dataclasses.asdict(Ours(name="a", items={"x": 1})) == {"name": "a", "number": 3, "items": {"x": 1}}


def test_nothing_that_is_slow_is_imported(repository: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(repository)!r}); import qvd_usbip.values; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert not {"dataclasses", "inspect", "typing", "re", "functools"} & set(done.stdout.split())


def test_another_kind_of_value_is_refused() -> None:
    with pytest.raises(TypeError):
        dataclass(frozen=False, slots=True, kw_only=True)
