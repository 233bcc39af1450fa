"""PURE: one thing that `qvd-usb doctor` or `qvd-usb-agent check` looked at, and what came of it."""

from dataclasses import dataclass


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
