"""EFFECT: the other engines of this user: one shares, and lets the others see and command it; the others follow it."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui.doorway import Doorway
from client_gui.mirror import LOOK_EVERY, Mirror
from client_gui.presence import runtime_folder
from client_gui.reported import snapshot_of_status
from qvd_usbip.errors import QvdUsbError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from client_gui.loop import Loop
    from client_gui.orders import Order
    from client_gui.presence import Presence
    from client_gui.state import Snapshot

LOG = logging.getLogger(__name__)


class Neighbours:
    """Belongs to the engine's thread.

    Args:
        loop: the engine's loop.
        obey: called with each order of another program, while this engine is the one that shares.
        show: called with what the engine that shares shows, and with None when it went.
    """

    def __init__(self, loop: Loop, obey: Callable[[Order], None], show: Callable[[Snapshot | None], None]) -> None:
        self._loop = loop
        self._obey = obey
        self._show = show
        self._folder: Path | None = None
        self._doorway: Doorway | None = None
        self._mirror: Mirror | None = None
        self._owns = False

    def start(self, folder: Path | None) -> None:
        """Begins to look for the others, in this folder or the user's runtime folder."""
        try:
            self._folder = folder or Path(runtime_folder(os.environ, os.geteuid()))
        except QvdUsbError as error:
            LOG.warning("other programs are not seen: %s", error)
            return
        self._mirror = Mirror(self._loop, self._folder, self._reflect)
        self._look()

    def _look(self) -> None:
        if self._mirror is not None:
            if not self._owns:
                self._mirror.look()
            self._loop.call_later(LOOK_EVERY, self._look)

    def _reflect(self, status: Mapping[str, object] | None) -> None:
        self._show(None if status is None else snapshot_of_status(status))

    @property
    def is_mirroring(self) -> bool:
        """Whether another engine shares."""
        return self._mirror is not None and self._mirror.is_connected

    def pass_on(self, order: Order) -> bool:
        """Passes the order on to the engine that shares; False if that is not another one, or not any more."""
        return self._mirror is not None and self._mirror.give(order)

    def tend(self, presence: Presence | None) -> None:
        """Opens the door when this engine becomes the one that shares, and closes it after."""
        self._owns = presence is not None
        if self._owns and self._doorway is None and self._folder is not None:
            if self._mirror is not None:
                self._mirror.leave()
            try:
                self._doorway = Doorway(self._loop, self._folder, self._obey)
            except OSError as error:
                LOG.warning("other programs cannot join: reason=%s", error)
                self._folder = None
        if not self._owns and self._doorway is not None:
            self._doorway.close()
            self._doorway = None

    def publish(self, status: Mapping[str, object]) -> None:
        """Tells the others what is shown here."""
        if self._doorway is not None:
            self._doorway.publish(status)

    def close(self) -> None:
        """Ends it all."""
        if self._doorway is not None:
            self._doorway.close()
            self._doorway = None
        if self._mirror is not None:
            mirror, self._mirror = self._mirror, None
            mirror.leave()
