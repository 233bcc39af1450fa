"""EFFECT: what is open below a device's line (a question, a caution, a failure, details), made only while shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from client_gui.state import Asked, DeviceState, Mode, Row
from client_gui.ui.consent_card import ConsentCard, subject
from client_gui.ui.details import DetailsPanel
from client_gui.ui.device_words import caution
from client_gui.ui.failed_strip import FailedStrip
from client_gui.ui.message_bar import MessageBar
from client_gui.ui.messages import device_name, tr
from client_gui.ui.row_layout import GAP, SMALL_GAP

if TYPE_CHECKING:
    from client_gui.ui.look import Look

ASKABLE: Final = frozenset({DeviceState.NOT_SHARED, DeviceState.LOCKED, DeviceState.FAILED})


class RowBody(QObject):
    """The open parts of one row, from top to bottom: card, caution, strip, panel."""

    retry = Signal()
    stop = Signal()
    copy = Signal()
    copy_rule = Signal()
    renamed = Signal(str)
    mode_chosen = Signal(Mode)
    follow_chosen = Signal(int)
    agreed = Signal(Asked)
    refused = Signal()
    read = Signal()

    def __init__(self, look: Look, host: QWidget) -> None:
        super().__init__(host)
        self._look = look
        self._host = host
        self.card: ConsentCard | None = None
        self.caution: MessageBar | None = None
        self.strip: FailedStrip | None = None
        self.panel: DetailsPanel | None = None

    def show_row(self, row: Row, *, asking: bool, cautioning: bool, opened: bool) -> bool:
        """Shows what this row has open; returns whether a part came or went."""
        before = self.parts()
        self._show_card(row, wanted=row.consent is not None and (asking or row.state is DeviceState.CONFIRM))
        self._show_caution(row, wanted=cautioning and self.card is None)
        self._show_strip(row, wanted=row.state is DeviceState.FAILED or row.tries > 0)
        self._show_panel(row, wanted=opened)
        return before != self.parts()

    def _show_card(self, row: Row, *, wanted: bool) -> None:
        consent = row.consent if wanted else None
        if self.card is not None and (consent is None or self.card.about != subject(row, consent)):
            _throw_away(self.card)
            self.card = None
        if consent is not None and self.card is None:
            self.card = ConsentCard(self._look, row, consent, self._host)
            self.card.agreed.connect(self.agreed)
            self.card.refused.connect(self.refused)
            self.card.show()

    def _show_caution(self, row: Row, *, wanted: bool) -> None:
        if self.caution is not None and not wanted:
            _throw_away(self.caution)
            self.caution = None
        if wanted and self.caution is None:
            self.caution = MessageBar(self._look, caution(row), tr("Got it"), self._host)
            self.caution.button.setAccessibleName(f"{tr('Got it')}: {device_name(row)}")
            self.caution.answered.connect(self.read)
            self.caution.show()

    def _show_strip(self, row: Row, *, wanted: bool) -> None:
        if self.strip is not None and not wanted:
            _throw_away(self.strip)
            self.strip = None
        if wanted and self.strip is None:
            self.strip = FailedStrip(self._look, self._host)
            self.strip.retry.connect(self.retry)
            self.strip.stop.connect(self.stop)
            self.strip.show()
        if self.strip is not None:
            self.strip.show_row(row)

    def _show_panel(self, row: Row, *, wanted: bool) -> None:
        if self.panel is not None and not wanted:
            _throw_away(self.panel)
            self.panel = None
        if wanted and self.panel is None:
            self.panel = DetailsPanel(self._look, self._host)
            self.panel.copy.connect(self.copy)
            self.panel.copy_rule.connect(self.copy_rule)
            self.panel.settings.renamed.connect(self.renamed)
            self.panel.settings.mode_chosen.connect(self.mode_chosen)
            self.panel.settings.follow_chosen.connect(self.follow_chosen)
            self.panel.show()
        if self.panel is not None:
            self.panel.show_row(row)

    def parts(self) -> list[QWidget]:
        """Returns the open parts from top to bottom."""
        return [part for part in (self.card, self.caution, self.strip, self.panel) if part is not None]

    def controls(self) -> list[QWidget]:
        """Returns everything in them that takes the focus, in the order of Tab."""
        found: list[QWidget] = []
        if self.card is not None:
            found += self.card.buttons()
        if self.caution is not None:
            found.append(self.caution.button)
        if self.strip is not None:
            found += (self.strip.retry_button, self.strip.stop_button)
        if self.panel is not None:
            found += self.panel.controls()
        return found

    def heights(self, width: int, *, narrow: bool) -> list[tuple[QWidget, int]]:
        """Measures the parts for a width."""
        if self.card is not None:
            self.card.fit(width)
        if self.caution is not None:
            self.caution.fit(width)
        if self.strip is not None:
            self.strip.stack(narrow=narrow)
        if self.panel is not None:
            self.panel.fit(width)
        return [(part, part.heightForWidth(width)) for part in self.parts()]

    def height(self, width: int, *, narrow: bool) -> int:
        """Measures all of it, with the room below."""
        heights = [height for _, height in self.heights(width, narrow=narrow)]
        return sum(heights) + SMALL_GAP * (len(heights) - 1) + GAP if heights else 0

    def place(self, left: int, top: int, width: int, *, narrow: bool) -> None:
        """Places the parts below one another."""
        for part, height in self.heights(width, narrow=narrow):
            part.setGeometry(left, top, width, height)
            top += height + SMALL_GAP


def _throw_away(part: QWidget) -> None:
    part.hide()
    part.deleteLater()
