"""A desktop entry is read in its main group only, and a change leaves every other line as it was."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.desktop_entry import HIDDEN, can_start, starts, switched_on, value_of, with_value

ENTRY = """# made by hand
[Desktop Entry]
Type=Application
Name[es]=Dispositivos
Exec = picker --large
Terminal=false

[Desktop Action new]
Exec=another
Hidden=true
"""


def as_others_read(text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return dict(parser["Desktop Entry"])


def test_a_key_is_looked_for_in_the_main_group_alone() -> None:
    assert value_of(ENTRY, "Exec") == "picker --large"
    assert value_of(ENTRY, "Hidden") is None
    assert value_of(ENTRY, "Name") is None, "a translated name is another key"
    assert value_of("Exec=picker\n", "Exec") is None


def test_a_change_is_in_the_key_s_place_and_nowhere_else() -> None:
    assert with_value(ENTRY, "Exec", "picker") == ENTRY.replace("Exec = picker --large", "Exec=picker")
    added = with_value(ENTRY, "Hidden", "false")
    assert added == ENTRY.replace("[Desktop Entry]\n", "[Desktop Entry]\nHidden=false\n")
    twice = with_value(ENTRY.replace("Terminal=false", "Exec=again"), "Exec", "once")
    assert twice.count("Exec=") == 2, "one in each group"
    assert value_of(twice, "Exec") == "once"


@given(
    st.from_regex(r"[A-Za-z][A-Za-z-]{0,9}", fullmatch=True), st.from_regex(r"[a-z0-9][a-z0-9 ]{0,9}", fullmatch=True)
)
def test_what_is_set_is_read_again_by_us_and_by_others(key: str, value: str) -> None:
    changed = with_value(ENTRY, key, value)
    assert value_of(changed, key) == value.strip()
    assert as_others_read(changed) == {**as_others_read(ENTRY), key: value.strip()}


@given(st.text(), st.text())
def test_any_text_can_be_asked(text: str, key: str) -> None:
    starts(text)
    value_of(text, key)
    switched_on(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Terminal=false", True),
        ("Hidden=true", False),
        ("Hidden=True", False),
        ("Hidden=1", False),
        ("Hidden=false", True),
        ("X-GNOME-Autostart-enabled=false", False),
        ("X-GNOME-Autostart-enabled=0", False),
        ("X-GNOME-Autostart-enabled=true", True),
        ("# Hidden=true", True),
    ],
)
def test_each_way_in_which_a_desktop_switches_an_entry_off_is_understood_and_undone(line: str, expected: bool) -> None:
    text = ENTRY.replace("Terminal=false", line)
    assert starts(text) == expected
    assert starts(switched_on(text))
    assert "picker --large" in switched_on(text)


def test_an_entry_that_only_hides_another_one_starts_nothing() -> None:
    assert not starts(HIDDEN)
    assert not can_start(HIDDEN)
    assert not starts(switched_on(HIDDEN))
