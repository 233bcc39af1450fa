"""Containers in user namespaces, two with ranges of their own, an image that knows nothing of it, the client's path.

The host makes their nodes and says the kernel's events inside; their roots can change nothing about either.
"""

import json
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.containers import Container
from tests.lab.guest import Guest
from tests.lab.scenarios.agent_asked import until_agent_says_no_more

pytestmark = pytest.mark.deep

INSIDE = Path(__file__).with_name("inside")
FIRST = {"three": 100000, "four": 200000}
ADDRESS = {"three": "10.9.1.13", "four": "10.9.1.14"}
SERIAL = {"three": "S3", "four": "S4"}
NODES = "/run/qvd-usbip/nodes"
LEFT = f"ls -R {NODES} /run/qvd-usbip/told /run/qvd-usbip/broker"

CONFIG = """lxc.include = /usr/share/lxc/config/common.conf
lxc.include = /usr/share/lxc/config/userns.conf
lxc.uts.name = {name}
lxc.arch = amd64
lxc.rootfs.path = dir:/srv/{name}
lxc.idmap = u 0 {first} 65536
lxc.idmap = g 0 {first} 65536
lxc.autodev = 1
lxc.log.level = INFO
lxc.log.file = /var/lib/lxc/{name}/log
lxc.net.0.type = veth
lxc.net.0.link = br0
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.ipv4.address = {address}/24
lxc.net.0.ipv4.gateway = 10.9.1.1
"""
# A terminal at the far end: what it hears it says back, in capitals.
ECHO = "stty -F /dev/{port} raw -echo; exec 3<>/dev/{port}; IFS= read -r line <&3; echo ${{line^^}} >&3"
TALK = (
    "import serial; port = serial.Serial('/dev/ttyACM{number}', timeout=20);"
    "port.write(b'hello\\n'); print(port.readline().decode().strip())"
)


class Tenant(Container):
    """A container that the lab does not have by itself."""

    def __init__(self, server: Guest, name: str) -> None:
        self.server = server
        self.name = name
        self.address = ADDRESS[name]


class Userns:
    """The two containers, and a composite device (serial adapter, disk, keyboard) of the client for each."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.server, self.client = lab.server, lab.client
        self.containers = {name: Tenant(lab.server, name) for name in FIRST}
        for name in ("idmapped_root.py",):
            self.server.push(INSIDE / name, f"/usr/local/bin/{name}")
        for name in ("composite.sh", "share_by_hand.py"):
            self.client.push(INSIDE / name, f"/usr/local/bin/{name}")

    def start(self) -> None:
        """Makes both; of the product's lines none is typed."""
        for name, container in self.containers.items():
            first = FIRST[name]
            self.server.run(f"for f in subuid subgid; do echo root:{first}:65536 >>/etc/$f; done")
            self.server.run(f"python3 /usr/local/bin/idmapped_root.py {name} {first}")
            for tool in ("witness.py", "users_view.py"):
                self.server.push(INSIDE / tool, f"/srv/{name}/usr/local/bin/{tool}")
            self.server.run(
                f"install -D -m 0600 -o {first} -g {first} /dev/stdin /srv/{name}/etc/qvd/slave.key",
                stdin=f"key-of-{name}\n",
            )
            container.write_config(CONFIG.format(name=name, first=first, address=ADDRESS[name]))
            self.server.run(f"qvd-usb-agent lxc-config {name} >>/var/lib/lxc/{name}/config")
        self.both(Container.start)
        self.both(Container.wait)

    def both(self, work: Callable[[Container], None]) -> None:
        """Does something with both at the same time."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, self.containers.values()))

    def witness(self, name: str) -> None:
        """Has a program of the user's listen in a container."""
        container = self.containers[name]
        run = "systemd-run -q --unit=witness --uid=user -p StandardOutput=file:/tmp/heard"
        container.run(f"{run} python3 /usr/local/bin/witness.py 600")
        self.until(name, "test $(grep -c ready /tmp/heard) = 3")

    def heard(self, name: str, word: str) -> list[str]:
        lines = self.containers[name].run("cat /tmp/heard").out.splitlines()
        return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ") and "ready" not in line]

    def until(self, name: str, cmd: str, seconds: float = 60) -> None:
        self.server.until(f"lxc-attach -n {name} -- bash -c {shlex.quote(cmd)}", seconds)

    def share(self, name: str) -> str:
        """Plugs a device into the client and gives it to a container; its bus id there once the user may use it."""
        port = self.client.run(f"bash /usr/local/bin/composite.sh for-{name} 1111 2222 {SERIAL[name]}").out
        serials = "/sys/bus/usb/devices/*/serial"
        self.client.until(f"grep -qx {SERIAL[name]} {serials}")
        busid = self.client.run(f"basename $(dirname $(grep -lx {SERIAL[name]} {serials}))").out
        command = f"python3 /usr/local/bin/share_by_hand.py {busid} {ADDRESS[name]} 11100 key-of-{name} 90"
        states = [json.loads(line) for line in self.client.run(command, timeout=150).out.splitlines() if line[0] == "{"]
        assert states[-1]["state"] == "ready", (port, states)
        assert states[-1]["node"].startswith("/dev/bus/usb/")
        return busid

    def view(self, name: str, user: str) -> dict[str, str]:
        """What one of a container's users may open."""
        found: dict[str, str] = json.loads(
            self.containers[name].run("python3 /usr/local/bin/users_view.py", user=user).out
        )
        return found


@pytest.fixture
def userns(lab: Lab) -> Userns:
    userns = Userns(lab)
    userns.start()
    return userns


def test_two_of_them_have_devices_of_every_kind_each_its_own(userns: Userns) -> None:
    userns.witness("three")
    userns.containers["four"].run("systemctl stop systemd-udevd.service systemd-udevd-{kernel,control}.socket")
    userns.witness("four")
    busids = {name: userns.share(name) for name in FIRST}
    for name in FIRST:
        userns.until(name, "ls /dev/qvd/sd[a-z] /dev/qvd/ttyACM* /dev/qvd/hidraw* /dev/qvd/input/event*")
        check_rights(userns, name)
        check_use(userns, name)
    check_each_has_its_own(userns)
    check_heard_coming(userns)
    injector = userns.server.run("pgrep -f '[i]njector.py$'").out.split()
    assert len(injector) == 1, "one process, which stays warm"
    assert "CapEff:\t0000000000000000" in userns.server.run(f"cat /proc/{injector[0]}/status").out
    # What was told outlives the agent: nothing is told twice, and what goes is told as it came.
    before = userns.heard("three", "kernel")
    userns.server.run("systemctl restart qvd-usb-agent")
    assert userns.view("three", "user") == dict.fromkeys(userns.view("three", "user"), "ok")
    assert userns.heard("three", "kernel") == before
    for busid in busids.values():
        userns.client.run(f"python3 /usr/local/bin/share_by_hand.py -r {busid}")
    check_heard_going(userns)
    check_nothing_left(userns)


def check_rights(userns: Userns, name: str) -> None:
    """Root and the group's member may use every node, nobody else; and root can change nothing about that."""
    container = userns.containers[name]
    mine = userns.view(name, "user")
    for kind in ("bus/usb/", "ttyACM", "hidraw", "input/event", "sd"):
        assert any(node.startswith(kind) for node in mine), (kind, mine)
    assert set(mine.values()) == {"ok"}, mine
    assert set(userns.view(name, "root").values()) == {"ok"}
    assert set(userns.view(name, "other").values()) == {"EACCES"}
    node = next(node for node in mine if node.startswith("bus/usb/"))
    attempts = (
        f"chmod 666 /dev/{node}", f"chown 0 /dev/{node}", f"setfacl -m o:rw /dev/{node}", f"rm /dev/{node}",
        "mknod /dev/qvd/x c 1 3", "mknod /root/x c 166 0", f"mv /dev/{node} /dev/{node}x",
        "echo 0 >/sys/devices/platform/vhci_hcd.*/usb*/authorized_default",
    )  # fmt: skip
    each = (f"( {attempt} ) 2>/dev/null && echo {shlex.quote(attempt)}" for attempt in attempts)
    assert not container.run(f"{'; '.join(each)}; true").out, "what root could do"
    assert set(userns.view(name, "other").values()) == {"EACCES"}


def check_use(userns: Userns, name: str) -> None:
    """The user's own programs: lsusb, a terminal, the disk's first words, a key that is pressed."""
    container, number = userns.containers[name], int(userns.containers[name].run("ls /dev/ttyACM*").out[-1])
    shown = container.run("lsusb -v -d 1111:2222", user="user").out
    for words in ("Three in one", "QVD Lab", SERIAL[name], "Mass Storage", "Communications", "Keyboard"):
        assert words in shown, words
    far = list(FIRST).index(name)
    userns.client.spawn(f"bash -c {shlex.quote(ECHO.format(port=f'ttyGS{far}'))}", f"far-{name}")
    assert container.run(f"python3 -c {shlex.quote(TALK.format(number=number))}", user="user").out == "HELLO"
    disk = container.run("ls /dev/sd[a-z]").out
    assert container.run(f"head -c 64 {disk} | tr -d '\\0'", user="user").out == f"disk of for-{name}"
    node = container.run("ls /dev/hidraw*").out
    press, release = r"\0\0\4\0\0\0\0\0", r"\0\0\0\0\0\0\0\0"
    userns.client.spawn(f"sleep 3; for k in '{press}' '{release}'; do printf $k >/dev/hidg{far}; done", f"key-{name}")
    assert container.run(f"timeout 20 head -c 8 {node} | od -An -tx1", user="user").out.split()[2] == "04"


def check_each_has_its_own(userns: Userns) -> None:
    """Neither sees a node of the other; a node that an administrator puts there by mistake opens nothing."""
    mine = {name: userns.containers[name].run("find /dev/qvd -type c -o -type b | sort").out for name in FIRST}
    assert not set(mine["three"].split()) & set(mine["four"].split())
    tty = userns.containers["three"].run("stat -Lc 0x%t:0x%T /dev/ttyACM?").out
    major, minor = (int(word, 16) for word in tty.split(":"))
    wrong = f"{NODES}/four/wrong"
    done = userns.server.run(
        f"mknod {wrong} c {major} {minor} && setfacl -m u:{FIRST['four']}:rw {wrong} && "
        "lxc-attach -n four -- bash -c 'exec 3<>/dev/qvd/wrong'",
        check=False,
    )
    userns.server.run(f"rm -f {wrong}")
    assert done.rc
    assert "not permitted" in done.out


def check_heard_coming(userns: Userns) -> None:
    """Kernel's monitor, udev's and libusb's, each what it would hear on a machine; without udevd the kernel's."""
    assert any(line.startswith("arrived") for line in userns.heard("three", "libusb"))
    seen = userns.heard("three", "udev")
    for words in ("add usb /dev/bus/usb/", "add tty /dev/ttyACM", "add block /dev/sd", "add hidraw /dev/hidraw"):
        assert any(line.startswith(words) for line in seen), (words, seen)
    assert all(line.endswith(SERIAL["three"]) for line in seen if line.startswith("add usb ")), seen
    for name in FIRST:
        events = userns.heard(name, "kernel")
        added = [line.split(" ")[1] for line in events if line.startswith("add ")]
        assert not any("from" in line for line in events), events
        assert len(added) == len(set(added)), "each once"
        assert all(
            any(path.startswith(f"{known}/") for known in added[:place]) for place, path in enumerate(added[1:], 1)
        )
        assert any(":1.0" in path for path in added)
    assert userns.heard("four", "udev") == []


def check_heard_going(userns: Userns) -> None:
    """Each thing that came goes; the device last."""
    for name in FIRST:
        userns.until(name, 'test -z "$(find /dev/qvd -type c -o -type b)"')
        userns.until(name, "grep -qE 'kernel remove .*/[0-9]+-[0-9]+$' /tmp/heard")
        events = [line.split(" ") for line in userns.heard(name, "kernel")]
        added, removed = ([path for event, path in events if event == word] for word in ("add", "remove"))
        assert sorted(added) == sorted(removed)
        assert removed[-1] == added[0]
        assert not userns.containers[name].run("find /dev -xdev -xtype l -lname '*qvd/*'").out, (
            "links that lead nowhere"
        )
    userns.until("three", "grep -q 'libusb left' /tmp/heard && grep -q 'udev remove tty /dev/ttyACM' /tmp/heard")


def check_nothing_left(userns: Userns) -> None:
    """Stopped, one by force, nothing of either is left on the host."""
    userns.containers["three"].stop(kill=True)
    userns.containers["four"].stop(kill=True)
    until_agent_says_no_more(userns.server, "^(three|four) ")
    assert not {"three", "four"} & set(userns.server.run(LEFT).out.replace("/", " ").replace(":", " ").split())
