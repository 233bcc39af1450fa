"""PURE but for `machine_sources`: the machine's own Debian apt sources, with another suite's name in them.

No address stands in the repository: whatever serves packages to this machine serves the lab.
"""

import re
from pathlib import Path

from tests.lab.errors import LabError

_SECTIONS = {"main", "contrib", "non-free", "non-free-firmware"}


def _is_debian(suites: list[str], components: list[str], here: str) -> bool:
    """Debian's own archive is told by its suites and components, not by an address."""
    known = {here, f"{here}-updates", f"{here}-security", "stable", "stable-updates", "stable-security"}
    return bool(suites) and set(suites) <= known and "main" in components and set(components) <= _SECTIONS


def _renamed(text: str, here: str, suite: str) -> str:
    return re.sub(rf"\b(?:{re.escape(here)}|stable)\b(?=-updates|-security|\s|$)", suite, text)


def from_deb822(text: str, here: str, suite: str) -> str:
    """The stanzas of a `.sources` file that are Debian's own, for `suite`; empty when there is none.

    Source: sources.list(5), DEB822-STYLE FORMAT.
    """
    kept = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if line.strip() and not line.startswith("#")]
        fields: dict[str, str] = {}
        name = ""
        for line in lines:
            if line[0] in " \t" and name:
                fields[name] += "\n" + line
            else:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        binary = "deb" in fields.get("types", "").split()
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false", "0"}
        if not (
            binary
            and enabled
            and _is_debian(fields.get("suites", "").split(), fields.get("components", "").split(), here)
        ):
            continue
        fields["types"] = "deb"
        fields["suites"] = _renamed(fields["suites"], here, suite)
        kept.append("".join(f"{key.title()}: {value}\n" for key, value in fields.items()))
    return "\n".join(kept)


def from_one_line(text: str, here: str, suite: str) -> str:
    """The lines of a `sources.list` that are Debian's own, for `suite`; empty when there is none.

    Source: sources.list(5), ONE-LINE-STYLE FORMAT.
    """
    kept = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(\[[^]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$", line.split("#")[0].strip())
        if match and _is_debian([match[3]], match[4].split(), here):
            kept.append(f"deb {match[1] or ''}{match[2]} {_renamed(match[3], here, suite)} {match[4]}\n")
    return "".join(kept)


def machine_sources(etc: Path, here: str, suite: str) -> dict[str, str]:
    """This machine's Debian sources for `suite`: file name → text. Raises LabError where it has none.

    Args:
        etc: the folder `/etc`.
        here: the code name of the release this machine runs.
        suite: the code name wanted.
    """
    folder = etc / "apt/sources.list.d"
    found = {}
    for path in sorted(folder.glob("*.sources")):
        found[f"{path.stem}.sources"] = from_deb822(path.read_text(encoding="utf-8"), here, suite)
    for path in [etc / "apt/sources.list", *sorted(folder.glob("*.list"))]:
        if path.exists():
            found[f"{path.stem}.list"] = from_one_line(path.read_text(encoding="utf-8"), here, suite)
    found = {name: text for name, text in found.items() if text}
    if not found:
        raise LabError(
            f"no apt source of Debian itself ({here}) is set up on this machine",
            f"add Debian's archive to {folder} (see `man sources.list`) and try again",
        )
    return found


def code_name(os_release: str) -> str:
    """The release's code name in the text of `/etc/os-release`. Source: os-release(5), VERSION_CODENAME."""
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)"?$', os_release, re.MULTILINE)
    if not match:
        raise LabError("this machine does not say which Debian release it is", "the lab is built on Debian 12 or 13")
    return match[1]
