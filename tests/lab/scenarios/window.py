"""EFFECT: a person at the picker's window, who sees, clicks and types; and what both kernels say of their devices."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import Lab
from tests.lab.demo.desk import ENVIRONMENT, FOLDER, SHARE_LIST_FILE, USER, Desk
from tests.lab.demo.way import ADDRESS, KEY
from tests.lab.guest import Result

_HAND = Path(__file__).with_name("inside") / "hand.py"
_PORT = 7007
_SCREEN = "600x760x24"  # the window, its frame and the task bar
_GAUGES = ("Clock", "CPUStatus", "MEMStatus", "NetStatus", "MailboxStatus", "APMStatus", "Workspaces")
_SEAT = f"""polkit.addRule(function (action, subject) {{
    if (subject.user == "{USER}" && action.id.indexOf("org.freedesktop.udisks2.filesystem-mount") == 0) return "yes";
}});
"""
_HELPERS = "pgrep -f '[h]elper/main.py lend'"
_DEVICES = "/sys/bus/usb/devices"
_PORTS_USED = "awk 'FNR > 1 && $3 != \"004\"' /sys/devices/platform/vhci_hcd.0/status*"
_NODES = "find /dev -path '/dev/bus/usb/*' -type c -o -name 'ttyACM*' -o -name 'sd[a-z]' -o -name 'hidraw*'"
SESSION: dict[str, object] = {"v": 1, "name": "Work desktop", "address": ADDRESS, "key": KEY, "encryption": "none"}
HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
IN_USE, NOT_SHARED, AWAY = "In use remotely", "Not shared", "Not connected"
#: What the engine calls the states that devices pass through; the others follow at once upon what was done.
_CALLED = {"Releasing…": "releasing", "Connecting…": "connecting", "Attached": "attached", IN_USE: "in-use"}
PATIENCE = 60.0  # seconds; the machine may be busy


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """A device that can be plugged into the client: its kind of gadget, what it calls itself, its local driver."""

    gadget: str
    vid: str
    pid: str
    serial: str
    product: str
    driver: str

    @property
    def identity(self) -> str:
        return f"{self.vid}:{self.pid}" + (f"@{self.serial}" if self.serial else "")


ADAPTER = Thing(gadget="acm", vid="0bda", pid="58c2", serial="1234", product="Serial Adapter", driver="cdc_acm")
STICK = Thing(gadget="mass", vid="0781", pid="5581", serial="S1", product="Memory Stick", driver="usb-storage")
KEYBOARD = Thing(gadget="hid", vid="046d", pid="c31c", serial="K1", product="Desk Keyboard", driver="usbhid")
TWIN = Thing(gadget="acm", vid="1a86", pid="7523", serial="", product="Twin Adapter", driver="cdc_acm")
LOADER = Thing(gadget="acm", vid="0483", pid="df11", serial="BOOT", product="Boot Loader", driver="cdc_acm")


class Window:
    """The picker, which runs in the client guest with a session to container `one`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client, self.server, self.one = lab.client, lab.server, lab.container("one")
        self.desk = Desk(lab.client, screen=_SCREEN)

    def open(self) -> None:
        """Sets the desk up, opens the picker, and waits until its session is there."""
        self.desk.prepare()
        self.furnish()
        self.start_picker()
        self.click("Got it")

    def furnish(self) -> None:
        """A window manager with a tray, what Debian's own rules let a person at the machine's seat do, and a hand."""
        folder, quiet = f"/home/{USER}/.icewm", "".join(f"TaskBarShow{name}=0\n" for name in _GAUGES)
        self.client.run(f"install -d -o {USER} {folder}; cat >{folder}/preferences", stdin=quiet)
        self.client.run("cat >/etc/polkit-1/rules.d/40-seat.rules", stdin=_SEAT)
        self.desk.start("manager", "icewm")
        asked = f"runuser -u {USER} -- env {ENVIRONMENT} xprop -root _NET_SUPPORTING_WM_CHECK"
        self.client.until(f"{asked} | grep 0x", PATIENCE)
        self.client.push(_HAND, f"{FOLDER}/hand.py")
        self.desk.start("hand", f"python3 {FOLDER}/hand.py {_PORT}")
        self.client.until(f"ss -Hltn sport = :{_PORT} | grep -q .", PATIENCE)

    def start_picker(self) -> None:
        """Starts the picker, and waits until its session is there."""
        self.desk.open_picker(SESSION)
        self.sees("Connected · not encrypted", 120)

    def kill_helper(self) -> None:
        """Kills the helper, as only root can; another one has taken its place afterwards."""
        gone = self.client.run(f"pid=$({_HELPERS}) && kill -KILL $pid && echo $pid").out
        self.client.until(f"new=$({_HELPERS}) && [ $new != {gone} ]", PATIENCE)

    def kill_picker(self) -> None:
        """Kills it as nobody can prevent."""
        self.client.run("systemctl kill --kill-whom=main -s KILL demo-picker")
        self.client.until("! systemctl is-active -q demo-picker")
        self.client.run("systemctl reset-failed demo-picker")

    # the person

    def _do(self, patience: float = PATIENCE, **order: object) -> Any:
        line = shlex.quote(json.dumps({**order, "patience": patience}))
        talk = f"exec 3<>/dev/tcp/127.0.0.1/{_PORT}; printf '%s\\n' {line} >&3; cat <&3"
        said = json.loads(self.client.run(talk, timeout=patience + 60).out)
        assert said["done"] is not None, f"{order}: not within {patience:.0f} s; shown:\n" + "\n".join(said["shown"])
        return said["done"]

    def sees(self, text: str, patience: float = PATIENCE, times: int = 1) -> str:
        """Waits until the screen shows this so often, a regular expression for the whole of one name; the name."""
        return str(self._do(patience, do="see", text=text, times=times))

    def misses(self, text: str) -> None:
        """Waits until the screen does not show this any more."""
        self._do(do="miss", text=text)

    def row(self, thing: Thing, word: str, times: int = 1) -> None:
        """Waits until the device's row says this state, in so many windows."""
        told = {"told": (thing.product, _CALLED[word])} if word in _CALLED else {}
        text = f"{re.escape(thing.product)}, .*, {re.escape(word)}"
        self._do(PATIENCE, do="see", text=text, times=times, **told)

    def click(self, name: str) -> None:
        """Clicks a control by its name, with the pointer."""
        self._do(do="click", text=re.escape(name))

    def click_tray(self, button: int) -> None:
        """Clicks the picker's icon in the tray."""
        self._do(do="tray", button=button)

    def keys(self, *keys: str) -> None:
        """Presses keys, named as xdotool does."""
        self._do(do="key", keys=keys)

    def types(self, text: str) -> None:
        """Types a text."""
        self._do(do="type", text=text)

    def share(self, thing: Thing) -> None:
        """Clicks the device's switch."""
        self.click(f"Share {thing.product}")

    def is_ticked(self, thing: Thing) -> None:
        """Waits until the picker has written down that this device is to be shared; a click may be on its way."""
        self.client.until(f"grep -q {thing.identity} {SHARE_LIST_FILE}", PATIENCE)

    def plug(self, thing: Thing, name: str = "", controller: str = "") -> str:
        """Puts the device into a port; its busid."""
        words = (thing.gadget, thing.vid, thing.pid, thing.serial, thing.product, controller)
        return self.client.gadget((name or thing.product).replace(" ", ""), *words)

    def pull(self, thing: Thing, name: str = "") -> None:
        """Pulls it out."""
        self.client.gadget_remove((name or thing.product).replace(" ", ""))

    # the kernels

    def lent(self, thing: Thing, busid: str = "") -> None:
        """The client's kernel has given it away."""
        self.client.until(f"grep -qx 2 {_folder(thing, busid)}/usbip_status", PATIENCE)

    def at_home(self, thing: Thing, busid: str = "", *, replugged: bool = False) -> None:
        """It works at the client, on its own driver, which may keep it.

        `replugged` says that it was pulled out while it was lent: then the kernel's driver remembers its port until
        something is lent from there again, and takes nothing by that.
        """
        driver = f"[[ $(readlink $folder/${{folder##*/}}:1.0/driver) = */{thing.driver} ]]"
        kept = "! grep -qw ${folder##*/} /sys/bus/usb/drivers/usbip-host/match_busid 2>/dev/null"
        holds = driver if replugged else f"{driver} && {kept}"
        self.client.until(f"folder={_folder(thing, busid)}; {holds}", PATIENCE)

    def nothing_is_left(self) -> None:
        """Neither the server's kernel, nor the container knows of a loan, and no helper is there."""
        self.client.until(f"! ls /run/qvd-usbip/[0-9]* 2>/dev/null && ! {_HELPERS}", PATIENCE)
        self.server.until(f'out=$({_PORTS_USED}); echo "$out"; [ -z "$out" ]', PATIENCE)
        self.server.until(f'out=$(lxc-attach -n one -- {_NODES}); echo "$out"; [ -z "$out" ]', PATIENCE)

    def in_container(self, node: str) -> None:
        """The user of the container can read and write it."""
        self.server.until(f"lxc-attach -n one -- runuser -u user -- test -r {node} -a -w {node}", PATIENCE)

    def command(self, words: str, *, check: bool = True) -> Result:
        """Runs `qvd-usb WORDS` as the same user, in a terminal."""
        return self.desk.as_user(f"bash -c {shlex.quote(f'qvd-usb {words}')}", check=check)


def _folder(thing: Thing, busid: str) -> str:
    """PURE: the device's folder in sysfs, in bash."""
    named = f"$(dirname $(grep -lx '{thing.product}' {_DEVICES}/*/product))"
    return f"{_DEVICES}/{busid}" if busid else named


def opened(lab: Lab) -> Window:
    """The picker, open beside a serial adapter."""
    window = Window(lab)
    window.plug(ADAPTER)
    window.open()
    window.row(ADAPTER, NOT_SHARED)
    return window
