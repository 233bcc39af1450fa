"""Every problem has its own code and exit status, and says in a sentence what to do; hostile text cannot deceive."""

import ast
import copy
import pickle
import string
from pathlib import Path

import pytest
from hypothesis import given

from qvd_usbip import errors
from qvd_usbip.errors import PROBLEMS, Problem, QvdUsbError, printable, problem_of, report
from tests.unit.qvd_usbip.strategies import hostile_text


def constants() -> dict[str, Problem]:
    return {name: value for name, value in vars(errors).items() if isinstance(value, Problem)}


def test_each_problem_is_a_constant_named_by_its_code() -> None:
    assert {name: problem.code for name, problem in constants().items()} == {
        code.upper().replace("-", "_"): code for code in PROBLEMS
    }


def test_no_code_is_given_twice() -> None:
    tree = ast.parse(Path(errors.__file__).read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "_problem"]
    codes = [ast.literal_eval(call.args[0]) for call in calls]
    assert len(codes) == len(set(codes)) == len(PROBLEMS)


def test_exit_statuses_are_unique_and_between_10_and_125() -> None:
    statuses = [problem.exit_status for problem in PROBLEMS.values()]
    assert len(statuses) == len(set(statuses))
    # A shell has 126 and more for itself.
    assert all(10 <= status <= 125 for status in statuses)


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.code)
def test_sentence_and_remedy_are_sentences(problem: Problem) -> None:
    for text in (problem.sentence, problem.remedy):
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
        assert all(field.isidentifier() for field in fields)
        assert "\n" not in text
        assert text
    assert problem.sentence == "{reason}" or problem.sentence.endswith((".", ")"))


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=lambda problem: problem.code)
def test_an_error_without_context_can_still_be_shown(problem: Problem) -> None:
    assert report(QvdUsbError(problem)).startswith("error: ")


@pytest.mark.parametrize("words", ["already in use", "Unable to find an unused USB-IP port"])
def test_words_that_qvds_client_looks_for(words: str) -> None:
    assert any(words in problem.sentence for problem in PROBLEMS.values())


def test_words_that_qvds_client_looks_for_with_the_driver() -> None:
    error = QvdUsbError(errors.NOT_BOUND, busid="1-4", driver="usb")
    assert "not bound to usbip-host driver, but to usb:" in str(error)


def test_report_has_sentence_and_remedy() -> None:
    error = QvdUsbError(errors.CONFIG_IS_FOLDER, path="/etc/qvd/client.conf")
    assert report(error) == "error: /etc/qvd/client.conf is a folder, not a file.\n  Move the folder away."


def test_context_is_not_a_template() -> None:
    error = QvdUsbError(errors.BUSID_MALFORMED, value="{value.__class__} {0}")
    assert "'{value.__class__} {0}'" in str(error)


@given(hostile_text)
def test_report_is_two_printable_lines_whatever_a_device_says(text: str) -> None:
    lines = report(QvdUsbError(errors.BUSID_MALFORMED, value=text)).split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@given(hostile_text)
def test_printable_is_one_printable_line_and_stays_itself(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("Füße 北京", "Füße 北京"),
        ("a\nb\x1b[2J", "a\\x0ab\\x1b[2J"),
        ("evil\u202etxt", "evil\\u202etxt"),
        ("\u2066iso", "\\u2066iso"),
        ("a\u3164b\u034f", "a\\u3164b\\u034f"),
        ("byte \udcff", "byte \\xff"),
        ("\U000e0041", "\\U000e0041"),
        ("no\xa0break", "no\\xa0break"),
    ],
)
def test_printable_examples(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_code_of_a_newer_peer_is_internal() -> None:
    assert problem_of("not-invented-yet") is errors.INTERNAL
    assert problem_of("busid-malformed") is errors.BUSID_MALFORMED


def test_an_error_survives_copy_and_pickle() -> None:
    error = QvdUsbError(errors.DEVICE_UNKNOWN, device="1-4")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(other, QvdUsbError)
        assert str(other) == str(error)
        assert other.problem is error.problem


def test_a_problem_is_shown_by_its_code_where_a_traceback_or_a_test_shows_it() -> None:
    assert repr(errors.INTERNAL) == "Problem('internal')"
