"""EFFECT: what assistive technology is told: what each part of ours is, and what changes."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent, QAccessibleInterface
from PySide6.QtWidgets import QAccessibleWidget, QWidget

ROLES = {
    "RowCard": QAccessible.Role.List,
    "DeviceRow": QAccessible.Role.ListItem,
    "ConsentCard": QAccessible.Role.Grouping,
    "DeviceSettings": QAccessible.Role.Grouping,
    "Choice": QAccessible.Role.Grouping,
    "ProblemCard": QAccessible.Role.Grouping,
    # Painted, not made of labels: read as the text they are.
    "ChangePicture": QAccessible.Role.StaticText,
    "Timeline": QAccessible.Role.StaticText,
    "VolumeBox": QAccessible.Role.StaticText,
}


def install() -> None:
    """Gives our own parts their roles; everything else keeps Qt's."""
    QAccessible.installFactory(_interface)


def _interface(class_name: str, thing: QObject) -> QAccessibleInterface | None:
    role = ROLES.get(class_name)
    if role is None or not isinstance(thing, QWidget):
        return None
    return QAccessibleWidget(thing, role)


def announce(widget: QWidget, sentence: str, *, urgent: bool = False) -> None:
    """Speaks a sentence to those who listen to the window: politely, or at once."""
    event = QAccessibleAnnouncementEvent(widget, sentence)
    level = QAccessible.AnnouncementPoliteness
    event.setPoliteness(level.Assertive if urgent else level.Polite)
    QAccessible.updateAccessibility(event)
