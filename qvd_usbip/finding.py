"""PURE: one thing that `qvd-usb doctor` or a `check` looked at, and what came of it; how a list of them is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qvd_usbip.errors import QvdUsbError, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; with an exit status it stands in the way, with a remedy alone it is a warning.

    Args:
        name: what was looked at, one word.
        text: what was found, one sentence.
        remedy: how to mend it; empty where all is well.
        exit_status: of the Problem, or 0.
    """

    name: str
    text: str
    remedy: str = ""
    exit_status: int = 0

    @property
    def failed(self) -> bool:
        """Whether it stands in the way."""
        return self.exit_status != 0

    @property
    def mark(self) -> str:
        """How its line begins."""
        if self.failed:
            return "FAIL"
        return "warn" if self.remedy else "ok"

    def as_json(self) -> dict[str, object]:
        """The finding for programs."""
        return {
            "name": self.name,
            "ok": not self.failed,
            "mark": self.mark.lower(),
            "text": self.text,
            "remedy": self.remedy,
        }


def finding_of(name: str, error: QvdUsbError) -> Finding:
    """A line for a problem, with its own sentence and remedy."""
    return Finding(name=name, text=str(error), remedy=error.remedy(), exit_status=error.problem.exit_status)


def as_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """The findings for a person: a line each, and below it the remedy where there is one."""
    for each in findings:
        yield printable(f"{each.mark:4}  {each.name}: {each.text}")
        if each.remedy:
            yield printable(f"      {each.remedy}")


def exit_status_of(findings: Sequence[Finding]) -> int:
    """What the command ends with: 0, or what the first failure says."""
    return next((each.exit_status for each in findings if each.failed), 0)
