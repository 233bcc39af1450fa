"""PURE: every ratio that the project promises, and which of them a run shows."""

from collections.abc import Mapping, Sequence

from tests.bench.goals import Finding, Goal, Row
from tests.bench.sticks import STICKS

HOOK = Goal(
    name="node made",
    ours="qvd-create-device, a whole add",
    reference="python3 -I -S -c pass",
    limit=1.5,
)
LIST = Goal(
    name="devices listed",
    ours="qvd-usb list",
    reference="lsusb + python3 -I -S -c pass",
    limit=1.0,
)
READY = Goal(
    name="ticked to ready",
    ours="qvd-usb share, until the user may open it",
    reference="the same by hand: usbip bind, attach, right, mknod, setfacl",
    limit=1.25,
)
RIGHT = Goal(
    name="right in force",
    ours="the kernel's word decided, the right in the map and read back, at 64 containers with 8 devices",
    reference="bpftool map update",
    limit=1.0,
)
RIGHT_LXC = Goal(
    name="right by LXC",
    ours="the kernel's word decided, the right in LXC's list and read back from the program in force, 8 devices",
    reference="lxc-cgroup devices.allow",
    limit=1.5,
)
RIGHT_V1 = Goal(
    name="right by files",
    ours="the kernel's word decided, the right in each cgroup of a container and read back, at 64 with 8 devices",
    reference="the bare writes into devices.allow",
    limit=10.0,
)
ANSWERS = Goal(
    name="window answers",
    ours="99 of 100 turns of its event loop, 127 devices, the helper hangs",
    reference="50 ms",
    limit=1.0,
)
HOOK_PERL = Goal(
    name="node made, and Perl",
    ours="qvd-create-device, a whole add",
    reference="a start of Perl with the modules that QVD's own program loads",
    limit=0.25,
    unmeasured="the lab's container has no Perl with these modules",
)
LIST_HUNDRED = Goal(
    name="100 devices listed",
    ours="qvd-usb list",
    reference="lsusb + python3 -I -S -c pass",
    limit=1.0,
)

PROMISES: tuple[Goal, ...] = (
    HOOK, HOOK_PERL, LIST, LIST_HUNDRED, READY, RIGHT, RIGHT_LXC, RIGHT_V1, ANSWERS, *(each.goal for each in STICKS),
)  # fmt: skip
"""In the order they are shown."""


def rows_of(findings: Sequence[Finding], missing: Mapping[str, str]) -> list[Row]:
    """Every promise with its finding; what was measured beyond them comes last.

    Args:
        findings: what was measured.
        missing: why not, by the goal's name.
    """
    found = {each.goal.name: each for each in findings}
    rows = [_row(found.pop(goal.name, None), goal, missing) for goal in PROMISES]
    return rows + [Row(goal=each.goal, finding=each) for each in found.values()]


def _row(finding: Finding | None, goal: Goal, missing: Mapping[str, str]) -> Row:
    if finding:
        return Row(goal=finding.goal, finding=finding)
    return Row(goal=goal, finding=None, why=goal.unmeasured or missing.get(goal.name, "no run of it is kept"))
