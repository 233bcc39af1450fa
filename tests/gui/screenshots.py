"""EFFECT: paints the picker without a screen, in every state worth looking at.

python3 -m tests.gui.screenshots OUTDIR [NAME…]
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QLocale, QSettings, Qt, QTranslator
from PySide6.QtGui import QFont, QPainter, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from client_gui.state import Asked, Consent, DeviceState, Snapshot, Trouble
from client_gui.ui import accessible
from client_gui.ui.language import speak
from client_gui.ui.look import Look
from client_gui.ui.picker import Picker
from client_gui.ui.tray import Tray, badged
from tests.gui import samples
from tests.gui.fake_engine import FakeEngine
from tests.gui.rows import row_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SETTLED = 350  # milliseconds until everything has slid to its place
KEYBOARD = Qt.FocusReason.TabFocusReason
TALL = 840
TRANSLATIONS = Path(__file__).parents[2] / "build/i18n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One picture: what the engine says, what the user did, and in which window."""

    name: str
    snapshot: Snapshot
    prepare: Callable[[Picker], None]
    height: int = 640
    size: int = 14
    width: int = 560
    dark: bool = False
    hint: bool = False
    spanish: bool = False
    contrast: bool = False


def scenes() -> tuple[Scene, ...]:
    """Returns every picture, light; `both` adds the dark ones."""
    samples_now = samples.snapshot
    full = samples_now(*samples.EVERY_KIND_OF_ROW)
    idle = replace(samples.BRIO, ticked=False, state=DeviceState.NOT_SHARED, steps=())
    broken = samples_now(idle, samples.STICK, problems=(samples.HELPER_MISSING, samples.MODULE_MISSING))
    hostile = samples.device("h", "<b>x</b> \u202e evil\nname " + "W" * 90, "R&D <img src=x>", samples.STICK.kind)
    asks = replace(idle, ticked=True, state=DeviceState.CONFIRM, consent=Consent(asked=Asked.PLUGGED))
    return (
        Scene(name="main", snapshot=full, prepare=_focus_list, height=680, hint=True),
        Scene(name="states", snapshot=samples_now(*samples.EVERY_STATE), prepare=_nothing, height=TALL),
        Scene(name="details", snapshot=samples_now(samples.BRIO, samples.SCANNER), prepare=_open_first, height=740),
        Scene(
            name="storage",
            snapshot=samples_now(samples.BRIO, samples.STICK_TWO_VOLUMES, samples.YUBIKEY),
            prepare=lambda picker: _ask(picker, samples.STICK.key),
        ),
        Scene(
            name="caution",
            snapshot=samples_now(samples.BRIO, samples.STICK, samples.YUBIKEY),
            prepare=lambda picker: _tick(picker, samples.STICK.key),
        ),
        Scene(
            name="changed",
            snapshot=samples_now(samples.BRIO, samples.STICK_CHANGED, samples.YUBIKEY),
            prepare=lambda picker: _focus_card(picker, samples.STICK.key),
        ),
        Scene(
            name="unlock",
            snapshot=samples_now(samples.BRIO, samples.KEYBOARD, samples.YUBIKEY),
            prepare=lambda picker: _ask(picker, samples.KEYBOARD.key),
        ),
        Scene(name="ask", snapshot=samples_now(asks, samples.STICK), prepare=_nothing),
        Scene(name="twins", snapshot=samples_now(*samples.TWINS), prepare=_open_first),
        Scene(name="problem", snapshot=broken, prepare=_focus_check_again),
        Scene(
            name="session-lost",
            snapshot=_waiting(samples.SESSION_GONE, lost=True, retry_in=4.0),
            prepare=_nothing,
        ),
        Scene(name="session-refused", snapshot=_waiting(samples.SESSION_REFUSED), prepare=_nothing),
        Scene(name="empty", snapshot=samples_now(), prepare=_focus_empty),
        Scene(name="no-match", snapshot=full, prepare=lambda picker: picker.search.edit.setText("plotter")),
        Scene(name="filter", snapshot=full, prepare=lambda picker: picker.search.edit.setText("adapter")),
        Scene(
            name="no-session",
            snapshot=samples_now(*samples.WITHOUT_SESSION, session=None, fitness=None),
            prepare=_nothing,
            height=680,
        ),
        Scene(name="hostile", snapshot=samples_now(hostile, samples.HEADSET), prepare=_open_first),
    )


def _waiting(trouble: Trouble, **session: object) -> Snapshot:
    """Two devices wait for a session that this trouble keeps away."""
    rows = (replace(row, state=DeviceState.WAITING, steps=()) for row in (samples.BRIO, samples.YUBIKEY))
    view = replace(samples.SESSION, connected=False, problem=trouble.code, **session)  # type: ignore[arg-type]  # the names are SessionView's
    return replace(samples.snapshot(*rows), session=view, problems=(trouble,), fitness=None)


def at_other_sizes() -> tuple[Scene, ...]:
    """Returns the pictures that show what a large font and a small window do."""
    full = samples.snapshot(*samples.EVERY_KIND_OF_ROW)
    storage = samples.snapshot(samples.BRIO, samples.STICK_TWO_VOLUMES, samples.YUBIKEY)
    changed = samples.snapshot(samples.STICK_CHANGED)
    return (
        Scene(name="main-150", snapshot=full, prepare=_focus_list, height=TALL, size=21, hint=True),
        Scene(name="main-200", snapshot=full, prepare=_focus_list, height=TALL, size=28, hint=True),
        Scene(name="main-smallest", snapshot=full, prepare=_focus_list, height=480, width=400),
        Scene(
            name="storage-200",
            snapshot=storage,
            prepare=lambda picker: _ask(picker, samples.STICK.key),
            height=900,
            size=28,
        ),
        Scene(name="main-contrast", snapshot=full, prepare=_focus_list, height=680, hint=True, contrast=True),
        Scene(
            name="storage-contrast-dark",
            snapshot=storage,
            prepare=lambda picker: _ask(picker, samples.STICK.key),
            dark=True,
            contrast=True,
        ),
        Scene(name="main-smallest-200-es", snapshot=full, prepare=_focus_list, width=400, size=28, spanish=True),
        Scene(name="hint-smallest-es", snapshot=full, prepare=_nothing, width=400, size=28, spanish=True, hint=True),
        Scene(name="main-200-es", snapshot=full, prepare=_focus_list, height=TALL, size=28, spanish=True),
        Scene(
            name="caution-smallest-200-es",
            snapshot=samples.snapshot(samples.STICK),
            prepare=lambda picker: _tick(picker, samples.STICK.key),
            width=400,
            size=28,
            spanish=True,
        ),
        Scene(name="details-150", snapshot=samples.snapshot(samples.BRIO), prepare=_open_first, height=1100, size=21),
        Scene(name="changed-150", snapshot=changed, prepare=_nothing, height=TALL, size=21),
    )


def all_scenes() -> tuple[Scene, ...]:
    """Returns every picture in its order."""
    light = scenes()
    dark = tuple(replace(scene, name=f"{scene.name}-dark", dark=True) for scene in light)
    shown_in_spanish = (
        "main",
        "states",
        "details",
        "storage",
        "caution",
        "changed",
        "unlock",
        "problem",
        "empty",
        "no-session",
        "session-lost",
    )
    spanish = tuple(
        replace(scene, name=f"{scene.name}-es", spanish=True, snapshot=_named_in_spanish(scene.snapshot))
        for scene in light
        if scene.name in shown_in_spanish
    )
    return light + dark + spanish + at_other_sizes()


def _named_in_spanish(snapshot: Snapshot) -> Snapshot:
    if snapshot.session is None:
        return snapshot
    return replace(snapshot, session=replace(snapshot.session, name="Escritorio del trabajo"))


def main() -> int:
    """Writes the pictures and names each."""
    if len(sys.argv) < 2:
        print("usage: python3 -m tests.gui.screenshots OUTDIR [NAME…]", file=sys.stderr)
        return 2
    folder, wanted = Path(sys.argv[1]), set(sys.argv[2:])
    folder.mkdir(parents=True, exist_ok=True)
    application = QApplication(sys.argv[:1])
    accessible.install()
    for scene in all_scenes():
        if not wanted or scene.name in wanted:
            path = folder / f"picker-{scene.name}.png"
            with language(application, spanish=scene.spanish):
                paint(application, scene, path)
            print(path)
    if not wanted or "tray" in wanted:
        paint_tray(application, folder / "picker-tray.png")
        print(folder / "picker-tray.png")
    return 0


@contextmanager
def language(application: QApplication, *, spanish: bool) -> Iterator[None]:
    """Lets the window speak Spanish for one picture."""
    if spanish and not speak(application, QLocale("es_ES"), TRANSLATIONS):
        sys.exit("the translations are not compiled: make translations")
    yield
    for translator in application.findChildren(QTranslator):
        application.removeTranslator(translator)
        translator.deleteLater()


def paint_tray(application: QApplication, path: Path) -> None:
    """Shows the tray's menu and its three icons."""
    font = QFont("Inter")
    font.setPixelSize(14)
    application.setFont(font)
    look = Look(dark=False, motion=False)
    tray = Tray(look)
    tray.show_snapshot(samples.snapshot(*samples.EVERY_KIND_OF_ROW), notify=False)
    tray.menu.setPalette(look.palette())
    tray.menu.adjustSize()
    menu = tray.menu.grab()
    image = QPixmap(menu.width() + 40, menu.height() + 96)
    image.fill(look.color("canvas"))
    painter = QPainter(image)
    painter.drawPixmap(20, 20, menu)
    for place, badge in enumerate(("", "sharing", "failed")):
        painter.drawPixmap(20 + place * 48, menu.height() + 40, badged(look, 32, badge))
    painter.end()
    image.save(str(path))


def paint(application: QApplication, scene: Scene, path: Path) -> None:
    """Shows one scene and saves what is seen."""
    font = QFont("Inter")
    font.setPixelSize(scene.size)
    application.setFont(font)
    with tempfile.TemporaryDirectory() as folder:
        memory = QSettings(f"{folder}/picker.ini", QSettings.Format.IniFormat)
        memory.setValue("hints/first-share-seen", "false" if scene.hint else "true")
        picker = Picker(FakeEngine(), Look(dark=scene.dark, motion=True, contrast=scene.contrast), memory)
        picker.resize(scene.width, scene.height)
        picker.show_snapshot(scene.snapshot)
        picker.show()
        picker.activateWindow()
        application.processEvents()
        scene.prepare(picker)
        QTest.qWait(SETTLED)
        picker.grab().save(str(path))
        picker.finish()


def _nothing(_picker: Picker) -> None:
    """Leaves the window as it opens."""


def _focus_list(picker: Picker) -> None:
    picker.list.focus_current(KEYBOARD)


def _open_first(picker: Picker) -> None:
    _focus_list(picker)
    picker.list.card.shown[0].toggle_details()


def _ask(picker: Picker, key: str) -> None:
    row_of(picker, key).ask()


def _tick(picker: Picker, key: str) -> None:
    """As a click on the switch, and the engine's answer: it is on its way."""
    row_of(picker, key).switch.click()
    rows = (
        replace(row, state=DeviceState.CONNECTING, steps=samples.steps(12, 43)) if row.key == key else row
        for row in picker.model.rows()
    )
    picker.show_snapshot(samples.snapshot(*rows))


def _focus_card(picker: Picker, key: str) -> None:
    card = row_of(picker, key).body.card
    if card is not None:
        card.refuse_button.setFocus(KEYBOARD)


def _focus_check_again(picker: Picker) -> None:
    if picker.problem_card is not None:
        picker.problem_card.check_button.setFocus(KEYBOARD)


def _focus_empty(picker: Picker) -> None:
    picker.empty.button.setFocus(KEYBOARD)


if __name__ == "__main__":
    sys.exit(main())
