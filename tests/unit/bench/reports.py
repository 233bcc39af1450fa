"""A report as a run could have written it."""

from tests.bench.goals import Finding
from tests.bench.promises import ANSWERS, HOOK, LIST, READY, RIGHT
from tests.bench.report import Measured, Report, Speeds

HOSTILE = "<script>alert('1')</script> & \"more\""
WAYS = ("usbip by hand", "ours", "ours, encrypted by the kernel")


def report() -> Report:
    """Every kind of content; the list could not be measured, for a reason that would be a program in a page."""
    findings = (
        Finding(goal=HOOK, ours=(700.0, 710.0, 690.0), reference=(500.0, 520.0, 510.0)),
        Finding(goal=READY, ours=(5000.0, 4900.0), reference=(3500.0, 3600.0)),
        Finding(
            goal=RIGHT, ours=(*((200 + number) / 1000 for number in range(512)), 90.0, 80.0), reference=(40.0, 41.0)
        ),
        Finding(goal=ANSWERS, ours=(20.0, 22.0, 21.0), reference=(50.0,)),
    )
    speeds = tuple(Speeds(way=way, rounds={0: (4.0, 4.4), 10: (2.0, 2.1), 50: (0.5, 0.6)}) for way in WAYS)
    steps = {"released": (1000.0, 1100.0), "exported": (1500.0, 1600.0), "ready": (4900.0, 5000.0)}
    measured = Measured(
        findings=findings, missing={LIST.name: HOSTILE}, steps=steps, late=(0.1,) * 200 + (7.0, 70.0),
        speeds=speeds, said=("the agent at rest: 0.1 %",), machine={"processors": "2", "kernel": "6.12"},
    )  # fmt: skip
    return Report(at="2026-01-02 03:04 UTC", measured=measured)
