"""EFFECT: makes the window speak the user's language, where there is a translation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator

if TYPE_CHECKING:
    from PySide6.QtCore import QCoreApplication

INSTALLED: Final = Path("/usr/share/qvd-usbip/i18n")


def speak(application: QCoreApplication, locale: QLocale, folder: Path = INSTALLED) -> bool:
    """Loads our words and Qt's own for the first of the user's languages that we speak.

    Returns: whether that is another one than English.

    Args: who translates from then on; the user's wish; the folder of our LANGUAGE.qm.
    """
    for tag in locale.uiLanguages():
        language = tag.replace("_", "-").split("-")[0]
        if language == "en":
            return False
        ours = QTranslator(application)
        if not ours.load(str(folder / f"{language}.qm")):
            continue
        application.installTranslator(ours)
        theirs = QTranslator(application)
        if theirs.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
            application.installTranslator(theirs)
        return True
    return False
