"""PURE: the promises, what was measured, and the table that sets one against the other."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A promise: the median of `ours` is at most `limit` times the median of `reference`."""

    name: str
    ours: str
    reference: str
    limit: float


HOOK = Goal(
    name="node made",
    ours="qvd-create-device, a whole add",
    reference="python3 -I -S -c pass",
    limit=1.5,
)
LIST = Goal(
    name="devices listed",
    ours="qvd-usb list",
    reference="lsusb + python3 -I -S -c pass",
    limit=1.0,
)
READY = Goal(
    name="ticked to ready",
    ours="qvd-usb share, until the user may open it",
    reference="the same by hand: usbip bind, attach, right, mknod, setfacl",
    limit=1.25,
)

RIGHT = Goal(
    name="right in force",
    ours="the kernel's word decided, the right in the map and read back, at 64 containers with 8 devices",
    reference="bpftool map update",
    limit=1.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one goal's measurement gave: seconds of each round, in the order they were taken."""

    goal: Goal
    ours: Sequence[float]
    reference: Sequence[float]

    @property
    def ratio(self) -> float:
        """Ours to the reference, medians."""
        return statistics.median(self.ours) / statistics.median(self.reference)

    @property
    def met(self) -> bool:
        """Whether the promise holds."""
        return self.ratio <= self.goal.limit

    def as_json(self) -> dict[str, object]:
        """What report.json keeps of it."""
        return {
            "goal": self.goal.name,
            "ours": self.goal.ours,
            "reference": self.goal.reference,
            "limit": self.goal.limit,
            "ratio": round(self.ratio, 3),
            "met": self.met,
            "ours_ms": _milliseconds(self.ours),
            "reference_ms": _milliseconds(self.reference),
        }


def format_table(findings: Sequence[Finding]) -> str:
    """Lay the findings out for people: one goal a row, its two programs named below."""
    lines = [f"{'goal':<16} {'ours':>10} {'reference':>10} {'ratio':>6} {'limit':>6}  spread (ours)      verdict"]
    for finding in findings:
        ours, reference = statistics.median(finding.ours), statistics.median(finding.reference)
        spread = f"{min(finding.ours) * 1e3:.0f} to {max(finding.ours) * 1e3:.0f} ms"
        lines.append(
            f"{finding.goal.name:<16} {ours * 1e3:>7.1f} ms {reference * 1e3:>7.1f} ms {finding.ratio:>6.2f} "
            f"{finding.goal.limit:>6.2f}  {spread:<18} {'met' if finding.met else 'MISSED'}"
        )
        lines.append(f"  {finding.goal.ours}  against  {finding.goal.reference} ({len(finding.ours)} rounds)")
    return "\n".join(lines)


def _milliseconds(seconds: Sequence[float]) -> list[float]:
    return [round(each * 1e3, 2) for each in seconds]
