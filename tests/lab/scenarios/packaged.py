"""EFFECT: both guests and the image of a container, each with the packages of its role to install, of two versions."""

import re
import shutil
import subprocess
from pathlib import Path

from tests.lab import Lab
from tests.lab.containers import base_config
from tests.lab.guest import Guest
from tests.lab.packages import ensure_packages
from tests.lab.product import SLAVE_KEYS
from tests.lab.recipe import suite_named

IMAGE = "/srv/ctroot"
OLDER = "0.0.1"
PLACE = "/var/tmp/packages"
_APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet --yes"
LIMIT = 600
#: Where others write while packages come and go: apt, dpkg, systemd, logs, people, the lab itself. The empty folder of
#: AppArmor is taken away by debhelper's own lines for a purge.
_NOT_OURS = (
    *(f"/var/{name}" for name in ("cache", "log", "tmp", "lib/apt", "lib/dpkg", "lib/lab", "lib/lxc", "lib/systemd")),
    *("/home", "/root", "/etc/apparmor.d/disable", IMAGE),
)
_FILES = f"find / -xdev \\( {' -o '.join(f'-path {path}' for path in _NOT_OURS)} \\) -prune -o -print"
_BEFORE = "/var/lib/lab/files-before"
#: A mount namespace of its own: what is mounted for the work inside is gone with it.
_IN_IMAGE = f"mount --bind /dev {IMAGE}/dev && mount -t proc proc {IMAGE}/proc && exec chroot {IMAGE} sh -ec"


def make_older(packages: Path, folder: Path) -> None:
    """Leaves the same packages in `folder` as a version before: what an upgrade begins with."""
    for package in sorted(packages.glob("*.deb")):
        tree = folder / "tree"
        subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True)
        control = tree / "DEBIAN/control"
        text = control.read_text(encoding="utf-8")
        version = re.search(r"^Version: ([0-9.]+)-", text, re.MULTILINE)
        assert version, text
        control.write_text(text.replace(f"{version[1]}-", f"{OLDER}-"), encoding="utf-8")
        build = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(tree), str(folder / package.name)]
        subprocess.run(build, check=True, capture_output=True)
        shutil.rmtree(tree)


class Packaged:
    """The machines on which the packages are tried; `old` and `new` are the versions."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        suite = suite_named(lab.suite)
        self.server, self.client, self.one = lab.server, lab.client, lab.container("one")
        window = ("picker",) if suite.pyside else ()
        self._roles: dict[str, tuple[str, ...]] = {
            "server": ("common", "server"),
            "client": ("common", "client", *window),
            "one": ("common", "vma"),
        }
        new, old = ensure_packages(suite), folder / "old"
        old.mkdir()
        make_older(new, old)
        self._both = lab.pair.both
        self._both(lambda guest: self._bring(guest, old, new))
        self.server.run(f"mkdir -p {IMAGE}{PLACE} && cp -r {PLACE}/* {IMAGE}{PLACE}")

    def _bring(self, guest: Guest, old: Path, new: Path) -> None:
        guest.push(old, f"{PLACE}/old")
        guest.push(new, f"{PLACE}/new")
        guest.run(f"{_FILES} | sort >{_BEFORE}")

    # come and go

    def _install(self, role: str, version: str) -> str:
        files = " ".join(f"{PLACE}/{version}/qvd-usbip-{name}_*.deb" for name in self._roles[role])
        return f"{_APT} install {files} </dev/null"

    def install(self) -> None:
        """Puts the old version on both guests and into the image, which has no group of that name yet."""
        self._both(lambda guest: guest.run(self._install(guest.name, "old"), LIMIT))
        self.in_image(f"groupdel qvduser; {self._install('one', 'old')}; usermod -aG qvduser user")

    def in_image(self, line: str) -> None:
        """Runs a line of a shell in the image, as whoever builds it does."""
        self.server.run(["unshare", "--mount", "sh", "-ec", f'{_IN_IMAGE} "$0"', line], LIMIT)

    def upgrade(self) -> None:
        """Puts the new version in its place everywhere, while everything runs."""
        self._both(lambda guest: guest.run(self._install(guest.name, "new"), LIMIT))
        self.one.run(self._install("one", "new"), timeout=LIMIT)

    def purge(self) -> None:
        """Takes all of it away: first inside, then, with the container gone, on both guests."""
        self.one.run(f"rm /etc/qvd/slave.key; {self._purge('one')}", timeout=LIMIT)  # the key is the administrator's
        left_inside = self.one.run(f"find / -xdev -path {PLACE} -prune -o -name '*qvd*' -print").out
        assert not left_inside, left_inside
        self.one.stop(kill=True)
        self._both(lambda guest: guest.run(self._purge(guest.name), LIMIT))

    def _purge(self, role: str) -> str:
        names = " ".join(f"qvd-usbip-{name}" for name in self._roles[role])
        return f"{_APT} purge {names} </dev/null"

    # what there is

    def versions(self) -> set[str]:
        """The versions that dpkg has anywhere, without Debian's revision."""
        ask = "dpkg-query -W -f '${Version}\\n' 'qvd-usbip-*'"
        said = [where.run(ask).out for where in (self.client, self.server, self.one)]
        return {version.partition("-")[0] for text in said for version in text.split()}

    def changed(self, guest: Guest) -> list[str]:
        """What a guest has, or lacks, since before the packages: files, mounts, maps, units, packages.

        AppArmor's profile stays in the kernel until the next boot: a container beneath it would run without one.
        """
        ask = (
            f"{_FILES} | sort | comm -3 {_BEFORE} -; find /run /sys/fs/bpf -xdev -name '*qvd*'; "
            "grep qvd /proc/mounts; "
            "dpkg-query -W -f '${Package} ${db:Status-Status}\\n' 'qvd-usbip-*' 2>/dev/null; "
            "systemctl list-units --all --plain --no-legend 'qvd-*'; true"
        )
        return guest.run(ask, timeout=120).out.splitlines()

    # the container

    def start_container(self) -> None:
        """As the documentation says, for an image that has the receiver's package."""
        server, one = self.server, self.one
        server.run("qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1")
        server.run("systemctl restart qvd-usb-agent", timeout=120)
        group = server.run(f"awk -F: '$1 == \"qvduser\" {{print $3}}' {IMAGE}/etc/group").out
        lines = server.run(["qvd-usb-agent", "lxc-config", "--broker-gid", group, one.name]).out
        one.write_config(f"{base_config(one.name)}{lines}\n")
        one.put_file("/etc/qvd/slave.key", f"{SLAVE_KEYS[one.name]}\n", mode="0600")
        one.start()
        one.wait()
