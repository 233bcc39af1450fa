"""EFFECT: waits for what `qvd-usb-agent status` and its other commands say."""

from pathlib import Path

from tests.lab.errors import TimedOut
from tests.lab.guest import Guest

_PROGRAM = Path(__file__).with_name("inside") / "agent_says.py"


def until_agent_says(server: Guest, pattern: str, command: str = "status", patience: float = 30) -> str:
    """Waits until an answer of the agent has a pattern; the answer.

    Args:
        server: the guest with the agent.
        pattern: a regular expression, whose `^` and `$` are a line's; an empty one waits for any answer.
        command: the words after `qvd-usb-agent`.
        patience: seconds.
    """
    return _until(server, "yes", pattern, command, patience)


def until_agent_says_no_more(server: Guest, pattern: str, command: str = "status", patience: float = 30) -> str:
    """Waits until an answer of the agent lacks a pattern; as `until_agent_says`."""
    return _until(server, "no", pattern, command, patience)


def _until(server: Guest, wanted: str, pattern: str, command: str, patience: float) -> str:
    program = _PROGRAM.read_text(encoding="utf-8")
    words = ["python3", "-I", "-c", program, f"{patience:.0f}", wanted, pattern, *command.split()]
    done = server.run(words, timeout=patience + 60, check=False)
    if done.rc:
        raise TimedOut(f"qvd-usb-agent {command}: not within {patience:.0f} s ({wanted}): {pattern}\n{done.out}")
    return done.out
