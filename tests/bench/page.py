"""PURE: report.html: one page without scripts or anything from elsewhere, made of a report and of nothing else."""

import statistics
from collections import Counter
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from tests.bench import plots
from tests.bench.goals import Finding, Row, Verdict, limit_words, number_words
from tests.bench.markup import Inside, document, element
from tests.bench.promises import ANSWERS, READY, rows_of
from tests.bench.report import Report
from tests.bench.style import STYLE

_TITLE = "qvd-usbip: promises about speed"
_COLUMNS = ("promise", "ours", "reference", "ratio", "limit", "spread of ours", "rounds", "verdict")
_MARKS = {Verdict.MET: "met", Verdict.MISSED: "missed", Verdict.NOT_MEASURED: "unknown"}


def page(report: Report) -> str:
    """The whole page as text, the same for the same report."""
    measured = report.measured
    rows = rows_of(measured.findings, measured.missing)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", _TITLE),
        element("style", STYLE),
    )
    parts = [_promises(report, rows), *_pictures(report), _each_round(measured.findings), _beside(report)]
    body = element("body", element("main", *(part for part in parts if len(part) > 1), _machine(report)))
    return document(element("html", head, body, lang="en"))


def _promises(report: Report, rows: list[Row]) -> Element:
    counts = Counter(row.verdict for row in rows)
    words = ", ".join(f"{counts[each]} {each.lower()}" for each in Verdict)
    return element(
        "section",
        element("h1", _TITLE),
        element("p", f"Of {len(rows)} promises: {words}. Run of {report.at}.", kind="lead"),
        element(
            "p",
            "Each is a ratio of two things that were done in turn, in one run on one machine, medians compared: "
            "the times themselves say more about the machine than about the program.",
        ),
        element("div", _table(_COLUMNS, map(_cells, rows)), kind="wide"),
    )


def _cells(row: Row) -> list[Element]:
    goal, finding = row.goal, row.finding
    mark = element("td", element("strong", str(row.verdict).lower(), kind=_MARKS[row.verdict]))
    if finding is None:
        why = element("td", row.why, colspan="3", kind="why")
        return [_name(row), why, element("td", limit_words(goal)), element("td"), element("td"), mark]
    medians = [f"{number_words(statistics.median(each))} {goal.unit}" for each in (finding.ours, finding.reference)]
    spread = f"{number_words(min(finding.ours))} to {number_words(max(finding.ours))} {goal.unit}"
    return [
        _name(row),
        *(element("td", each) for each in medians),
        element("td", element("b", f"{finding.ratio:.2f}")),
        element("td", limit_words(goal)),
        element("td", spread),
        element("td", str(len(finding.ours))),
        mark,
    ]


def _name(row: Row) -> Element:
    words = f"{row.goal.ours}, against {row.goal.reference}"
    return element("th", row.goal.name, element("small", words), scope="row")


def _each_round(findings: Iterable[Finding]) -> Element:
    figures = []
    for finding in findings:
        drawn = f"{len(finding.ours)} rounds of ours, {len(finding.reference)} of the reference."
        if max(len(finding.ours), len(finding.reference)) > plots.MOST_DOTS:
            drawn += f" At most {plots.MOST_DOTS} of them are drawn, evenly picked from the fastest to the slowest."
        words = f"{finding.goal.ours}, against {finding.goal.reference}: ratio {finding.ratio:.2f}. {drawn}"
        mark = element("strong", str(finding.verdict).lower(), kind=_MARKS[finding.verdict])
        figures.append(_figure(element("h3", f"{finding.goal.name}: ", mark), plots.dots(finding), words))
    return element("section", element("h2", "Each round"), *figures)


def _pictures(report: Report) -> Iterable[Element]:
    measured = report.measured
    if measured.steps:
        by_hand = next((each.reference for each in measured.findings if each.goal.name == READY.name), ())
        words = (
            "Each bar goes from the median of the step before to the median of its own, the dots are the rounds. "
            "By hand: the same job with usbip, bpftool, mknod and setfacl."
        )
        picture = plots.steps(measured.steps, by_hand)
        yield element("section", element("h2", "From ticked to ready"), _figure(picture, words))
    if measured.late:
        limit = next((each.edge for each in measured.findings if each.goal.name == ANSWERS.name), 50.0)
        words = (
            f"{len(measured.late)} turns of the window's event loop with 127 devices while the helper hangs. "
            "The heights are logarithms: a single late turn is seen."
        )
        picture = plots.distribution(measured.late, limit)
        yield element("section", element("h2", "How the window answers"), _figure(picture, words))
    if measured.speeds:
        words = "Sticks attached at the same time and read in turn; each dot is a round, the lines go through medians."
        picture = plots.speeds(measured.speeds)
        yield element("section", element("h2", "A stick over a slow network"), _figure(picture, words))


def _beside(report: Report) -> Element:
    said = [element("li", each) for each in report.measured.said]
    return element("section", element("h2", "Seen beside"), *([element("ul", *said)] if said else []))


def _machine(report: Report) -> Element:
    rows = [[element("th", name, scope="row"), element("td", value)] for name, value in report.measured.machine.items()]
    return element("section", element("h2", "Measured on"), _table((), rows))


def _figure(*inside: Inside) -> Element:
    *shown, words = inside
    return element("figure", *shown, element("figcaption", words))


def _table(columns: Iterable[str], rows: Iterable[list[Element]]) -> Element:
    heads = [element("th", each, scope="col") for each in columns]
    body = element("tbody", *(element("tr", *cells) for cells in rows))
    return element("table", *([element("thead", element("tr", *heads))] if heads else []), body)
