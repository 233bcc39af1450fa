"""Everything the picker says is said in Spanish too."""

from __future__ import annotations

import ast
import string
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from PySide6.QtCore import QCoreApplication, QLocale
from PySide6.QtWidgets import QApplication

from client_gui import judgement, unmount
from client_gui.state import Decision
from client_gui.troubles import UNTOLD, Fault, describe
from client_gui.ui import accessible, device_words, problem_words, value_words
from client_gui.ui.language import speak
from client_gui.ui.look import Look
from client_gui.ui.messages import session_line
from client_gui.ui.picker import Picker
from client_gui.volumes import Filesystem
from qvd_usbip.errors import (
    DEVICE_GONE,
    DEVICE_LOCKED,
    HELPER_MISSING,
    HELPER_SILENT,
    PROBLEMS,
    Problem,
    QvdUsbError,
)
from tests.gui import samples
from tests.gui.conftest import compiled
from tests.gui.fake_engine import FakeEngine
from tests.gui.seen import Seen

if TYPE_CHECKING:
    from PySide6.QtCore import QSettings
    from pytestqt.qtbot import QtBot

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "resources/i18n/picker_es.ts"

#: What only a command line or the helper's caller is told.
NEVER_IN_THE_WINDOW = frozenset(
    """usage vidpid-malformed device-unknown device-ambiguous helper-request-malformed display-missing qt-missing
    output-failed pairing-closed pairing-ended pairing-code-wrong host-unreachable session-unknown
    keys-unavailable""".split()
)


def translated() -> dict[str, dict[str, str]]:
    """Reads the source of the translation: context → source text → translation."""
    root = ET.fromstring(SOURCE.read_text(encoding="utf-8"))
    return {
        context.findtext("name", ""): {
            message.findtext("source", ""): message.findtext("translation", "") for message in context.iter("message")
        }
        for context in root.iter("context")
    }


def said_in_code() -> set[str]:
    """Finds every text that the window gives to tr() or marks for it."""
    found = set()
    for path in (REPOSITORY / "client_gui/ui").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"tr", "noop"}:
                (text, *_) = node.args
                if isinstance(text, ast.Constant):
                    found.add(str(text.value))
    return found


def clients() -> list[Problem]:
    """Returns every Problem that a module of the client names."""
    words = set()
    for path in (REPOSITORY / "client_gui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "qvd_usbip.errors":
                words |= {alias.name.lower().replace("_", "-") for alias in node.names}
            elif isinstance(node, ast.Attribute):
                words.add(node.attr.lower().replace("_", "-"))
    return [problem for code, problem in PROBLEMS.items() if code in words]


def places(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_every_text_has_a_translation_and_no_translation_is_left_over() -> None:
    assert set(translated()["Picker"]) == said_in_code()


def test_every_sentence_of_a_problem_is_known_and_those_of_the_client_are_translated() -> None:
    sources = set(translated()["Problem"])
    ours = {text for problem in PROBLEMS.values() for text in (problem.sentence, problem.remedy)}
    otherwise = {text for texts in problem_words.SAID_OTHERWISE.values() for text in texts}
    assert otherwise <= sources
    assert sources <= ours | otherwise, "left over"
    missing = {problem.code for problem in clients() if {problem.sentence, problem.remedy} - sources}
    assert missing <= NEVER_IN_THE_WINDOW


def test_every_value_that_the_engine_puts_into_sentences_is_translated() -> None:
    assert set(translated()["Value"]) == set(value_words.VALUES)


@pytest.mark.parametrize("context", ["Picker", "Problem", "Value"])
def test_translations_keep_the_places_that_are_filled(context: str) -> None:
    for source, translation in translated()[context].items():
        assert translation.strip(), source
        assert places(translation) == places(source), source


def test_qt_finds_every_translation_in_the_compiled_file(spanish: None) -> None:
    for context, texts in translated().items():
        for source, translation in texts.items():
            assert QCoreApplication.translate(context, source) == translation


def test_window_speaks_spanish(spanish: None, qtbot: QtBot, look: Look, memory: QSettings) -> None:
    picker = Picker(FakeEngine(), look, memory)
    qtbot.addWidget(picker, before_close_func=lambda _window: picker.finish())
    accessible.install()
    picker.show()
    picker.show_snapshot(samples.snapshot(*samples.EVERY_KIND_OF_ROW))
    seen = Seen(picker)
    assert seen.rows()[0] == "BRIO Ultra HD Webcam, Logitech, En uso remoto"
    assert seen.texts()[1] == "Conectado · cifrado"
    assert "Mientras se comparte, deja de funcionar en este equipo." in seen.texts()
    assert seen.has("Compartir Ultra Fit")
    assert seen.has("Filtrar dispositivos")
    assert "Buena para vídeo y sonido" in seen.texts()


def test_lost_session_is_said_in_spanish(spanish: None) -> None:
    lost = replace(samples.SESSION, connected=False, lost=True, retry_in=4.0)
    assert session_line(lost) == "Sesión perdida. Nuevo intento en 4 s."


def test_english_is_spoken_where_no_translation_fits(qapp: QApplication, tmp_path: Path) -> None:
    assert not speak(qapp, QLocale("de_DE"), compiled(tmp_path))
    assert not speak(qapp, QLocale("en_GB"), tmp_path)
    assert not speak(qapp, QLocale("es_ES"), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (QvdUsbError(DEVICE_GONE, busid="1-2"), "1-2 se ha desenchufado."),
        (QvdUsbError(HELPER_SILENT, seconds=5), "El asistente no ha respondido en 5 s."),
        (QvdUsbError(HELPER_MISSING, path="/a (b) {c}"), "El asistente /a (b) {c} no está instalado."),
    ],
)
def test_sentence_of_the_engine_is_translated_with_its_values(spanish: None, error: QvdUsbError, sentence: str) -> None:
    assert problem_words.sentence(error.problem.code, str(error)) == sentence


def test_what_keeps_a_volume_busy_is_said_in_spanish(spanish: None) -> None:
    disk = Filesystem(node="/dev/sdb1", volume=samples.BACKUP, places=("/media/user/BACKUP",))
    fault = unmount._not_unmounted(disk, "target is busy")
    said = [
        problem_words.sentence(fault.code, fault.text),
        problem_words.split_remedy(problem_words.remedy(fault.code, fault.remedy))[1],
        problem_words.sentence(fault.code, "backup (4711) still uses BACKUP."),
    ]
    assert said == [
        "BACKUP no se ha podido desmontar: target is busy.",
        "sudo umount /dev/sdb1",
        "backup (4711) aún usa BACKUP.",
    ]


def test_words_of_another_peer_stay_as_they_are(spanish: None) -> None:
    assert problem_words.sentence("bind-failed", "PipeWire still\nuses it.") == "PipeWire still\\x0auses it."
    assert problem_words.sentence("from-the-future", "Something new.") == "Something new."


def test_rules_that_nobody_wrote_are_named_in_spanish_and_written_ones_as_they_are(spanish: None) -> None:
    row = replace(samples.STICK, rule=Decision(name=judgement.EVERYTHING_ELSE, number=5, total=5))
    assert device_words.decided_by(row).endswith("la regla 5 de 5, «todo lo demás».")
    written = Decision(name=judgement.EVERYTHING_ELSE, number=1, total=5, file="/home/user/rules", line=3)
    assert "«everything else»" in device_words.decided_by(replace(samples.STICK, rule=written))
    for rule in judgement.DEFAULT_BOOK.rules:
        assert value_words.translated(rule.name) != rule.name


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (judgement.LOCKED_BY_NATURE.format(kind="keyboard"), "teclado: solo si estás de acuerdo"),
        (
            judgement.NOBODY_LENDS.format(kinds="keyboard, network"),
            "el administrador no deja que nadie preste un dispositivo de este tipo (teclado, red)",
        ),
        ('"no sticks" (/etc/qvd/usbip-rules.conf:4)', '"no sticks" (/etc/qvd/usbip-rules.conf:4)'),
    ],
)
def test_why_a_device_stays_here_is_said_in_spanish(spanish: None, rule: str, reason: str) -> None:
    error = QvdUsbError(DEVICE_LOCKED, busid="1-2", rule=rule)
    assert reason in problem_words.sentence(error.problem.code, str(error))


def test_what_the_other_end_did_not_tell_is_said_in_spanish(spanish: None) -> None:
    for code in PROBLEMS:
        text, _ = describe(Fault(code=code))
        said = problem_words.sentence(code, text)
        left = [value for value in UNTOLD.values() if len(value.split()) > 2 and value in said]
        assert said == text or not left, said


def test_translated_remedy_still_has_its_command(spanish: None) -> None:
    for problem in PROBLEMS.values():
        before, command, after = problem_words.split_remedy(problem_words.remedy(problem.code, problem.remedy))
        assert command == problem_words.split_remedy(problem.remedy)[1], problem.code
        assert "root: " not in before + after
