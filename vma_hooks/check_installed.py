"""EFFECT: what an image's files must say: programs, udev's rule, what is started at boot, the slave key."""

import os
import stat
from pathlib import Path

from qvd_usbip.errors import NODE_REFUSED, SLAVE_KEY_MISSING, SLAVE_KEY_UNSAFE, SLAVE_UNREACHABLE, Problem, QvdUsbError
from qvd_usbip.finding import Finding
from qvd_usbip.system.files import read_bounded, read_text
from vma_hooks.slave_key import key_in, who_else

QVD_BIN = "usr/lib/qvd/bin"
HOOK = "qvd-create-device"
CALL = f"/{QVD_BIN}/{HOOK} --from-env"
# Each program, and what ends without it.
PROGRAMS = {
    HOOK: NODE_REFUSED,
    "qvd-usb-slaveserver": SLAVE_UNREACHABLE,
    "qvd-vma-slaveserver-usbip": SLAVE_UNREACHABLE,
}
RULE = "70-qvd-create-device.rules"
RULE_FOLDERS = ("etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d")
UDEVD = ("usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd")
WANTS = "etc/systemd/system"
COLDPLUG = "multi-user.target.wants/qvd-create-device-coldplug.service"
SOCKET = "sockets.target.wants/qvd-usb-slaveserver.socket"
AGAIN = "Install the image package again (make install ROLE=vma DESTDIR=IMAGE ENABLE=1)."
_LINKS = 40


def programs(root: Path, owner: int) -> list[Finding]:
    """Whether each program is there, may be executed, is safe from others, and has its interpreter."""
    lines = []
    for name, problem in PROGRAMS.items():
        wrong = _wrong_with(root, f"{QVD_BIN}/{name}", owner)
        if wrong:
            lines.append(Finding(name="program", text=wrong, remedy=AGAIN, exit_status=problem.exit_status))
    return lines or [Finding(name="program", text=f"{', '.join(PROGRAMS)} are in /{QVD_BIN}")]


def _wrong_with(root: Path, path: str, owner: int) -> str:
    program = inside(root, path)
    if not program.is_file():
        return f"/{path} is missing"
    found = program.stat()
    if found.st_mode & 0o111 != 0o111:
        return f"/{path} may not be executed (mode {stat.S_IMODE(found.st_mode):04o})"
    if found.st_uid != owner or found.st_mode & 0o022:
        return f"/{path} can be changed by others than root, and root runs it"
    first = read_bounded(program).split(b"\n", 1)[0]
    interpreter = os.fsdecode(first[2:].split()[0]) if first.startswith(b"#!") and first[2:].strip() else ""
    if interpreter and not inside(root, interpreter).is_file():
        return f"/{path} asks for {interpreter}, which is not in this image"
    return ""


def rule(root: Path) -> Finding:
    """Whether udev is there, and the rule in force under our name runs the hook.

    Source: udev(7): of files with the same name the one in /etc counts, then /run, then /usr.
    """
    if not any((root / each).exists() for each in UDEVD):
        text = "udev is not in this image, so nothing runs when a device appears"
        return _no_rule(text, "In the image: apt install udev")
    places = [f"{folder}/{RULE}" for folder in RULE_FOLDERS if os.path.lexists(root / folder / RULE)]
    if not places:
        return _no_rule(f"/{RULE_FOLDERS[-1]}/{RULE} is missing: no node is made", AGAIN)
    if not any(CALL in line for line in _rules(inside(root, places[0]))):
        remedy = AGAIN if places[0].startswith("usr/lib") else f"Remove /{places[0]}, which hides ours."
        return _no_rule(f"/{places[0]} does not run {HOOK}: no node is made", remedy)
    return Finding(name="rule", text=f"udev runs {HOOK} (/{places[0]})")


def _no_rule(text: str, remedy: str) -> Finding:
    return Finding(name="rule", text=text, remedy=remedy, exit_status=NODE_REFUSED.exit_status)


def _rules(path: Path) -> list[str]:
    """A rules file without its comments; one that is a device, which is udev's way to say "none", has no line."""
    lines = read_text(path).splitlines() if path.is_file() else []
    return [line for line in lines if not line.lstrip().startswith("#")]


def boot(root: Path) -> Finding:
    """Whether devices that came before the container started get their nodes."""
    if _starts(root, COLDPLUG):
        return Finding(name="boot", text="devices that were attached before the container started get their nodes")
    text = "devices that were attached before the container started get no nodes"
    remedy = "In the image: systemctl enable qvd-create-device-coldplug.service"
    return Finding(name="boot", text=text, remedy=remedy, exit_status=NODE_REFUSED.exit_status)


def receiver(root: Path) -> Finding:
    """What starts the receiver."""
    if _starts(root, SOCKET):
        return Finding(name="receiver", text="qvd-usb-slaveserver.socket listens from the start")
    text = "qvd-usb-slaveserver.socket is not enabled: devices come only where nxagent starts the server"
    remedy = "In an image without nxagent: systemctl enable --now qvd-usb-slaveserver.socket"
    return Finding(name="receiver", text=text, remedy=remedy)


def key(root: Path, path: str, owner: int) -> Finding:
    """Whether the slave key is there where somebody has to put it, and is kept from others."""
    file = root / path.lstrip("/")
    listens = _starts(root, SOCKET)
    if not file.exists() and not listens:
        return Finding(name="key", text=f"{path} is not there: the VMA writes it with each session")
    try:
        key_in(str(file))
    except QvdUsbError as error:
        if error.problem is not SLAVE_KEY_MISSING:
            raise
        text = f"{path} holds no slave key: nobody can connect"
        return _bad_key(SLAVE_KEY_MISSING, text, f"Write it as the first line of {path}, mode 0600.")
    found = file.stat()
    # What nxagent starts runs as the session's user, who may have a key of his own.
    doubt = who_else(found, (owner,) if listens else (owner, found.st_uid))
    if doubt:
        remedy = f"As root: write a new key into it; chown root {path}; chmod 600 {path}"
        return _bad_key(SLAVE_KEY_UNSAFE, f"{path} is not used as the slave key: {doubt}", remedy)
    return Finding(name="key", text=f"{path} holds a slave key for its owner alone")


def _bad_key(problem: Problem, text: str, remedy: str) -> Finding:
    return Finding(name="key", text=text, remedy=remedy, exit_status=problem.exit_status)


def _starts(root: Path, link: str) -> bool:
    return os.path.lexists(root / WANTS / link)


def inside(root: Path, path: str) -> Path:
    """What a path means in the image: a link that begins with / is one from the image's own root."""
    for _ in range(_LINKS):
        here = root / path.lstrip("/")
        if not here.is_symlink():
            break
        path = os.path.normpath(os.path.join("/", os.path.dirname(path), os.readlink(here)))
    return root / path.lstrip("/")
