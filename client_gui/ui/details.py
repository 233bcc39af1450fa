"""EFFECT: the panel a row opens: the steps with their times, identity, port and driver of a device."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from client_gui.state import STEP_NAMES, DeviceState, Row
from client_gui.ui import device_words, messages, problem_words
from client_gui.ui.button import Button, Face, say_copied
from client_gui.ui.device_settings import DeviceSettings
from client_gui.ui.focus import RESERVE
from client_gui.ui.label import Label
from client_gui.ui.look import Look
from client_gui.ui.messages import tr
from client_gui.ui.paint import paint_ground, paint_text

PADDING: Final = 16


class Timeline(QWidget):
    """Draws the four steps of a share and how long each took."""

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._durations: dict[str, int] = {}
        self._stacked = False
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_row(self, row: Row) -> None:
        """Shows the steps this device has taken."""
        self._durations = device_words.durations(row.steps)
        spoken = (f"{tr(messages.STEP_WORDS[name])} {spent} ms" for name, spent in self._durations.items())
        self.setAccessibleName(", ".join(spoken))
        self.updateGeometry()
        self.update()

    def fit(self, width: int) -> None:
        """Puts the steps below one another where one of their words has no room beside the next."""
        words = (self._look.metrics("status").horizontalAdvance(tr(word)) for word in messages.STEP_WORDS.values())
        stacked = max(words) + 4 > width / len(STEP_NAMES)
        if stacked != self._stacked:
            self._stacked = stacked
            self.updateGeometry()

    def _line(self) -> int:
        """Returns the height of one step where they are below one another."""
        return max(self._look.px(16), self._look.metrics("status").height()) + 8

    def sizeHint(self) -> QSize:
        """Returns room for icons, words, times and the line below."""
        look = self._look
        if self._stacked:
            return QSize(look.px(70), len(STEP_NAMES) * self._line() + 6)
        words = look.metrics("status").height() + look.metrics("note").height()
        return QSize(look.px(70), look.px(16) + 8 + words + 4 + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the steps, from left to right or from top to bottom, and a line below them."""
        painter = QPainter(self)
        if self._stacked:
            self._paint_down(painter)
        else:
            self._paint_across(painter)
        painter.fillRect(0, self.height() - 1, self.width(), 1, self._look.color("line"))

    def _paint_down(self, painter: QPainter) -> None:
        look, side, line = self._look, self._look.px(16), self._line()
        for place, name in enumerate(STEP_NAMES):
            box = QRect(0, place * line, self.width(), line)
            self._paint_icon(painter, QRect(0, box.center().y() - side // 2, side, side), name)
            done = name in self._durations
            box.setLeft(side + 12)
            word = tr(messages.STEP_WORDS[name])
            text = f"{word} · {self._durations[name]} ms" if done else word
            paint_text(painter, look, "status", "text" if done else "text2", box, text)

    def _paint_icon(self, painter: QPainter, box: QRect, name: str) -> None:
        done = name in self._durations
        icon, ink = ("s-inuse", "accent") if done else ("s-notshared", "text2")
        self._look.draw_icon(painter, box, icon, ink, "hover")

    def _paint_across(self, painter: QPainter) -> None:
        look = self._look
        side = look.px(16)
        part = self.width() / len(STEP_NAMES)
        words = look.metrics("status").height()
        for place, name in enumerate(STEP_NAMES):
            left = round(place * part)
            done = name in self._durations
            if place + 1 < len(STEP_NAMES):
                follows = STEP_NAMES[place + 1] in self._durations
                line = QRectF(left + side + 4, side / 2 - 1, part - side - 8, 2)
                painter.fillRect(line, look.color("accent" if follows else "line"))
            self._paint_icon(painter, QRect(left, 0, side, side), name)
            box = QRect(left, side + 8, round(part) - 4, words)
            paint_text(painter, look, "status", "text" if done else "text2", box, tr(messages.STEP_WORDS[name]))
            if done:
                box = QRect(left, box.bottom() + 5, round(part) - 4, look.metrics("note").height())
                paint_text(painter, look, "note", "text2", box, f"{self._durations[name]} ms")


class DetailsPanel(QWidget):
    """Made when a row is opened, thrown away when it is closed."""

    copy = Signal()
    copy_rule = Signal()

    def __init__(self, look: Look, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._heading = Label(look, "name", "text", self)
        self._timeline = Timeline(look, self)
        self._fields: dict[str, tuple[Label, Label]] = {}
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(24)
        self._grid.setVerticalSpacing(7)
        self._grid.setColumnStretch(1, 1)
        self.settings = DeviceSettings(look, self)
        self.copy_button = Button(look, tr("Copy report"), Face.OUTLINE, self, icon="copy", height=32, font="status")
        self.copy_button.clicked.connect(self.copy)
        self.copy_button.clicked.connect(lambda: say_copied(self.copy_button))
        self.rule_button = Button(look, tr("Copy rule"), Face.TEXT, self, height=32, font="status")
        self.rule_button.clicked.connect(self.copy_rule)
        self.rule_button.clicked.connect(lambda: say_copied(self.rule_button))
        self._buttons = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._buttons.setSpacing(0)
        for button in (self.copy_button, self.rule_button):
            self._buttons.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self._buttons.addStretch(1)
        layout = QVBoxLayout()
        layout.setContentsMargins(RESERVE, 0, RESERVE, 0)
        layout.setSpacing(8)
        layout.addWidget(self._heading)
        layout.addWidget(self._timeline)
        layout.addSpacing(4)
        layout.addLayout(self._grid)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PADDING - RESERVE, 12, PADDING - RESERVE, PADDING - RESERVE)
        outer.setSpacing(8)
        outer.addLayout(layout)
        outer.addWidget(self.settings)
        outer.addLayout(self._buttons)

    def controls(self) -> list[QWidget]:
        """Returns what takes the focus, in the order of Tab."""
        return [*self.settings.controls(), self.copy_button, self.rule_button]

    def fit(self, width: int) -> None:
        """Puts controls and buttons below one another where there is no room beside one another."""
        room = width - 2 * (PADDING - RESERVE)
        self._timeline.fit(width - 2 * PADDING)
        needed = sum(button.sizeHint().width() for button in (self.copy_button, self.rule_button))
        down, across = QBoxLayout.Direction.TopToBottom, QBoxLayout.Direction.LeftToRight
        self._buttons.setDirection(down if needed > room else across)
        titles = [name.sizeHint().width() for name, _ in self._fields.values() if name.isVisibleTo(self)]
        title = max([*titles, self.settings.title_width()])
        beside = self.settings.fit(room, title + self._grid.horizontalSpacing())
        column = title if beside else 0
        if column != self._grid.columnMinimumWidth(0):  # else it asks to be looked at again, each time
            self._grid.setColumnMinimumWidth(0, column)

    def show_row(self, row: Row) -> None:
        """Shows what is known of this device."""
        with_steps = bool(row.steps)
        self._heading.setVisible(with_steps)
        self._timeline.setVisible(with_steps)
        if with_steps:
            self._heading.say(device_words.steps_heading(row))
            self._timeline.show_row(row)
        self._field("what", tr("What it is"), device_words.faces_listed(row.faces or (row.kind,)))
        self._field("identity", tr("Identity"), device_words.identity(row), font="fixed")
        self._field("apart", "", device_words.recognised_by_port(row))
        if row.state is not DeviceState.ABSENT:
            self._field("port", tr("Port"), device_words.port(row))
            self._field("driver", tr("Local driver"), device_words.local_driver(row))
        self._field("volumes", tr("Volumes"), device_words.volume_lines(row))
        self._field("caution", tr("Caution"), device_words.caution(row))
        self._field("decided", tr("Decided by"), device_words.decided_by(row))
        if row.state is not DeviceState.FAILED:  # there the strip says why
            self._field("why", tr("Why"), problem_words.sentence(row.problem, row.problem_text))
        self._field("remedy", tr("What helps"), problem_words.remedy(row.problem, row.remedy))

        self.settings.setVisible(row.state is not DeviceState.ABSENT)
        self.settings.show_row(row)
        self.rule_button.setVisible(bool(row.own_rule))

    def _field(self, key: str, title: str, value: str, font: str = "note") -> None:
        if key not in self._fields:
            if not value:
                return
            place = self._grid.rowCount()
            pair = Label(self._look, "note", "text2", self), Label(self._look, font, "text", self, wrap=True)
            pair[1].setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            for column, label in enumerate(pair):
                self._grid.addWidget(label, place, column, Qt.AlignmentFlag.AlignTop)
            self._fields[key] = pair
        name, text = self._fields[key]
        name.say(title)
        text.say(value)
        name.setVisible(bool(value))
        text.setVisible(bool(value))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the inset ground."""
        paint_ground(QPainter(self), self._look, self.rect(), "hover")
