"""EFFECT: one_step.py STEP FOLDER: does one step of the agent on a simulated host of one container with one device.

STEP: `look`: look around and do what follows, until nothing does; `revoke`: the same, then take the device away;
`save`: write the ledger anew. Between two getppid(2), which nothing else here calls, lies what the test is about.
"""

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from qvd_usbip.errors import QvdUsbError
from server_agent import actions, events
from server_agent.daemon import Wiring
from server_agent.decide import decide
from server_agent.kernel import vhci
from server_agent.state import State
from tests.kit.crowd.host import Crowd

BESIDE = (actions.Answer, actions.OpenBroker, actions.CloseBroker, actions.LookAround, actions.Judged)


def turn(folder: Path) -> Path:
    """The FIFO that a step reads while it waits for the kernel, which closes it when it has done its work."""
    return folder / "turn"


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Where the agent would look at a port again and again, it lets the kernel work: so each run has the same calls."""
    ours = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: turn(folder).read_bytes())
    with patch.object(vhci, "time", ours):
        yield


def drive(wiring: Wiring, state: State, event: events.Event) -> State:
    """Decide about an event and do what follows, in the order decided, as the daemon does, but all at once."""
    waiting = deque([event])
    while waiting:
        state, todo = decide(state, waiting.popleft())
        for action in todo:
            if isinstance(action, actions.Remember):
                wiring.ledger.save(state)
                waiting.append(events.Remembered(at=event.at))
            elif isinstance(action, actions.RememberSoon):
                wiring.ledger.save(state)
            elif isinstance(action, actions.OpenBroker):
                waiting.append(events.BrokerOpened(at=event.at, container=action.container))
            elif not isinstance(action, BESIDE):
                result = wiring.executor.perform(action)
                if isinstance(action, actions.Revoke) and result is None:
                    result = taken(wiring, action, event.at)
                waiting.extend([] if result is None else [result])
    return state


def taken(wiring: Wiring, action: actions.Revoke, at: float) -> events.Event:
    """As server_agent/granting.py, without its tries: nobody is in the kernel here."""
    assert wiring.executor.no_open_under_way(action.container)
    count = wiring.executor.events_counted()
    return events.Revoked(at=at, container=action.container, right=action.right, count=count)


def look(crowd: Crowd) -> State:
    """What an agent does when it starts."""
    crowd.events.close()
    wiring = crowd.wiring()
    state = drive(wiring, wiring.ledger.load(time.monotonic()), wiring.observer.look(time.monotonic()))
    return drive(wiring, state, wiring.observer.look(time.monotonic()))


def main(step: str, folder: Path) -> None:
    """Do the step."""
    crowd = Crowd.existing(folder, containers=1, devices=1)
    wiring = crowd.wiring()
    state = wiring.ledger.load(time.monotonic())
    seen = wiring.observer.look(time.monotonic())
    if step == "revoke":
        state = drive(wiring, state, seen)
    os.getppid()
    if step == "look":
        drive(wiring, state, seen)
    elif step == "revoke":
        taken = events.RevokeAsked(at=time.monotonic(), container=crowd.name(1), busid=crowd.busid(1, 0), request=1)
        drive(wiring, state, taken)
    else:
        wiring.ledger.save(state)
    os.getppid()


if __name__ == "__main__":
    try:
        with taking_turns(Path(sys.argv[2])):
            main(sys.argv[1], Path(sys.argv[2]))
    except QvdUsbError as error:
        sys.exit(str(error))
