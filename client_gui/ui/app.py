"""EFFECT: puts the picker together: engine, window, session pipe and signals."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QLocale, QObject, QSettings, QSocketNotifier
from PySide6.QtWidgets import QApplication

from client_gui.autostart import Autostart
from client_gui.engine import Engine
from client_gui.session import Session
from client_gui.troubles import fault_of, trouble_of
from client_gui.ui import accessible
from client_gui.ui.bridge import Bridge, EngineLike
from client_gui.ui.garbage import GarbageDuty
from client_gui.ui.language import INSTALLED, speak
from client_gui.ui.look import Look
from client_gui.ui.messages import tr
from client_gui.ui.picker import Picker
from client_gui.ui.session_input import SessionInput
from qvd_usbip.errors import SESSION_EXISTS, QvdUsbError, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.state import Snapshot, Trouble

TRANSLATIONS = INSTALLED
"""Where the translations are; below build/ for a picker that is not installed."""


def run(descriptor: int | None, *, background: bool) -> int:
    """Runs the window until it is closed and every device is home; returns the exit status.

    Args: the descriptor that the session comes from, if any; whether to begin, and stay, in the background.
    """
    application = QApplication(["qvd-usb-picker"])
    speak(application, QLocale(), TRANSLATIONS)
    application.setApplicationDisplayName(tr("USB devices"))
    application.setDesktopFileName("qvd-usb-picker")
    application.setQuitOnLastWindowClosed(False)  # a hidden window goes on sharing
    accessible.install()
    garbage = GarbageDuty()
    memory = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "qvd-usbip", "picker")
    picker = Picker(engine := Engine(), Look(), memory, Autostart.of_user(os.environ), stays=background)
    window = PickerRun(engine, picker, descriptor)
    stop_signals = StopSignals(window.close)
    window.open()
    application.exec()
    stop_signals.restore()
    garbage.end()
    return window.exit_status


class PickerRun(QObject):
    """The window, the engine and the session between them."""

    def __init__(self, engine: EngineLike, picker: Picker, descriptor: int | None) -> None:
        """Takes the engine, not yet started, its window, not yet shown, and the descriptor of the session."""
        super().__init__()
        self.exit_status = 0
        self._engine = engine
        self.bridge = Bridge(engine, self)
        self.picker = picker
        self.bridge.changed.connect(self._show)
        self.bridge.stopped.connect(self._finish)
        self.picker.leaving.connect(self.close)
        self._input: SessionInput | None = None
        self._snapshot: Snapshot | None = None
        self._refused: tuple[Trouble, ...] = ()
        if descriptor is not None:
            self._input = SessionInput(descriptor, self)
            self._input.given.connect(self._begin_session)
            self._input.refused.connect(self._refuse)
            self._input.ended.connect(self._end_session)

    def open(self) -> None:
        """Shows the window, or its icon, and starts the engine."""
        self.picker.begin()
        self._engine.start()
        if self._input is not None:
            self._input.start()

    def close(self) -> None:
        """Brings every device home, then closes the window."""
        self.bridge.stop()

    def _show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self.picker.show_snapshot(replace(snapshot, problems=(*self._refused, *snapshot.problems)))

    def _begin_session(self, session: Session) -> None:
        try:
            self._engine.set_session(session)
        except QvdUsbError as error:
            self._refuse(error)

    def _end_session(self) -> None:
        self._engine.set_session(None)
        if self.picker.in_background:  # nobody is left who would quit it
            self.close()

    def _refuse(self, error: QvdUsbError) -> None:
        print(report(error), file=sys.stderr)
        self.exit_status = error.problem.exit_status
        if error.problem is not SESSION_EXISTS or self.picker.in_background:
            self.close()
            return
        self._refused = (trouble_of(fault_of(error)),)  # the window shows what the other session does
        if self._snapshot is not None:
            self._show(self._snapshot)

    def _finish(self) -> None:
        self.bridge.wait()
        self.picker.finish()
        QApplication.quit()


class StopSignals(QObject):
    """Turns SIGTERM and SIGINT into a call in the window's thread: the devices come home then too."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__()
        self._stop = stop
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.settimeout(0)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._woken)
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno())
        self._old = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}

    def _woken(self) -> None:
        self._reader.recv(64)
        self._stop()

    def restore(self) -> None:
        """Gives the signals back to whoever had them."""
        for number, handler in self._old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_descriptor)
        self._notifier.setEnabled(False)
        self._reader.close()
        self._writer.close()


def _ignore(_number: int, _frame: object) -> None:
    """Lets the wake-up descriptor do the work."""
