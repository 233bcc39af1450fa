"""PURE: which of the lines that a container needs its configuration lacks, and what to do about each.

A configuration is read as LXC reads it: keys that are lists grow and are emptied by an empty value, of the others the
last line counts. Source: lxc.container.conf(5).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from server_agent import lxc

AUTO = "lxc.mount.auto"
LISTS = ("lxc.hook.", "lxc.mount.", "lxc.cgroup.devices.", "lxc.cgroup2.devices.")
DENY = ".devices.deny"
WHY = {
    "lxc.hook.": "without it no hub is lent and no device program is in force, or neither is taken back",
    "lxc.cgroup.dir.": "without it the device program stands where container root can take it off",
    "lxc.cgroup2.devices.": "without it LXC's own list refuses what the agent has granted",
    "lxc.cgroup.devices.": "without it LXC's own list decides beside the agent",
    "lxc.mount.": "without it the container does not see its hub alone, or does not reach the agent",
    "lxc.apparmor.": "without it container root reaches other containers' hubs, drivers and the host's kernel",
    "lxc.seccomp.": "without it container root reaches them by calls and mounts that AppArmor does not see",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line: a key and its value."""

    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} = {self.value}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A line that is missing or was overruled; `found` is what overrules it, or ""."""

    wanted: Setting
    found: str = ""

    @property
    def text(self) -> str:
        """What is wrong, and why it matters."""
        why = next((why for begin, why in WHY.items() if self.wanted.key.startswith(begin)), "the agent counts on it")
        return f"'{self.wanted}' is not in force{f' (it is {self.found!r})' if self.found else ''}: {why}"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.found:
            return f"Remove the line that says '{self.wanted.key} = {self.found}', or append: {self.wanted}"
        return f"Append: {self.wanted}"


def parse(text: str) -> list[Setting]:
    """The lines of a configuration; comments, blank lines and what is no setting are left out."""
    found = []
    for line in text.splitlines():
        key, equals, value = line.strip().partition("=")
        if equals and not key.startswith("#"):
            found.append(setting(key, value))
    return found


def setting(key: str, value: str) -> Setting:
    """One line, of whose blanks the single ones count."""
    return Setting(key=key.strip(), value=" ".join(value.split()))


def in_force(lines: Iterable[Setting]) -> dict[str, list[str]]:
    """What counts of a configuration, by key; a list of one value for a key that is none."""
    held: dict[str, list[str]] = {}
    for line in lines:
        if not line.value:
            held.pop(line.key, None)
        elif line.key.startswith(LISTS):
            held.setdefault(line.key, []).append(line.value)
            if line.key.endswith(DENY) and line.value == "a":
                held.pop(line.key.removesuffix("deny") + "allow", None)
        else:
            held[line.key] = [line.value]
    return held


def lacks(wanted: Sequence[Setting], effective: Sequence[Setting]) -> list[Lack]:
    """The wanted lines that are not in force in a configuration.

    Args:
        wanted: the lines of `lxc.config_lines`.
        effective: the container's own lines, those of its includes in their places.
    """
    need, have = in_force(wanted), in_force(effective)
    found = []
    for key, values in need.items():
        mine = have.get(key, [])
        if key == AUTO and mine != values:  # one more word here mounts a sysfs of LXC's own
            found.append(Lack(wanted=Setting(key=key, value=values[-1]), found=" | ".join(mine)))
        elif key.startswith(LISTS):
            found += [Lack(wanted=Setting(key=key, value=value)) for value in values if value not in mine]
        elif mine != values:
            found.append(Lack(wanted=Setting(key=key, value=values[0]), found="".join(mine)))
    return found


def hook_words(effective: Sequence[Setting]) -> list[str]:
    """The arguments with which this container's configuration has LXC call the agent's pre-start hook."""
    calls = (value.split() for value in in_force(effective).get("lxc.hook.pre-start", []))
    return next((words[2:] for words in calls if words[:2] == [lxc.AGENT, "hook"]), [])


def value_of(option: str, words: Sequence[str]) -> str:
    """What stands behind an option; "" when it is not there."""
    return next((after for before, after in pairwise(words) if before == option), "")
