"""EFFECT: follows one attach for a client: asks the agent, and looks whether the user may open what has appeared."""

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from qvd_usbip import broker
from qvd_usbip.ack import Ack, AckState
from qvd_usbip.errors import BROKER_MISSING, BROKER_PROTOCOL, DEVICE_GONE, DEVICE_REFUSED, NODE_UNUSABLE, QvdUsbError
from qvd_usbip.wire import AckRequest
from vma_hooks.broker_client import AT_ONCE, Agent
from vma_hooks.readiness import find_obstacle

_REMEMBERED = 256
_LOOK_EVERY, _LOOK_LATER_EVERY = 0.05, 0.5
_ASK_EVERY = 1.0
_ASK_FOR_NODES_EVERY = 0.5  # looking at nodes costs little; asking the agent costs both sides, while the node is made
_WAITS = AT_ONCE - 2  # waiting never takes the last connections to the agent
_SOON = 3.0  # a node is made within that time, or something is wrong
_TELL_STEP_AFTER = 1.0  # the steps between attached and ready are news where the next one does not come soon
_UNDER_WAY_SECONDS = 3.0  # the client may ask before its own device line was read
_ENDED = {DEVICE_GONE: AckState.GONE, BROKER_MISSING: AckState.FAILED}

Value = TypeVar("Value")


class Follower:
    """Answers "how far is it?"; remembers what each client was told last, to answer again only when that changes.

    Args:
        agent: the broker.
        dev: /dev.
        bits: the rights the user was promised on each node (4 read, 2 write).
    """

    def __init__(self, agent: Agent, dev: Path, bits: int) -> None:
        self._agent = agent
        self._dev = dev
        self._bits = bits
        self._lock = threading.Lock()
        self._waits = threading.BoundedSemaphore(_WAITS)
        self._told: OrderedDict[str, AckState] = OrderedDict()
        self._failed: OrderedDict[str, Ack] = OrderedDict()

    def note_failure(self, attach_id: str, error: QvdUsbError) -> None:
        """Keep the problem of an attach that never reached the agent or that it refused."""
        state = AckState.REFUSED if error.problem is DEVICE_REFUSED else AckState.FAILED
        with self._lock:
            _remember(self._failed, attach_id, Ack(state=state, problem=error.problem.code))

    def follow(self, request: AckRequest) -> Ack:
        """Answer at once with news, else as soon as there is any, at the latest when the client's wait is over.

        Raises:
            QvdUsbError: the agent does not answer now: nothing is known, the client should ask again.
        """
        end = time.monotonic() + request.wait
        with self._lock:
            told = self._told.get(request.attach_id)
        answer, nodes = self._ask(request.attach_id, told, end)
        if answer.state is AckState.AUTHORISED:
            answer = self._until_usable(request.attach_id, told, nodes, end)
        with self._lock:
            _remember(self._told, request.attach_id, answer.state)
        return answer

    def _ask(self, attach_id: str, told: AckState | None, end: float) -> tuple[Ack, tuple[str, ...]]:
        # Readiness is found out here, not by the agent: what was told as authorised is looked at again at once.
        seen = None if told is AckState.AUTHORISED else told
        give_up = min(end, time.monotonic() + _UNDER_WAY_SECONDS)
        while True:
            with self._lock:
                failure = self._failed.get(attach_id)
            if failure is not None:
                return failure, ()
            ack, nodes = self._change(attach_id, seen, end) if seen else self._status(attach_id)
            if told is not None and ack.state is AckState.GRANTED and seen is not AckState.GRANTED:
                seen, end = ack.state, min(end, time.monotonic() + _TELL_STEP_AFTER)
            elif ack.state is not AckState.GONE or told is not None or time.monotonic() >= give_up:
                return ack, nodes
            else:
                time.sleep(_LOOK_EVERY)

    def _until_usable(self, attach_id: str, told: AckState | None, nodes: tuple[str, ...], end: float) -> Ack:
        """Look for the nodes until the user may open them all, then tell the agent; or until it is time to answer."""
        if told is not AckState.AUTHORISED:
            end = min(end, time.monotonic() + _TELL_STEP_AFTER)
        began = time.monotonic()
        ask_again = began + _ASK_FOR_NODES_EVERY if nodes else began
        ack = Ack(state=AckState.AUTHORISED)
        while True:
            now = time.monotonic()
            if now >= ask_again or self._usable(nodes):
                ack, nodes = self._status(attach_id)
                if ack.state is not AckState.AUTHORISED:
                    return ack
                if self._usable(nodes):
                    ready = self._agent.ask(broker.Ready(attach_id=attach_id, node=f"/dev/{_main_node(nodes)}"))
                    return ready.ack or self._status(attach_id)[0]  # an older agent only says that it has heard it
                ask_again = now + _ASK_FOR_NODES_EVERY
            pause = _LOOK_EVERY if now - began < _SOON else _LOOK_LATER_EVERY
            if now + pause >= end:
                return replace(ack, problem=NODE_UNUSABLE.code) if told is AckState.AUTHORISED else ack
            time.sleep(pause)

    def _usable(self, nodes: tuple[str, ...]) -> bool:
        return bool(nodes) and find_obstacle(nodes, self._bits, self._dev) is None

    def _change(self, attach_id: str, seen: AckState, end: float) -> tuple[Ack, tuple[str, ...]]:
        """Wait for another state than `seen`: in the agent if there is room, else by asking now and then."""
        while True:
            left = max(0, round(end - time.monotonic()))
            if self._waits.acquire(blocking=False):
                try:
                    return self._status(attach_id, seen, min(broker.MAX_WAIT, left))
                finally:
                    self._waits.release()
            ack, nodes = self._status(attach_id)
            if ack.state is not seen or not left:
                return ack, nodes
            time.sleep(_ASK_EVERY)

    def _status(self, attach_id: str, seen: AckState | None = None, wait: int = 0) -> tuple[Ack, tuple[str, ...]]:
        try:
            answer = self._agent.ask(broker.Status(attach_id=attach_id, wait=wait, seen=seen))
        except QvdUsbError as error:
            if error.problem not in _ENDED:
                raise
            return Ack(state=_ENDED[error.problem], problem=error.problem.code), ()
        if answer.ack is None:
            raise QvdUsbError(BROKER_PROTOCOL, reason="a status without an acknowledgement")
        return answer.ack, answer.nodes


def _main_node(nodes: tuple[str, ...]) -> str:
    return next((name for name in nodes if name.startswith("bus/usb/")), nodes[0])


def _remember(table: OrderedDict[str, Value], attach_id: str, value: Value) -> None:
    table[attach_id] = value
    table.move_to_end(attach_id)
    if len(table) > _REMEMBERED:
        table.popitem(last=False)
