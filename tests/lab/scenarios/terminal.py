"""EFFECT: a person at the client who uses `qvd-usb` in two terminals: one runs the session, one gives commands."""

import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qvd_usbip.errors import NO_SESSION
from tests.lab.containers import Container
from tests.lab.errors import TimedOut
from tests.lab.guest import Guest, Result
from tests.lab.product import SLAVE_KEYS

USER = "user"
SHARE_LIST_FILE = f"/home/{USER}/.qvd/client.conf"
_HOLD = "(exec 3>pipe; cat session >&3; exec sleep infinity) & echo $! >holder"
_CONNECT = "qvd-usb connect --session - --json <pipe"


@dataclass(slots=True)
class Terminal:
    """An account of the client, `user` unless another one is named, and the pipe its session comes through."""

    guest: Guest
    user: str = USER

    @property
    def folder(self) -> str:
        """Where its pipe is, and what `qvd-usb connect` said."""
        return f"/run/terminal-{self.user}"

    def prepare(self, *settings: str) -> None:
        """Writes the user's configuration; `settings` such as `client.usb.enable=1`."""
        lines = "".join(f"{line}\n" for line in settings)
        self.guest.run(
            f"user={self.user}; install -d -o $user -g $user {self.folder}; "
            "install -d -o $user -g $user -m 0700 /home/$user/.qvd; "
            "install -o $user -g $user /dev/stdin /home/$user/.qvd/client.conf",
            stdin=lines,
        )

    def command(self, words: str, *, check: bool = True) -> Result:
        """Runs `qvd-usb WORDS` as the user."""
        return self.guest.run_as(self.user, f"qvd-usb {words}", timeout=120, check=check)

    def connect(self, container: Container, key: str = "") -> None:
        """Starts `qvd-usb connect` with a session to a container, as `connect_with` does."""
        self.connect_with({
            "v": 1,
            "name": f"Desktop {container.name}",
            "address": f"{container.address}:11100",
            "key": key or SLAVE_KEYS[container.name],
            "encryption": "none",
        })  # fmt: skip

    def connect_with(self, session: Mapping[str, object]) -> None:
        """Starts `qvd-usb connect` with this session, whose pipe stays open until `close` or `kill`.

        It is a process of its own, and its end takes nothing with it, as in a terminal.
        """
        self.guest.run(
            f"cd {self.folder}; rm -f *; mkfifo -m 0600 pipe; install -o {self.user} -m 0600 /dev/stdin session; "
            f"chown {self.user} *",
            stdin=json.dumps(session) + "\n",
        )
        self._start(f"{_HOLD}; {_CONNECT}")

    def connect_by_name(self, name: str) -> None:
        """Starts `qvd-usb connect` with a stored session, which lasts until it ends by itself."""
        self.guest.run(f"install -d -o {self.user} -g {self.user} {self.folder}; cd {self.folder}; rm -f *")
        self._start(f"qvd-usb connect {name} --json")

    def ended(self) -> int:
        """Waits until `qvd-usb connect` ends by itself; its exit status."""
        return self._status()

    def _start(self, line: str) -> None:
        """Starts a line whose last command is `qvd-usb connect`; the shell around it notes how that ends."""
        properties = ["-p", f"WorkingDirectory={self.folder}", "-p", "KillMode=process"]
        noted = f"{line} >out 2>err & echo $! >pid; wait $!; echo $? >status.new; mv status.new status"
        literal = noted.replace("$", "$$")  # systemd expands variables itself
        who = [f"--unit=terminal-{self.user}", f"--uid={self.user}"]
        self.guest.run(["systemd-run", "-q", "--collect", *who, *properties, "bash", "-c", literal])

    def close(self) -> int:
        """Closes the session's pipe; the exit status of `qvd-usb connect`."""
        self.guest.run(f"kill $(cat {self.folder}/holder)")
        return self._status()

    def kill(self) -> int:
        """Kills `qvd-usb connect` and nothing else; its exit status, as a shell has it."""
        self.guest.run(f"cd {self.folder}; kill -KILL $(cat pid); kill $(cat holder)")
        return self._status()

    def _status(self) -> int:
        return int(self.guest.until(f"cat {self.folder}/status 2>/dev/null", timeout=60).out)

    def said(self) -> str:
        """What `qvd-usb connect` printed, its complaints included."""
        return self.guest.run(f"cat {self.folder}/out {self.folder}/err").out

    def device(self, identity: str) -> dict[str, Any]:
        """What `qvd-usb status` says of a device; nothing for one it does not list, or while there is no session."""
        said = self.command("status --json", check=False)
        if said.rc == NO_SESSION.exit_status:
            return {}
        assert not said.rc, said.out
        status = json.loads(said.out)
        return next((dict(each) for each in status["devices"] if each["identity"] == identity), {})

    def until_state(self, identity: str, state: str, patience: float = 90) -> dict[str, Any]:
        """Waits until `qvd-usb connect` told and `qvd-usb status` says that a device is in this state."""
        words = ('"event": "device"', f'"identity": "{identity}"', f'"state": "{state}"')
        told = " | ".join(f"grep -F {shlex.quote(each)}" for each in words)
        self.guest.until(f"cat {self.folder}/out | {told}", patience, 0.3)
        end = time.monotonic() + patience
        while (device := self.device(identity)).get("state") != state:
            if time.monotonic() > end:
                raise TimedOut(f"not {state} within {patience:.0f} s: {device}; qvd-usb connect said:\n{self.said()}")
        return device
