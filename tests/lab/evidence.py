"""EFFECT: what is kept of a lab when a scenario failed."""

import shutil
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.guest import Guest
from tests.lab.link import Link
from tests.lab.machines import Pair

#: File → the command in the guest whose output it gets.
_COMMANDS = {
    "dmesg.txt": "dmesg -T",
    "journal.txt": "journalctl -b --no-pager -o short-precise",
    "units.txt": "systemctl list-units --all --no-pager; systemctl --failed --no-pager",
    "processes.txt": "ps axfwwo pid,ppid,user,stat,wchan:20,args",
    "sockets.txt": "ss -tnpoae; ss -xlp",
    "usb.txt": "lsusb; lsusb -t; for f in /sys/devices/platform/vhci_hcd.*/status*; do echo $f; cat $f; done; "
    "grep -H . /sys/bus/usb/drivers/usbip-host/*/usbip_status /sys/bus/usb/devices/*/{idVendor,idProduct,serial}",
    "product.txt": "for f in $(find /run/qvd-usbip /var/lib/qvd-usbip /var/log/qvd* -type f -size -256k 2>/dev/null); "
    'do echo "=== $f"; cat $f; done',
    "cores.txt": "ls -l /var/lib/lab/cores",
}
_CONTAINER_COMMANDS = {
    "journal.txt": "journalctl -b --no-pager -o short-precise",
    "units.txt": "systemctl list-units --all --no-pager",
    "dev.txt": "ls -lR /dev/bus/usb /dev/qvd; getfacl -R /dev/bus/usb; ls -l /dev/tty[A-Z]* /dev/sd* /dev/hidraw*",
    "processes.txt": "ps axfwwo pid,user,stat,args",
}
_PICTURE = "/usr/local/lib/lab/screenshot.py"


def _of_guest(guest: Guest, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for log in guest.qemu.machine.run.glob(f"{guest.name}.*.log"):
        shutil.copy(log, folder / log.name.removeprefix(f"{guest.name}."))
    try:
        for name, command in _COMMANDS.items():
            (folder / name).write_text(guest.run(command, check=False, timeout=60).out + "\n", encoding="utf-8")
        for display in guest.run("ls /tmp/.X11-unix 2>/dev/null", check=False).out.split():
            take_picture(guest.link, f":{display.removeprefix('X')}", folder / f"screen-{display}.png")
    except LabError as error:  # a guest that hangs still leaves its serial log
        (folder / "incomplete.txt").write_text(f"{error}\n", encoding="utf-8")


def take_picture(link: Link, display: str, target: Path) -> Path:
    """The picture of an X display of a guest (`:1`), as a PNG file; returns where it is."""
    path = f"/tmp/lab-picture{display.replace(':', '-')}.png"
    status, out = link.run(f"DISPLAY={display} timeout 50 python3 -I {_PICTURE} {path} >&2 && cat {path}", 60)
    if status:
        raise LabError(f"no picture of the display {display}: {out.decode(errors='replace').strip()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(out[out.index(b"\x89PNG") :])  # what Qt said stands before it
    return target


def collect(pair: Pair, folder: Path) -> Path:
    """Fills `folder` with logs, journals, states and pictures of both guests and the running containers."""
    if folder.exists():
        shutil.rmtree(folder)
    for guest in pair.guests.values():
        _of_guest(guest, folder / guest.name)
    server = pair.guests["server"]
    try:
        for name in server.run("lxc-ls --running -1", check=False).out.split():
            target = folder / f"container-{name}"
            target.mkdir()
            for file, command in _CONTAINER_COMMANDS.items():
                done = server.run(["lxc-attach", "-n", name, "--", "bash", "-c", command], check=False)
                (target / file).write_text(done.out + "\n", encoding="utf-8")
            (target / "lxc.txt").write_text(server.run(f"tail -n 300 /var/lib/lxc/{name}/log", check=False).out)
    except LabError as error:
        (folder / "incomplete.txt").write_text(f"{error}\n", encoding="utf-8")
    return folder
