"""PURE: what survived against what is explained: each survivor has its entry in equivalent.toml, each entry its own."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One mutant: the lines that it took from a module's code and those it put there, as "- old" and "+ new"."""

    module: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((self.module, *(f"    {line}" for line in self.lines)))


def parse_explained(text: str) -> dict[Change, str]:
    """The mutants that no test can notice, and why, from the text of equivalent.toml.

    Raises:
        ValueError: it is no such table, an entry lacks its reason, or two say the same.
    """
    explained: dict[Change, str] = {}
    for entry in tomllib.loads(text).get("equivalent", []):
        change = Change(module=entry.get("module", ""), lines=tuple(entry.get("change", ())))
        if not (change.module and change.lines and entry.get("why")) or change in explained:
            raise ValueError(f"equivalent.toml has an entry without module, change or why, or twice: {entry}")
        explained[change] = entry["why"]
    return explained


def change_of(module: str, diff: str) -> Change:
    """The mutant that a unified diff shows; indentation does not count, nor where in the file it is."""
    changed = (line for line in diff.splitlines() if line[:1] in {"-", "+"} and line[:3] not in {"---", "+++"})
    return Change(module=module, lines=tuple(f"{line[0]} {line[1:].strip()}" for line in changed))


def judge(survived: Iterable[Change], explained: Iterable[Change], modules: Iterable[str]) -> list[str]:
    """What is wrong, a text for each; nothing when every survivor is explained and every explanation needed.

    Args:
        survived: what the tests did not notice.
        explained: what no test can notice.
        modules: those that were tried: of the others no explanation is missed.
    """
    tried, left, known = set(modules), set(survived), set(explained)
    unexplained = sorted(map(str, left - known))
    unneeded = sorted(str(change) for change in known - left if change.module in tried)
    return [
        *(f"no test notices this, and nothing says why none can: {text}" for text in unexplained),
        *(f"explained, but no such mutant survives: {text}" for text in unneeded),
    ]
