"""What `make fuzz` says of its runs."""

from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz_command
from tests.fuzz.campaign import REPOSITORY, Outcome, dictionary
from tests.fuzz.every import TARGETS


def outcome(*, finding: Path | None = None, ended: bool = True) -> Outcome:
    return Outcome(name="name", runs=7, seconds=1.5, new=2, finding=finding, words="its words", ended=ended)


def run(monkeypatch: pytest.MonkeyPatch, given: Outcome) -> int:
    monkeypatch.setattr(fuzz_command, "fuzz", lambda *_words: given)
    return fuzz_command.run(["name"], 7, keeps=False)


def test_a_finding_is_named_with_the_way_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, outcome(finding=REPOSITORY / "build/fuzz/findings/name/crash-1", ended=False)) == 1
    said = capsys.readouterr()
    assert "-m tests.fuzz name --replay build/fuzz/findings/name/crash-1" in said.out
    assert "its words" in said.err


def test_a_run_that_broke_is_no_good_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, outcome(ended=False)) == 1
    assert "NOT RUN TO ITS END" in capsys.readouterr().out


def test_a_good_run_is_a_line_of_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, outcome()) == 0
    *_, head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["parser", "runs", "seconds", "corpus", "+", "finding"]
    assert row.split() == ["name", "7", "1.5", "2", "none"]


def test_one_input_is_given_to_its_target_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"\x001-4")
    monkeypatch.setattr("sys.argv", ["fuzz", "name", "--replay", str(tmp_path / "input")])
    assert fuzz_command.main() == 0


def test_words_of_the_seeds_are_put_in_the_place_of_others() -> None:
    lines = dictionary(TARGETS["name"]).splitlines()
    word = "".join(f"\\x{byte:02x}" for byte in b"vhci_hcd.3")
    assert f'"{word}"' in lines
