"""EFFECT: a line or paragraph of plain text in the window's own fonts and colours."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from client_gui.ui.look import Look

UNBROKEN = 24  # characters without a space after which a line may break anywhere


class Label(QLabel):
    """Shows text as it is: never as HTML, never as a mnemonic."""

    def __init__(
        self, look: Look, font: str, color: str, parent: QWidget | None = None, *, text: str = "", wrap: bool = False
    ) -> None:
        """Takes a font role and a colour token of the look."""
        super().__init__(parent)
        self._look = look
        self._font = font
        self._color = color
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wrap)
        self.setSizePolicy(
            QSizePolicy.Policy.Ignored if wrap else QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum
        )
        if wrap:
            self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        look.changed.connect(self._dress)
        self._dress()
        self.say(text)

    def say(self, text: str) -> None:
        """Shows another text; a change of nothing costs nothing."""
        shown = breakable(text) if self.wordWrap() else text
        if shown != self.text():
            self.setText(shown)
            self.setAccessibleName(text)

    def recolor(self, color: str) -> None:
        """Takes the colour of another token."""
        self._color = color
        self._dress()

    def _dress(self) -> None:
        self.setFont(self._look.font(self._font))
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.WindowText, self._look.color(self._color))
        self.setPalette(palette)


def breakable(text: str) -> str:
    """Lets very long words break, so that a hostile name cannot widen the window."""
    return " ".join(
        "\u200b".join(word[at : at + UNBROKEN] for at in range(0, len(word), UNBROKEN)) for word in text.split(" ")
    )
