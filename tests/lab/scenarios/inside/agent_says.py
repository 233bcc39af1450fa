"""EFFECT: agent_says.py SECONDS yes|no PATTERN WORD…: asks `qvd-usb-agent WORD…` until its answer has PATTERN, or not.

The command's own code, asked again and again in one process: to start Python for each question would take the
processor from what is waited for. An agent that does not answer has said neither. Prints the last answer; 1: too late.
"""

import contextlib
import io
import re
import sys
import time

sys.path.insert(0, "/usr/lib/qvd-usbip/python")

from server_agent import cli


def main(seconds: str, wanted: str, pattern: str, *words: str) -> int:
    end = time.monotonic() + float(seconds)
    while True:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = cli.main(words)
        found = re.search(pattern, said.getvalue(), re.MULTILINE)
        done = status == 0 and bool(found) == (wanted == "yes")
        if done or time.monotonic() > end:
            print(said.getvalue())
            return 0 if done else 1
        time.sleep(0.1)


sys.exit(main(*sys.argv[1:]))
