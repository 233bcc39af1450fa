"""EFFECT: the icon among the desktop's status icons: what is shared, a way to stop it, and two notices at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, QRect, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from client_gui.state import DeviceState, Row, Snapshot
from client_gui.ui.icons import icon_of_kind, picture
from client_gui.ui.messages import device_name, session_line, session_title, tr

if TYPE_CHECKING:
    from client_gui.ui.look import Look

GOING: Final = frozenset(
    {
        DeviceState.RELEASING,
        DeviceState.CONNECTING,
        DeviceState.ATTACHED,
        DeviceState.IN_USE,
    }
)
HOME: Final = frozenset({DeviceState.NOT_SHARED, DeviceState.WAITING, DeviceState.LOCKED})
AWAY: Final = frozenset({DeviceState.IN_USE, DeviceState.ATTACHED, DeviceState.RETURNING})
SIZES: Final = (16, 22, 24, 32, 48, 64)
LOOK_EVERY: Final = 500
"""How often it is looked for a place, in milliseconds: a desktop that begins shows it later than it starts programs."""
LOOKS: Final = 40


class Tray(QObject):
    """Follows the snapshots; desktops draw its menu, so it holds nothing but plain actions."""

    stop = Signal(str)
    retry = Signal(str)
    return_all = Signal()
    choose = Signal()
    leave = Signal()
    homeless = Signal()

    def __init__(self, look: Look, parent: QObject | None = None, *, stays: bool = False) -> None:
        """`stays` says that the icon is all there is to be seen of the picker, so it is there whoever shares."""
        super().__init__(parent)
        self._look = look
        self._stays = stays
        self._looks = 0
        self._shown: tuple[tuple[str, str, str], ...] = ()
        self._states: dict[str, DeviceState] = {}
        self._badge = ""
        self.menu = QMenu()
        self.icon = QSystemTrayIcon(self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._clicked)
        look.changed.connect(self._draw)
        self._draw()

    @staticmethod
    def available() -> bool:
        """Whether the desktop has a place for such icons at this moment."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    def find_place(self) -> None:
        """Shows the icon as soon as the desktop has a place for it; `homeless` is emitted where it gets none."""
        if self.available():
            self._show()
            return
        self._looks += 1
        if self._looks > LOOKS:
            self.homeless.emit()
        else:
            QTimer.singleShot(LOOK_EVERY, self, self.find_place)

    def _show(self) -> None:
        if not self.icon.isVisible():
            self.icon.show()

    def show_snapshot(self, snapshot: Snapshot, *, notify: bool) -> None:
        """Shows what is shared; `notify` says that a device that went or came back is told as well."""
        if snapshot.elsewhere and not self._stays:  # the program that shares has an icon of its own
            self.icon.hide()
            return
        if self.available():
            self._show()
        self._fill(snapshot)
        failed = any(row.state is DeviceState.FAILED for row in snapshot.rows)
        going = any(row.state in GOING for row in snapshot.rows)
        badge = "failed" if failed else "sharing" if going else ""
        if badge != self._badge:
            self._badge = badge
            self._draw()
        self.icon.setToolTip(f"{session_title(snapshot.session)}\n{session_line(snapshot.session, snapshot.problems)}")
        for row in snapshot.rows:
            before = self._states.get(row.key)
            if notify and before is not None:
                self._notify(row, before)
        self._states = {row.key: row.state for row in snapshot.rows}

    def _notify(self, row: Row, before: DeviceState) -> None:
        if row.state is DeviceState.IN_USE and before is not DeviceState.IN_USE:
            self.say(tr("{device} is now in the remote desktop.", device=device_name(row)))
        elif row.state in HOME and before in AWAY:
            self.say(tr("{device} is back on this computer.", device=device_name(row)))

    def say(self, text: str) -> None:
        """Shows one notice, where the desktop has a place for it."""
        if self.icon.isVisible() and QSystemTrayIcon.supportsMessages():
            self.icon.showMessage(tr("USB devices"), text, self.icon.icon(), 5000)

    def _fill(self, snapshot: Snapshot) -> None:
        """Makes the menu anew where its words differ from the ones it has."""
        title = session_title(snapshot.session)
        if snapshot.session is not None and snapshot.session.connected:
            title = tr("{session} · Connected", session=title)
        lines = [("", "", title)]
        for row in snapshot.rows:
            name = device_name(row)
            if row.state in GOING:
                lines.append(("stop", row.key, tr("Stop sharing {device}", device=name)))
            elif row.state is DeviceState.FAILED:
                lines.append(("retry", row.key, tr("Retry {device} (failed)", device=name)))
        if tuple(lines) == self._shown:
            return
        self._shown = tuple(lines)
        kinds = {row.key: row.kind for row in snapshot.rows}
        self.menu.clear()
        head = self._add(title, None)
        head.setEnabled(False)
        self.menu.addSeparator()
        for what, key, text in lines[1:]:
            signal = self.stop if what == "stop" else self.retry
            action = self._add(text, lambda _on=False, signal=signal, key=key: signal.emit(key))
            icon = icon_of_kind(str(kinds[key])) if what == "stop" else "s-failed"
            ink = "text" if what == "stop" else "danger"
            action.setIcon(QIcon(picture(icon, self._look.code(ink), self._look.code("surface"), 16, 2.0)))
        if len(lines) > 1:
            self.menu.addSeparator()
            self._add(tr("Return all devices"), lambda _on=False: self.return_all.emit())
        self._add(tr("Choose devices…"), lambda _on=False: self.choose.emit())
        self._add(tr("Quit and return all devices"), lambda _on=False: self.leave.emit())

    def _add(self, text: str, act: object) -> QAction:
        action = QAction(text.replace("&", "&&"), self.menu)
        if act is not None:
            action.triggered.connect(act)
        self.menu.addAction(action)
        return action

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in {QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick}:
            self.choose.emit()

    def _draw(self) -> None:
        icon = QIcon()
        for size in SIZES:
            icon.addPixmap(badged(self._look, size, self._badge))
        self.icon.setIcon(icon)


def badged(look: Look, size: int, badge: str) -> QPixmap:
    """Paints the plug: with a disc while something is shared, with a triangle while something failed."""
    image = QPixmap(picture("generic", look.code("text"), look.code("canvas"), size, 1.0))
    if not badge:
        return image
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    side = round(size * 0.46)
    box = QRect(size - side, size - side, side, side)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Clear)
    painter.drawEllipse(box.adjusted(-1, -1, 1, 1))
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    if badge == "sharing":
        painter.setBrush(look.color("accent"))
        painter.drawEllipse(box)
    else:
        look.draw_icon(painter, box, "s-failed", "danger", "canvas")
    painter.end()
    return image
