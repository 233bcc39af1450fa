"""Taking a device: what is refused, in which order it happens, and what a failure leaves: nothing."""

import errno
import os
from pathlib import Path

import pytest

from client_gui.helper import usbip_host
from client_gui.helper.authorise import parse_policy
from client_gui.helper.device import Identity
from client_gui.helper.handover import Place
from qvd_usbip.errors import QvdUsbError
from tests.unit.client_gui.helper import taking
from tests.unit.client_gui.helper.fake_kernel import CAMERA, KEYBOARD, SERIAL_ADAPTER, STICK, FakeKernel
from tests.unit.client_gui.helper.taking import give_back, recorded, refusal, take, untouched


def test_taken_and_given_back(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=SERIAL_ADAPTER)
    take(place, expect=Identity("0bda:58c2", "1234"))
    assert kernel.driver_of("1-4") == "usbip-host"
    assert (kernel.root / "run/qvd-usbip/1-4").stat().st_mode & 0o777 == 0o600
    assert give_back(place)
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert recorded(kernel) == []


def test_the_entry_is_added_only_when_the_local_driver_is_off(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    assert [text for _, text in kernel.writes] == ["1-4", "add 1-4", "1-4"]
    give_back(place)
    assert [name for name, _ in kernel.writes[3:]] == ["unbind", "match_busid", "rebind"]


@pytest.mark.parametrize(
    ("problem", "interfaces", "cls", "below"),
    [
        ("device-is-hub", [(9, 0, 0)], 9, "devices/pci0000:00/usb1"),
        ("device-is-hub", [(9, 0, 0)], 0, "devices/pci0000:00/usb1"),
        ("device-below-vhci", CAMERA, 0, "devices/platform/vhci_hcd.0/usb3"),
        ("device-locked", KEYBOARD, 0, "devices/pci0000:00/usb1"),
        ("device-locked", [(3, 1, 2)], 0, "devices/pci0000:00/usb1"),
        ("device-locked", [(2, 6, 0)], 0, "devices/pci0000:00/usb1"),
        ("device-locked", [(0xE0, 1, 1)], 0, "devices/pci0000:00/usb1"),
        ("device-locked", [(0xE0, 1, 3)], 0, "devices/pci0000:00/usb1"),
    ],
)
def test_refused_by_what_it_is(
    kernel: FakeKernel, place: Place, problem: str, interfaces: list[tuple[int, int, int]], cls: int, below: str
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=interfaces, cls=cls, below=below)
    assert refusal(place) == problem
    assert untouched(kernel)


def test_a_device_without_a_configuration_is_judged_by_its_own_description(kernel: FakeKernel, place: Place) -> None:
    """The kernel shows no interfaces before it has chosen a configuration, nor while no driver has the device."""
    kernel.plug("1-4", "046d:c31c", interfaces=KEYBOARD)
    kernel.write(os.open(kernel.bus / "drivers/usb", os.O_RDONLY), "unbind", "1-4")
    kernel.writes.clear()
    assert refusal(place) == "device-locked"
    assert untouched(kernel)


@pytest.mark.parametrize("descriptors", [b"", b"\x12", b"\x00\x04", b"\x12\x01" + bytes(16), b"\x09\x04\x00"])
def test_a_device_of_which_nothing_is_known_is_refused(kernel: FakeKernel, place: Place, descriptors: bytes) -> None:
    folder = kernel.plug("1-4", "046d:c31c", interfaces=[])
    (folder / "descriptors").write_bytes(descriptors)
    assert refusal(place) == "device-locked"
    assert untouched(kernel)


def test_a_keyboard_goes_with_its_users_consent(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "046d:c31c", interfaces=KEYBOARD)
    take(place, consent="keyboard")
    assert kernel.driver_of("1-4") == "usbip-host"


def test_consent_counts_only_as_far_as_the_policy_lets(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "046d:c31c", interfaces=KEYBOARD)
    monkeypatch.setattr(taking, "POLICY", parse_policy("usbip.consent.user=storage,mouse\n"))
    assert refusal(place, consent="keyboard mouse") == "device-locked"


def test_a_keyboard_that_hides_its_protocol_is_still_one(kernel: FakeKernel, place: Place) -> None:
    folder = kernel.plug("1-4", "dead:beef", interfaces=[(3, 0, 0)])
    capabilities = folder / "1-4:1.0/0003:DEAD:BEEF.0001/input/input7/capabilities"
    capabilities.mkdir(parents=True)
    (capabilities / "ev").write_text("120013\n")
    (capabilities / "key").write_text("1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n")
    (kernel.root / "sys/bus/input").mkdir()
    (capabilities.parent / "subsystem").symlink_to(os.path.relpath(kernel.root / "sys/bus/input", capabilities.parent))
    assert refusal(place) == "device-locked"


def test_what_an_input_device_can_do_counts_as_everything_where_it_cannot_be_read(
    kernel: FakeKernel, place: Place
) -> None:
    folder = kernel.plug("1-4", "dead:beef", interfaces=[(3, 0, 0)])
    capabilities = folder / "1-4:1.0/0003:DEAD:BEEF.0001/input/input7/capabilities"
    capabilities.mkdir(parents=True)
    (capabilities / "key").write_text("what\n")
    (kernel.root / "sys/bus/input").mkdir()
    (capabilities.parent / "subsystem").symlink_to(os.path.relpath(kernel.root / "sys/bus/input", capabilities.parent))
    assert refusal(place) == "device-locked"


def test_a_network_adapter_that_is_up_is_refused_even_with_consent(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0b95:1790", interfaces=[(255, 255, 0)])
    kernel.add_network("1-4", "enx00", 0x1003)
    assert refusal(place, consent="network") == "network-in-use"
    assert untouched(kernel)


def test_a_network_adapter_that_is_down_needs_consent(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0b95:1790", interfaces=[(255, 255, 0)])
    kernel.add_network("1-4", "enx00", 0x1002)
    assert refusal(place) == "device-locked"
    take(place, consent="network")
    assert kernel.driver_of("1-4") == "usbip-host"


def test_a_mounted_stick_is_refused(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0781:5581", interfaces=STICK)
    kernel.add_disk("1-4", "sdb", "8:16")
    (kernel.root / "proc/self/mountinfo").write_text("30 22 8:16 / /media/user/BACKUP rw - vfat /dev/sdb rw\n")
    with pytest.raises(QvdUsbError, match=r"sdb mounted on /media/user/BACKUP"):
        take(place)
    assert untouched(kernel)


def test_a_mounted_partition_is_refused(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0781:5581", interfaces=STICK)
    kernel.add_disk("1-4", "sdb", "8:16")
    (kernel.root / "proc/self/mountinfo").write_text("30 22 8:17 / /media/user/BACKUP rw - vfat /dev/sdb1 rw\n")
    with pytest.raises(QvdUsbError, match=r"sdb1 mounted on /media/user/BACKUP"):
        take(place)


def test_a_free_stick_is_claimed_until_its_driver_is_off(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk alone: a second exclusive open, of its partition, would be refused by the kernel."""
    kernel.plug("1-4", "0781:5581", interfaces=STICK)
    kernel.add_disk("1-4", "sdb", "8:16")
    plain, opened, seen = os.open, list[int](), list[tuple[str, bool]]()

    def exclusive(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if not str(path).startswith("dev/sd"):
            return plain(path, flags, mode, dir_fd=dir_fd)
        assert (path, bool(flags & os.O_EXCL), bool(flags & os.O_ACCMODE)) == ("dev/sdb", True, False)
        opened.append(plain(os.devnull, os.O_RDONLY))
        return opened[-1]

    def still_open(name: str, text: str) -> None:
        try:
            os.fstat(opened[0])
        except OSError:
            seen.append((name, False))
        else:
            seen.append((name, True))

    null = Path(os.devnull).stat().st_rdev
    disk = kernel.folder("1-4") / "1-4:1.0/host0/block/sdb/dev"
    disk.write_text(f"{os.major(null)}:{os.minor(null)}\n")
    monkeypatch.setattr(os, "open", exclusive)
    kernel.before_write = still_open
    take(place)
    assert len(opened) == 1
    assert seen[0] == ("driver/unbind", True)
    assert seen[1:] == [("match_busid", False), ("bind", False)]


def test_a_device_the_administrator_did_not_authorise(kernel: FakeKernel, place: Place) -> None:
    (kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA) / "authorized").write_text("0\n")
    with pytest.raises(QvdUsbError, match="has not authorised"):
        take(place)
    assert untouched(kernel)


@pytest.mark.parametrize("use", ["holder", "swap"])
def test_a_stick_in_use_otherwise_is_refused(kernel: FakeKernel, place: Place, use: str) -> None:
    kernel.plug("1-4", "0781:5581", interfaces=STICK)
    disk = kernel.add_disk("1-4", "sdb")
    if use == "holder":
        (disk / "holders/dm-3").touch()
    else:
        (kernel.root / "proc/swaps").write_text("Filename Type Size Used Priority\n/dev/sdb partition 1 0 -2\n")
    assert refusal(place) == "storage-in-use"
    assert untouched(kernel)


def test_a_stick_claimed_in_another_namespace_is_refused(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "0781:5581", interfaces=STICK)
    kernel.add_disk("1-4", "sdb")
    plain = os.open

    def busy(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "dev/sdb":
            assert flags & os.O_EXCL
            raise OSError(errno.EBUSY, "claimed")
        return plain(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", busy)
    assert refusal(place) == "storage-in-use"


def test_another_device_in_the_port_is_refused(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "9999", interfaces=CAMERA)
    with pytest.raises(QvdUsbError) as caught:
        take(place, expect=Identity("0bda:58c2", "1234"))
    assert caught.value.problem.code == "device-changed"
    assert untouched(kernel)


def test_the_same_kind_of_device_plugged_in_after_it_was_recognised(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=CAMERA)
    with pytest.raises(QvdUsbError) as caught:
        take(place, expect=Identity("0bda:58c2", "1234"), devnum=4)
    assert caught.value.problem.code == "device-changed"
    assert untouched(kernel)


def test_nothing_in_the_port(kernel: FakeKernel, place: Place) -> None:
    assert refusal(place) == "device-gone"
    assert untouched(kernel)


def test_the_driver_is_loaded_when_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKernel(tmp_path, loaded=False)
    fake.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    monkeypatch.setattr(usbip_host, "write", fake.write)
    started: list[tuple[str, list[str], dict[str, str]]] = []

    def spawn(program: str, arguments: list[str], environment: dict[str, str], **_: object) -> int:
        started.append((program, arguments, environment))
        fake.load()
        return 0

    monkeypatch.setattr(os, "posix_spawn", spawn)
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, 0))
    take(Place(f"{tmp_path}/"))
    assert started == [("/usr/sbin/modprobe", ["/usr/sbin/modprobe", "-q", "usbip-host"], {})]
    assert fake.driver_of("1-4") == "usbip-host"


def test_a_driver_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKernel(tmp_path, loaded=False)
    fake.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    monkeypatch.setattr(os, "posix_spawn", lambda *_, **__: 0)
    monkeypatch.setattr(os, "waitpid", lambda pid, options: (pid, 256))
    assert refusal(Place(f"{tmp_path}/")) == "usbip-host-unavailable"
    assert untouched(fake)


def test_sixteen_devices_are_lent(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    for number, slot in enumerate(kernel.slots):
        slot.name = f"2-{number + 1}"
    (kernel.driver / "match_busid").write_text(" ".join(slot.name for slot in kernel.slots))
    assert refusal(place) == "no-free-slot"
    assert untouched(kernel)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("reason", [errno.EBUSY, errno.EINVAL, errno.EIO])
def test_a_bind_that_fails_is_rolled_back_and_reported(
    kernel: FakeKernel, place: Place, number: int, reason: int
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    kernel.faults[number] = reason
    with pytest.raises(QvdUsbError) as caught:
        take(place)
    assert caught.value.problem.code == "bind-failed"
    assert os.strerror(reason) in str(caught.value)
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert recorded(kernel) == []


def test_the_table_that_fills_meanwhile(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    kernel.faults[1] = errno.ENOMEM
    assert refusal(place) == "no-free-slot"
    assert kernel.driver_of("1-4") == "usb"


@pytest.mark.parametrize("at", range(3))
def test_pulled_during_each_step(kernel: FakeKernel, place: Place, at: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)

    def pull(name: str, text: str) -> None:
        if len(kernel.writes) == at + 1:
            kernel.unplug("1-4")

    kernel.before_write = pull
    assert refusal(place) == "device-gone"
    assert recorded(kernel) == []


def test_swapped_for_another_device_before_the_bind(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)

    def swap(name: str, text: str) -> None:
        if len(kernel.writes) == 2:
            kernel.unplug("1-4")
            kernel.plug("1-4", "046d:c31c", interfaces=KEYBOARD)
            kernel.write(os.open(kernel.bus / "drivers/usb", os.O_RDONLY), "unbind", "1-4")

    kernel.before_write = swap
    assert refusal(place) == "device-changed"
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
