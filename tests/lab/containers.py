"""The containers on the server guest: the configuration each begins with, and commands inside."""

import shlex

from tests.lab.errors import CommandFailed
from tests.lab.guest import Guest, Result
from tests.lab.recipe import BRIDGE_ADDRESS, CONTAINERS

#: Users of a container's root, and their ids.
USERS = {"root": 0, "user": 1000, "other": 1001}


def base_config(name: str) -> str:
    """PURE: the part of a container's configuration that is the lab's: root, network, systemd with its own udevd.

    How it gets at USB devices comes from the product (`qvd-usb-agent lxc-config NAME`), appended to this.
    """
    index = list(CONTAINERS).index(name) + 1
    return f"""lxc.include = /usr/share/lxc/config/common.conf
lxc.uts.name = {name}
lxc.arch = amd64
lxc.rootfs.path = overlay:/srv/ctroot:/var/lib/lxc/{name}/delta
lxc.autodev = 1
lxc.log.level = INFO
lxc.log.file = /var/lib/lxc/{name}/log
lxc.net.0.type = veth
lxc.net.0.link = br0
lxc.net.0.flags = up
lxc.net.0.name = eth0
lxc.net.0.hwaddr = 52:54:00:cc:00:{index:02x}
lxc.net.0.ipv4.address = {CONTAINERS[name]}/24
lxc.net.0.ipv4.gateway = {BRIDGE_ADDRESS}
"""


def plain_config(name: str, hub: int) -> str:
    """PURE: a configuration without the product: the container sees the hub `hub` in its /sys; nothing guards it."""
    platform = f"/run/lab/{name}/platform"
    return f"""{base_config(name)}lxc.apparmor.profile = generated
lxc.apparmor.allow_nesting = 1
lxc.mount.auto =
lxc.mount.auto = cgroup:mixed proc:mixed
lxc.mount.entry = /sys sys none defaults,bind 0 0
lxc.mount.entry = {platform} sys/devices/platform none defaults,bind 0 0
lxc.mount.entry = /sys/devices/platform/vhci_hcd.{hub} sys/devices/platform/vhci_hcd.{hub} none defaults,bind 0 0
"""


class Container:
    """A container of the server guest."""

    def __init__(self, server: Guest, name: str) -> None:
        self.server = server
        self.name = name
        self.address = CONTAINERS[name]

    def write_config(self, text: str) -> None:
        """Makes the container's configuration; its root is an overlay over the image's container root."""
        folder = f"/var/lib/lxc/{self.name}"
        self.server.run(f"mkdir -p {folder}/delta && cat >{folder}/config", stdin=text)

    def make_plain(self, hub: int) -> None:
        """Writes a configuration without the product, with the hub `hub` in its /sys."""
        self.server.run(f"mkdir -p /run/lab/{self.name}/platform/vhci_hcd.{hub} && modprobe vhci-hcd")
        self.write_config(plain_config(self.name, hub))

    def put_file(self, path: str, text: str, mode: str = "0644") -> None:
        """Writes a file into the root of a container that has not started yet."""
        target = shlex.quote(f"/var/lib/lxc/{self.name}/delta{path}")
        self.server.run(f"install -D -m {mode} /dev/stdin {target}", stdin=text)

    def start(self) -> None:
        """Starts it; see `wait`."""
        done = self.server.run(f"lxc-start -n {self.name}", timeout=120, check=False)
        if done.rc:
            log = self.server.run(f"tail -20 /var/lib/lxc/{self.name}/log", check=False).out
            raise CommandFailed(self.server.name, f"lxc-start -n {self.name}", done.rc, f"{done.out}\n{log}")

    def wait(self, timeout: float = 300) -> None:
        """Waits until its systemd has nothing left to start."""
        self.server.until(f"test -S /proc/$(lxc-info -n {self.name} -pH)/root/run/systemd/private", timeout, 0.3)
        ask = f"lxc-attach -n {self.name} -- systemctl is-system-running --wait"
        state = self.server.run(ask, timeout, check=False)
        if state.out not in {"running", "degraded"}:
            raise CommandFailed(self.server.name, f"waiting for the container {self.name}", state.rc, state.out)

    def stop(self, *, kill: bool = False) -> None:
        """Stops it, by `kill` at once."""
        self.server.run(f"lxc-stop -n {self.name} {'-k' if kill else ''}", timeout=120)

    def run(
        self, cmd: str, user: str = "root", timeout: float = 60, *, check: bool = True, stdin: bytes | str | None = None
    ) -> Result:
        """Runs a bash command inside as `root`, `user` (in group qvduser) or `other` (not in it)."""
        inner = shlex.quote(cmd)
        if user != "root":
            inner = shlex.quote(f"exec runuser -u {user} -- env HOME=/home/{user} bash -c {inner}")
        line = (
            f"lxc-attach -n {self.name} --clear-env -v PATH=/usr/sbin:/usr/bin:/sbin:/bin -v HOME=/root -v LANG=C.UTF-8"
        )
        result = self.server.run(f"{line} -- bash -c {inner}", timeout, check=False, stdin=stdin)
        if check and result.rc:
            raise CommandFailed(f"container {self.name} ({user})", cmd, result.rc, result.out)
        return result
