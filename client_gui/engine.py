"""EFFECT: the engine: on a thread of its own, without Qt, it lends to the session what is ticked and plugged in."""

from __future__ import annotations

import logging
import os
import selectors
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from client_gui import memory, requirements
from client_gui.desk import Desk
from client_gui.hooks import END_LIMIT, Hooks
from client_gui.hotplug import Hotplug
from client_gui.listing import json_of_snapshot
from client_gui.loop import Loop
from client_gui.neighbours import Neighbours
from client_gui.orders import Order
from client_gui.presence import Presence, runtime_folder
from client_gui.settings import Files
from client_gui.sleep import SleepWatch
from client_gui.state import Snapshot
from client_gui.troubles import Fault, trouble_of
from qvd_usbip.errors import QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from client_gui.session import Session
    from client_gui.state import Asked, Mode

    Subscriber = Callable[[Snapshot], None]

LOG = logging.getLogger(__name__)

RESCAN_EVERY = 2.0
"""How often everything is read again without an event, in seconds."""
SETTLE = 0.05
"""A burst of events is answered once, so many seconds after its first."""
WATCH_EVERY = 0.25
"""How often the configuration files are looked at, in seconds."""
STOP_LIMIT = 12.0
"""How long devices may take to come home at the end, in seconds; then their helpers are left to it."""


class Engine:
    """Shares devices; every method may be called from any thread and returns at once, but for `stop`.

    Args:
        files: the configuration files; those of whoever runs this.
        runtime: folder of lock and status file; the user's runtime folder.
        check: what is missing on this computer, given the helper's path; the real checks.
        listen: whether to listen to the kernel's USB events.
    """

    def __init__(
        self,
        files: Files | None = None,
        *,
        runtime: Path | None = None,
        check: Callable[[str], Fault | None] = requirements.check,
        listen: bool = True,
    ) -> None:
        self._loop = Loop()
        self._desk = Desk(self._loop, files or Files.of_user(), check, self._mark)
        self._runtime = runtime
        self._listen = listen
        self._claiming = threading.Lock()
        self._presence: Presence | None = None
        self._in_session = False
        self._snapshot = Snapshot()
        self._subscribers: list[Subscriber] = []
        self._news = False
        self._answer_due = False
        self._rescan_due = False
        self._stopping_until: float | None = None
        self._hooks = Hooks(self._loop)
        self._sleep = SleepWatch(self._loop, self._heard_of_sleep)
        self._falling_asleep = False
        self._neighbours = Neighbours(self._loop, self._obey, self._show_theirs)
        self._thread = threading.Thread(target=self._run, name="usb-engine", daemon=True)

    # From any thread.

    def start(self) -> None:
        """Starts the engine's thread."""
        self._thread.start()

    def stop(self) -> None:
        """Returns every lent device and ends; takes at most STOP_LIMIT seconds and a little."""
        if self._thread.is_alive():
            self._loop.post(self._begin_to_stop)
            self._thread.join(STOP_LIMIT + END_LIMIT + 3.0)

    def is_alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive()

    def toggle(self, key: str, on: bool) -> None:
        """Ticks or unticks the device with this row key."""
        self.order(Order(op="toggle", key=key, on=on))

    def retry(self, key: str) -> None:
        """Tries again now what failed."""
        self.order(Order(op="retry", key=key))

    def forget(self, key: str) -> None:
        """Takes a device that is not plugged in off the share list."""
        self.order(Order(op="toggle", key=key, on=False))

    def agree(self, key: str, asked: Asked) -> None:
        """Says yes to what a row asks (`Row.consent`), and ticks the device."""
        self.order(Order(op="agree", key=key, asked=asked))

    def unmount(self, key: str) -> None:
        """Unmounts the device's volumes without sharing it."""
        self.order(Order(op="unmount", key=key))

    def rename(self, key: str, nickname: str) -> None:
        """Gives the device a name of the user's own; "" takes it away."""
        self.order(Order(op="rename", key=key, nickname=nickname))

    def set_mode(self, key: str, mode: Mode) -> None:
        """Chooses when the device is shared."""
        self.order(Order(op="set-mode", key=key, mode=mode))

    def follow_port(self, key: str, seconds: int) -> None:
        """For so many seconds after the device goes, what comes to its port counts as it; 0 for not at all."""
        self.order(Order(op="follow-port", key=key, seconds=seconds))

    def rescan(self) -> None:
        """Looks again."""
        self.order(Order(op="rescan"))

    def order(self, order: Order) -> None:
        """Does this, here or in the engine of this user that shares."""

        def take() -> None:
            if not self._neighbours.pass_on(order):
                self._obey(order)

        self._loop.post(take)

    def set_session(self, session: Session | None) -> None:
        """Shares with this session from now on; None ends the session and returns its devices.

        Raises:
            QvdUsbError: session-exists, where another process of this user shares already.
        """
        with self._claiming:
            if session is not None and self._presence is None:
                self._presence = Presence.claim(self._runtime or runtime_folder(os.environ, os.geteuid()))
            self._in_session = session is not None
        self._loop.post(lambda: self._desk.set_session(session))

    def snapshot(self) -> Snapshot:
        """What is to be shown, as of the last change."""
        return self._snapshot

    def subscribe(self, callback: Subscriber) -> None:
        """Calls back on the engine's thread with each new snapshot, and soon with the present one."""

        def add() -> None:
            self._subscribers.append(callback)
            callback(self._snapshot)

        self._loop.post(add)

    # On the engine's thread.

    def _run(self) -> None:
        hotplug = self._start_hotplug()
        if self._listen:
            self._sleep.start()
        in_order = False
        try:
            self._desk.refresh()
            self._neighbours.start(self._runtime)
            self._loop.call_later(RESCAN_EVERY, self._rescan_regularly)
            self._loop.call_later(WATCH_EVERY, self._watch_settings)
            while not self._may_end():
                self._loop.turn(1.0)
                self._publish()
                self._release_claim()
                self._neighbours.tend(self._presence)
                if self._falling_asleep and self._desk.all_home():
                    self._falling_asleep = False
                    self._sleep.ready()
            in_order = True
        finally:
            if not in_order:  # a mistake of ours: Python prints it, and whoever watches is told
                self._show(replace(self._snapshot, rows=(), problems=(trouble_of(Fault(code="internal")),)))
            self._desk.abandon()
            self._sleep.stop()
            self._hooks.close()
            self._neighbours.close()
            if hotplug is not None:
                self._loop.unwatch(hotplug.fileno())
            self._loop.close()
            if self._presence is not None:
                self._presence.release()

    def _obey(self, order: Order) -> None:
        self._answer_due = True  # whoever asked shows its wish already: where nothing came of it, that is news to it
        key, desk = order.key, self._desk
        match order.op:
            case "toggle":
                desk.toggle(key, order.on)
            case "retry":
                desk.retry(key)
            case "agree":
                desk.agree(key, order.asked)
            case "unmount":
                desk.unmount(key)
            case "rename":
                desk.change(key, lambda known: memory.with_nickname(known, order.nickname))
            case "set-mode":
                desk.change(key, lambda known: memory.with_mode(known, order.mode))
            case "follow-port":
                desk.change(key, lambda known: memory.with_follow(known, order.seconds))
            case _:
                desk.look_again()

    def _heard_of_sleep(self, asleep: bool) -> None:
        self._falling_asleep = asleep
        self._desk.sleep(asleep)

    def _release_claim(self) -> None:
        """After the session's last device came home another program may share."""
        with self._claiming:
            if self._presence is not None and not self._in_session and self._desk.all_home():
                self._presence.release()
                self._presence = None

    def _start_hotplug(self) -> Hotplug | None:
        if not self._listen:
            return None
        try:
            hotplug = Hotplug.start()
        except (OSError, ImportError) as error:
            LOG.warning("no hot plug events, devices are looked for every %s s: reason=%s", RESCAN_EVERY, error)
            return None

        def heard() -> None:
            hotplug.drain()
            if not self._rescan_due:
                self._rescan_due = True
                self._loop.call_later(SETTLE, self._rescan_after_event)

        self._loop.watch(hotplug.fileno(), selectors.EVENT_READ, heard)
        return hotplug

    def _rescan_after_event(self) -> None:
        self._rescan_due = False
        self._desk.refresh()

    def _rescan_regularly(self) -> None:
        self._desk.refresh()
        self._loop.call_later(RESCAN_EVERY, self._rescan_regularly)

    def _watch_settings(self) -> None:
        if self._desk.settings_changed():
            self._desk.refresh()
        self._loop.call_later(WATCH_EVERY, self._watch_settings)

    def _begin_to_stop(self) -> None:
        self._stopping_until = time.monotonic() + STOP_LIMIT
        self._desk.set_session(None)

    def _may_end(self) -> bool:
        if self._stopping_until is None:
            return False
        return self._desk.all_home() or time.monotonic() > self._stopping_until

    def _mark(self) -> None:
        self._news = True

    def _publish(self) -> None:
        if self._neighbours.is_mirroring or not (self._news or self._answer_due or self._desk.resting()):
            return
        self._news = False
        fresh = self._desk.snapshot(self._snapshot.generation)
        if fresh != self._snapshot or self._answer_due:
            self._answer_due = False
            self._show(fresh)

    def _show_theirs(self, snapshot: Snapshot | None) -> None:
        """Shows what the engine that shares shows; after its end, what is seen here."""
        self._news = True
        if snapshot is not None:
            self._show(snapshot)

    def _show(self, fresh: Snapshot) -> None:
        self._snapshot = replace(fresh, generation=self._snapshot.generation + 1)
        for callback in self._subscribers:
            callback(self._snapshot)
        if self._presence is not None:  # after those who are here: what other programs read is known here already
            self._tell_others(self._presence)
        if not fresh.elsewhere:
            self._hooks.note(self._snapshot.rows, self._desk.commands)

    def _tell_others(self, presence: Presence) -> None:
        status = json_of_snapshot(self._snapshot)
        self._neighbours.publish(status)
        try:
            presence.publish(status)
        except QvdUsbError as error:
            LOG.warning("no status for other programs: %s", error)
