"""Giving a device back, from every state that a run before could have left."""

import errno
import os

import pytest

from client_gui.helper import device, handover
from client_gui.helper.device import Identity
from client_gui.helper.handover import Place
from client_gui.helper.ownership import BINDING, BOUND, CALLED, LENT, Claim, Record
from qvd_usbip.errors import CONFIG_UNWRITABLE, QvdUsbError
from tests.unit.client_gui.helper.fake_kernel import BOOT, CAMERA, FakeKernel, Killed
from tests.unit.client_gui.helper.taking import BUSID, ME, give_back, recorded, refusal, take, there_and_back


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


def test_unplugged_while_bound_never_writes_rebind(kernel: FakeKernel, place: Place) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    kernel.unplug("1-4")
    assert not give_back(place)
    assert "rebind" not in [name for name, _ in kernel.writes]
    assert recorded(kernel) == []


def test_a_device_that_is_being_reset_is_waited_for(
    kernel: FakeKernel, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.plug("1-4", "0bda:58c2", interfaces=CAMERA)
    take(place)
    devnum = kernel.bus / "devices/1-4/devnum"
    number, plain = devnum.read_text(), device.read_text
    devnum.write_text("0\n")

    def read(folder: int, name: str) -> str | None:
        if name != "bConfigurationValue":
            return plain(folder, name)
        devnum.write_text(number)
        return "1"

    monkeypatch.setattr(device, "read_text", read)
    seen = device.observe(place.root, BUSID)
    assert seen is not None
    seen.close()
    assert seen.devnum == int(number)
    devnum.write_text("0\n")
    assert give_back(place)
    assert kernel.driver_of("1-4") == "usb"
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
