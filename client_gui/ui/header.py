"""EFFECT: the top of the window: the session's name, how it stands, and the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QAction, QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QWidget

from client_gui.state import SessionView, Trouble
from client_gui.ui import messages
from client_gui.ui.button import IconButton
from client_gui.ui.label import Label
from client_gui.ui.messages import tr

if TYPE_CHECKING:
    from client_gui.ui.look import Look
    from client_gui.ui.start_at_login import StartAtLogin

MARGIN = 20
TOP = 16
BUTTON_RIGHT = 12


class Header(QWidget):
    """Paints the icon of the connection; title and line are labels, so that they are read aloud."""

    look_again = Signal()
    copy_report = Signal()
    return_all = Signal()
    about = Signal()
    leave = Signal()

    def __init__(self, look: Look, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look
        self._icon = ("s-notshared", "text2")
        self._name = ""
        self._said = ""
        self._title = Label(look, "title", "text", self)
        self._line = Label(look, "status", "text2", self)
        self.menu_button = IconButton(look, "more", tr("Menu"), self, size=QSize(44, 44))
        self._menu = QMenu(self)
        again = QAction(tr("Look again (F5)"), self._menu)
        again.triggered.connect(self.look_again)
        report = QAction(tr("Copy report"), self._menu)
        report.triggered.connect(self.copy_report)
        back = QAction(tr("Return all devices"), self._menu)
        back.triggered.connect(self.return_all)
        about = QAction(tr("About"), self._menu)
        about.triggered.connect(self.about)
        self._menu.addActions([again, back, report])
        self._foot = self._menu.addSeparator()
        leave = QAction(tr("Quit and return all devices"), self._menu)
        leave.triggered.connect(self.leave)
        self._menu.addActions([about, leave])
        self.menu_button.clicked.connect(self._open_menu)
        look.changed.connect(self._arrange)
        self.show_session(None)

    def offer(self, action: StartAtLogin) -> None:
        """Puts it into the menu, and lets it look at how things stand each time the menu opens."""
        self._menu.insertAction(self._foot, action)
        self._menu.aboutToShow.connect(action.look)

    def show_session(self, session: SessionView | None, troubles: tuple[Trouble, ...] = ()) -> None:
        """Shows which session it is and whether it is connected, and if not, which of the troubles is the reason."""
        self._name = messages.session_title(session)
        connected = session is not None and session.connected
        if connected:
            self._icon = ("s-inuse", "accent")
        else:
            self._icon = ("s-notshared", "text2") if session is None else ("s-waiting", "text2")
        self._line.recolor("accent" if connected else "text2")
        self._said = messages.session_line(session, troubles)
        self._arrange()
        self.update()

    def sizeHint(self) -> QSize:
        """Returns the height of both lines."""
        look = self._look
        lines = look.metrics("title").height() + max(look.px(16), look.metrics("status").height())
        return QSize(200, max(64, TOP + lines + 7))

    def resizeEvent(self, _event: object) -> None:
        """Shortens a long name to the window."""
        self._arrange()

    def _arrange(self) -> None:
        look = self._look
        self.setFixedHeight(self.sizeHint().height())
        side = look.px(16)
        button = self.menu_button.sizeHint()
        self.menu_button.setGeometry(self.width() - BUTTON_RIGHT - button.width(), TOP, button.width(), button.height())
        width = max(0, self.menu_button.x() - MARGIN - 8)
        metrics = look.metrics("title")
        self._title.setGeometry(MARGIN, TOP, width, metrics.height())
        self._title.setText(metrics.elidedText(self._name, Qt.TextElideMode.ElideRight, width))
        self._title.setAccessibleName(self._name)
        self._title.setToolTip(messages.tooltip(self._name) if self._title.text() != self._name else "")
        height = max(side, look.metrics("status").height())
        left = MARGIN + side + 8
        room = max(0, self.menu_button.x() - left - 8)
        self._line.setGeometry(left, TOP + metrics.height() + 3, room, height)
        self._line.setText(look.metrics("status").elidedText(self._said, Qt.TextElideMode.ElideRight, room))
        self._line.setAccessibleName(self._said)
        self._line.setToolTip(messages.tooltip(self._said) if self._line.text() != self._said else "")

    def _open_menu(self) -> None:
        corner = self.menu_button.mapToGlobal(self.menu_button.rect().bottomRight())
        corner.setX(corner.x() - self._menu.sizeHint().width())
        self._menu.popup(corner)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the icon before the connection line."""
        side = self._look.px(16)
        line = self._line.geometry()
        box = QRect(MARGIN, line.center().y() - side // 2 + 1, side, side)
        self._look.draw_icon(QPainter(self), box, *self._icon, "canvas")
