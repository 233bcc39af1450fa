"""EFFECT: one device in the list: everything about it happens in its own row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QToolTip, QWidget

from client_gui.state import DeviceState, Row
from client_gui.ui import messages
from client_gui.ui.button import Button, Face, IconButton
from client_gui.ui.details import DetailsPanel
from client_gui.ui.failed_strip import FailedStrip
from client_gui.ui.focus import RESERVE
from client_gui.ui.messages import tr
from client_gui.ui.motion import VEIL_LIFTS, Glide, Pulse, Veil
from client_gui.ui.row_layout import GAP, SMALL_GAP, RowPlaces, RowSizes, place_row
from client_gui.ui.row_paint import STEPPING, TURNING, RowFace, paint_row, status_icon_rect
from client_gui.ui.switch import Switch

if TYPE_CHECKING:
    from client_gui.ui.look import Look

NO_SWITCH: Final = frozenset({DeviceState.ABSENT, DeviceState.LOCKED})


class DeviceRow(QWidget):
    """Paints the device and holds its real controls; strip and details are made only while they are open."""

    wished = Signal(str, bool)
    retry = Signal(str)
    stop = Signal(str)
    forget = Signal(str)
    copy = Signal(str)
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
        self.row = row
        self.opened = False
        self.switch = Switch(look, self)
        self.chevron = IconButton(look, "chevron", "", self, size=QSize(24, 44))
        self.forget_button: Button | None = None
        self.strip: FailedStrip | None = None
        self.panel: DetailsPanel | None = None
        self._body = Glide(look, 150, 0.0, self.resized.emit, self)
        self.switch.clicked.connect(lambda on: self.wished.emit(self.row.key, on))
        self.chevron.clicked.connect(self.toggle_details)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        look.changed.connect(self._name_parts)
        self.show_row(row)

    # --- what is shown

    def show_row(self, row: Row) -> None:
        """Takes another state of the same device; only what differs is touched."""
        self.row = row
        self.switch.show_wish(row.ticked)
        self.switch.setVisible(row.state not in NO_SWITCH)
        self._enable_switch()
        self._show_forget(row.state is DeviceState.ABSENT)
        self._show_strip(row.state is DeviceState.FAILED)
        if self.panel is not None:
            self.panel.show_row(row)
        if row.state in TURNING and self._look.duration(1000) > 0:
            self._pulse.join(row.key, self._turn)
        else:
            self._pulse.leave(row.key)
        self._name_parts()
        self._settle()
        self.update()

    def set_usable(self, usable: bool) -> None:
        """Says whether anything can be shared from this computer just now."""
        self._usable = usable
        self._enable_switch()

    def _enable_switch(self) -> None:
        # What was ticked can always be taken back.
        self.switch.setEnabled(self.row.state is not DeviceState.BLOCKED and (self._usable or self.row.ticked))

    def _name_parts(self) -> None:
        device, word = messages.device_name(self.row), messages.state_word(self.row.state)
        self.setAccessibleName(f"{device}, {messages.vendor(self.row)}, {word}")
        self.switch.setAccessibleName(tr("Share {device}", device=device))
        self.switch.setAccessibleDescription(word)
        self.chevron.call(tr("Details of {device}", device=device))
        self.setAccessibleDescription(messages.secondary(self.row))
        if self.forget_button is not None:
            self.forget_button.setAccessibleName(tr("Forget {device}", device=device))

    def hint(self) -> str:
        """Returns the tool tip: both lines in full where one of them was cut, else nothing."""
        places, look = self._places(), self._look
        name, line = messages.device_name(self.row), messages.secondary(self.row)
        fits = look.metrics("name").horizontalAdvance(name) <= places.name.width()
        fits = fits and look.metrics("secondary").horizontalAdvance(line) <= places.secondary.width()
        return "" if fits else messages.tooltip(f"{name}\n{line}")

    def _show_forget(self, wanted: bool) -> None:
        if wanted and self.forget_button is None:
            self.forget_button = Button(self._look, tr("Forget"), Face.TEXT, self, height=34)
            self.forget_button.clicked.connect(lambda: self.forget.emit(self.row.key))
            self._adopt(self.switch, self.forget_button)
        elif not wanted and self.forget_button is not None:
            self.forget_button.hide()
            self.forget_button.deleteLater()
            self.forget_button = None

    def _show_strip(self, wanted: bool) -> None:
        if wanted and self.strip is None:
            self.strip = FailedStrip(self._look, self)
            self.strip.retry.connect(lambda: self.retry.emit(self.row.key))
            self.strip.stop.connect(lambda: self.stop.emit(self.row.key))
            self._adopt(self.chevron, self.strip.retry_button, self.strip.stop_button)
            self.strip.show()
        elif not wanted and self.strip is not None:
            self.strip.hide()
            self.strip.deleteLater()
            self.strip = None
        if self.strip is not None:
            self.strip.show_row(self.row)

    def toggle_details(self) -> None:
        """Opens or closes the panel below the row."""
        self.open_details(opened=not self.opened)

    def open_details(self, *, opened: bool) -> None:
        """Makes the panel, or throws it away."""
        if opened == self.opened:
            return
        self.opened = opened
        self.chevron.draw("chevron-down" if opened else "chevron")
        if opened:
            self.panel = DetailsPanel(self._look, self)
            self.panel.copy.connect(lambda: self.copy.emit(self.row.key))
            self.panel.show_row(self.row)
            self._adopt(self.strip.stop_button if self.strip else self.chevron, self.panel.copy_button)
            self.panel.show()
        elif self.panel is not None:
            self.panel.hide()
            self.panel.deleteLater()
            self.panel = None
        self._settle()
        self.chosen.emit(self.row.key)
        if opened:
            self.unfolded.emit(self.row.key)

    def _adopt(self, before: QWidget, *controls: QPushButton) -> None:
        for control in controls:
            QWidget.setTabOrder(before, control)
            control.setFocusPolicy(self.switch.focusPolicy())
            control.show()
            before = control

    def appear(self) -> None:
        """Fades in, for a device that was plugged in while the list was seen."""
        if self._look.duration(VEIL_LIFTS) > 0:
            Veil(self._look, self)

    # --- focus

    def main_control(self) -> QWidget:
        """Returns the control that takes the focus for the row."""
        if self.forget_button is not None:
            return self.forget_button
        return self.switch if self.switch.isVisibleTo(self) and self.switch.isEnabled() else self.chevron

    def set_current(self, current: bool) -> None:
        """Lets Tab visit the controls of this row, or pass it by."""
        policy = Qt.FocusPolicy.StrongFocus if current else Qt.FocusPolicy.ClickFocus
        self.switch.setFocusPolicy(policy)
        for button in self.findChildren(QPushButton):
            button.setFocusPolicy(policy)

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
        return self._sizes.head + (0 if self._first else 1) + round(self._body.value)

    def _places(self) -> RowPlaces:
        action = self.forget_button.sizeHint().width() - 2 * RESERVE if self.forget_button else 0
        return place_row(
            self._sizes, width=self.width(), rule=not self._first, busy=self.row.state in STEPPING, action_width=action
        )

    def _body_width(self, places: RowPlaces) -> int:
        return self.width() - places.body_left - GAP

    def _heights(self, width: int) -> list[tuple[QWidget, int]]:
        parts: list[QWidget] = [part for part in (self.strip, self.panel) if part is not None]
        if self.strip is not None:
            self.strip.stack(narrow=self._sizes.narrow)
        return [(part, part.heightForWidth(width)) for part in parts]

    def _settle(self, *, at_once: bool = False) -> None:
        """Lets the row grow or shrink to what is open in it."""
        heights = [height for _, height in self._heights(self._body_width(self._places()))]
        target = sum(heights) + SMALL_GAP * (len(heights) - 1) + GAP if heights else 0
        self._arrange()
        self._body.to(target, at_once=at_once or not self.isVisible())

    def _arrange(self) -> None:
        places = self._places()
        self.switch.setGeometry(places.switch)
        self.chevron.setGeometry(places.chevron)
        if self.forget_button is not None:
            size = self.forget_button.sizeHint()
            left = places.switch.right() + 1 + RESERVE - size.width()
            self.forget_button.setGeometry(
                QRect(left, places.switch.center().y() - size.height() // 2 + 1, size.width(), size.height())
            )
        top = places.head.bottom() + 1
        width = self._body_width(places)
        for part, height in self._heights(width):
            part.setGeometry(places.body_left, top, width, height)
            top += height + SMALL_GAP

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
            self._settle(at_once=not self._body.moving)
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Makes the row the current one."""
        self.chosen.emit(self.row.key)
        super().mousePressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints everything but the controls."""
        face = RowFace(
            lit=self._lit or self.underMouse(),
            first=self._first,
            last=self._last,
            moving=self._look.duration(1000) > 0,
            height=self.height(),
        )
        paint_row(QPainter(self), self._look, self.row, self._sizes, self._places(), face)

    def _turn(self) -> None:
        self.update(status_icon_rect(self._sizes, self._places()))

    def part(self) -> None:
        """Leaves the list: nothing turns for a row that is gone."""
        self._pulse.leave(self.row.key)
        self.hide()
        self.deleteLater()
