"""PURE: what goes wrong with one device or with all, and the sentence and remedy that a person reads."""

from __future__ import annotations

from client_gui.state import Trouble
from qvd_usbip.errors import QvdUsbError, problem_of
from qvd_usbip.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client_gui.state import DeviceState, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a share failed: a Problem code, its sentence and remedy where they are known better than the code tells.

    `seconds` is how long was waited, where that is the reason.
    """

    code: str
    text: str = ""
    remedy: str = ""
    seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far one device is on its way: `retry_in` in seconds, where it is tried again, else after how many `tries`."""

    state: DeviceState
    steps: tuple[Step, ...] = ()
    fault: Fault | None = None
    retry_in: float | None = None
    tries: int = 0


UNTOLD = {
    "address": "its address",
    "container": "your desktop",
    "device": "this device",
    "group": "createdevice.acl.group",
    "hub": "its hub",
    "name": "of your desktop",
    "node": "for it",
    "path": "the agent's folder",
    "reason": "the other end's log says why",
    "rule": "the other end's log names the rule",
    "seconds": "a few",
}
"""What stands in a sentence for what the other end, which sends the code alone, does not tell."""


def describe(fault: Fault, **context: str) -> tuple[str, str]:
    """Decides sentence and remedy: the fault's own where it has some, else those of its Problem code."""
    told: dict[str, str] = {**context, **({"seconds": str(fault.seconds)} if fault.seconds else {})}
    error = QvdUsbError(problem_of(fault.code), **{**UNTOLD, **told})
    return fault.text or str(error), fault.remedy or error.remedy()


def fault_of(error: QvdUsbError) -> Fault:
    """The fault that this error is for one device."""
    return Fault(code=error.problem.code, text=str(error), remedy=error.remedy())


def trouble_of(fault: Fault) -> Trouble:
    """Decides how a fault that concerns every device is shown."""
    text, remedy = describe(fault)
    return Trouble(code=fault.code, text=text, remedy=remedy)
