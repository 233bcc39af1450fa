"""EFFECT: times commands in turn, on whatever machine it stands: `python3 turns.py` with a JSON object on its input.

In: {"rounds": 20, "commands": {"ours": ["program", …], …}, "environment": {…}}
Out: {"ours": [seconds, …], …}; a command that fails ends it, with the command's own words.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any


def measure(request: dict[str, Any]) -> dict[str, list[float]]:
    """Run every command once a round, the first round only to warm the caches; returns the seconds of each."""
    commands: dict[str, list[str]] = request["commands"]
    environment = dict(os.environ) | request.get("environment", {})
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(request["rounds"] + 1):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
            if number:
                taken[name].append(time.perf_counter() - began)
    return taken


if __name__ == "__main__":
    json.dump(measure(json.load(sys.stdin)), sys.stdout)
