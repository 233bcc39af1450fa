"""PURE: the colours of the picker, light and dark, and how well they can be told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """One set of colours, each named for its use and written "#RRGGBB"."""

    dark: bool
    canvas: str
    surface: str
    hover: str
    line: str
    tile: str
    info_tint: str
    text: str
    text2: str
    absent: str
    control: str
    accent: str
    on_accent: str
    accent_tint: str
    warn: str
    warn_tint: str
    danger: str
    danger_tint: str
    focus: str


LIGHT = Tokens(
    dark=False,
    canvas="#F4F6F7",
    surface="#FFFFFF",
    hover="#F1F5F5",
    line="#E3E8EA",
    tile="#EDF1F2",
    info_tint="#E8EDEF",
    text="#182023",
    text2="#566268",
    absent="#626E76",
    control="#808B91",
    accent="#0B6B63",
    on_accent="#FFFFFF",
    accent_tint="#E2F1EF",
    warn="#8A4F00",
    warn_tint="#FFF3DC",
    danger="#B3261E",
    danger_tint="#FDECEA",
    focus="#0B6B63",
)

DARK = Tokens(
    dark=True,
    canvas="#14181A",
    surface="#1D2326",
    hover="#242B2E",
    line="#2F373B",
    tile="#2A3236",
    info_tint="#273033",
    text="#ECF0F1",
    text2="#A9B4B9",
    absent="#909CA2",
    control="#7F8B91",
    accent="#5CCDBD",
    on_accent="#05221E",
    accent_tint="#18352F",
    warn="#F0B95C",
    warn_tint="#382A12",
    danger="#FF9389",
    danger_tint="#372220",
    focus="#7FE3D4",
)


def tokens_for(*, dark: bool, more_contrast: bool) -> Tokens:
    """Chooses the colours for a desktop that is dark or light and may wish for more contrast."""
    tokens = DARK if dark else LIGHT
    return sharpened(tokens) if more_contrast else tokens


def sharpened(tokens: Tokens) -> Tokens:
    """Returns the colours with visible lines, full text and no tints."""
    return replace(
        tokens,
        line=tokens.control,
        text2=tokens.text,
        absent=tokens.text,
        hover=tokens.surface,
        tile=tokens.surface,
        info_tint=tokens.surface,
        accent_tint=tokens.surface,
        warn_tint=tokens.surface,
        danger_tint=tokens.surface,
    )


def contrast(one: str, other: str) -> float:
    """Returns how many times lighter the lighter of two colours is, 1 to 21.

    Source: WCAG 2.2, definitions of contrast ratio and relative luminance.
    """
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    red, green, blue = (_linear(int(color[start : start + 2], 16) / 255) for start in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
