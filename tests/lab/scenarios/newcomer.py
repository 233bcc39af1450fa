"""EFFECT: somebody who has the packages and README.md, and does what its blocks say, nothing else.

Everything typed is read from the page at that moment, so a line that does not work there fails here.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab.guest import Guest

README = Path(__file__).resolve().parents[3] / "README.md"
_TITLE = re.compile(r"\*\*(?P<title>[^*]+?)[.:]?\*\*")
_NAME = re.compile(r"\b(?:NAME|HOST|USER)\b")
_REMARK = re.compile(r"\s+#\s+(?P<words>.*)$")
AS_THAT_USER = "as that user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a block, and what the page says beside it.

    Args:
        text: what is typed.
        remark: the words behind `#`.
        as_user: whether a line before said to go on as the user.
    """

    text: str
    remark: str
    as_user: bool

    def filled(self, names: Mapping[str, str]) -> "Line":
        """The line with the names of a place instead of the page's own, which are in capitals."""
        return replace(self, text=_NAME.sub(lambda word: names[word[0]], self.text))


def blocks(page: str) -> dict[str, list[Line]]:
    """PURE: the blocks of a page that have a bold title before them, by it."""
    found: dict[str, list[Line]] = {}
    title, inside, as_user = "", False, False
    for text in page.splitlines():
        if text.startswith("```"):
            inside, as_user = not inside, False
        elif inside and title:
            line = _line(text, as_user=as_user)
            as_user = as_user or AS_THAT_USER in line.remark
            found.setdefault(title, []).append(line)
        elif bold := _TITLE.match(text):
            title = bold["title"]
        elif text.startswith("#"):
            title = ""
    return found


def _line(text: str, *, as_user: bool) -> Line:
    remark = _REMARK.search(text)
    return Line(text=_REMARK.sub("", text), remark=remark["words"] if remark else "", as_user=as_user)


@dataclass(frozen=True, slots=True)
class Console:
    """A terminal of somebody on a guest, in which one program runs that asks and is answered.

    Args:
        prefix: what makes a command that person's.
    """

    guest: Guest
    name: str
    prefix: str = ""

    @property
    def said(self) -> str:
        """The file with what was on its screen."""
        return f"/run/console-{self.name}"

    def start(self, line: str) -> None:
        """Types a line."""
        keys, body = f"{self.said}.keys", f"{self.prefix} script -qefc {shlex.quote(line)} /dev/null"
        self.guest.run(f"rm -f {keys} {self.said}; mkfifo -m 0666 {keys}")
        self.guest.spawn(
            f"exec 3<>{keys}; {body} <&3 >{self.said} 2>&1; echo left $? >>{self.said}", f"console-{self.name}"
        )

    def answer(self, keys: str) -> None:
        """Types something into the program, as printf writes it."""
        self.guest.run(f"printf '{keys}' >{self.said}.keys")

    def shows(self, pattern: str, patience: float = 120) -> str:
        """Waits until its screen shows this, an extended regular expression; the last text that matches."""
        return self.guest.until(f"grep -aoE {shlex.quote(pattern)} {self.said}", patience).out.splitlines()[-1]
