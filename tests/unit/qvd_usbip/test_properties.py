"""Properties files are read as Java reads them, expanded within bounds, and edited without touching anything else."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, properties
from qvd_usbip.errors import QvdUsbError
from tests.unit.qvd_usbip.strategies import hostile_text, only

GUIDE = """\
# The client's settings
client.usb.enable = 1
client.usb.share_list=0441:0012, 0bda:58c2@1234
! also a comment
path.qvd.bin: /usr/lib/qvd/bin
client.slave.command.qvd-client-slaveclient-usbip ${path.qvd.bin}/qvd-client-slaveclient-usbip
"""


def test_a_file_as_in_the_guide() -> None:
    settings = properties.expand(properties.parse(GUIDE))
    assert settings == {
        "client.usb.enable": "1",
        "client.usb.share_list": "0441:0012, 0bda:58c2@1234",
        "path.qvd.bin": "/usr/lib/qvd/bin",
        "client.slave.command.qvd-client-slaveclient-usbip": "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip",
    }


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("\n  \n\t# x\n", {}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=v", {"": "v"}),
        ("a = b = c", {"a": "b = c"}),
        ("a b c", {"a": "b c"}),
        ("a:b:c", {"a": "b:c"}),
        ("a=b  ", {"a": "b  "}),
        ("a=1\na=2", {"a": "2"}),
        ("a=b\\\n  c", {"a": "bc"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("a=b\\\n#c", {"a": "b#c"}),
        ("a=b\\", {"a": "b"}),
        ("a\\=b=c", {"a=b": "c"}),
        ("a\\ b=c", {"a b": "c"}),
        ("a=\\n\\t\\u00e9\\q", {"a": "\n\té" + "q"}),
        ("a=1\r\nb=2\rc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=x\u2028y\x0bz", {"a": "x\u2028y\x0bz"}),
    ],
)
def test_as_java_reads(text: str, settings: dict[str, str]) -> None:
    assert properties.parse(text) == settings


@pytest.mark.parametrize("text", ["a=\\u", "a=\\u12", "a=\\u12g4", "\\uzzzz=1"])
def test_an_escape_without_its_digits_is_refused(text: str) -> None:
    assert only(errors.SETTINGS_MALFORMED, properties.parse, text) is None


def test_later_layers_win() -> None:
    assert properties.layered({"a": "1", "b": "1"}, {"b": "2"}, {"c": "3"}) == {"a": "1", "b": "2", "c": "3"}


def test_expansion_goes_through_several_keys() -> None:
    settings = {"a": "${b}/${c}", "b": "[${c}]", "c": "x"}
    assert properties.expand(settings) == {"a": "[x]/x", "b": "[x]", "c": "x"}


@pytest.mark.parametrize("value", ["${nowhere}", "${", "${a", "$a", "${}", "}{$"])
def test_what_is_no_reference_stays(value: str) -> None:
    assert properties.expand({"x": value}) == {"x": value}


@pytest.mark.parametrize("settings", [{"a": "${a}"}, {"a": "${b}", "b": "${c}", "c": "x${a}"}])
def test_a_loop_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(QvdUsbError, match="refers to itself"):
        properties.expand(settings)


def test_values_that_grow_without_bound_are_refused() -> None:
    laughs = {f"k{step}": f"${{k{step - 1}}}" * 10 for step in range(1, 30)} | {"k0": "ha"}
    with pytest.raises(QvdUsbError, match="longer than"):
        properties.expand(laughs)


def test_a_long_chain_is_no_recursion() -> None:
    chain = {f"k{step}": f"${{k{step + 1}}}" for step in range(20_000)} | {"k20000": "end"}
    assert properties.expand(chain)["k0"] == "end"


@pytest.mark.parametrize("line", ["\n", "\r", "\\\n", "x\\\n", "a=b\n", "a=${b}", "\\u0041"])
def test_a_megabyte_of_anything_is_read_in_time(line: str) -> None:
    text = line * ((1 << 20) // len(line))
    started = time.process_time()
    only(errors.SETTINGS_MALFORMED, properties.parse, text)
    only(errors.SETTINGS_MALFORMED, properties.expand, properties.parse(text))
    properties.edit(text, "new", "value")
    assert time.process_time() - started < 30, "reading grows faster than the file"


@given(hostile_text)
def test_hostile_text_raises_only_our_error(text: str) -> None:
    settings = only(errors.SETTINGS_MALFORMED, properties.parse, text)
    if settings is not None:
        only(errors.SETTINGS_MALFORMED, properties.expand, settings)


@given(st.dictionaries(st.sampled_from("abc"), st.text(alphabet="abc${}", max_size=12), max_size=3))
def test_hostile_references_raise_only_our_error(settings: dict[str, str]) -> None:
    expanded = only(errors.SETTINGS_MALFORMED, properties.expand, settings)
    assert expanded is None or expanded.keys() == settings.keys()


@given(hostile_text, hostile_text, hostile_text)
def test_edit_sets_the_key_and_nothing_else(text: str, key: str, value: str) -> None:
    before = only(errors.SETTINGS_MALFORMED, properties.parse, text)
    if before is not None:
        assert properties.parse(properties.edit(text, key, value)) == before | {key: value}


@given(hostile_text, hostile_text)
def test_edit_twice_is_edit_once(key: str, value: str) -> None:
    once = properties.edit(GUIDE, key, value)
    assert properties.edit(once, key, value) == once


def test_edit_keeps_comments_order_and_line_ends() -> None:
    text = "# one\r\na = 1\r\n\r\n  ! two\r\nb=old\\\r\n   goes\r\nc : 3"
    assert properties.edit(text, "b", "new") == "# one\r\na = 1\r\n\r\n  ! two\r\nb=new\r\nc : 3"
    assert properties.edit(text, "d", "4") == text + "\r\nd=4\r\n"


def test_edit_replaces_the_line_that_counts() -> None:
    assert properties.edit("a=1\n#a=0\na=2\n", "a", "3") == "a=1\n#a=0\na=3\n"


def test_edit_of_an_empty_file() -> None:
    assert properties.edit("", "a", "1") == "a=1\n"


@pytest.mark.parametrize("text", ["a=b\\", "a=b\\\n", "# c\\", "a=b\\\r\n", "a=b\\\r"])
def test_edit_after_a_line_that_waits_for_more(text: str) -> None:
    assert properties.parse(properties.edit(text, "k", "v")) == properties.parse(text) | {"k": "v"}


def test_edit_of_a_file_that_cannot_be_read_is_refused() -> None:
    assert only(errors.SETTINGS_MALFORMED, lambda text: properties.edit(text, "a", "1"), "x=\\u1") is None


def test_lines_are_numbered_as_an_editor_counts_them() -> None:
    text = "# one\r\na=1\r\n\r\nb = \\\r\n  2\nc:3\rd=4"
    assert list(properties.numbered(text)) == [(2, "a=1"), (4, "b = \\\r\n  2"), (6, "c:3"), (7, "d=4")]


@given(st.text(alphabet="ab=:\\ #\n\r$", max_size=60))
def test_the_numbered_lines_read_one_by_one_are_the_file(text: str) -> None:
    found: dict[str, str] = {}
    for number, piece in properties.numbered(text):
        assert number >= 1
        found.update(properties.parse(piece))
    assert found == properties.parse(text)
