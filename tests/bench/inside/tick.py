"""EFFECT: in the client guest, as the user: ticks a device in the engine and times it until it is in use remotely.

python3 tick.py KEY TIMES <session.json
Each line of the FIFO `orders` beside TIMES is `tick`, `untick` or `end`; for each, TIMES gets a line
{"seconds", "steps": {name: milliseconds since the tick}}. The engine is the picker's own; only the mouse is missing.
"""

import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, "/usr/lib/qvd-usbip/python")
from client_gui.engine import Engine
from client_gui.session import parse_session
from client_gui.state import DeviceState, Snapshot

PATIENCE = 240.0  # seconds; the machine may be busy


class Bench:
    """An engine whose rows can be waited for."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._changed = threading.Condition()
        self._state: DeviceState | None = None
        self._text = ""
        self.steps: dict[str, int] = {}
        self.engine = Engine()

    def start(self, session: str) -> None:
        self.engine.set_session(parse_session(session))
        self.engine.subscribe(self._see)
        self.engine.start()
        self.reach(DeviceState.NOT_SHARED)

    def toggle(self, *, on: bool) -> float:
        """Tick or untick; returns the seconds until that is so on both sides."""
        began = time.perf_counter()
        self.engine.toggle(self.key, on)
        self.reach(DeviceState.IN_USE if on else DeviceState.NOT_SHARED)
        return time.perf_counter() - began

    def reach(self, state: DeviceState) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._state is state, PATIENCE):
                raise SystemExit(f"{self.key} is {self._state} ({self._text}), not {state}")

    def _see(self, snapshot: Snapshot) -> None:
        for row in snapshot.rows:
            if row.key == self.key:
                with self._changed:
                    self._state, self._text = row.state, row.problem_text
                    self.steps = {step.name: step.milliseconds for step in row.steps}
                    self._changed.notify_all()


def main(key: str, times: Path) -> None:
    bench = Bench(key)
    bench.start(sys.stdin.read())
    try:
        with times.open("a", encoding="ascii", buffering=1) as results:
            while word := times.with_name("orders").read_text(encoding="ascii").strip():
                if word == "end":
                    return
                seconds = bench.toggle(on=word == "tick")
                print(json.dumps({"seconds": round(seconds, 4), "steps": bench.steps}), file=results)
    finally:
        bench.engine.stop()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
