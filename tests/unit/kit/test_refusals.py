"""A refusal is recognised by what it says, and by nothing else."""

from pathlib import Path

import pytest

from qvd_usbip.errors import DEVICE_GONE, PROBLEMS, SESSION_MALFORMED, QvdUsbError, report
from qvd_usbip.system.files import read_text
from tests.kit.refusals import UNUSABLE, assert_refused, is_told, make_unusable


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_each_problem_is_recognised_by_its_own_words(code: str) -> None:
    assert is_told(f"before\n{report(QvdUsbError(PROBLEMS[code]))}\nafter\n", code)


def test_another_problem_or_half_of_one_is_not_taken_for_it() -> None:
    told = report(QvdUsbError(DEVICE_GONE, busid="1-4"))
    assert not is_told(told, "peer-gone")
    assert not is_told(told.splitlines()[0], "device-gone")
    assert not is_told(f"Traceback (most recent call last):\n{told}", "device-gone")
    assert not is_told(told, "no-such-code")


def test_the_status_counts_too() -> None:
    told = report(QvdUsbError(SESSION_MALFORMED, reason="it ended"))
    assert_refused(SESSION_MALFORMED.exit_status, told, "session-malformed")
    with pytest.raises(AssertionError):
        assert_refused(1, told, "session-malformed")


@pytest.mark.parametrize(("kind", "code"), UNUSABLE.items())
def test_what_is_unusable_is_so_for_the_reason_named(tmp_path: Path, kind: str, code: str) -> None:
    make_unusable(tmp_path / "etc/a.conf", kind)
    with pytest.raises(QvdUsbError) as caught:
        read_text(tmp_path / "etc/a.conf")
    assert caught.value.problem.code == code
