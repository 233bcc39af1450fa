"""PURE: what the lab's machines are made of: suites, packages, accounts, and what is left out of the image.

Every value here is part of the image's content key: a change builds a new image, no change costs nothing.
"""

from dataclasses import dataclass

from tests.lab.errors import LabError

#: Raised by hand when the same words would give another image (a changed step in the builder is hashed already).
EDITION = 1


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_GUEST = """
linux-image-amd64 systemd-sysv udev dbus kmod procps psmisc iproute2 busybox-static
lxc apparmor uidmap usbip usbutils acl strace bpftool e2fsprogs dosfstools mtools make
python3 python3-pyudev python3-psutil python3-prctl python3-h11 python3-cryptography python3-prometheus-client
python3-jeepney
gcc libc6-dev
xvfb xdotool x11-utils at-spi2-core python3-pyatspi dbus-x11 fonts-inter fonts-dejavu-core
"""

#: What the picker's window runs on, and the desktop around it: a window manager with a tray, leave to mount a stick.
_PYSIDE = """
python3-pyside6.qtcore python3-pyside6.qtgui python3-pyside6.qtwidgets python3-pyside6.qtsvg python3-pyside6.qtdbus
qt6-svg-plugins icewm polkitd
"""

#: Services of a host that would take hold of what is lent; one scenario starts them, elsewhere none runs.
_BYSTANDERS = """
udisks2 lvm2 network-manager modemmanager
"""

_CONTAINER = """
systemd-sysv udev dbus acl kmod usbutils procps iproute2 strace make mtools
python3 python3-h11 python3-pyudev python3-serial
"""

#: Never read in a guest; left out while unpacking (the copyright files stay).
PATHS_LEFT_OUT = (
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/help/*",
    "/usr/share/doc/*/[!c]*",
    "/usr/share/icons/*",
)

#: Kernel modules that no USB test needs, as glob patterns below the kernel's module folder.
MODULES_LEFT_OUT = (
    "kernel/drivers/gpu",
    "kernel/drivers/infiniband",
    "kernel/drivers/iio",
    "kernel/drivers/ata",
    "kernel/drivers/staging",
    "kernel/drivers/mtd",
    "kernel/drivers/hwmon",
    "kernel/drivers/md/[!d]*",
    "kernel/drivers/md/dm-[!m]*",
    "kernel/drivers/md/dm-m[!o]*",
    "kernel/drivers/isdn",
    "kernel/drivers/accel",
    "kernel/drivers/platform",
    "kernel/drivers/net/wireless",
    "kernel/drivers/net/ethernet",
    "kernel/drivers/net/can",
    "kernel/drivers/net/fddi",
    "kernel/drivers/media/pci",
    "kernel/drivers/media/dvb*",
    "kernel/drivers/media/tuners",
    "kernel/drivers/media/i2c",
    "kernel/drivers/scsi/[a-rt-z]*",
    "kernel/drivers/comedi",
    "kernel/sound/pci",
    "kernel/sound/soc",
    *(
        f"kernel/fs/{name}"
        for name in (
            "xfs",
            "btrfs",
            "bcachefs",
            "ocfs2",
            "gfs2",
            "ceph",
            "nfs*",
            "smb",
            "cifs",
            "f2fs",
            "jfs",
            "reiserfs",
        )
    ),
)

#: The modules a root disk on virtio needs; their dependencies are followed.
INITRD_MODULES = _words("virtio_pci virtio_blk virtio_console virtio_net virtio_rng crc32c_generic ext4 overlay")

#: On what the product stands: a pruned image that lost one of them is refused when it is built.
MODULES_NEEDED = _words("""
usbip_host vhci_hcd dummy_hcd libcomposite usb_f_acm usb_f_mass_storage usb_f_hid cdc_acm usb_storage uas usbhid
snd_usb_audio tls bridge veth overlay sd_mod dm_mod cdc_ether
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A Debian release as the lab uses it."""

    name: str
    guest_packages: tuple[str, ...]
    container_packages: tuple[str, ...]
    pyside: bool


def _suite(name: str, more: str, *, pyside: bool) -> Suite:
    guest = _GUEST + more
    return Suite(
        name=name, guest_packages=tuple(guest.split()), container_packages=tuple(_CONTAINER.split()), pyside=pyside
    )


SUITES = {
    "trixie": _suite("trixie", _PYSIDE + _BYSTANDERS, pyside=True),
    "bookworm": _suite("bookworm", "", pyside=False),  # Debian 12 has no PySide6 package
}


def suite_named(name: str) -> Suite:
    """The suite of that name; raises LabError for one that the lab does not know."""
    try:
        return SUITES[name]
    except KeyError:
        raise LabError(f"the lab knows no suite {name!r}", f"known: {', '.join(SUITES)}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One of the two machines: what it has and where it stands in the network."""

    name: str
    index: int
    memory_mib: int
    cpus: int
    masked: tuple[str, ...]

    @property
    def mac(self) -> str:
        """The hardware address on the lab's network; the image gives the address that belongs to it."""
        return f"52:54:00:bb:00:{self.index:02x}"

    @property
    def address(self) -> str:
        """The address on the lab's network."""
        return f"10.9.0.{self.index}"


ROLES = {
    "server": Role(name="server", index=1, memory_mib=1536, cpus=2, masked=()),
    # The client machine runs no containers: loading their AppArmor profiles would cost seconds at each boot.
    "client": Role(name="client", index=2, memory_mib=1024, cpus=1, masked=("apparmor.service",)),
}

#: The containers on the server's bridge, and their addresses. `one` is the user's, `two` the other tenant's.
CONTAINERS = {"one": "10.9.1.11", "two": "10.9.1.12"}
BRIDGE_ADDRESS = "10.9.1.1"
CONTAINER_NETWORK = "10.9.1.0/24"

#: Units that a lab machine never needs, or only where a scenario starts them.
GUEST_MASKED = _words("""
NetworkManager.service NetworkManager-wait-online.service NetworkManager-dispatcher.service
ModemManager.service lvm2-monitor.service lvm2-lvmpolld.socket dm-event.socket blk-availability.service
systemd-networkd-wait-online.service lxc.service lxc-net.service lxc-monitord.service e2scrub_reap.service
getty@tty1.service serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer
dpkg-db-backup.timer man-db.timer systemd-tmpfiles-clean.timer systemd-timesyncd.service ldconfig.service
systemd-pcrphase-sysinit.service systemd-pcrphase.service systemd-hwdb-update.service systemd-pstore.service
systemd-binfmt.service systemd-update-done.service
""")

#: Neither does a container; what it boots in vain takes longer, under emulation, than all that the product does there.
CONTAINER_MASKED = _words("""
systemd-networkd.service systemd-networkd.socket systemd-resolved.service console-getty.service getty.target
systemd-journald-audit.socket apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer dpkg-db-backup.timer
systemd-tmpfiles-clean.timer systemd-hwdb-update.service systemd-update-done.service ldconfig.service
systemd-sysctl.service systemd-remount-fs.service systemd-random-seed.service systemd-update-utmp.service
systemd-journal-catalog-update.service systemd-journal-flush.service systemd-sysusers.service
systemd-udev-load-credentials.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service
dev-hugepages.mount dev-mqueue.mount run-lock.mount tmp.mount sys-fs-fuse-connections.mount remote-fs.target
""")
