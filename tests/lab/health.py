"""PURE: which lines of a kernel log tell of a defect, and which units did not stay up."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_DEFECT = re.compile(
    r"\bOops\b|\bBUG:|WARNING: |general protection fault|kernel BUG at|KASAN|UBSAN|KFENCE|KCSAN|Kernel panic"
    r"|INFO: task .* blocked for more than|unable to handle (?:kernel|page)|soft lockup|hard LOCKUP|stack guard page"
    r"|refcount_t: |list_(?:add|del) corruption|double free|use-after-free|Unable to handle|segfault at"
    r"|Out of memory: Killed|invoked oom-killer"
)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A line that looks like a defect and is none of ours to mend."""

    pattern: str
    reason: str


ALLOWED: tuple[Allowed, ...] = ()


def kernel_problems(log: str, allowed: Iterable[Allowed] = ALLOWED) -> list[str]:
    """The lines of `dmesg` that tell of an oops, a warning, a hung task or a crashed program.

    Args:
        log: the text of `dmesg`.
        allowed: lines not to mind, each with its reason.
    """
    harmless = [re.compile(each.pattern) for each in allowed]
    return [
        line
        for line in log.splitlines()
        if _DEFECT.search(line) and not any(pattern.search(line) for pattern in harmless)
    ]


def restarted_units(show: str, expected: Iterable[str] = ()) -> list[str]:
    """Units that systemd restarted unasked or that failed, as `name: what`.

    Args:
        show: the output of `systemctl show -p Id,NRestarts,Result,ActiveState PATTERN`; blocks divided by blank lines.
        expected: units whose restart or failure the scenario caused on purpose.
    """
    found = []
    for block in show.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name = fields.get("Id", "")
        if not name or name in set(expected):
            continue
        if fields.get("NRestarts", "0") not in {"0", "[not set]", ""}:
            found.append(f"{name}: restarted {fields['NRestarts']} times")
        elif fields.get("ActiveState") == "failed":
            found.append(f"{name}: failed ({fields.get('Result', '?')})")
    return found
