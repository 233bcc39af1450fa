"""What is remembered of single devices: in a file of our own, by several programs at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.memory import (
    LONGEST_FOLLOW,
    LONGEST_NAME,
    NOTHING,
    Change,
    Memory,
    Remembered,
    format_memory,
    parse,
    with_follow,
    with_mode,
    with_nickname,
)
from client_gui.state import Mode
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.kinds import Kind

if TYPE_CHECKING:
    from pathlib import Path

remembered = st.builds(
    Remembered,
    nickname=st.text(max_size=60),
    mode=st.sampled_from(Mode),
    fingerprint=st.sampled_from(["", "ab" * 32]),
    faces=st.lists(st.sampled_from(Kind), max_size=3).map(tuple),
    product=st.text(max_size=LONGEST_NAME),
    vendor=st.text(max_size=LONGEST_NAME),
    consent=st.frozensets(st.sampled_from(["keyboard", "rule"])),
    follow=st.integers(0, LONGEST_FOLLOW),
)


@given(st.dictionaries(st.text(max_size=30), remembered, max_size=4))
def test_what_is_written_is_read_back(known: dict[str, Remembered]) -> None:
    assert parse(format_memory(known)) == {key: each for key, each in known.items() if each != NOTHING}


@pytest.mark.parametrize("text", ["[]", "{", '{"v": 2, "devices": {}}', '{"v": 1}', "[" * 5000])
def test_a_file_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        parse(text)
    assert caught.value.problem.code == "settings-malformed"


def test_what_is_not_understood_of_a_device_is_left_out() -> None:
    text = (
        '{"v": 1, "devices": {"a": {"nickname": 3, "mode": "often", "follow": -4, "faces": ["moon"], "x": 1}, "b": 2}}'
    )
    assert parse(text) == {"a": NOTHING}


def test_a_nickname_is_one_short_line() -> None:
    assert with_nickname(NOTHING, " the \n good\tone ").nickname == "the good one"
    assert len(with_nickname(NOTHING, "x" * 900).nickname) == 60
    assert with_follow(NOTHING, 99999).follow == LONGEST_FOLLOW
    assert with_follow(NOTHING, -1).follow == 0
    assert with_mode(NOTHING, Mode.ASK).mode is Mode.ASK


def test_two_programs_do_not_lose_each_other_s_change(tmp_path: Path) -> None:
    path = tmp_path / "qvd-usbip" / "devices.json"
    one, other = Memory(path), Memory(path)
    one.reload()
    other.reload()
    one.change("a", (), lambda known: with_nickname(known, "first"))
    other.change("b", (), lambda known: with_nickname(known, "second"))
    one.reload()
    assert (one.of("a").nickname, one.of("b").nickname) == ("first", "second")
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_first_key_that_is_known_counts_and_a_change_is_written_under_the_key_given(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "devices.json")
    memory.change("0bda:58c2", (), lambda known: with_nickname(known, "one of two"))
    assert memory.of("0bda:58c2/1-4", "0bda:58c2").nickname == "one of two"
    memory.change("0bda:58c2/1-4", ("0bda:58c2",), lambda known: replace(known, mode=Mode.ASK))
    assert memory.of("0bda:58c2/1-4").nickname == "one of two"
    assert memory.of("0bda:58c2").mode is Mode.AUTOMATIC


def test_several_changes_are_one_write_and_none_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    monkeypatch.setattr("client_gui.memory.save_atomic", lambda _path, data, _mode: written.append(data))
    memory = Memory(tmp_path / "devices.json")
    changes = [Change(key=key, known_as=(), change=partial(with_nickname, nickname=key)) for key in "abc"]
    memory.change_all(changes)
    assert [sorted(parse(data.decode())) for data in written] == [["a", "b", "c"]]
    monkeypatch.undo()
    memory.change_all(changes)
    before = (tmp_path / "devices.json").stat().st_ino
    memory.change_all(changes)
    assert (tmp_path / "devices.json").stat().st_ino == before


def test_a_change_sees_those_before_it(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "devices.json")
    memory.change_all(
        [
            Change(key="a", known_as=(), change=lambda known: with_nickname(known, "one of two")),
            Change(key="a/1-4", known_as=("a",), change=lambda known: with_mode(known, Mode.ASK)),
        ]
    )
    assert (memory.of("a/1-4").nickname, memory.of("a/1-4").mode) == ("one of two", Mode.ASK)


def test_a_broken_file_is_told_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text("mine")
    memory = Memory(path)
    memory.reload()
    assert memory.fault is not None
    with pytest.raises(QvdUsbError):
        memory.change("a", (), lambda known: with_nickname(known, "x"))
    assert path.read_text() == "mine"
    assert memory.of("a").nickname == "x"
    path.unlink()
    memory.reload()
    assert parse(path.read_text())["a"].nickname == "x", "what was chosen meanwhile is not lost"
    assert memory.fault is None
