"""EFFECT: finds, reads and uses the parts of a window the way a screen reader does: by role and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

Role = QAccessible.Role


class Seen:
    """A window in the eyes of assistive technology."""

    def __init__(self, window: QWidget) -> None:
        self._window = window

    def all(self) -> Iterator[QAccessibleInterface]:
        """Yields every visible part, from top to bottom."""
        QApplication.processEvents()
        top = QAccessible.queryAccessibleInterface(self._window)
        assert top is not None
        yield from _below(top)

    def names(self, role: Role) -> list[str]:
        """Returns the names of the visible parts with a role."""
        return [name_of(part) for part in self.all() if part.role() == role]

    def rows(self) -> list[str]:
        """Returns what is said of each row of the list."""
        return self.names(Role.ListItem)

    def texts(self) -> list[str]:
        """Returns the sentences that can be read."""
        return self.names(Role.StaticText)

    def widget(self, name: str) -> QWidget:
        """Finds the one visible control with this name."""
        found = [part for part in self.all() if name_of(part) == name]
        assert len(found) == 1, f"{len(found)} parts are called {name!r}"
        thing = found[0].object()
        assert isinstance(thing, QWidget)
        return thing

    def has(self, name: str) -> bool:
        """Tells whether any visible part has this name."""
        return any(name_of(part) == name for part in self.all())

    def description(self, name: str) -> str:
        """Returns what is said of a control besides its name."""
        interface = QAccessible.queryAccessibleInterface(self.widget(name))
        assert interface is not None
        return interface.text(QAccessible.Text.Description)

    def checked(self, name: str) -> bool:
        """Tells whether a switch is said to be on."""
        interface = QAccessible.queryAccessibleInterface(self.widget(name))
        assert interface is not None
        assert interface.role() == Role.CheckBox
        return bool(interface.state().checked)

    def radio(self, name: str) -> bool:
        """Tells whether a radio button is said to be chosen."""
        interface = QAccessible.queryAccessibleInterface(self.widget(name))
        assert interface is not None
        assert interface.role() == Role.RadioButton
        return bool(interface.state().checked)

    def click(self, name: str) -> None:
        """Clicks the control with this name."""
        QTest.mouseClick(self.widget(name), Qt.MouseButton.LeftButton)

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        """Presses a key where the focus is."""
        QTest.keyClick(QApplication.focusWidget() or self._window, key, modifier)

    def focused(self) -> str:
        """Returns the name of the control with the focus."""
        QApplication.processEvents()
        widget = QApplication.focusWidget()
        interface = QAccessible.queryAccessibleInterface(widget) if widget is not None else None
        return "" if interface is None else name_of(interface)


def name_of(part: QAccessibleInterface) -> str:
    """Returns the name that is read aloud."""
    return part.text(QAccessible.Text.Name)


def _below(part: QAccessibleInterface) -> Iterator[QAccessibleInterface]:
    if part.state().invisible:
        return
    yield part
    for place in range(part.childCount()):
        child = part.child(place)
        if child is not None:
            yield from _below(child)
