"""Taking a device, and giving it back from every state a run before could have left."""

import errno
import os
from pathlib import Path

import pytest

from client_gui.helper import handover, usbip_host
from client_gui.helper.authorise import parse_policy
from client_gui.helper.device import Identity
from client_gui.helper.handover import Place, Wish
from client_gui.helper.ownership import BINDING, BOUND, CALLED, LENT, Claim, Record
from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError
from qvd_usbip.ids import BusId
from tests.unit.client_gui.helper.fake_kernel import BOOT, CAMERA, KEYBOARD, SERIAL_ADAPTER, STICK, FakeKernel, Killed

BUSID = BusId.parse("1-4")
POLICY = parse_policy("")
ME = 1000


def take(place: Place, *, mode: str = LENT, uid: int = ME, expect: Identity | None = None, consent: str = "") -> None:
    claim = Claim(place.path, BUSID)
    try:
        wish = Wish(uid=uid, mode=mode, expect=expect, consent=frozenset(consent.split()))
        handover.take(place, claim, POLICY, wish).close()
    finally:
        claim.release()


def give_back(place: Place) -> bool:
    claim = Claim(place.path, BUSID)
    try:
        return handover.give_back(place, claim)
    finally:
        claim.release()


def there_and_back(place: Place, mode: str) -> None:
    take(place, mode=mode)
    give_back(place)


def refusal(place: Place, **options: str) -> str:
    with pytest.raises(QvdUsbError) as caught:
        take(place, **options)  # type: ignore[arg-type]  # words of the test
    return caught.value.problem.code


def untouched(kernel: FakeKernel) -> bool:
    """Nothing was written to the kernel and nothing is recorded."""
    run = kernel.root / "run/qvd-usbip"
    return not kernel.writes and kernel.driver_of("1-4") in {"usb", ""} and not (run.exists() and list(run.iterdir()))


def recorded(kernel: FakeKernel) -> list[str]:
    return sorted(path.name for path in (kernel.root / "run/qvd-usbip").iterdir())


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
    monkeypatch.setattr(f"{__name__}.POLICY", parse_policy("usbip.consent.user=storage,mouse\n"))
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


def test_a_full_disk_does_not_keep_a_device_from_coming_back(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    saves: list[str] = []
    plain = Claim.save

    def full(self: Claim, record: Record) -> None:
        saves.append(record.phase)
        if len(saves) > 1:
            raise QvdUsbError(CONFIG_UNWRITABLE, path="run", reason="the disk is full")
        plain(self, record)

    monkeypatch.setattr(Claim, "save", full)
    assert refusal(place) == "config-unwritable"
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert recorded(kernel) == []


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


def test_unplugged_while_bound_never_writes_rebind(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    kernel.unplug("1-4")
    assert not give_back(place)
    assert "rebind" not in [name for name, _ in kernel.writes]
    assert recorded(kernel) == []


def test_a_node_that_root_may_not_read_keeps_no_device_from_coming_back(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The helper is root without CAP_DAC_OVERRIDE: a node that a rule gave to somebody else is closed to it."""
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    plain = os.open

    def closed(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path.startswith("dev/bus/usb/"):
            raise PermissionError(errno.EACCES, "closed")
        return plain(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", closed)
    assert give_back(place)
    assert kernel.driver_of("1-4") == "usb"
    assert "rebind" not in [name for name, _ in kernel.writes]


def test_replugged_while_bound(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    kernel.unplug("1-4")
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    assert give_back(place)
    assert kernel.driver_of("1-4") == "usb"
    assert "rebind" not in [name for name, _ in kernel.writes]
    # the place in the table comes free with the next loan
    take(place)
    give_back(place)
    assert kernel.entry("1-4") is None


@pytest.mark.parametrize("at", range(3, 7))
def test_pulled_during_each_step_of_the_return(kernel: FakeKernel, place: Place, at: int) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)

    def pull(name: str, text: str) -> None:
        # the pin keeps the kernel's device in memory: a rebind under way is harmless
        if len(kernel.writes) == at + 1 and name != "rebind":
            kernel.unplug("1-4")

    kernel.before_write = pull
    give_back(place)
    assert recorded(kernel) == []


@pytest.mark.parametrize("mode", [LENT, CALLED])
@pytest.mark.parametrize("last", range(6))
def test_killed_at_every_effect(kernel: FakeKernel, place: Place, last: int, mode: str) -> None:
    """Killed before its n-th write: the next run gives the device back, or finds it where an old caller left it."""
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)

    def kill(name: str, text: str) -> None:
        if len(kernel.writes) == last + 1:
            raise Killed

    kernel.before_write = kill
    with pytest.raises(Killed):
        there_and_back(place, mode)
    kernel.before_write = lambda name, text: None
    claim = Claim(place.path, BUSID)
    handover.settle_leftover(place, claim, ME)
    claim.release()
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert recorded(kernel) == []


@pytest.mark.parametrize("saves", range(4))
def test_killed_at_every_record(kernel: FakeKernel, place: Place, saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    plain, dropped, seen = Claim.save, Claim.drop, [0]

    def save(self: Claim, record: Record) -> None:
        if seen[0] == saves:
            raise Killed
        seen[0] += 1
        plain(self, record)

    def drop(self: Claim) -> None:
        if seen[0] == saves:
            raise Killed
        dropped(self)

    monkeypatch.setattr(Claim, "save", save)
    monkeypatch.setattr(Claim, "drop", drop)
    with pytest.raises(Killed):
        there_and_back(place, LENT)
    monkeypatch.setattr(Claim, "save", plain)
    monkeypatch.setattr(Claim, "drop", dropped)
    take(place)
    give_back(place)
    assert kernel.driver_of("1-4") == "usb"
    assert kernel.entry("1-4") is None
    assert recorded(kernel) == []


def test_a_standing_bind_of_an_old_caller_is_no_leftover(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place, mode=CALLED)
    claim = Claim(place.path, BUSID)
    assert not handover.settle_leftover(place, claim, 0)
    claim.release()
    assert kernel.driver_of("1-4") == "usbip-host"
    take(place, mode=CALLED)
    assert refusal(place, mode=CALLED, uid=1001) == "foreign-owner"  # type: ignore[arg-type]  # a uid
    take(place, mode=LENT)
    give_back(place)
    assert kernel.driver_of("1-4") == "usb"


def test_a_device_somebody_else_bound_is_left_alone(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    (kernel.root / "run/qvd-usbip/1-4").unlink()
    written = len(kernel.writes)
    assert refusal(place) == "foreign-owner"
    assert len(kernel.writes) == written


def test_a_record_of_another_boot_says_nothing_about_this_one(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    claim = Claim(place.path, BUSID)
    claim.save(
        Record(
            busid=BUSID, uid=ME, boot="another", devnum=5, identity=Identity("0bda:58c2", ""), mode=LENT, phase=BOUND
        )
    )
    claim.release()
    take(place)
    assert kernel.driver_of("1-4") == "usbip-host"


def test_only_its_owner_or_root_settles_a_leftover(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    claim = Claim(place.path, BUSID)
    identity = Identity("0bda:58c2", "")
    claim.save(Record(busid=BUSID, uid=ME, boot=BOOT, devnum=5, identity=identity, mode=LENT, phase=BINDING))
    assert not handover.settle_leftover(place, claim, 1001)
    assert handover.settle_leftover(place, claim, 0)
    claim.release()


def test_a_device_no_local_driver_takes_is_reported_and_stays_on_record(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    kernel.faults = {5: errno.EBUSY, 6: errno.EINVAL, 7: errno.EINVAL}
    with pytest.raises(QvdUsbError) as caught:
        give_back(place)
    assert caught.value.problem.code == "return-failed"
    assert recorded(kernel) == ["1-4", "1-4.lock"]
    assert give_back(place)
    assert kernel.driver_of("1-4") == "usb"
