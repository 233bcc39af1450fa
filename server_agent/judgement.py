"""PURE: what endangers the host is refused before any driver has it; the rest is the client's business.

Only what this kernel enumerated counts: what a client declares about its device proves nothing.
"""

from qvd_usbip import classes
from server_agent.events import Inspected


def judge(found: Inspected, *, isochronous_allowed: bool) -> str:
    """The Problem code for which a device must not reach a container; empty when it may.

    Args:
        found: what enumerated.
        isochronous_allowed: this kernel bears an answer to an isochronous transfer that lies, or the administrator
            takes the risk; see qvd_usbip.kernel_defects.ISOCHRONOUS.
    """
    if classes.is_hub(found.device.cls, found.device.interfaces):
        return "device-is-hub"
    if not found.complete:
        return "device-refused"
    return "isochronous-unsafe" if found.isochronous and not isochronous_allowed else ""
