"""EFFECT: what is missing on this computer, in words for its user; the Problem's own words stay in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from client_gui.ui.messages import noop, tr
from client_gui.ui.problem_words import remedy, sentence

if TYPE_CHECKING:
    from client_gui.state import Trouble

HELPER: Final = noop("It is the small program that may release a device from this computer.")
MODULE: Final = noop("It sends the device over the network. It belongs to your Linux kernel.")

WORDS: Final = {
    "helper-missing": (noop("The sharing helper is not installed"), HELPER),
    "helper-not-setuid": (noop("The sharing helper has the wrong owner or mode"), HELPER),
    "not-permitted": (noop("You may not share devices from this session"), ""),
    "sharing-disabled": (noop("Sharing is switched off"), ""),
    "usbip-host-unavailable": (noop("The kernel module usbip_host is not loaded"), MODULE),
}
NOT_IN_KERNEL: Final = noop("The kernel module usbip_host is not in this kernel")


ALSO_OF_COMPUTER: Final = frozenset(
    """config-unreadable config-not-text config-too-large config-is-folder settings-malformed share-list-malformed
    policy-unsafe helper-unsafe sysfs-unreadable""".split()
)
"""What besides has to be put right on this computer before anything can be shared."""


def is_of_computer(trouble: Trouble) -> bool:
    """Whether nothing can be shared from this computer until it is put right; else it is the session's, or passes."""
    return trouble.code in WORDS or trouble.code in ALSO_OF_COMPUTER


def is_missing(trouble: Trouble) -> bool:
    """Whether it is a thing that this computer lacks."""
    return trouble.code in {"helper-missing", "helper-not-setuid", "usbip-host-unavailable"}


def line_of(trouble: Trouble, *, told: str = "") -> str:
    """Says in one line what happened, unless that is told elsewhere, and what helps."""
    happened = sentence(trouble.code, trouble.text)
    return f"{'' if happened == told else happened} {remedy(trouble.code, trouble.remedy)}".strip()


def title_of(trouble: Trouble) -> str:
    """Says in a line what is missing."""
    if trouble.code == "usbip-host-unavailable" and "has no module" in trouble.text:
        return tr(NOT_IN_KERNEL)
    title, _ = WORDS.get(trouble.code, ("", ""))
    return tr(title) if title else sentence(trouble.code, trouble.text)


def explanation_of(trouble: Trouble) -> str:
    """Says what that is good for; nothing where the title says it all."""
    _, explanation = WORDS.get(trouble.code, ("", ""))
    return tr(explanation) if explanation else ""
