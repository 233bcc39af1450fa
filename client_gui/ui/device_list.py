"""EFFECT: the scrolling list of devices: one real row widget per device, touched only where the model says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QApplication, QFrame, QScrollArea, QWidget

from client_gui.state import Asked, DeviceState, Mode, Row
from client_gui.ui import device_words, messages, problem_words
from client_gui.ui.accessible import announce
from client_gui.ui.device_row import DeviceRow
from client_gui.ui.motion import Pulse
from client_gui.ui.row_card import RowCard
from client_gui.ui.row_layout import row_sizes
from client_gui.ui.scroll_bar import WIDTH, ScrollBar

if TYPE_CHECKING:
    from client_gui.ui.look import Look
    from client_gui.ui.model import DeviceModel

MARGIN: Final = 16
GAP: Final = 12
REVEAL: Final = 400  # milliseconds in which a row opens, with some to spare
FEW: Final = 4  # new rows at once that fade in; more are a list that is being made
BATCH: Final = 32  # rows made per turn of the event loop
SPOKEN: Final = frozenset(
    {DeviceState.ATTACHED, DeviceState.IN_USE, DeviceState.NOT_SHARED, DeviceState.CONFIRM, DeviceState.FAILED}
)
KEYBOARD: Final = Qt.FocusReason.TabFocusReason


class Page(QWidget):
    """What scrolls: the banner, if there is one, above the card."""

    rearranged = Signal()

    def event(self, event: QEvent) -> bool:
        """Passes on that a part wants another height."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.rearranged.emit()
        return super().event(event)


class DeviceList(QScrollArea):
    """Keeps a current row by its key; the whole list is one stop for Tab."""

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
    filtered = Signal(int)

    def __init__(self, model: DeviceModel, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._look = look
        self._rows: dict[str, DeviceRow] = {}
        self._current = ""
        self._filter = ""
        self._usable = True
        self._banner: QWidget | None = None
        self._sizes = row_sizes(look, self.width())
        self.pulse = Pulse(self)
        self._page = Page(self)
        self.card = RowCard(look, self._page)
        self.setWidget(self._page)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setVerticalScrollBar(ScrollBar(look, self))
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._placing = QTimer(self, singleShot=True, interval=0)
        self._placing.timeout.connect(self._place)
        self._page.rearranged.connect(self._placing.start)
        self._revealed = ""
        self._revealing = QTimer(self, singleShot=True, interval=REVEAL)
        model.rowsInserted.connect(self._build)
        model.rowsAboutToBeRemoved.connect(self._drop)
        model.rowsMoved.connect(self._follow_order)
        model.dataChanged.connect(self._refresh)
        look.changed.connect(self._resize_rows)
        QApplication.instance().focusChanged.connect(self._follow_focus)  # type: ignore[union-attr]  # it exists

    # --- following the model

    def _build(self) -> None:
        """Makes the widgets that are missing, some now and the rest when the window has drawn."""
        missing = [row for row in self._model.rows() if row.key not in self._rows]
        for row in missing[:BATCH]:
            widget = DeviceRow(row, self._look, self._sizes, self.pulse, self.card)
            widget.set_usable(self._usable)
            widget.set_current(False)
            for mine, theirs in (
                (self.wished, widget.wished),
                (self.agreed, widget.agreed),
                (self.retry, widget.retry),
                (self.stop, widget.stop),
                (self.forget, widget.forget),
                (self.copy, widget.copy),
                (self.copy_rule, widget.copy_rule),
                (self.renamed, widget.renamed),
                (self.mode_chosen, widget.mode_chosen),
                (self.follow_chosen, widget.follow_chosen),
            ):
                theirs.connect(mine)
            widget.chosen.connect(self.make_current)
            widget.resized.connect(self._placing.start)
            widget.unfolded.connect(self._reveal)
            self._rows[row.key] = widget
        self._follow_order()
        if self.isVisible() and len(missing) <= FEW and len(missing) < len(self._rows):
            for row in missing:
                self._rows[row.key].appear()
        if len(missing) > BATCH:
            QTimer.singleShot(0, self, self._build)

    def _drop(self, _parent: QModelIndex, first: int, last: int) -> None:
        """Lets rows go; if the focus was there, the nearest row that stays takes it."""
        leaving = {row.key for row in self._model.rows()[first : last + 1]}
        focused = self._focus_inside()
        if self._current in leaving:
            heir = self._heir(leaving)
            self._current = ""
            if heir is not None:
                self.make_current(heir.row.key)
                if focused:
                    heir.main_control().setFocus(KEYBOARD)
        for key in leaving:
            if (widget := self._rows.pop(key, None)) is not None:
                widget.part()
        self._follow_order()

    def _heir(self, leaving: set[str]) -> DeviceRow | None:
        shown = self.card.shown
        place = next((at for at, row in enumerate(shown) if row.row.key == self._current), 0)
        staying = [row for row in (*shown[place:], *reversed(shown[:place])) if row.row.key not in leaving]
        return staying[0] if staying else None

    def _refresh(self, first: QModelIndex, last: QModelIndex) -> None:
        """Shows what changed in the rows that changed, and only there."""
        for row in self._model.rows()[first.row() : last.row() + 1]:
            widget = self._rows.get(row.key)
            if widget is None:
                continue
            before, held = widget.row, QApplication.focusWidget()
            focused = self._row_with_focus() is widget
            widget.show_row(row)
            if focused and QApplication.focusWidget() is not held:
                widget.main_control().setFocus(KEYBOARD)
            if row.key == self._current:
                widget.set_current(True)
            self._speak(widget, before, row)
        if self._filter:
            self._arrange()

    def _speak(self, widget: DeviceRow, before: Row, row: Row) -> None:
        if row.state is before.state or row.state not in SPOKEN:
            return
        failed = row.state is DeviceState.FAILED
        sentence = f"{messages.device_name(row)}: {messages.state_word(row.state)}"
        if failed:
            sentence = f"{sentence}. {problem_words.sentence(row.problem, row.problem_text)}"
        elif widget.body.card is not None:
            sentence = f"{sentence}. {widget.body.card.accessibleName()}"
        announce(widget, sentence, urgent=failed)

    # --- what is seen

    def set_filter(self, text: str) -> None:
        """Shows only the devices whose words contain this text."""
        self._filter = text.strip().casefold()
        self._arrange()

    def set_usable(self, usable: bool) -> None:
        """Says whether anything can be shared from this computer just now."""
        self._usable = usable
        for row in self._rows.values():
            row.set_usable(usable)

    def set_banner(self, banner: QWidget | None) -> None:
        """Puts a card above the list that scrolls with it; the old one is thrown away."""
        if self._banner is not None:
            self._banner.hide()
            self._banner.deleteLater()
        self._banner = banner
        if banner is not None:
            banner.setParent(self._page)
            banner.show()
        self._place()

    def _matches(self, row: Row) -> bool:
        words = (
            messages.device_name(row),
            row.product,
            device_words.secondary(row),
            device_words.identity(row),
            messages.state_word(row.state),
            str(row.busid or ""),
        )
        return self._filter in "\n".join(words).casefold()

    def _follow_order(self) -> None:
        """Arranges the rows after devices came, went or moved; those that it shifts take no click for a moment."""
        before = {row: row.y() for row in self.card.shown}
        self._arrange()
        for row, top in before.items():
            if row.y() != top:
                row.switch.guard()

    def _arrange(self) -> None:
        rows = [self._rows[row.key] for row in self._model.rows() if row.key in self._rows]
        shown = tuple(row for row in rows if self._matches(row.row))
        self.card.show_only(shown, tuple(row for row in rows if row not in shown))
        if shown and not any(row.row.key == self._current for row in shown):
            self.make_current(shown[0].row.key)
        self._place()
        self.filtered.emit(len(shown))

    def _place(self) -> None:
        """Places everything; what the user looks at stays where it is when rows come or go above it."""
        anchor = self._anchor()
        width = self.viewport().width() - MARGIN - (MARGIN - WIDTH)
        top = 0
        if self._banner is not None:
            height = self._banner.heightForWidth(width)
            self._banner.setGeometry(MARGIN, 0, width, height)
            top = height + GAP
        self.card.move(MARGIN, top)
        height = self.card.place(width)
        self._page.resize(self.viewport().width(), top + height + GAP)
        if anchor is not None:
            row, offset = anchor
            self.verticalScrollBar().setValue(self.card.y() + row.y() - offset)

        opening = self._rows.get(self._revealed) if self._revealing.isActive() else None
        if opening is not None:
            self._show_whole(opening)

    def _reveal(self, key: str) -> None:
        """Keeps a row in view while it opens."""
        self._revealed = key
        self._revealing.start()
        self._place()

    def _show_whole(self, row: DeviceRow) -> None:
        bar, top = self.verticalScrollBar(), self.card.y() + row.y()
        hidden = top + row.height() + GAP - bar.value() - self.viewport().height()
        bar.setValue(min(top, bar.value() + max(0, hidden)))

    def _anchor(self) -> tuple[DeviceRow, int] | None:
        scrolled = self.verticalScrollBar().value()
        if scrolled == 0:
            return None
        for row in self.card.shown:
            top = self.card.y() + row.y() - scrolled
            if top + row.height() > 0:
                return row, top
        return None

    def _resize_rows(self) -> None:
        self._sizes = row_sizes(self._look, self.width())
        for row in self._rows.values():
            row.set_sizes(self._sizes)
        self._place()

    # --- the current row and the keyboard

    def make_current(self, key: str) -> None:
        """Makes a row the one that Tab visits."""
        if key == self._current:
            return
        for name, current in ((self._current, False), (key, True)):
            if (row := self._rows.get(name)) is not None:
                row.set_current(current)
        self._current = key
        self._light()

    def focus_current(self, reason: Qt.FocusReason = KEYBOARD) -> None:
        """Gives the focus to the current row."""
        if (row := self._rows.get(self._current)) is not None:
            row.main_control().setFocus(reason)
            self.ensureWidgetVisible(row, 0, MARGIN)

    def _row_with_focus(self) -> DeviceRow | None:
        widget = QApplication.focusWidget()
        while widget is not None and not isinstance(widget, DeviceRow):
            widget = widget.parentWidget()
        return widget if widget is not None and self.card.isAncestorOf(widget) else None

    def _focus_inside(self) -> bool:
        return self._row_with_focus() is not None

    def _follow_focus(self) -> None:
        row = self._row_with_focus()
        if row is not None:
            self.make_current(row.row.key)
        self._light()

    def _light(self) -> None:
        inside = self._focus_inside()
        for key, row in self._rows.items():
            row.light(inside and key == self._current)

    def _step(self, key: int) -> None:
        shown = [row.row.key for row in self.card.shown]
        if not shown:
            return
        now = shown.index(self._current) if self._current in shown else 0
        place = {
            Qt.Key.Key_Up: max(0, now - 1),
            Qt.Key.Key_Down: min(len(shown) - 1, now + 1),
            Qt.Key.Key_Home: 0,
            Qt.Key.Key_End: len(shown) - 1,
        }[Qt.Key(key)]
        self.make_current(shown[place])
        self.focus_current()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Moves through the rows; Enter opens, Esc closes, Ctrl+C copies the report."""
        row = self._rows.get(self._current)
        if event.key() in {Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End}:
            self._step(event.key())
        elif row is not None and event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            row.toggle_details()
        elif row is not None and event.key() == Qt.Key.Key_Escape and row.close_one():
            self.focus_current()
        elif row is not None and event.matches(QKeySequence.StandardKey.Copy):
            self.copy.emit(row.row.key)
        else:
            super().keyPressEvent(event)

    # --- Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Gives the rows the new width; a window that became narrow gets another arrangement."""
        super().resizeEvent(event)
        sizes = row_sizes(self._look, self.width())
        if sizes != self._sizes:
            self._resize_rows()
        self._place()
