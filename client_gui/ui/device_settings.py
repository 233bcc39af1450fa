"""EFFECT: what a user may settle for one device: its name here, when it is shared, whether its port is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QVBoxLayout, QWidget

from client_gui.state import Mode
from client_gui.ui.choice import Choice, NameField, mode_words
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.messages import device_name, tr
from client_gui.ui.switch import Switch
from qvd_usbip.errors import printable

if TYPE_CHECKING:
    from client_gui.state import Row
    from client_gui.ui.look import Look

FOLLOW_FOR: Final = 30
"""How long a port is followed where the user wishes it, in seconds."""


class DeviceSettings(QWidget):
    """Three settings below one another, each with its name before it or, in a narrow window, above it."""

    renamed = Signal(str)
    mode_chosen = Signal(Mode)
    follow_chosen = Signal(int)

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self.name = NameField(look, self)
        self.mode = Choice(look, tr("Share it"), mode_words(), self)
        self.follow = Switch(look, self)
        self._note = Label(look, "note", "text2", self, wrap=True)
        self._note.say(tr("For {n} s after it goes, what comes to its port counts as it.", n=FOLLOW_FOR))
        self.name.named.connect(self.renamed)
        self.mode.chosen.connect(lambda value: self.mode_chosen.emit(Mode(value)))
        self.follow.clicked.connect(lambda on: self.follow_chosen.emit(FOLLOW_FOR if on else 0))
        name = QWidget(self)
        inset = QHBoxLayout(name)
        inset.setContentsMargins(RESERVE, 0, RESERVE, RESERVE)
        inset.addWidget(self.name)
        port = QWidget(self)
        beside = QHBoxLayout(port)
        beside.setContentsMargins(0, 0, RESERVE, 0)
        beside.setSpacing(0)
        beside.addWidget(self.follow)
        beside.addWidget(self._note, 1)
        self._titles = [
            Label(look, "note", "text2", self, text=text)
            for text in (tr("Name here"), tr("Share it"), tr("Follow its port"))
        ]
        self._lines: list[QBoxLayout] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 10, 0, 0)
        layout.setSpacing(2)
        for title, control in zip(self._titles, (name, self.mode, port), strict=True):
            title.setContentsMargins(RESERVE, 0, 0, 0)
            line = QBoxLayout(QBoxLayout.Direction.LeftToRight)
            line.setSpacing(0)
            line.addWidget(title)
            line.addWidget(control, 1)
            layout.addLayout(line)
            self._lines.append(line)

    def controls(self) -> list[QWidget]:
        """Returns what takes the focus, in the order of Tab."""
        return [self.name, *self.mode.segments.values(), self.follow]

    def title_width(self) -> int:
        """Returns how wide the widest title is."""
        return max(title.sizeHint().width() for title in self._titles)

    def show_row(self, row: Row) -> None:
        """Shows what holds for this device."""
        device = device_name(row)
        self.name.setPlaceholderText(printable(row.product).strip() or device)
        self.name.setAccessibleName(tr("Name of {device} here", device=device))
        self.name.show_name(printable(row.nickname))
        self.mode.show_value(str(row.mode))
        self.follow.setAccessibleName(tr("Follow the port of {device}", device=device))
        self.follow.setAccessibleDescription(self._note.accessibleName())
        self.follow.show_wish(row.follows_port > 0)

    def fit(self, width: int, title_width: int) -> bool:
        """Puts each title above its control where there is no room before it.

        Args: the room; how wide titles and the gap behind them are. Returns: whether titles stand before controls.
        """
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        beside = title_width + RESERVE + self.mode.wanted_width() <= width
        for title, line in zip(self._titles, self._lines, strict=True):
            line.setDirection(across if beside else down)
            title.setMinimumWidth(title_width if beside else 0)
        self.mode.stack(narrow=self.mode.wanted_width() > width)
        return beside

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the line above."""
        QPainter(self).fillRect(RESERVE, 0, self.width() - 2 * RESERVE, 1, self._look.color("line"))
