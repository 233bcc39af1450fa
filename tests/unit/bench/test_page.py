"""report.html: a page by itself that says all that a report holds."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.bench.page import page
from tests.bench.plots import MOST_DOTS, nice_step
from tests.bench.promises import PROMISES, RIGHT
from tests.bench.report import Measured, Report
from tests.unit.bench.reports import HOSTILE, WAYS, report

ALONE = {"meta"}
#: What could bring something from elsewhere, or run.
REACHING = {"script", "link", "img", "iframe", "object", "embed", "use", "image", "a", "base", "form"}
NOTHING = Report(at="2026-01-02 03:04 UTC", measured=Measured())


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def count(self, tag: str, kind: str = "") -> int:
        return sum(name == tag and kind in ["", *values.get("class", "").split()] for name, values in self.tags)


@pytest.fixture
def whole() -> Reader:
    return Reader(page(report()))


def test_the_same_report_gives_the_same_page() -> None:
    assert page(report()) == page(report())


@pytest.mark.parametrize("made_of", [report(), NOTHING], ids=["everything", "nothing measured"])
def test_it_is_well_formed_and_needs_nothing_from_elsewhere(made_of: Report) -> None:
    text = page(made_of)
    reader = Reader(text)
    assert {name for name, _ in reader.tags} & REACHING == set()
    reaching = {"src", "href", "xlink:href", "style", "onload", "srcset"}
    assert [values for _, values in reader.tags if reaching & values.keys()] == []
    assert not re.search(r"url\(|@import|https?:", text)


def test_what_a_report_holds_is_text_and_never_markup(whole: Reader) -> None:
    assert HOSTILE in whole.words
    assert "<script" not in page(report())


def test_each_promise_has_a_row_with_its_verdict(whole: Reader) -> None:
    words = whole.words
    for goal in PROMISES:
        assert goal.name in words
        assert f"{goal.ours}, against {goal.reference}" in words
    unknown = len(PROMISES) - len(report().measured.findings)
    assert words.count("not measured") == unknown
    run = "Run of 2026-01-02 03:04 UTC."
    assert f"Of {len(PROMISES)} promises: 3 met, 1 missed, {unknown} not measured. {run}" in words


def test_each_goal_has_a_picture_with_every_round_as_a_dot_and_the_limit_as_a_line(whole: Reader) -> None:
    findings = report().measured.findings
    assert whole.count("svg") == len(findings) + 3
    assert whole.count("line", "limit") == len(findings) + 1
    dots = [values["class"] for tag, values in whole.tags if tag == "circle"]
    assert dots.count("dot reference") == sum(len(each.reference) for each in findings)
    few = sum(len(each.ours) for each in findings if each.goal is not RIGHT)
    assert dots.count("dot ours") == few + MOST_DOTS - 1, "of many rounds some are drawn, the slowest is beyond"
    assert "2 beyond, up to 90.0" in whole.words


def test_each_dot_lies_within_its_picture() -> None:
    for tag, values in Reader(page(report())).tags:
        if tag == "circle":
            assert 0 <= float(values["cx"]) <= 720
            assert 0 <= float(values["cy"]) <= 400


def test_the_steps_are_bars_beside_all_of_it_by_hand(whole: Reader) -> None:
    for words in ("released", "exported", "ready", "by hand", "+1050 ms", "+500 ms", "+3400 ms", "3550 ms"):
        assert words in whole.words


def test_the_window_has_its_distribution_and_its_late_turns_are_seen(whole: Reader) -> None:
    assert "202 turns of the window's event loop" in " ".join(whole.words)
    assert "99 of 100: 0.10" in whole.words
    bars = [values for tag, values in whole.tags if tag == "rect" and float(values["x"]) > 600]
    assert len(bars) == 1, "one turn of 202 is as visible as two hundred"
    assert float(bars[0]["height"]) > 10


def test_each_way_of_a_stick_is_a_line_with_its_name(whole: Reader) -> None:
    assert whole.count("polyline") == len(WAYS)
    assert set(WAYS) <= set(whole.words)
    assert "50 ms" in whole.words


def test_what_the_run_does_not_have_is_left_out() -> None:
    reader = Reader(page(replace(report(), measured=replace(report().measured, late=(), speeds=(), steps={}))))
    assert reader.count("svg") == len(report().measured.findings)
    assert Reader(page(NOTHING)).count("svg") == 0


def test_the_machine_is_described(whole: Reader) -> None:
    assert {"processors", "kernel", "6.12"} <= set(whole.words)


@pytest.mark.parametrize(("high", "step"), [(6.0, 1.0), (7.0, 2.0), (49.0, 10.0), (5000.0, 1000.0), (0.3, 0.05)])
def test_an_axis_has_round_numbers(high: float, step: float) -> None:
    assert nice_step(high) == pytest.approx(step)
