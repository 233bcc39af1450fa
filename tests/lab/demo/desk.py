"""EFFECT: the user's desk in the client guest: an X screen, a session bus, the picker, a mouse."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from tests.lab.guest import Guest, Result

GUEST_FILES = Path(__file__).parent / "guest"
FOLDER = "/run/demo"
USER = "desk"
DISPLAY = ":7"
SCREEN = "560x640x24"  # as large as the window, which nobody places: there is no window manager
SHARE_LIST_FILE = f"/home/{USER}/.qvd/client.conf"
#: The desktop's font; without a desktop nobody names one.
FONTS = (
    '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><alias binding="strong">'
    "<family>sans-serif</family><prefer><family>Inter</family></prefer></alias></fontconfig>"
)
ENVIRONMENT = (
    f"DISPLAY={DISPLAY} DBUS_SESSION_BUS_ADDRESS=unix:path={FOLDER}/bus HOME=/home/{USER} XDG_RUNTIME_DIR={FOLDER}/user"
    " QT_QPA_PLATFORM=xcb QT_LINUX_ACCESSIBILITY_ALWAYS_ON=1 NO_AT_BRIDGE=0"
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a person at the client machine has: a screen to look at and a mouse to click with."""

    guest: Guest
    screen: str = SCREEN

    def prepare(self) -> None:
        """Makes the user, who may share devices, and the user's configuration; starts screen and session bus."""
        settings = "client.usb.enable=1\nclient.usb.allow_plaintext=1\n"
        self.guest.run(
            f"id -u {USER} >/dev/null 2>&1 || useradd -m -s /bin/bash -G qvdusb {USER}\n"
            f"install -d -o {USER} -g {USER} -m 0700 {FOLDER} {FOLDER}/user /home/{USER}/.qvd\n"
            f"install -d -o {USER} -g {USER} /home/{USER}/.config /home/{USER}/.config/fontconfig\n"
            f"echo '{FONTS}' >/home/{USER}/.config/fontconfig/fonts.conf\n"
            f"chmod 0755 {FOLDER}; printf '{settings}' >{SHARE_LIST_FILE}; chown {USER}: {SHARE_LIST_FILE}"
        )
        for name in ("click.py", "grab.py", "paint.py"):
            self.guest.push(GUEST_FILES / name, f"{FOLDER}/{name}")
        # Without -noreset it begins anew, and drops whoever is just coming, each time when its last client leaves.
        self.start("screen", f"Xvfb {DISPLAY} -screen 0 {self.screen} -nolisten tcp -noreset")
        self.start("bus", f"dbus-daemon --session --nofork --address=unix:path={FOLDER}/bus")
        self.guest.until(f"test -S {FOLDER}/bus", timeout=60)
        self.start("accessibility", "/usr/libexec/at-spi-bus-launcher --launch-immediately")
        self.guest.until(f"test -S /tmp/.X11-unix/X{DISPLAY[1:]}", timeout=60)

    def start(self, unit: str, command: str) -> None:
        """Runs a program of the user as a unit of its own; its end takes nothing with it that it started."""
        self.guest.run(
            f"systemd-run -q --unit=demo-{unit} --uid={USER} -p WorkingDirectory=/ -p SupplementaryGroups=qvdusb"
            f" -p KillMode=process env {ENVIRONMENT} {command}"
        )

    def open_picker(self, session: dict[str, object]) -> None:
        """Starts the picker with a session on its standard input, a pipe that stays open as long as the picker."""
        pipe, words = f"{FOLDER}/session", f"{FOLDER}/session.json"
        self.guest.run(
            f"rm -f {pipe}; mkfifo {pipe}; install -m 0600 /dev/stdin {words}; chown {USER}: {pipe} {words}",
            stdin=json.dumps(session) + "\n",
        )
        body = f"exec 3<>{pipe}; cat {words} >&3; exec qvd-usb-picker --session - <&3"
        self.start("picker", f"bash -c '{body}'")

    def list_devices(self) -> list[dict[str, object]]:
        """Returns what `qvd-usb list --json` tells the user."""
        text = self.as_user("qvd-usb list --json").out
        parsed = json.loads(text)
        return list(parsed["devices"])

    def as_user(self, command: str, *, check: bool = True) -> Result:
        """Runs a command as the user, in the user's session."""
        return self.guest.run(f"runuser -u {USER} -- env {ENVIRONMENT} {command}", check=check, timeout=120)

    def click(self, name: str) -> tuple[str, float]:
        """Clicks a control of the picker by its accessible name, with the real pointer.

        Returns where, as "X Y", and when, in seconds of the guest's clock.
        """
        place, _, moment = self.as_user(f"python3 {FOLDER}/click.py {shlex.quote(name)}").out.strip().rpartition(" ")
        return place, float(moment)

    def place_of(self, name: str) -> str:
        """Returns where the picker shows a control of this name, as "X Y", or nothing if it shows none."""
        result = self.as_user(f"python3 {FOLDER}/click.py --where {shlex.quote(name)}", check=False)
        return "" if result.rc else result.out.strip()

    def picture(self, target: Path) -> None:
        """Saves what the screen shows as PNG on this machine."""
        self.as_user(f"python3 {FOLDER}/grab.py {FOLDER}/user/screen.png")
        self.guest.pull(f"{FOLDER}/user/screen.png", target)
