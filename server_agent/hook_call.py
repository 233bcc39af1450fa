"""PURE: what LXC tells a hook: which moment in which container's life it is called for; light, LXC waits for it."""

from __future__ import annotations

from qvd_usbip.errors import LXC_CONFIG_MISSING, USAGE, QvdUsbError
from qvd_usbip.ids import VmId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRE_START, START_HOST, POST_STOP = "pre-start", "start-host", "post-stop"
MOMENTS = frozenset((PRE_START, START_HOST, POST_STOP))


class HookCall:
    """Which moment in which container's life a hook was called for."""

    __slots__ = ("moment", "name")

    def __init__(self, *, name: VmId, moment: str) -> None:
        self.name = name
        self.moment = moment


def require_own_lines(call: HookCall, written_for: str) -> None:
    """Refuse the start of a container whose lines are another's: with them it would be in that one's place.

    Args:
        call: what LXC calls the hook for.
        written_for: the name in the hook's line; a copied or renamed container still has the old one.

    Raises:
        QvdUsbError: lxc-config-missing.
    """
    if written_for and written_for != str(call.name) and call.moment != POST_STOP:
        reason = f"its lines are those of '{written_for}', as after a copy or a new name, and have to be replaced"
        raise QvdUsbError(LXC_CONFIG_MISSING, container=call.name, reason=reason)


def parse_hook(environment: Mapping[str, str], arguments: Sequence[str]) -> HookCall:
    """What LXC calls a hook for; the environment counts before the arguments.

    Args:
        environment: LXC_NAME and LXC_HOOK_TYPE.
        arguments: NAME lxc MOMENT, as hook version 0 passes them.

    Raises:
        QvdUsbError: usage when neither says it, container-name-malformed.

    Source: lxc.container.conf(5), container hooks.
    """
    old_style = len(arguments) >= 3 and arguments[1] == "lxc"
    name = environment.get("LXC_NAME") or (arguments[0] if old_style else "")
    moment = environment.get("LXC_HOOK_TYPE") or (arguments[2] if old_style else "")
    if not name or moment not in MOMENTS:
        raise QvdUsbError(USAGE, reason="hook is called by LXC, as lxc.hook.pre-start, start-host or post-stop")
    return HookCall(name=VmId.parse(name), moment=moment)
