"""%XX: what was escaped reads back as it was, whatever stands around it, and any text is read or refused."""

import contextlib

from hypothesis import example, given
from hypothesis import strategies as st

from qvd_usbip.percent import decoded, escaped, starts_escape


@given(st.text())
@example("%41")
@example("100%")
@example("\u20ac,\n")
def test_what_was_escaped_letter_by_letter_reads_back(text: str) -> None:
    written = "".join(map(escaped, text))
    assert decoded(written) == text
    assert written.isascii()
    assert not set(written) - set("%0123456789ABCDEF")


@given(st.text(st.characters(exclude_characters="%", exclude_categories=["Cs"])), st.characters(exclude_categories=[]))
def test_one_escaped_letter_stands_between_plain_ones(text: str, char: str) -> None:
    assert decoded(f"{text}{escaped(char)}{text}") == f"{text}{char}{text}"


@given(st.text(st.sampled_from("%0aF\u00e9 ,@:")))
def test_a_percent_that_begins_no_escape_stands_for_itself(text: str) -> None:
    with contextlib.suppress(UnicodeDecodeError):
        read = decoded(text)
        plain = [at for at, char in enumerate(text) if char == "%" and not starts_escape(text, at)]
        assert read.count("%") >= len(plain)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UnicodeDecodeError):
        assert len(decoded(text)) <= len(text)
