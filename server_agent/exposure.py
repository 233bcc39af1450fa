"""PURE: whether a number was open to another container when drivers gave it to a device.

Drivers take a number as soon as it is free; the right of whoever had it before goes a moment later, and what was opened
in that moment stays open for as long as the device is there. So the device goes, and comes again by its client.

The kernel counts its events (SEQNUM). A number can be opened since some count (Beginnings in kernel/udev.py), and at
some count a right is seen to be gone: the smaller one came first.
"""

from dataclasses import replace

from qvd_usbip.ids import VmId
from server_agent.draft import Draft
from server_agent.events import Observed
from server_agent.state import Device, Right, State, Taken

PROBLEM = "number-exposed"


def note_taken(draft: Draft, name: VmId, right: Right, count: int) -> None:
    """A right is seen to be gone: whoever got its number before that moment shared it with this container."""
    taken = draft.state.taken
    from_whom = {**taken.get(right, {}), name: Taken(at=draft.now, count=count)}
    draft.state = replace(draft.state, taken={**taken, right: from_whom})


def forget(draft: Draft, seen: Observed) -> None:
    """Of what was taken two looks ago every event has been read, and every number was looked at since."""
    state = draft.state
    lately = {
        right: {name: taken for name, taken in from_whom.items() if taken.at >= state.looked}
        for right, from_whom in state.taken.items()
    }
    kept = {right: from_whom for right, from_whom in lately.items() if from_whom}
    draft.state = replace(state, taken=kept, looked=seen.at)


def exposed(state: State, device: Device, right: Right, since: int | None) -> bool:
    """Whether another container could open a number when the device got it.

    Args:
        state: all that is known.
        device: which got it.
        right: the number.
        since: the count since which it can be opened; None for a number that was found by a look.
    """
    holder = state.holder(right)
    if holder is not None and holder.container != device.container:
        return True
    if any(pending == right and name != device.container for name, pending in state.revoking):
        return True
    return any(
        name != device.container and (since is None or since <= taken.count)
        for name, taken in state.taken.get(right, {}).items()
    )


def open_elsewhere(seen: Observed, device: Device, right: Right) -> bool:
    """Whether another container was seen to have a right to it, remembered or not."""
    return any(right in (rights or ()) for name, rights in seen.rights.items() if name != device.container)
