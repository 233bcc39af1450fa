"""EFFECT: device numbers used again, thousands of times, while root of the other container tries them.

What it does is in scenarios/inside/reuse.py; the same, shorter, is a scenario (test_numbers_used_again.py).
"""

import json
import re
import time
from pathlib import Path
from typing import Any

from tests.lab import Lab
from tests.lab.progress import say
from tests.lab.recipe import CONTAINERS
from tests.lab.scenarios import software

INSIDE = Path(__file__).parents[1] / "scenarios/inside"
RESULT = "/run/reuse.json"
UNIT = "reuse"
LOOK_SECONDS = 10
EXPLAINED, AROUND_SECONDS = 3, 1.0  # of so many wrong opens what the agent said so long before and after
STAMP = re.compile(r"\[ *([0-9.]+)\]")
#: Neither the nodes that the image makes nor the host's own are what is tried here, and each event starts programs.
NO_UDEVD = "systemctl stop systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd"


class Reuse:
    """The cycles in the server guest."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server = lab.server

    def prepare(self) -> None:
        """Puts the programs in place, and takes away what would only cost time."""
        software.put_kit(self.server)
        self.server.push(INSIDE / "reuse.py", "/usr/local/bin/reuse.py")
        for name in CONTAINERS:
            text = (INSIDE / "spin.py").read_text(encoding="utf-8")
            container = self.lab.container(name)
            container.run("cat >/usr/local/bin/spin.py", stdin=text)
            container.run(NO_UDEVD)
        self.server.run(f"modprobe -a cdc-acm usb-storage sd-mod; {NO_UDEVD}")
        self.server.run("echo 0 >/sys/module/usb_storage/parameters/delay_use")

    def run(self, cycles: int, *, seed: int = 0, gate_off: bool = False, patience: float = 600) -> dict[str, Any]:
        """Goes through the cycles; what was counted, with every open by the wrong container under `wrong`.

        Args:
            cycles: how many devices come and go.
            seed: of what is left to chance.
            gate_off: without the gate, as a counter-proof.
            patience: seconds after which it is given up.

        Returns:
            For each wrong open, under `agent`, what the agent said around that moment, too.
        """
        words = f"python3 /usr/local/bin/reuse.py {cycles} --seed {seed}{' --gate-off' if gate_off else ''}"
        self.server.run(f"rm -f {RESULT} /run/reuse.progress")
        self.server.spawn(f"{words} >{RESULT}.new; echo $? >{RESULT}.status; mv {RESULT}.new {RESULT}", UNIT)
        end = time.monotonic() + patience
        while not self.server.run(f"test -e {RESULT}", check=False):
            if time.monotonic() > end:
                raise TimeoutError(self.server.run(f"journalctl -u {UNIT} -o cat | tail -30").out)
            shown = self.server.run("cat /run/reuse.progress", check=False)
            if shown:
                found = json.loads(shown.out)
                say(f"{found['cycles']} of {cycles} cycles in {found['seconds']} s, {found['reused']} numbers reused")
            time.sleep(min(LOOK_SECONDS, max(1, cycles / 50)))
        text = self.server.run(f"cat {RESULT}").out
        if not text:
            raise RuntimeError(self.server.run(f"journalctl -u {UNIT} -o cat | tail -30").out)
        done: dict[str, Any] = json.loads(text)
        done["agent"] = [] if gate_off else [self._said_around(row["at"]) for row in done["wrong"][:EXPLAINED]]
        return done

    def _said_around(self, moment: float) -> list[str]:
        lines = self.server.run("journalctl -u qvd-usb-agent -o short-monotonic --no-hostname").out.splitlines()
        stamped = [(float(found[1]), line) for line in lines if (found := STAMP.match(line))]
        return [line for at, line in stamped if abs(at - moment) < AROUND_SECONDS]
