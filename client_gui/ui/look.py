"""EFFECT: what the desktop asks of the window (colours, font, motion), as sizes and colours to paint with."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from PySide6.QtCore import QObject, QRect, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QFontInfo, QFontMetrics, QGuiApplication, QPainter, QPalette
from PySide6.QtWidgets import QApplication, QStyle

from client_gui.ui.icons import picture
from client_gui.ui.theme import LIGHT, Tokens, tokens_for

DESIGN_EM: Final = 14  # the font size, in pixels, for which the sizes were drawn
SMALLEST_TEXT: Final = 11

NORMAL, MEDIUM, SEMIBOLD = QFont.Weight.Normal, QFont.Weight.Medium, QFont.Weight.DemiBold
FONTS: Final = {
    "title": (1.43, SEMIBOLD),
    "heading": (1.14, SEMIBOLD),
    "name": (1.0, MEDIUM),
    "text": (1.0, NORMAL),
    "status": (0.93, MEDIUM),
    "note": (0.93, NORMAL),
    "secondary": (0.9, NORMAL),
    "hint": (0.82, MEDIUM),
    "fixed": (0.89, NORMAL),
}


class Look(QObject):
    """The colours, fonts and sizes in force; `changed` is emitted when the desktop's wishes change."""

    changed = Signal()

    def __init__(
        self,
        *,
        dark: bool | None = None,
        motion: bool | None = None,
        contrast: bool | None = None,
        parent: QObject | None = None,
    ) -> None:
        """Takes the desktop's wishes, unless `dark`, `motion` or `contrast` (more of it) settle them."""
        super().__init__(parent)
        self._dark = dark
        self._motion = motion
        self._contrast = contrast
        self._fonts: dict[str, QFont] = {}
        self.tokens: Tokens = LIGHT
        self.em = DESIGN_EM
        self._read_desktop()
        QGuiApplication.styleHints().colorSchemeChanged.connect(self.refresh)

    def refresh(self) -> None:
        """Reads the desktop's wishes again and tells everyone."""
        self._read_desktop()
        self.changed.emit()

    def _read_desktop(self) -> None:
        dark = _desktop_is_dark() if self._dark is None else self._dark
        sharp = _desktop_wants_contrast() if self._contrast is None else self._contrast
        self.tokens = tokens_for(dark=dark, more_contrast=sharp)
        self.em = max(SMALLEST_TEXT, QFontInfo(QApplication.font()).pixelSize())
        self._fonts = {role: _font(role, self.em) for role in FONTS}

    def px(self, size: float) -> int:
        """Scales a control's size with the font; a small font does not make a smaller target."""
        return round(size * max(1.0, self.em / DESIGN_EM))

    def font(self, role: str) -> QFont:
        """Returns the font for "title", "name", "secondary" … (see FONTS)."""
        return self._fonts[role]

    def metrics(self, role: str) -> QFontMetrics:
        """Measures text in the font of a role."""
        return QFontMetrics(self._fonts[role])

    def color(self, token: str) -> QColor:
        """Returns the colour of a token."""
        return QColor(self.code(token))

    def code(self, token: str) -> str:
        """Returns the colour of a token as "#RRGGBB"."""
        return str(getattr(self.tokens, token))

    def duration(self, milliseconds: int) -> int:
        """Returns how long a motion lasts: 0 where the desktop wants none."""
        if self._motion is not None:
            return milliseconds if self._motion else 0
        hint = QApplication.style().styleHint(QStyle.StyleHint.SH_Widget_Animation_Duration)
        return milliseconds if hint > 0 else 0

    def palette(self) -> QPalette:
        """Returns the colours for Qt's own parts: text fields, menus, tool tips."""
        palette = QPalette()
        role = QPalette.ColorRole
        for names, token in (
            ((role.Window, role.Button, role.AlternateBase), "canvas"),
            ((role.Base, role.ToolTipBase), "surface"),
            ((role.WindowText, role.Text, role.ButtonText, role.ToolTipText), "text"),
            ((role.PlaceholderText,), "text2"),
            ((role.Highlight, role.Link), "accent"),
            ((role.HighlightedText,), "on_accent"),
        ):
            for name in names:
                palette.setColor(name, self.color(token))
        for name in (role.WindowText, role.Text, role.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, name, self.color("absent"))
        return palette

    def draw_icon(self, painter: QPainter, rect: QRect, name: str, token: str, hole: str = "surface") -> None:
        """Paints a drawing into a square."""
        ratio = painter.device().devicePixelRatioF()
        painter.drawPixmap(rect.topLeft(), picture(name, self.code(token), self.code(hole), rect.width(), ratio))


def _desktop_is_dark() -> bool:
    scheme = QGuiApplication.styleHints().colorScheme()
    if scheme == Qt.ColorScheme.Unknown:
        return QGuiApplication.palette().color(QPalette.ColorRole.Window).lightness() < 128
    return scheme == Qt.ColorScheme.Dark


def _desktop_wants_contrast() -> bool:
    # Qt older than 6.10 cannot tell.
    accessibility = getattr(QGuiApplication.styleHints(), "accessibility", None)
    if accessibility is None:
        return False
    return bool(accessibility().contrastPreference() == Qt.ContrastPreference.HighContrast)


def _font(role: str, em: int) -> QFont:
    factor, weight = FONTS[role]
    fixed = role == "fixed"
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont) if fixed else QFont(QApplication.font())
    font.setPixelSize(max(SMALLEST_TEXT, round(em * factor)))
    font.setWeight(weight)
    with suppress(TypeError):  # PySide6 6.8 has no way to name a feature
        font.setFeature(QFont.Tag("tnum"), 1)
    return font
