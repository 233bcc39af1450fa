"""What `make fuzz` says of its runs."""

from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz_command
from tests.fuzz import campaign
from tests.fuzz.campaign import KEPT_BYTES, REPOSITORY, Outcome, dictionary, keep
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


def test_what_reached_something_is_kept_beside_the_seeds_and_in_the_place_of_what_was_kept_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.fuzz.target.CORPUS", tmp_path / "kept")
    monkeypatch.setattr(campaign, "CORPUS", tmp_path / "kept")
    kept, grown = tmp_path / "kept/name", tmp_path / "corpus/name"
    for folder in (kept, grown):
        folder.mkdir(parents=True)
    (kept / "seed").write_bytes(b"seed")
    (kept / ("a" * 40)).write_bytes(b"before")
    assert keep(TARGETS["name"], tmp_path) == 2, "nothing new is no reason to forget"
    (grown / ("b" * 40)).write_bytes(b"new")
    (grown / ("c" * 40)).write_bytes(b"x" * (KEPT_BYTES + 1))
    assert keep(TARGETS["name"], tmp_path) == 2
    assert {path.name for path in kept.iterdir()} == {"seed", "b" * 40}
