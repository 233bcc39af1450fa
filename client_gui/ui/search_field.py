"""EFFECT: the field that filters the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLineEdit, QWidget

from client_gui.ui.button import IconButton
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from client_gui.ui.look import Look

RADIUS = 8
PADDING = 12


class SearchField(QWidget):
    """A text field with its own frame, its key as a hint and a way to clear it."""

    changed = Signal(str)
    down = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self.edit = QLineEdit(self)
        self.edit.setFrame(False)
        self.edit.setMaxLength(200)
        self.edit.setAccessibleName(tr("Filter devices"))
        self.edit.setPlaceholderText(tr("Filter devices"))
        self.edit.textChanged.connect(self._changed)
        self.edit.installEventFilter(self)
        self.clear_button = IconButton(look, "close", tr("Clear"), self, size=QSize(32, 32))
        self.clear_button.clicked.connect(self.clear)
        self.clear_button.hide()
        look.changed.connect(self._arrange)
        self._arrange()

    def clear(self) -> None:
        """Shows everything again."""
        self.edit.clear()
        self.edit.setFocus()

    def text(self) -> str:
        """Returns what is typed."""
        return self.edit.text()

    def _changed(self, text: str) -> None:
        self.clear_button.setVisible(bool(text))
        self._arrange()
        self.update()
        self.changed.emit(text)

    def sizeHint(self) -> QSize:
        """Returns the height of one line and its padding."""
        return QSize(200, self._look.px(40))

    def resizeEvent(self, _event: object) -> None:
        """Gives the text what is left beside icon and hint."""
        self._arrange()

    def _hint_width(self) -> int:
        if self.edit.text():
            return self.clear_button.sizeHint().width() - 4
        return self._look.metrics("hint").horizontalAdvance(_KEY)

    def _arrange(self) -> None:
        self.setFixedHeight(self.sizeHint().height())
        self.edit.setFont(self._look.font("text"))
        left = PADDING + self._look.px(16) + 6
        width = self.width() - left - PADDING - self._hint_width() - 4
        self.edit.setGeometry(left, 2, max(0, width), self.height() - 4)
        size = self.clear_button.sizeHint()
        self.clear_button.setGeometry(
            self.width() - size.width() - 6, (self.height() - size.height()) // 2, size.width(), size.height()
        )

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the frame, the lens and the key."""
        look, painter = self._look, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focus = self.edit.hasFocus()
        width = 2.0 if focus else 1.0
        painter.setPen(QPen(look.color("focus" if focus else "control"), width))
        painter.setBrush(look.color("surface"))
        painter.drawRoundedRect(
            QRectF(self.rect()).adjusted(width / 2, width / 2, -width / 2, -width / 2),
            RADIUS - width / 2,
            RADIUS - width / 2,
        )
        side = look.px(16)
        look.draw_icon(painter, QRect(PADDING, (self.height() - side) // 2, side, side), "search", "text2")
        if not self.edit.text():
            painter.setPen(look.color("text2"))
            painter.setFont(look.font("hint"))
            box = self.rect().adjusted(0, 0, -PADDING, 0)
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, _KEY)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        """Repaints the frame with the focus; the arrow down goes into the list, Esc clears."""
        if event.type() in {QEvent.Type.FocusIn, QEvent.Type.FocusOut}:
            self.update()
        elif isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() == Qt.Key.Key_Down:
                self.down.emit()
                return True
            if event.key() == Qt.Key.Key_Escape and self.edit.text():
                self.edit.clear()
                return True
        return False


_KEY = "Ctrl+F"
