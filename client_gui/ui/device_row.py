"""EFFECT: one device in the list: everything about it happens in its own row."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QToolTip, QWidget

from client_gui.state import Asked, DeviceState, Mode, Row
from client_gui.ui import device_words, messages
from client_gui.ui.accessible import announce
from client_gui.ui.button import Button, Face, IconButton
from client_gui.ui.focus import RESERVE
from client_gui.ui.messages import tr
from client_gui.ui.motion import VEIL_LIFTS, Glide, Pulse, Veil
from client_gui.ui.row_body import ASKABLE, RowBody
from client_gui.ui.row_layout import GAP, RowPlaces, RowSizes, place_row
from client_gui.ui.row_paint import STEPPING, TURNING, RowFace, paint_row, status_icon_rect
from client_gui.ui.switch import Switch

if TYPE_CHECKING:
    from client_gui.ui.look import Look

NO_SWITCH: Final = frozenset({DeviceState.ABSENT, DeviceState.LOCKED})
KEYBOARD: Final = Qt.FocusReason.TabFocusReason


class DeviceRow(QWidget):
    """Paints the device and holds its real controls; what is open below is the body's."""

    wished = Signal(str, bool)
    agreed = Signal(str, Asked)
    retry = Signal(str)
    stop = Signal(str)
    forget = Signal(str)
    copy = Signal(str)
    copy_rule = Signal(str)
    renamed = Signal(str, str)
    mode_chosen = Signal(str, Mode)
    follow_chosen = Signal(str, int)
    chosen = Signal(str)
    unfolded = Signal(str)
    resized = Signal()

    def __init__(self, row: Row, look: Look, sizes: RowSizes, pulse: Pulse, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._sizes = sizes
        self._pulse = pulse
        self._usable = True
        self._lit = False
        self._first = self._last = False
        self._current = False
        self.row = row
        self.opened = False
        self.asking = False
        self.cautioning = False
        self._new_action = True
        self.switch = Switch(look, self)
        self.chevron = IconButton(look, "chevron", "", self, size=QSize(24, 44))
        self.action: Button | None = None
        self.body = RowBody(look, self)
        self._height = Glide(look, 150, 0.0, self.resized.emit, self)
        self.switch.clicked.connect(self._flip)
        self.chevron.clicked.connect(self.toggle_details)
        self.body.retry.connect(lambda: self.retry.emit(self.row.key))
        self.body.stop.connect(lambda: self.stop.emit(self.row.key))
        self.body.copy.connect(lambda: self.copy.emit(self.row.key))
        self.body.copy_rule.connect(lambda: self.copy_rule.emit(self.row.key))
        self.body.renamed.connect(lambda name: self.renamed.emit(self.row.key, name))
        self.body.mode_chosen.connect(lambda mode: self.mode_chosen.emit(self.row.key, mode))
        self.body.follow_chosen.connect(lambda seconds: self.follow_chosen.emit(self.row.key, seconds))
        self.body.agreed.connect(self._agree)
        self.body.refused.connect(self.refuse)
        self.body.read.connect(self._caution_read)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        look.changed.connect(self._name_parts)
        self.show_row(row)

    # --- what is shown

    def show_row(self, row: Row) -> None:
        """Takes another state of the same device; only what differs is touched."""
        self.row = row
        self.asking = self.asking and row.consent is not None and row.state in ASKABLE
        self.switch.show_wish(row.ticked)
        self.switch.setVisible(row.state not in NO_SWITCH)
        self._enable_switch()
        self._show_body()
        if row.state in TURNING and self._look.duration(1000) > 0:
            self._pulse.join(row.key, self._turn)
        else:
            self._pulse.leave(row.key)

    def shown(self) -> Row:
        """Returns the row as it is painted: while it asks, that is its state."""
        return replace(self.row, state=DeviceState.CONFIRM) if self.asking else self.row

    def set_usable(self, usable: bool) -> None:
        """Says whether anything can be shared from this computer just now."""
        self._usable = usable
        self._enable_switch()

    def _enable_switch(self) -> None:
        # What was ticked can always be taken back.
        self.switch.setEnabled(self.row.ticked or (self._usable and self.row.state is not DeviceState.BLOCKED))

    def _name_parts(self) -> None:
        device, word = messages.device_name(self.row), messages.state_word(self.shown().state)
        self.setAccessibleName(f"{device}, {device_words.vendor(self.row)}, {word}")
        self.switch.setAccessibleName(tr("Share {device}", device=device))
        self.switch.setAccessibleDescription(word)
        self.chevron.call(tr("Details of {device}", device=device))
        self.setAccessibleDescription(device_words.secondary(self.row))
        if self.action is not None:
            absent = self.row.state is DeviceState.ABSENT
            self.action.setText(tr("Forget") if absent else tr("Unlock…"))
            name = tr("Forget {device}", device=device) if absent else tr("Unlock {device}", device=device)
            self.action.setAccessibleName(name)

    def hint(self) -> str:
        """Returns the tool tip: both lines in full where one of them was cut, else nothing."""
        places, look = self._places(), self._look
        name, line = messages.device_name(self.row), device_words.secondary(self.row)
        fits = look.metrics("name").horizontalAdvance(name) <= places.name.width()
        fits = fits and look.metrics("secondary").horizontalAdvance(line) <= places.secondary.width()
        return "" if fits else messages.tooltip(f"{name}\n{line}")

    def _show_action(self) -> None:
        locked = self.row.state is DeviceState.LOCKED and self.row.consent is not None and not self.asking
        wanted = self.row.state is DeviceState.ABSENT or locked
        if wanted and self.action is None:
            self.action = Button(self._look, "", Face.TEXT, self, height=34)
            self.action.clicked.connect(self._act)
            self.action.show()
            self._new_action = True
        elif not wanted and self.action is not None:
            self.action.hide()
            self.action.deleteLater()
            self.action = None

    def _show_body(self) -> None:
        self._show_action()
        before = self.body.caution
        cautioning = self.cautioning and self.row.ticked
        shown = self.body.show_row(self.row, asking=self.asking, cautioning=cautioning, opened=self.opened)
        if shown or self._new_action:
            self._chain()
        self._new_action = False
        self.chevron.draw("chevron-down" if self.opened or self.body.card is not None else "chevron")
        self._name_parts()
        self._settle()
        self.update()
        if self.body.caution not in {None, before}:
            self.unfolded.emit(self.row.key)
            announce(self, device_words.caution(self.row))

    # --- what the user does

    def _flip(self, on: bool) -> None:
        if on and self.row.consent is not None:
            self.switch.show_wish(on=False)
            self.ask()
        else:
            self.wished.emit(self.row.key, on)
            self._caution(wanted=on)

    def _caution(self, *, wanted: bool) -> None:
        """Says beside it, without a question, what the other side may do to what is stored on the device."""
        self.cautioning = wanted and bool(device_words.caution(self.row))
        self._show_body()

    def _caution_read(self) -> None:
        focused = self._has_focus()
        self._caution(wanted=False)
        if focused:
            self.main_control().setFocus(KEYBOARD)

    def _act(self) -> None:
        if self.row.state is DeviceState.ABSENT:
            self.forget.emit(self.row.key)
        else:
            self.ask()

    def ask(self) -> None:
        """Opens the card that asks, with the focus on its safe button."""
        self.asking = True
        self._show_body()
        self.chosen.emit(self.row.key)
        self.unfolded.emit(self.row.key)
        if self.body.card is not None:
            self.body.card.refuse_button.setFocus(KEYBOARD)

    def refuse(self) -> None:
        """Takes the question back; a device that was ticked is ticked no more."""
        focused = self._has_focus()
        if self.asking:
            self.asking = False
            self._show_body()
        elif self.row.ticked:
            self.wished.emit(self.row.key, False)
        if focused:
            self.main_control().setFocus(KEYBOARD)

    def _agree(self, asked: Asked) -> None:
        focused = self._has_focus()
        self.asking = False
        self._show_body()
        if focused:
            self.main_control().setFocus(KEYBOARD)
        self.agreed.emit(self.row.key, asked)
        self._caution(wanted=asked is not Asked.STORAGE)  # there the card has said it

    def _has_focus(self) -> bool:
        widget = QApplication.focusWidget()
        return widget is not None and self.isAncestorOf(widget)

    def toggle_details(self) -> None:
        """Opens or closes the panel below the row."""
        self.open_details(opened=not self.opened)

    def open_details(self, *, opened: bool) -> None:
        """Makes the panel, or throws it away."""
        if opened == self.opened:
            return
        self.opened = opened
        self._show_body()
        self.chosen.emit(self.row.key)
        if opened:
            self.unfolded.emit(self.row.key)

    def close_one(self) -> bool:
        """Closes the question or, without one, the details; returns whether anything was open."""
        if self.body.card is not None:
            self.refuse()
        elif self.opened:
            self.open_details(opened=False)
        else:
            return False
        return True

    def appear(self) -> None:
        """Fades in, for a device that was plugged in while the list was seen."""
        if self._look.duration(VEIL_LIFTS) > 0:
            Veil(self._look, self)

    # --- focus

    def controls(self) -> list[QWidget]:
        """Returns everything that takes the focus, in the order of Tab."""
        first: list[QWidget] = [self.switch, self.chevron]
        if self.action is not None:
            first.insert(1, self.action)
        return first + self.body.controls()

    def _chain(self) -> None:
        for before, after in pairwise(self.controls()):
            QWidget.setTabOrder(before, after)
        self.set_current(self._current)

    def main_control(self) -> QWidget:
        """Returns the control that takes the focus for the row."""
        if self.action is not None:
            return self.action
        return self.switch if self.switch.isVisibleTo(self) and self.switch.isEnabled() else self.chevron

    def set_current(self, current: bool) -> None:
        """Lets Tab visit the controls of this row, or pass it by."""
        self._current = current
        policy = Qt.FocusPolicy.StrongFocus if current else Qt.FocusPolicy.ClickFocus
        for control in self.controls():
            control.setFocusPolicy(policy)

    def light(self, lit: bool) -> None:
        """Shows that the keyboard is in this row."""
        if lit != self._lit:
            self._lit = lit
            self.update()

    # --- places

    def set_edges(self, *, first: bool, last: bool) -> None:
        """Says whether the row touches the card's round corners."""
        if (first, last) != (self._first, self._last):
            self._first, self._last = first, last
            self._arrange()
            self.update()

    def set_sizes(self, sizes: RowSizes) -> None:
        """Takes other common sizes: another font, or a window that became narrow."""
        self._sizes = sizes
        self._settle(at_once=True)
        self._arrange()

    def wanted_height(self) -> int:
        """Returns the height of the row now, in the midst of opening too."""
        return self._sizes.head + (0 if self._first else 1) + round(self._height.value)

    def _places(self) -> RowPlaces:
        action = self.action.sizeHint().width() - 2 * RESERVE if self.action else 0
        return place_row(
            self._sizes, width=self.width(), rule=not self._first, busy=self.row.state in STEPPING, action_width=action
        )

    def _settle(self, *, at_once: bool = False) -> None:
        """Lets the row grow or shrink to what is open in it."""
        width = self.width() - self._places().body_left - GAP
        self._arrange()
        target = self.body.height(width, narrow=self._sizes.narrow)
        self._height.to(target, at_once=at_once or not self.isVisible())

    def _arrange(self) -> None:
        places = self._places()
        self.switch.setGeometry(places.switch)
        self.chevron.setGeometry(places.chevron)
        if self.action is not None:
            size = self.action.sizeHint()
            left = places.switch.right() + 1 + RESERVE - size.width()
            self.action.setGeometry(
                QRect(left, places.switch.center().y() - size.height() // 2 + 1, size.width(), size.height())
            )
        width = self.width() - places.body_left - GAP
        self.body.place(places.body_left, places.head.bottom() + 1, width, narrow=self._sizes.narrow)

    # --- Qt

    def event(self, event: QEvent) -> bool:
        """Repaints under the pointer; a panel that grew makes the row grow."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.hint(), self)
            return True
        if event.type() in {QEvent.Type.HoverEnter, QEvent.Type.HoverLeave}:
            self.update()
        elif event.type() == QEvent.Type.LayoutRequest:
            self._settle()
        elif event.type() == QEvent.Type.Resize:
            self._arrange()
            self._settle(at_once=not self._height.moving)
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Makes the row the current one."""
        self.chosen.emit(self.row.key)
        super().mousePressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints everything but the controls."""
        face = RowFace(
            lit=(self._lit or self.underMouse()) and self.body.card is None,
            first=self._first,
            last=self._last,
            moving=self._look.duration(1000) > 0,
            height=self.height(),
            dirty=event.rect(),
        )
        paint_row(QPainter(self), self._look, self.shown(), self._sizes, self._places(), face)

    def _turn(self) -> None:
        self.update(status_icon_rect(self._sizes, self._places()))

    def part(self) -> None:
        """Leaves the list: nothing turns for a row that is gone."""
        self._pulse.leave(self.row.key)
        self.hide()
        self.deleteLater()
