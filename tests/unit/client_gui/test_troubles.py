"""What goes wrong is told in a whole sentence, although the other end sends no more than a code."""

from __future__ import annotations

import pytest

from client_gui.troubles import Fault, describe
from qvd_usbip.errors import PROBLEMS

#: What a session's other end can name: problems of the slave channel, of the server, of the image's nodes.
OF_THE_OTHER_END = [code for code, problem in PROBLEMS.items() if 50 <= problem.exit_status <= 83]


@pytest.mark.parametrize("code", OF_THE_OTHER_END)
def test_a_code_alone_makes_a_sentence_and_a_remedy_without_gaps(code: str) -> None:
    sentence, remedy = describe(Fault(code=code), device="Serial Adapter", busid="1-4")
    assert "?" not in sentence + remedy
    assert "0 s" not in sentence
    assert sentence.endswith(".")


def test_what_is_known_is_told() -> None:
    assert "within 30 s" in describe(Fault(code="device-timeout", seconds=30))[0]
    assert "right to Serial Adapter" in describe(Fault(code="rights-failed"), device="Serial Adapter")[0]
    assert describe(Fault(code="no-free-hub", text="None.", remedy="Wait."), busid="1-4") == ("None.", "Wait.")
