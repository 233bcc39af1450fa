"""EFFECT: the demo's timeline: what was observed, when, told as it happens and kept for the table and the picture."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: Every link of the way and what its line in the timeline says.
TITLES = {
    "plugged": "plugged into the client",
    "listed": "listed by the picker",
    "clicked": "clicked with the mouse",
    "ticked": "ticked: written to share_list",
    "released": "released by its local driver",
    "exported": "exported, not encrypted",
    "attached": "attached below the container's hub",
    "granted": "right granted to this container",
    "authorised": "authorised, after the right",
    "node": "nodes made, access list set",
    "opened": "opened by the user in the container",
    "talked": "bytes sent both ways",
    "file": "file read from the stick",
    "stranger": "another tenant's root is refused",
    "unticked": "unticked: out of share_list",
    "node gone": "nodes gone from the container",
    "right gone": "rights gone from the map",
    "hub empty": "the container's hub is empty",
    "home": "back on its local driver",
}


class LinkBrokenError(Exception):
    """A link of the way did not hold: carries its name, so that a test can say which one."""

    def __init__(self, link: str, device: str, reason: str) -> None:
        super().__init__(f"{link} ({device}): {reason}" if device else f"{link}: {reason}")
        self.link = link
        self.device = device


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One link that was observed: `at` in seconds of this machine's clock."""

    link: str
    device: str
    evidence: str
    at: float
    ok: bool = True

    @property
    def title(self) -> str:
        """What the line says: the link as it was seen, or that it was not."""
        return TITLES[self.link] if self.ok else f"NOT SEEN: {self.link}"


class Timeline:
    """Collects what was seen and prints each line at once."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.start = time.time()
        self.seen: list[Seen] = []

    def add(self, entry: Seen) -> None:
        self.seen.append(entry)
        mark = "ok  " if entry.ok else "FAIL"
        line = f"{entry.at - self.start:8.2f} s  {mark} {entry.device:<7} {entry.title:<34} {entry.evidence}"
        sys.stdout.write(line.rstrip() + "\n")
        sys.stdout.flush()

    def time_of(self, link: str, device: str) -> float | None:
        """Returns when a link of this device was seen, in seconds of this machine's clock, or None."""
        return next(
            (entry.at for entry in self.seen if (entry.link, entry.device) == (link, device) and entry.ok), None
        )

    def save(self, target: Path, footer: list[str]) -> None:
        """Writes what the painter in the guest needs, in the order in which it happened."""
        rows = [
            {
                "ok": entry.ok,
                "device": entry.device,
                "title": entry.title,
                "evidence": entry.evidence,
                "at": entry.at - self.start,
            }
            for entry in sorted(self.seen, key=lambda entry: entry.at)
        ]
        target.write_text(json.dumps({"title": self.title, "rows": rows, "footer": footer}), encoding="utf-8")


STAGES = ("released", "exported", "attached", "granted", "authorised", "node", "opened")


def table(timeline: Timeline, devices: list[str]) -> list[str]:
    """Returns the lines of the table: milliseconds from the tick to each stage, one column a device."""
    lines = ["step (ms after the click)   " + "".join(f"{device:>10}" for device in devices)]
    for stage in STAGES:
        cells = []
        for device in devices:
            begin, end = timeline.time_of("clicked", device), timeline.time_of(stage, device)
            cells.append("-" if begin is None or end is None else f"{(end - begin) * 1000:.0f}")
        lines.append(f"{stage:<28}" + "".join(f"{cell:>10}" for cell in cells))
    return lines
