"""PURE: the report's pictures, as SVG elements that take their colours from the page's style."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from tests.bench.goals import Finding, number_words
from tests.bench.markup import element
from tests.bench.report import Speeds

WIDTH, LEFT, RIGHT = 720, 120, 690
MOST_DOTS = 240
"""More rounds than that are drawn as so many of them, evenly picked from the fastest to the slowest."""
ENOUGH = 50
"""With more rounds than that the picture ends at the 98th of 100, and says how many lie beyond."""
GOLDEN = 0.618  # spreads neighbouring dots evenly over the height of their row


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where a value stands between two places of the picture."""

    high: float
    start: float = LEFT
    end: float = RIGHT

    def at(self, value: float) -> float:
        """The place of a value; zero stands at the start."""
        return self.start + (self.end - self.start) * value / self.high


def nice_step(high: float, steps: int = 6) -> float:
    """The distance between marks of an axis from zero to `high`: 1, 2 or 5 times a power of ten."""
    raw = high / steps
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)


def dots(finding: Finding) -> Element:
    """Each round of a goal as a dot, medians, and the limit as a line."""
    rows = (("ours", finding.ours, 56.0), ("reference", finding.reference, 104.0))
    scale = Scale(high=max(finding.edge, *(_end(rounds) for _, rounds, _ in rows)) * 1.08)
    picture = _picture(150, f"{finding.goal.name}: each round", *_axis(scale, 128, finding.goal.unit))
    for kind, rounds, middle in rows:
        picture.append(_text(LEFT - 12, middle + 4, kind, kind="label end"))
        picture.extend(_row_of_dots(scale, kind, rounds, middle))
    edge = scale.at(finding.edge)
    words = f"{'at least' if finding.goal.at_least else 'at most'} {number_words(finding.edge)} {finding.goal.unit}"
    picture.append(element("line", x1=edge, x2=edge, y1=28, y2=128, kind="limit"))
    picture.append(_text(edge, 20, words, kind="limit-text " + _anchor(edge)))
    return picture


def _row_of_dots(scale: Scale, kind: str, rounds: Sequence[float], middle: float) -> list[Element]:
    drawn = []
    for number, value in enumerate(_picked(rounds)):
        if value <= scale.high:
            height = middle + ((number * GOLDEN) % 1 - 0.5) * 20
            drawn.append(element("circle", cx=scale.at(value), cy=height, r=3, kind=f"dot {kind}"))
    median = statistics.median(rounds)
    place = scale.at(median)
    drawn.append(element("line", x1=place, x2=place, y1=middle - 15, y2=middle + 15, kind=f"median {kind}"))
    drawn.append(_text(place + 5, middle - 12, number_words(median), kind=f"value {kind}"))
    if beyond := sum(value > scale.high for value in rounds):
        drawn.append(_text(RIGHT, middle + 22, f"{beyond} beyond, up to {number_words(max(rounds))}", kind="mark end"))
    return drawn


def steps(times: Mapping[str, Sequence[float]], by_hand: Sequence[float]) -> Element:
    """The way from ticked to ready, a bar a step, from the median of the step before to its own; each round as a dot.

    Args:
        times: milliseconds since the tick, in the order of the steps.
        by_hand: milliseconds that all of it takes by hand, or nothing.
    """
    rows = [*times.items(), *([("by hand", by_hand)] if by_hand else [])]
    scale = Scale(high=max(max(rounds) for _, rounds in rows) * 1.2)
    floor = 24 + 34.0 * len(rows)
    picture = _picture(floor + 26, "ticked to ready, step by step", *_axis(scale, floor, "ms"))
    before = 0.0
    for number, (name, rounds) in enumerate(rows):
        kind = "ours" if name in times else "reference"
        start, end = (before if kind == "ours" else 0.0), statistics.median(rounds)
        top = 14 + 34.0 * number
        left, width = scale.at(min(start, end)), scale.at(abs(end - start)) - LEFT
        picture.append(element("rect", x=left, y=top, width=max(width, 1), height=22, kind=f"bar {kind}"))
        picture.extend(element("circle", cx=scale.at(each), cy=top + 11, r=3, kind="dot over") for each in rounds)
        picture.append(_text(LEFT - 12, top + 15, name, kind="label end"))
        words = f"+{number_words(end - start)} ms" if kind == "ours" else f"{number_words(end)} ms"
        picture.append(_text(scale.at(max(rounds)) + 8, top + 15, words, kind=f"value {kind}"))
        before = end
    return picture


def distribution(late: Sequence[float], limit: float) -> Element:
    """How late the turns of the event loop were: a bar for each slice of time, as high as the number's logarithm.

    Args:
        late: milliseconds, each turn.
        limit: milliseconds that 99 of 100 may be late.
    """
    ordered, floor, top = sorted(late), 190.0, 36.0
    scale = Scale(high=max(limit * 1.1, ordered[-1] * 1.02))
    slices = 48
    counts = [0] * slices
    for each in ordered:
        counts[min(slices - 1, int(each / scale.high * slices))] += 1
    height = Scale(high=math.log10(max(counts)) + 0.4, start=floor, end=top)
    picture = _picture(floor + 26, "lateness of the window's event loop", *_axis(scale, floor, "ms late"))
    for power in range(int(math.log10(max(counts))) + 1):
        level = height.at(power + 0.3)
        picture.append(element("line", x1=LEFT, x2=RIGHT, y1=level, y2=level, kind="grid"))
        picture.append(_text(LEFT - 12, level + 4, f"{10**power} turn{'s' if power else ''}", kind="mark end"))
    wide = (RIGHT - LEFT) / slices
    for number, count in enumerate(counts):
        if count:
            y = height.at(math.log10(count) + 0.3)
            left = LEFT + number * wide
            picture.append(element("rect", x=left, y=y, width=wide - 1, height=floor - y, kind="bar ours"))
    for words, value, kind in (
        ("half", ordered[len(ordered) // 2], "ours"),
        ("99 of 100", ordered[int(len(ordered) * 0.99)], "ours"),
    ):
        x = scale.at(value)
        picture.append(element("line", x1=x, x2=x, y1=top - 6, y2=floor, kind=f"median {kind}"))
        picture.append(_text(x + 4, top - 10, f"{words}: {number_words(value)}", kind=f"value {kind}"))
    edge = scale.at(limit)
    picture.append(element("line", x1=edge, x2=edge, y1=top - 28, y2=floor, kind="limit"))
    picture.append(_text(edge - 5, top - 24, f"at most {number_words(limit)} ms", kind="limit-text end"))
    return picture


def speeds(ways: Sequence[Speeds]) -> Element:
    """Throughput over the network's delay: a line for each way through the medians, each round as a dot."""
    delays = sorted({delay for way in ways for delay in way.rounds})
    every = [each for way in ways for rounds in way.rounds.values() for each in rounds]
    low, top, floor, right = math.floor(math.log10(min(every)) * 3) / 3, 20.0, 320.0, 470.0
    height = Scale(high=math.log10(max(every)) + 0.08 - low, start=floor, end=top)
    across = Scale(high=max(len(delays) - 1, 1), start=LEFT + 20, end=right)
    picture = _picture(floor + 44, "throughput of a stick over the network's delay")
    for value in (base * 10.0**power for power in range(-3, 4) for base in (1, 2, 5)):
        level = math.log10(value) - low
        if 0 <= level <= height.high:
            y = height.at(level)
            picture.append(element("line", x1=LEFT, x2=right + 10, y1=y, y2=y, kind="grid"))
            picture.append(_text(LEFT - 12, y + 4, f"{value:g} MB/s", kind="mark end"))
    for number, delay in enumerate(delays):
        picture.append(_text(across.at(number), floor + 18, f"{delay} ms", kind="mark middle"))
    picture.append(_text(across.at((len(delays) - 1) / 2), floor + 36, "delay, there and back", kind="mark middle"))
    names = []
    for number, way in enumerate(ways):
        points = []
        for place, delay in enumerate(delays):
            if rounds := way.rounds.get(delay):
                x = across.at(place) + (number - (len(ways) - 1) / 2) * 3
                points.append((x, height.at(math.log10(statistics.median(rounds)) - low)))
                picture.extend(
                    element("circle", cx=x, cy=height.at(math.log10(each) - low), r=2.5, kind=f"dot way{number}")
                    for each in rounds
                )
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        picture.append(element("polyline", points=line, kind=f"way way{number}"))
        names.append((points[-1][1], number, way.way))
    least = top
    for wanted, number, name in sorted(names):
        line_of = max(least, wanted)
        least = line_of + 16
        picture.append(_text(right + 24, line_of + 4, name, kind=f"value way{number}"))
    return picture


def _picture(height: float, title: str, *inside: Element) -> Element:
    words = {"role": "img", "aria_label": title, "viewBox": f"0 0 {WIDTH} {height:.0f}"}
    return element("svg", *inside, **words)


def _axis(scale: Scale, floor: float, unit: str) -> list[Element]:
    step = nice_step(scale.high)
    drawn = [element("line", x1=LEFT, x2=RIGHT, y1=floor, y2=floor, kind="axis")]
    for number in range(int(scale.high / step) + 1):
        x = scale.at(number * step)
        drawn.append(element("line", x1=x, x2=x, y1=floor, y2=floor + 4, kind="axis"))
        drawn.append(_text(x, floor + 17, f"{number * step:g}", kind="mark middle"))
    drawn.append(_text(LEFT - 12, floor + 17, unit, kind="mark end"))
    return drawn


def _text(x: float, y: float, words: str, *, kind: str) -> Element:
    return element("text", words, x=x, y=y, kind=kind)


def _anchor(x: float) -> str:
    return "end" if x > RIGHT - 60 else "middle"


def _end(rounds: Sequence[float]) -> float:
    return max(rounds) if len(rounds) <= ENOUGH else sorted(rounds)[int(len(rounds) * 0.98)]


def _picked(rounds: Sequence[float]) -> Sequence[float]:
    if len(rounds) <= MOST_DOTS:
        return rounds
    ordered = sorted(rounds)
    return [ordered[number * (len(ordered) - 1) // (MOST_DOTS - 1)] for number in range(MOST_DOTS)]
