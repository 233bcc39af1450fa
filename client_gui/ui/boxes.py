"""EFFECT: what a card shows besides its words: the volumes of a device, and how it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from client_gui.ui.consent_words import new_faces
from client_gui.ui.device_words import size_word
from client_gui.ui.icons import icon_of_kind
from client_gui.ui.messages import capital, face_word, tooltip, tr
from client_gui.ui.paint import paint_card, paint_text
from qvd_usbip.errors import printable

if TYPE_CHECKING:
    from client_gui.state import Consent, Volume
    from client_gui.ui.look import Look
    from qvd_usbip.kinds import Kind

PADDING: Final = 12
RADIUS: Final = 8
GAP: Final = 8
ARROW: Final = 32
NARROW_EMS: Final = 24


class VolumeBox(QWidget):
    """One volume: its name, where it is mounted, how large it is."""

    def __init__(self, look: Look, volume: Volume, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._name, self._path = printable(volume.name), printable(volume.path) or tr("not mounted")
        self._size = size_word(volume.size)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(", ".join(part for part in (self._name, self._path, self._size) if part))
        self.setToolTip(tooltip(f"{self._name}\n{self._path}"))

    def sizeHint(self) -> QSize:
        """Returns room for two lines."""
        look = self._look
        return QSize(look.px(120), look.metrics("name").height() + look.metrics("note").height() + 14)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints the box, its drawing and its texts."""
        look, painter = self._look, QPainter(self)
        paint_card(painter, look, self.rect(), fill="surface", radius=RADIUS)
        side = look.px(20)
        look.draw_icon(painter, QRect(PADDING, (self.height() - side) // 2, side, side), "volume", "text2")
        left = PADDING + side + PADDING
        size = look.metrics("note").horizontalAdvance(self._size)
        width = self.width() - left - PADDING - (size + GAP if size else 0)
        name, note = look.metrics("name").height(), look.metrics("note").height()
        top = (self.height() - name - note) // 2
        paint_text(painter, look, "name", "text", QRect(left, top, width, name), self._name)
        paint_text(painter, look, "note", "text2", QRect(left, top + name, width, note), self._path)
        box = QRect(self.width() - PADDING - size, 0, size + 1, self.height())
        paint_text(painter, look, "note", "text2", box, self._size)


class ChangePicture(QWidget):
    """What the device was when it was chosen, and what it is now: side by side, or below one another."""

    def __init__(self, look: Look, consent: Consent, parent: QWidget) -> None:
        super().__init__(parent)
        self._look = look
        self._consent = consent
        self._new = new_faces(consent)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        before, now = (", ".join(map(face_word, faces)) for faces in (consent.before, consent.now))
        said = [f"{tr('When you chose it')}: {before}", f"{tr('Now')}: {now}"]
        said += [f"{tr('New')}: {', '.join(map(face_word, self._new))}"] if self._new else []
        self.setAccessibleName(". ".join(said))

    def sizeHint(self) -> QSize:
        """Returns room for both boxes side by side."""
        width = NARROW_EMS * self._look.em
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Returns what one box needs at least."""
        return QSize(self._look.px(120), self._box_height(self._consent.now))

    def hasHeightForWidth(self) -> bool:
        """Says that a narrow one is higher."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Returns the height of the boxes for this width."""
        before, now = self._consent.before, self._consent.now
        if self._is_wide(width):
            return max(self._box_height(before), self._box_height(now))
        return self._box_height(before) + GAP + self._box_height(now)

    def _is_wide(self, width: int) -> bool:
        return width >= NARROW_EMS * self._look.em

    def _line(self) -> int:
        return max(self._look.px(20), self._look.metrics("name").height()) + 6

    def _box_height(self, faces: tuple[Kind, ...]) -> int:
        return 8 + self._look.metrics("note").height() + 4 + max(1, len(faces)) * self._line() + 6

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints both boxes and the arrow between them."""
        painter = QPainter(self)
        if self._is_wide(self.width()):
            height = self.heightForWidth(self.width())
            width = (self.width() - ARROW) // 2
            first, second = QRect(0, 0, width, height), QRect(self.width() - width, 0, width, height)
            side = self._look.px(16)
            arrow = QRect((self.width() - side) // 2, (height - side) // 2, side, side)
            self._look.draw_icon(painter, arrow, "arrow", "text")
        else:
            first = QRect(0, 0, self.width(), self._box_height(self._consent.before))
            second = QRect(0, first.height() + GAP, self.width(), self._box_height(self._consent.now))
        self._paint_box(painter, first, tr("When you chose it"), self._consent.before)
        self._paint_box(painter, second, tr("Now"), self._consent.now)

    def _paint_box(self, painter: QPainter, box: QRect, title: str, faces: tuple[Kind, ...]) -> None:
        look = self._look
        paint_card(painter, look, box, fill="surface", radius=RADIUS)
        height = look.metrics("note").height()
        left, width = box.left() + PADDING, box.width() - 2 * PADDING
        paint_text(painter, look, "note", "text2", QRect(left, box.top() + 8, width, height), title)
        top, side = box.top() + 8 + height + 4, look.px(20)
        for face in faces:
            fresh = title == tr("Now") and face in self._new
            line = QRect(left, top, width, self._line())
            look.draw_icon(
                painter, QRect(left, line.center().y() - side // 2, side, side), icon_of_kind(str(face)), "text"
            )
            word = capital(face_word(face))
            text = line.adjusted(side + GAP, 0, 0, 0)
            paint_text(painter, look, "name" if fresh else "text", "text", text, word)
            if fresh:
                self._paint_pill(painter, text.adjusted(look.metrics("name").horizontalAdvance(word) + GAP, 0, 0, 0))
            top += self._line()

    def _paint_pill(self, painter: QPainter, room: QRect) -> None:
        look, word = self._look, tr("New")
        metrics = look.metrics("hint")
        width, height = metrics.horizontalAdvance(word) + 12, metrics.height() + 4
        if width > room.width():
            return
        pill = QRectF(room.left(), room.center().y() - height / 2 + 1, width, height)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look.color("warn_tint"))
        painter.drawRoundedRect(pill, height / 3, height / 3)
        paint_text(painter, look, "hint", "warn", pill.toRect().adjusted(6, 0, 0, 0), word)
