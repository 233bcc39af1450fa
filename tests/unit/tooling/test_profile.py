"""The AppArmor profile of privileged containers, compiled: what its rules became, where no kernel has to be asked."""

from pathlib import Path

import pytest

from tests.kit.apparmor_policy import Profile, compiled

READ_ONLY, REMOUNT, BIND, MOVE, RECURSIVE, SLAVE = 1, 32, 4096, 8192, 16384, 1 << 19
SPOT, MEDIUM = "/root/spot/", "/mnt/stick/"
HUB = "/sys/devices/platform/vhci_hcd.3/"
STRICT, OWN_ATTACH = "lxc-container-qvd", "lxc-container-qvd-own-attach"


@pytest.fixture(scope="module")
def profiles(repository: Path) -> dict[str, Profile]:
    return compiled(repository / "resources/apparmor.d", STRICT)


@pytest.fixture(params=[STRICT, OWN_ATTACH])
def profile(profiles: dict[str, Profile], request: pytest.FixtureRequest) -> Profile:
    return profiles[request.param]


@pytest.mark.parametrize(
    "path",
    """
    / /s /sy /sysx /srv/x /p /pr /pro /procs/x /home/user/x /usr/bin/python3 /root/vhci_hcd.1/x /etc/proc/sys /dev/null
    /usr/include/sys/mount.h /home/user/uevent /usr/bin/bind /sys/fs/cgroup/x/cgroup.procs /proc/1/oom_score_adj
    /proc/sys/net/ipv4/ip_forward
    """.split(),
)
def test_its_own_files_are_its_own(profile: Profile, path: str) -> None:
    assert {"r", "w"} <= set(profile.file(path))


@pytest.mark.parametrize(
    "path",
    f"""
    /sys/ /proc/ {HUB}usb7/authorized {HUB}usb7/7-1/authorized {HUB}uevent {HUB}newfile /sys/bus/usb/drivers/usb/unbind
    /sys/bus/platform/drivers/vhci_hcd/unbind /sys/power/state /sys/kernel/uevent_helper /sys/fs/cgroup/x/release_agent
    /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/fs/binfmt_misc/register /proc/acpi/x
    /proc/sysrq-trigger /proc/kcore /sys/kernel/debug/x /sys/kernel/config/x /sys/fs/fuse/connections/5/abort
    /usb7/7-1/authorized /authorized_default /attach /detach /dev/.lxc/sys/bus/usb/drivers_probe
    /dev/.lxc/proc/sysrq-trigger /proc/1/net/rpc/nfsd.export/channel /proc/1/task/1/net/rpc/auth.unix.ip/channel
    """.split(),
)
def test_the_hosts_files_are_not_written(profile: Profile, path: str) -> None:
    assert "w" not in profile.file(path)


@pytest.mark.parametrize(
    "path", ["/proc/kcore", "/sys/kernel/debug/usb/usbmon/0u", "/sys/devices/pci0000:00/0000:00:02.0/resource0"]
)
def test_what_tells_of_others_is_not_read_either(profile: Profile, path: str) -> None:
    assert profile.file(path) == ""


def test_the_hubs_own_attach_is_the_only_difference(profiles: dict[str, Profile]) -> None:
    for name in ("attach", "detach"):
        assert "w" not in profiles[STRICT].file(HUB + name)
        assert "w" in profiles[OWN_ATTACH].file(HUB + name)


@pytest.mark.parametrize("kind", ["tmpfs", "devpts", "cgroup2", "ext4", "vfat", "fuse", "fuse.sshfs"])
@pytest.mark.parametrize("flags", [0, READ_ONLY, 14])
def test_its_own_data_is_mounted(profile: Profile, kind: str, flags: int) -> None:
    assert profile.mount(SPOT, "x", kind, flags)
    assert profile.mount(SPOT, "x", kind, flags, data="mode=755")
    assert profile.umount(SPOT)


@pytest.mark.parametrize(
    "kind",
    """
    sysfs proc devtmpfs debugfs tracefs configfs securityfs bpf pstore efivarfs binfmt_misc cgroup cpuset fusectl
    overlay 9p virtiofs nfsd functionfs nosuchfs
    """.split(),
)
def test_nothing_that_speaks_for_the_kernel_is_mounted(profile: Profile, kind: str) -> None:
    """Kinds that nobody listed are refused too, by parsers that widen rules with several options as well."""
    for flags in (0, READ_ONLY, 6, 14, 1 << 15, 1 << 21, RECURSIVE):
        for data in ("", "x"):
            assert not any(profile.mount(point, kind, kind, flags, data) for point in (SPOT, MEDIUM))


def test_the_place_of_fuse_may_be_mounted_as_systemd_does_and_stays_shut(profile: Profile) -> None:
    place = "/sys/fs/fuse/connections/"
    assert profile.mount(place, "fusectl", "fusectl", 14)
    assert profile.file(f"{place}5/abort") == ""


def test_of_cgroup_v1_systemd_mounts_its_own_hierarchy_and_nothing_elsewhere(profile: Profile) -> None:
    assert profile.mount("/sys/fs/cgroup/systemd/", "cgroup", "cgroup", 14, data="none,name=systemd,xattr")
    assert not profile.mount("/sys/fs/cgroup/devices/", "cgroup", "cgroup", 14, data="devices")
    assert "w" not in profile.file("/sys/fs/cgroup/systemd/release_agent")


@pytest.mark.parametrize("path", ["/", "/sys/", HUB, "/sys/bus/usb/drivers/", "/proc/", "/proc/sys/", "/home/"])
def test_sysfs_and_procfs_stay_where_they_are(profile: Profile, path: str) -> None:
    """Nothing is bound or moved: AppArmor follows the links of a source, then mount(2) does, and they may be others."""
    for point in (SPOT, MEDIUM):
        assert not any(profile.mount(point, path, flags=flags) for flags in (BIND, BIND | RECURSIVE, MOVE))
    assert not profile.pivot_root(path, path)


@pytest.mark.parametrize("path", ["/", "/sys/", "/sys/devices/platform/", HUB, "/proc/", "/proc/sys/"])
def test_what_covers_them_is_not_taken_away(profile: Profile, path: str) -> None:
    assert not profile.umount(path)


@pytest.mark.parametrize("path", ["/", "/sys/", HUB, "/proc/sys/", "/run/qvd-usbip/", "/home/", SPOT])
def test_what_the_host_mounted_is_not_changed(profile: Profile, path: str) -> None:
    """A remount changes the file system itself, for the host too."""
    assert not any(profile.mount(path, flags=REMOUNT | more) for more in (0, BIND, READ_ONLY))


def test_mounts_of_its_own_are_changed_and_passed_on(profile: Profile) -> None:
    assert profile.mount(MEDIUM, flags=REMOUNT)
    assert profile.mount("/", flags=SLAVE | RECURSIVE)
