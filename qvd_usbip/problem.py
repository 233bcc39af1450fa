"""PURE: what one problem is; errors.py has them all.

Light module: the udev hook and the setuid helper import it.
"""

from qvd_usbip.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Problem:
    """One thing that can go wrong, as the user meets it. `sentence` and `remedy` may hold {context} fields."""

    __slots__ = ("code", "exit_status", "remedy", "sentence")

    def __init__(self, code: str, exit_status: int, sentence: str, remedy: str) -> None:
        self.code = code
        self.exit_status = exit_status
        self.sentence = sentence
        self.remedy = remedy

    def __repr__(self) -> str:
        return f"Problem({self.code!r})"


class _Context(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def filled(template: str, context: "Mapping[str, str]") -> str:
    """A sentence or remedy with what it happened to, ready to be shown; what is not known is a question mark."""
    return template.format_map(_Context({name: printable(value) for name, value in context.items()}))
