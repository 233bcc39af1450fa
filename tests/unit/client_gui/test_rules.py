"""Which rule decides, and that a rule is read as it was meant or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui import rules
from client_gui.rules import ADMINISTRATOR, ALLOW, ASK, BUILT_IN, DENY, USER, Rule, deciding, naming, parse
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, VidPid
from tests.unit.client_gui.devices import KEYBOARD, SERIAL, STORAGE, device

TEXT = """# what may leave the house
deny  class=storage            # No sticks
allow 0951:1666@AB%2012%23     # but the one of the safe
ask 0bda:58c2 class=keyboard port=1-4
allow any
"""


def written(text: str, owner: str = ADMINISTRATOR) -> tuple[Rule, ...]:
    return parse(text, owner, "/etc/qvd/usbip-rules.conf")


def test_a_file_of_rules_is_read() -> None:
    no_sticks, safe, keyboard, rest = written(TEXT)
    assert (no_sticks.action, no_sticks.kind, no_sticks.name, no_sticks.line) == (DENY, "storage", "No sticks", 2)
    assert (safe.vidpid, safe.serial, safe.file) == (VidPid(0x951, 0x1666), "AB 12#", "/etc/qvd/usbip-rules.conf")
    assert (keyboard.action, keyboard.kind, keyboard.port) == (ASK, "keyboard", BusId.parse("1-4"))
    assert (rest.action, rest.rank, rest.name) == (ALLOW, 0, "allow any")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("permit any", "permit"), ("deny", "any"), ("deny class=stick", "class=stick"), ("deny port=1", "1"),
        ("allow 0bda", "0bda"), ("allow 0bda:zzzz", "0bda:zzzz"), ("allow 0bda:58c2@", "0bda:58c2@"),
        ("allow any any", "any"), ("deny class=storage class=video", "class=video"), ("allow 1:2", "1:2"),
        ("deny port=1-4 port=1-5", "port=1-5"), ("allow 0bda:58c2@%FF", "%FF"), ("deny any 0bda:58c2", "any"),
        ("deny class=storage" + " " * 2100, "long"),
    ],
)  # fmt: skip
def test_a_rule_that_is_not_understood_is_refused_with_its_place(line: str, word: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        written(f"# one\r\n\r\n{line}\r\n")
    assert caught.value.problem.code == "settings-malformed"
    assert "usbip-rules.conf, line 3" in str(caught.value)
    assert word in str(caught.value)


@given(st.text(max_size=200))
def test_any_text_is_rules_or_a_refusal(text: str) -> None:
    try:
        found = written(text)
    except QvdUsbError:
        return
    assert all(rule.action in {ALLOW, DENY, ASK} for rule in found)


@given(st.text(min_size=1, max_size=40))
def test_the_words_that_name_a_device_are_read_back(serial: str) -> None:
    one, other = device(serial=serial), device("1-5", serial=serial + "x")
    (rule,) = written(f"allow {naming(one, alike=True, twin=False)}")
    assert rule.applies(one, ())
    assert not rule.applies(other, ())


def test_the_longest_serial_that_a_device_can_have_is_read_back() -> None:
    one = device("1-1", serial="\ue000" * 126)
    (rule,) = written(f"allow {naming(one, alike=False, twin=False)} # its name")
    assert rule.serial == one.serial


def test_the_shortest_words_that_name_it_alone() -> None:
    one = device("1-1", serial="")
    assert naming(device("1-1"), alike=True, twin=False) == "0bda:58c2@1234"
    assert naming(one, alike=False, twin=False) == "0bda:58c2"
    assert naming(one, alike=True, twin=True) == "0bda:58c2 port=1-1"
    assert naming(device("1-1"), alike=True, twin=True) == "0bda:58c2 port=1-1"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("allow class=storage\ndeny class=storage", 2),  # equally exact: no wins
        ("deny class=storage\nallow 0bda:58c2", 2),  # the more exact one wins
        ("deny 0bda:58c2\nallow 0bda:58c2@1234", 2),
        ("allow 0bda:58c2@1234\ndeny port=1-4", 1),
        ("allow any\nallow any", 1),
        ("ask any\nallow any", 1),
        ("deny 0bda:58c3\nallow any", 2),
    ],
)
def test_the_most_exact_rule_decides_and_then_a_denial(text: str, line: int) -> None:
    found = deciding(device(interfaces=(STORAGE,)), written(text))
    assert found is not None
    assert found[1].line == line
    assert found[0] == line - 1


def test_the_administrator_comes_before_the_user_and_the_user_before_what_is_built_in() -> None:
    book = (
        *written("allow any", ADMINISTRATOR),
        *written("deny 0bda:58c2@1234", USER),
        Rule(ASK, kind="keyboard", owner=BUILT_IN),
    )
    for rules_left, owner in ((book, ADMINISTRATOR), (book[1:], USER), (book[2:], BUILT_IN)):
        found = deciding(device(interfaces=(KEYBOARD,)), rules_left)
        assert found is not None
        assert found[1].owner == owner
    assert deciding(device(interfaces=(SERIAL,)), book[2:]) is None


def test_every_kind_that_a_rule_can_name_judges_a_device() -> None:
    assert rules.kinds_of(device(interfaces=(KEYBOARD, STORAGE))) == {
        "input",
        "keyboard",
        "storage",
    }
