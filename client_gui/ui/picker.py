"""EFFECT: the picker's window: header, filter, list, and what stands in their place when there is nothing to list."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QEvent, QSettings, Qt, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QIcon, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from client_gui.state import Asked, DeviceState, Row, Snapshot, Trouble
from client_gui.ui import device_words, messages
from client_gui.ui.accessible import announce
from client_gui.ui.device_list import DeviceList
from client_gui.ui.empty import EmptyState, NoMatch
from client_gui.ui.header import Header
from client_gui.ui.icons import picture
from client_gui.ui.look import Look
from client_gui.ui.messages import tr
from client_gui.ui.model import DeviceModel
from client_gui.ui.notices import Notice, Notices
from client_gui.ui.problem_card import ProblemCard
from client_gui.ui.search_field import SearchField
from client_gui.ui.start_at_login import StartAtLogin
from client_gui.ui.status_line import StatusLine
from client_gui.ui.tray import GOING, Tray
from client_gui.ui.trouble_words import is_of_computer, line_of
from qvd_usbip import VERSION

if TYPE_CHECKING:
    from client_gui.autostart import Autostart
    from client_gui.ui.bridge import EngineLike

MARGIN: Final = 16
FIRST_SHARE_SEEN: Final = "hints/first-share-seen"
BACKGROUND_TOLD: Final = "hints/background-told"


class Picker(QWidget):
    """Shows snapshots and hands every wish to the engine; it keeps no device state of its own."""

    leaving = Signal()

    def __init__(
        self,
        engine: EngineLike,
        look: Look,
        memory: QSettings,
        autostart: Autostart | None = None,
        *,
        stays: bool = False,
    ) -> None:
        """Takes the engine, the look, and where it is remembered which hints were read.

        Args: what its menu switches, if it is a program that a desktop can start; whether it was started to be there
        in the background, so that closing it does not end it.
        """
        super().__init__()
        self._engine = engine
        self._look = look
        look.setParent(self)  # whatever paints needs it until the end
        self._memory = memory
        self._troubles: tuple[Trouble, ...] = ()
        self._seen_snapshot = False
        self._may_close = False
        self._stays = stays
        self._goes_on = False
        self.tray = Tray(look, self, stays=stays)
        self.model = DeviceModel(self)
        self.header = Header(look, self)
        self._above = QWidget(self)
        self.search = SearchField(look, self._above)
        self._stack = QStackedWidget(self)
        self.list = DeviceList(self.model, look, self)
        self.empty = EmptyState(look, self)
        self.no_match = NoMatch(look, self)
        self.status = StatusLine(look, self)
        self.problem_card: ProblemCard | None = None
        self._blank = QWidget(self)
        for page in (self._blank, self.list, self.empty, self.no_match):
            self._stack.addWidget(page)
        self._stack.setMinimumHeight(1)  # else the tallest page that is not shown would press on what stands above
        if autostart is not None:
            self._offer(StartAtLogin(autostart, self))
        self._lay_out()
        self._connect()
        self._dress()
        self.setMinimumSize(400, 480)
        self.resize(560, 640)

    def _lay_out(self) -> None:
        above = QVBoxLayout(self._above)
        above.setContentsMargins(MARGIN, 0, MARGIN, 12)
        above.setSpacing(8)
        above.addWidget(self.search)
        self.notices = Notices(self._look, above, self._above)
        self.notices.read.connect(self._read)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addSpacing(8)
        layout.addWidget(self._above)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self.status)

    def _offer(self, start_at_login: StartAtLogin) -> None:
        self.header.offer(start_at_login)
        start_at_login.failed.connect(self._answer)

    def _connect(self) -> None:
        self.header.look_again.connect(self.look_again)
        self.header.copy_report.connect(self._copy_everything)
        self.header.return_all.connect(self.return_all)
        self.header.about.connect(self._about)
        self.header.leave.connect(self.leaving)
        self.tray.stop.connect(lambda key: self._wish(key, on=False))
        self.tray.retry.connect(self._engine.retry)
        self.tray.return_all.connect(self.return_all)
        self.tray.choose.connect(self.come_forward)
        self.tray.leave.connect(self.leaving)
        self.tray.homeless.connect(self.showMinimized)
        self.search.changed.connect(self.list.set_filter)
        self.search.down.connect(self.list.focus_current)
        self.empty.look_again.connect(self.look_again)
        self.no_match.clear.connect(self.search.clear)
        self.list.wished.connect(self._wish)
        self.list.agreed.connect(self._agree)
        self.list.stop.connect(lambda key: self._wish(key, on=False))
        self.list.retry.connect(self._engine.retry)
        self.list.forget.connect(self._engine.forget)
        self.list.copy.connect(self._copy_row)
        self.list.copy_rule.connect(self._copy_rule)
        self.list.renamed.connect(self._engine.rename)
        self.list.mode_chosen.connect(self._engine.set_mode)
        self.list.follow_chosen.connect(self._engine.follow_port)
        self.list.filtered.connect(self._choose_page)
        self._look.changed.connect(self._dress)
        QShortcut(QKeySequence(QKeySequence.StandardKey.Find), self, self._find)
        QShortcut(QKeySequence(Qt.Key.Key_F5), self, self.look_again)

    # --- what is shown

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Shows the state of everything; what did not change is not touched."""
        self._seen_snapshot = True
        self.header.show_session(snapshot.session, snapshot.problems)
        title = messages.session_title(snapshot.session)
        self.setWindowTitle(title if snapshot.session is None else tr("{session}: USB devices", session=title))
        self._show_troubles(snapshot.problems)
        told = messages.session_line(snapshot.session, snapshot.problems)
        others = (trouble for trouble in snapshot.problems if not is_of_computer(trouble))
        self.notices.say(Notice.TROUBLE, " ".join(line_of(trouble, told=told) for trouble in others))
        self.status.show_fitness(snapshot.fitness)
        in_use = snapshot.session is not None or any(row.state in GOING for row in snapshot.rows)
        self._goes_on = in_use and not snapshot.elsewhere  # the other program goes on by itself
        self.tray.show_snapshot(snapshot, notify=not self.isActiveWindow())
        self.model.show_rows(snapshot.rows)
        self._choose_page()

    def _show_troubles(self, troubles: tuple[Trouble, ...]) -> None:
        if troubles == self._troubles:
            return
        self._troubles = troubles
        self.problem_card = None
        of_computer = tuple(trouble for trouble in troubles if is_of_computer(trouble))
        if of_computer:
            self.problem_card = ProblemCard(self._look, of_computer)
            self.problem_card.check_again.connect(self.look_again)
            self.problem_card.copy_report.connect(self._copy_everything)
        self.list.set_banner(self.problem_card)
        if self.problem_card is not None:
            announce(self.problem_card, self.problem_card.accessibleName())
        self.list.set_usable(not of_computer)

    def _choose_page(self) -> None:
        rows = self.model.rowCount() > 0
        troubled = self.problem_card is not None
        if troubled or self.list.card.shown:
            page: QWidget = self.list
        elif rows and self.search.text():
            self.no_match.show_text(self.search.text())
            page = self.no_match
        else:
            page = self.empty if self._seen_snapshot and not rows else self._blank
        self._show_above(listed=rows and not troubled)
        self._stack.setCurrentWidget(page)

    def _show_above(self, *, listed: bool) -> None:
        """Shows filter and hint where there are devices to tick; what else is said, without any too."""
        hint = listed and not self._memory.value(FIRST_SHARE_SEEN, defaultValue=False, type=bool)
        self.notices.say(Notice.HINT, tr("While shared, a device stops working on this computer.") if hint else "")
        self.search.setVisible(listed)
        self._above.setVisible(listed or self.notices.bar is not None)

    def _dress(self) -> None:
        self.setPalette(self._look.palette())
        self.setFont(self._look.font("text"))
        self.setWindowIcon(QIcon(picture("generic", self._look.code("accent"), self._look.code("surface"), 64, 1.0)))
        self.update()

    # --- what the user does

    def _wish(self, key: str, on: bool) -> None:
        self.model.wish(key, on)
        self._engine.toggle(key, on)

    def _agree(self, key: str, asked: Asked) -> None:
        self.model.wish(key, on=True)
        self._engine.agree(key, asked)

    def return_all(self) -> None:
        """Takes back the tick of every device that is plugged in."""
        for row in self.model.rows():
            if row.ticked and row.state is not DeviceState.ABSENT:
                self._wish(row.key, on=False)

    def look_again(self) -> None:
        """Reads the devices and what is missing again."""
        self._engine.rescan()

    def _find(self) -> None:
        self.search.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.edit.selectAll()

    def _read(self, notice: Notice) -> None:
        if notice is Notice.HINT:
            self._memory.setValue(FIRST_SHARE_SEEN, "true")
        self._choose_page()
        self.list.focus_current(Qt.FocusReason.OtherFocusReason)

    def _about(self) -> None:
        self._answer(tr("QVD USB sharing {version}: your devices in the remote desktop.", version=VERSION))

    def _answer(self, text: str) -> None:
        self.notices.say(Notice.ASKED_FOR, "")  # asked for again, it is said again
        self.notices.say(Notice.ASKED_FOR, text)
        self._choose_page()

    def _copy_row(self, key: str) -> None:
        row = self.model.row_of(key)
        if row is not None:
            self._copy((row,))

    def _copy_rule(self, key: str) -> None:
        row = self.model.row_of(key)
        if row is not None:
            QGuiApplication.clipboard().setText(row.own_rule)

    def _copy_everything(self) -> None:
        self._copy(self.model.rows())

    def _copy(self, rows: tuple[Row, ...]) -> None:
        lines = [f"{trouble.code}: {trouble.text}" for trouble in self._troubles]
        QGuiApplication.clipboard().setText("\n".join(lines + [device_words.report(row) for row in rows]))

    # --- Qt

    def begin(self) -> None:
        """Shows the window, or what stands for it in the background."""
        if self._stays:
            self.tray.find_place()
        else:
            self.show()

    def finish(self) -> None:
        """Closes for good: every device is home."""
        self._may_close = True
        self.tray.icon.hide()
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Keeps on sharing in the background; where there is nothing to share with, and nothing to stay for, leaves."""
        if self._may_close:
            event.accept()
            return
        event.ignore()
        if not self._goes_on and not self._stays:
            self.leaving.emit()
            return
        has_tray = self.tray.icon.isVisible() and self.tray.available()
        if has_tray:
            self.hide()
        else:
            self.showMinimized()
        if self._goes_on and not self._memory.value(BACKGROUND_TOLD, defaultValue=False, type=bool):
            self._memory.setValue(BACKGROUND_TOLD, "true")
            say = self.tray.say if has_tray else partial(self.notices.say, Notice.ASKED_FOR)
            say(tr("Sharing goes on in the background."))
            self._choose_page()

    @property
    def in_background(self) -> bool:
        """Whether its user has put the window away."""
        return not self.isVisible() or self.isMinimized()

    def come_forward(self) -> None:
        """Shows the window again."""
        self.showNormal()
        self.raise_()
        self.activateWindow()

    def keyPressEvent(self, event: object) -> None:
        """Lets Esc clear the filter, wherever the focus is."""
        if getattr(event, "key", lambda: None)() == Qt.Key.Key_Escape and self.search.text():
            self.search.edit.clear()

    def event(self, event: QEvent) -> bool:
        """Follows the desktop's font and palette."""
        if event.type() in {QEvent.Type.ApplicationFontChange, QEvent.Type.ApplicationPaletteChange}:
            self._look.refresh()
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the ground."""
        QPainter(self).fillRect(self.rect(), self._look.color("canvas"))
