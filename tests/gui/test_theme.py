"""The colours can be told apart, light and dark, computed from the tokens themselves."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import pytest
from PySide6.QtWidgets import QApplication

from client_gui.state import DeviceState
from client_gui.ui.icons import FOLDER, KIND_ICONS, icon_of_kind
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from client_gui.ui.row_paint import STATE_ICONS
from client_gui.ui.theme import DARK, LIGHT, Tokens, contrast, sharpened
from qvd_usbip.usb import Kind
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine
from tests.gui.rows import row_of

if TYPE_CHECKING:
    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

BOTH = pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
TEXT = 4.5  # WCAG 2.2, 1.4.3
CONTROL = 3.0  # WCAG 2.2, 1.4.11

GROUNDS = ("canvas", "surface", "hover")


def ratio(tokens: Tokens, ink: str, ground: str) -> float:
    return contrast(getattr(tokens, ink), getattr(tokens, ground))


def test_contrast_is_the_one_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#123456", "#123456") == 1


@BOTH
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("ink", ["text", "text2", "absent", "accent", "warn", "danger"])
def test_every_text_can_be_read_where_it_stands(tokens: Tokens, ink: str, ground: str) -> None:
    assert ratio(tokens, ink, ground) >= TEXT


@BOTH
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        ("on_accent", "accent"),
        ("accent", "accent_tint"),
        ("text", "warn_tint"),
        ("warn", "warn_tint"),
        ("text", "danger_tint"),
        ("danger", "danger_tint"),
        ("accent", "danger_tint"),
        ("text", "info_tint"),
        ("text2", "info_tint"),
        ("accent", "info_tint"),
        ("text", "tile"),
    ],
)
def test_text_on_tints_can_be_read(tokens: Tokens, ink: str, ground: str) -> None:
    assert ratio(tokens, ink, ground) >= TEXT


@BOTH
@pytest.mark.parametrize("ground", [*GROUNDS, "danger_tint"])
@pytest.mark.parametrize("ink", ["control", "focus", "accent"])
def test_outlines_and_rings_can_be_seen(tokens: Tokens, ink: str, ground: str) -> None:
    assert ratio(tokens, ink, ground) >= CONTROL


@BOTH
def test_more_contrast_is_more(tokens: Tokens) -> None:
    sharp = sharpened(tokens)
    assert ratio(sharp, "text2", "surface") > ratio(tokens, "text2", "surface")
    assert ratio(sharp, "line", "surface") >= CONTROL
    assert ratio(sharp, "text", "danger_tint") >= TEXT


def test_light_and_dark_name_the_same_colours() -> None:
    for tokens in (LIGHT, DARK):
        for field in dataclasses.fields(tokens):
            value = getattr(tokens, field.name)
            assert field.name == "dark" or re.fullmatch("#[0-9A-F]{6}", value)


def test_every_state_has_its_own_shape_and_there_is_a_drawing_for_it() -> None:
    assert set(STATE_ICONS) == set(DeviceState)
    steady = [icon for icon, _ink in STATE_ICONS.values() if icon != "s-busy"]
    assert len(steady) == len(set(steady)), "two states with one shape"
    for icon in steady:
        assert (FOLDER / f"{icon}.svg").is_file()


def test_every_kind_has_a_drawing() -> None:
    assert {str(kind) for kind in Kind} - set(KIND_ICONS) <= {"device"}
    for kind in Kind:
        assert (FOLDER / f"{icon_of_kind(str(kind))}.svg").is_file()


def test_desktop_that_wishes_more_contrast_gets_it_everywhere(
    qtbot: QtBot, memory: QSettings, qapp: QApplication
) -> None:
    look = Look(dark=True, motion=False, contrast=True)
    picker = Picker(FakeEngine(), look, memory)
    qtbot.addWidget(picker, before_close_func=lambda _window: picker.finish())
    picker.show()
    picker.show_snapshot(samples.snapshot(samples.STICK_CHANGED, samples.HEADSET))
    QApplication.processEvents()
    row = row_of(picker, samples.STICK_CHANGED.key)
    card = row.body.card
    assert card is not None
    edge = card.grab().toImage().pixelColor(0, card.height() // 2).name().upper()
    assert contrast(edge, look.code("surface")) >= CONTROL
