"""PURE: what endangers the host is refused before any driver has it; the rest is the client's business.

Only what this kernel enumerated counts: what a client declares about its device proves nothing.
"""

from qvd_usbip import policy
from server_agent.events import Inspected

HUB_RULE = policy.Rule("hub", policy.DENY, subject="hub")
RULES = (HUB_RULE, policy.Rule("default", policy.ALLOW))


def judge(found: Inspected, *, isochronous_allowed: bool) -> str:
    """The Problem code for which a device must not reach a container; empty when it may.

    Args:
        found: what enumerated.
        isochronous_allowed: this kernel bears an answer to an isochronous transfer that lies, or the administrator
            takes the risk; see qvd_usbip.kernel_defects.ISOCHRONOUS.
    """
    verdict = policy.judge(found.device, RULES)
    if not verdict.allowed:
        return "device-is-hub" if verdict.rule == HUB_RULE.name else "device-refused"
    if not found.complete:
        return "device-refused"
    return "isochronous-unsafe" if found.isochronous and not isochronous_allowed else ""
