"""PURE: programs of a host that take hold of USB devices by themselves, and what keeps each off a lent one.

A rule of udev keeps those off that udev starts or that ask udev's database first. Others look at the bus themselves:
they have no place on a host whose containers own the devices.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystander:
    """A program: its file, what it would do, what our udev rules tell it ("" when it does not listen), how it goes."""

    name: str
    file: str
    deed: str
    told: str = ""
    units: str = ""

    @property
    def remedy(self) -> str:
        """How to keep one off that does not listen."""
        return f"systemctl mask --now {self.units}" if self.units else f"Remove {self.name} from this host."


BYSTANDERS = (
    Bystander(name="udisks2", file="/usr/libexec/udisks2/udisksd", deed="mounts media", told="UDISKS_IGNORE"),
    Bystander(name="udisks2", file="/usr/lib/udisks2/udisksd", deed="mounts media", told="UDISKS_IGNORE"),
    Bystander(name="lvm2", file="/usr/sbin/lvm", deed="activates volumes", told="no ID_FS_TYPE, SYSTEMD_READY=0"),
    Bystander(name="mdadm", file="/usr/sbin/mdadm", deed="assembles RAID", told="no ID_FS_TYPE, SYSTEMD_READY=0"),
    Bystander(name="multipath", file="/usr/sbin/multipathd", deed="claims disks", told="no ID_SERIAL, no ID_WWN"),
    Bystander(
        name="ModemManager", file="/usr/sbin/ModemManager", deed="sends AT commands", told="ID_MM_DEVICE_IGNORE"
    ),
    Bystander(name="NetworkManager", file="/usr/sbin/NetworkManager", deed="configures adapters", told="NM_UNMANAGED"),
    Bystander(
        name="systemd-networkd", file="/usr/lib/systemd/systemd-networkd", deed="configures adapters",
        told="Unmanaged=yes",
    ),
    Bystander(name="usb_modeswitch", file="/usr/sbin/usb_modeswitch", deed="switches devices over", told="RUN"),
    Bystander(name="brltty", file="/usr/bin/brltty", deed="drives Braille displays", told="SYSTEMD_READY=0"),
    Bystander(name="libmtp", file="/usr/lib/udev/mtp-probe", deed="talks to phones", told="MTP_NO_PROBE"),
    Bystander(name="libinput", file="/usr/bin/Xorg", deed="types and points", told="LIBINPUT_IGNORE_DEVICE"),
    Bystander(name="pcscd", file="/usr/sbin/pcscd", deed="opens card readers", units="pcscd.socket pcscd.service"),
    Bystander(
        name="bluetoothd", file="/usr/libexec/bluetooth/bluetoothd", deed="runs Bluetooth adapters",
        units="bluetooth.service",
    ),
    Bystander(name="fwupd", file="/usr/libexec/fwupd/fwupd", deed="opens devices for updates", units="fwupd.service"),
    Bystander(name="ipp-usb", file="/usr/sbin/ipp-usb", deed="takes printers over", units="ipp-usb.service"),
    Bystander(name="usbmuxd", file="/usr/sbin/usbmuxd", deed="pairs with phones", units="usbmuxd.service"),
    Bystander(
        name="smartd", file="/usr/sbin/smartd", deed="asks disks for their health", units="smartmontools.service",
    ),
    Bystander(name="upower", file="/usr/libexec/upowerd", deed="opens power supplies", units="upower.service"),
    Bystander(name="usbmount", file="/usr/share/usbmount/usbmount", deed="mounts media", told="RUN"),
    Bystander(name="devmon", file="/usr/bin/devmon", deed="mounts media"),
    Bystander(name="gpm", file="/usr/sbin/gpm", deed="reads every mouse", units="gpm.service"),
    Bystander(name="usbguard", file="/usr/sbin/usbguard-daemon", deed="authorises devices", units="usbguard.service"),
)  # fmt: skip


def present(exists: Callable[[str], bool]) -> tuple[list[Bystander], list[Bystander]]:
    """The programs that are here: those that our rules keep off, and those that they do not.

    Args:
        exists: whether this host has a file.
    """
    here = [each for each in BYSTANDERS if exists(each.file)]
    return [each for each in here if each.told], [each for each in here if not each.told]
