"""PURE: what one problem is; errors.py has them all.

Light module: the udev hook and the setuid helper import it.
"""


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
