"""The setuid helper on a real kernel: whatever happens to it, the device ends on its local driver."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Guest, Lab

deep = pytest.mark.deep
core = pytest.mark.core

HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
IDENTITY = "0bda 58c2 1234"
_LENDER = Path(__file__).with_name("inside") / "lender.py"


class Port:
    """A serial adapter in a port of the client."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.push(_LENDER, "/usr/local/bin/lender.py")
        self.busid = guest.gadget("serial", "acm", "0bda", "58c2", "1234")
        self.at_home()

    @classmethod
    def of_client(cls, lab: Lab) -> "Port":
        """In a port of the client guest."""
        return cls(lab.client)

    @property
    def folder(self) -> str:
        return f"/sys/bus/usb/devices/{self.busid}"

    def lend(self, steps: str, *, check: bool = True, user: str = "user") -> list[str]:
        """Runs the engine by hand; the lines it printed."""
        out = self.guest.run_as(
            user, f"python3 /usr/local/bin/lender.py {self.busid} {IDENTITY} -- {steps}", check=check
        ).out
        return out.splitlines()

    def helper(self, words: str, user: str = "user") -> int:
        """Calls the helper as an old client does; its exit status."""
        return self.guest.run_as(user, f"{HELPER} {words}", check=False).rc

    def at_home(self, seconds: float = 10) -> None:
        """It has its local driver and its interfaces, and nothing is left of the loan."""
        self.guest.until(
            f"test $(basename $(readlink {self.folder}/driver)) = usb && test -e {self.folder}/{self.busid}:1.0/driver",
            seconds,
        )
        self.guest.until("! ls /run/qvd-usbip/[0-9]* 2>/dev/null", seconds)
        assert self.busid not in self.table()

    def table(self) -> list[str]:
        return self.guest.run("cat /sys/bus/usb/drivers/usbip-host/match_busid 2>/dev/null", check=False).out.split()


@pytest.fixture
def port(beginning: Callable[[Callable[[Lab], Port]], Port]) -> Port:
    return beginning(Port.of_client)


def states(lines: list[str]) -> list[str]:
    return [json.loads(line)["state"] for line in lines if line.startswith("{")]


@core
@pytest.mark.leaves_nothing
def test_lent_exported_dropped_by_the_peer_and_returned(port: Port) -> None:
    lines = port.lend("export hangup wait export return")
    assert states(lines) == ["bound", "exported", "dropped", "exported", "returned"]
    bound = json.loads(lines[0])
    assert f"line {bound['devid']} {bound['speed']}" in lines
    assert lines[-1] == "exit 0"
    port.at_home()


@deep
@pytest.mark.parametrize("steps", ["die", "export die"])
@pytest.mark.leaves_nothing
def test_the_engine_is_killed(port: Port, steps: str) -> None:
    port.lend(steps, check=False)
    port.at_home(5)


@deep
@pytest.mark.leaves_nothing
def test_the_helper_is_killed(port: Port) -> None:
    """Nobody but root can; the next run, the user's own included, finishes what it left."""
    guest = port.guest
    line = f"{port.busid} {IDENTITY}"
    guest.spawn(f"runuser -u user -- python3 /usr/local/bin/lender.py {line} -- export sleep 60", "lender")
    guest.until(f"grep -qx 2 {port.folder}/usbip_status")
    assert not guest.run_as("user", "pkill -KILL -f helper/main.py", check=False)
    guest.run("pkill -KILL -f helper/main.py")
    assert guest.run(f"readlink {port.folder}/driver").out.endswith("usbip-host")
    assert port.helper("recover", user="other") == 0
    assert guest.run(f"readlink {port.folder}/driver").out.endswith("usbip-host")
    assert port.helper("recover") == 0
    port.at_home()


_KILL_AT_EACH_WRITE = """
killed() {
    strace -qq -f -o /dev/null -e trace=write -e inject=write:signal=KILL:when=$2 HELPER $1 BUSID
}
for number in 1 2 3 4 5 6; do
    killed bind $number >/dev/null 2>&1 && bound=$number
    HELPER recover >/dev/null || exit 1
    [ "$bound" = $number ] || [ $(basename $(readlink FOLDER/driver)) = usb ] || exit 2
    HELPER bind BUSID || exit 3
    killed unbind $number >/dev/null 2>&1 && unbound=$number
    HELPER recover >/dev/null || exit 4
    HELPER unbind BUSID 2>/dev/null
    [ $(basename $(readlink FOLDER/driver)) = usb ] || exit 5
    [ -z "$(ls /run/qvd-usbip | grep ^[0-9])" ] || exit 6
    [ -z "$(cat /sys/bus/usb/drivers/usbip-host/match_busid)" ] || exit 7
    echo $number $bound $unbound
done
"""


@deep
@pytest.mark.leaves_nothing
def test_killed_at_each_write(port: Port) -> None:
    """Each write(2) of a bind and of an unbind, the records' too: the next run brings the device home."""
    script = _KILL_AT_EACH_WRITE.replace("HELPER", HELPER).replace("BUSID", port.busid).replace("FOLDER", port.folder)
    counts = port.guest.run(script, timeout=300).out.splitlines()
    # the last runs had fewer writes than that and were not killed: no write was left out
    assert counts[-1] == "6 6 6", counts
    assert counts[0] == "1", counts
    port.at_home()


@deep
@pytest.mark.leaves_nothing
def test_unplugged_while_exported(port: Port) -> None:
    guest = port.guest
    line = f"{port.busid} {IDENTITY}"
    guest.spawn(
        f"runuser -u user -- python3 /usr/local/bin/lender.py {line} -- export wait wait >/tmp/answers 2>&1", "lender"
    )
    guest.until(f"grep -qx 2 {port.folder}/usbip_status")
    guest.gadget_remove("serial")
    guest.until("grep -q exit /tmp/answers")
    lines = guest.read("/tmp/answers").decode().splitlines()
    assert states(lines) == ["bound", "exported", "dropped", "returned"]
    assert json.loads(lines[3])["problem"] == "device-gone"
    guest.until("! ls /run/qvd-usbip/[0-9]* 2>/dev/null")
    # plugged in again it works locally, and can be lent; then the kernel forgets the port too
    assert guest.gadget("serial", "acm", "0bda", "58c2", "1234") == port.busid
    guest.until(f"test $(basename $(readlink {port.folder}/driver)) = usb")
    assert states(port.lend("export return")) == ["bound", "exported", "returned"]
    port.at_home()


@deep
@pytest.mark.leaves_nothing
def test_old_callers(port: Port) -> None:
    assert port.helper(f"unbind {port.busid}") == 39
    assert port.helper(f"bind {port.busid}") == 0
    assert port.helper(f"bind {port.busid}") == 0
    assert port.helper(f"unbind {port.busid}", user="other") == 44  # foreign-owner
    connect = (
        "import os, socket, subprocess; near, far = socket.socketpair(); os.dup2(near.fileno(), 0); "
        f"done = subprocess.run(['{HELPER}', 'connect', '{port.busid}', '0']); "
        "print(done.returncode, far.recv(64).decode())"
    )
    devid, speed = port.guest.run_as("user", f'python3 -c "{connect}"').out.split()[1:]
    assert (int(devid) >> 16, int(speed)) == (int(port.busid.split("-")[0]), 3)
    assert port.helper(f"unbind {port.busid}") == 0
    port.at_home()


#: Binds, connects, hangs up, and takes back so many milliseconds later; prints each exit status.
_HANGS_UP = """
import socket, subprocess, sys, time
helper, busid, *waits = sys.argv[1:]
for wait in waits:
    near, far = socket.socketpair()
    print(subprocess.run([helper, "bind", busid]).returncode)
    print(subprocess.run([helper, "connect", busid, "0"], stdin=near).returncode)
    near.close(), far.close()
    time.sleep(int(wait) / 1000)
    print(subprocess.run([helper, "unbind", busid]).returncode, flush=True)
"""


@deep
@pytest.mark.leaves_nothing
def test_a_device_is_taken_back_while_the_kernel_resets_it_after_a_connection(port: Port) -> None:
    done = port.guest.run_as("user", f"python3 - {HELPER} {port.busid} 0 30 60 90 <<'END'\n{_HANGS_UP}\nEND")
    assert done.out.split() == ["0"] * 12
    port.at_home()


@deep
def test_who_is_not_permitted(port: Port) -> None:
    assert port.helper("lend", user="other") == 29
    port.guest.run("chmod 666 /etc/qvd/usbip-policy.conf")
    assert port.helper(f"bind {port.busid}") == 30
    port.at_home()


@deep
def test_a_keyboard_needs_consent(lab: Lab) -> None:
    guest = lab.client
    guest.push(_LENDER, "/usr/local/bin/lender.py")
    busid = guest.gadget("keys", "hid", "046d", "c31c", "K1")
    guest.until(f"ls {'/sys/bus/usb/devices'}/{busid}/{busid}:1.0/driver")
    line = f"python3 /usr/local/bin/lender.py {busid} 046d c31c K1"
    refused = guest.run_as("user", f"{line} --", check=False).out.splitlines()
    assert json.loads(next(each for each in refused if each.startswith("{")))["problem"] == "device-locked"
    assert states(guest.run_as("user", f"{line} keyboard -- return").out.splitlines()) == ["bound", "returned"]


@deep
def test_a_stick_mounted_in_another_namespace(lab: Lab) -> None:
    guest = lab.client
    guest.push(_LENDER, "/usr/local/bin/lender.py")
    busid = guest.gadget("stick", "mass", "0951", "1666", "S1")
    guest.until("test -b /dev/sda")
    guest.run("mkfs.vfat /dev/sda")
    guest.spawn("unshare -m sh -c 'mount /dev/sda /mnt && touch /tmp/mounted && sleep 600'", "holder")
    guest.until("test -e /tmp/mounted")
    line = f"python3 /usr/local/bin/lender.py {busid} 0951 1666 S1"
    refused = guest.run_as("user", f"{line} --", check=False).out.splitlines()
    assert json.loads(next(each for each in refused if each.startswith("{")))["problem"] == "storage-in-use"
    guest.run("systemctl stop holder")
    guest.until("python3 -c \"import os; os.open('/dev/sda', os.O_RDONLY | os.O_EXCL)\"")
    assert states(guest.run_as("user", f"{line} -- return").out.splitlines()) == ["bound", "returned"]
    guest.until("test -b /dev/sda")
