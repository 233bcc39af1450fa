"""PURE: a fault -> the sentence and the remedy that a person reads."""

from __future__ import annotations

from client_gui.state import Trouble
from client_gui.steps import Fault
from qvd_usbip.errors import QvdUsbError, problem_of


def describe(fault: Fault, **context: str) -> tuple[str, str]:
    """Decides sentence and remedy: the fault's own where it has some, else those of its Problem code."""
    error = QvdUsbError(problem_of(fault.code), seconds=fault.seconds, **context)
    return fault.text or str(error), fault.remedy or error.remedy()


def fault_of(error: QvdUsbError) -> Fault:
    """The fault that this error is for one device."""
    return Fault(code=error.problem.code, text=str(error), remedy=error.remedy())


def trouble_of(fault: Fault) -> Trouble:
    """Decides how a fault that concerns every device is shown."""
    text, remedy = describe(fault)
    return Trouble(code=fault.code, text=text, remedy=remedy)
