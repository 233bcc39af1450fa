"""EFFECT: takes a device from its local driver and gives it back; what fails half way is undone whole."""

import errno
import os

from client_gui.helper import storage, usbip_host
from client_gui.helper.authorise import Policy, check_device, check_identity
from client_gui.helper.device import Device, Identity, driver_of, observe
from client_gui.helper.ownership import BINDING, BOUND, CALLED, LENT, RETURNING, Claim, Record, boot_id
from qvd_usbip.errors import (
    BIND_FAILED,
    DEVICE_CHANGED,
    DEVICE_GONE,
    FOREIGN_OWNER,
    NO_FREE_SLOT,
    NOT_BOUND,
    RETURN_FAILED,
    Problem,
    QvdUsbError,
)
from qvd_usbip.ids import BusId


class Place:
    """Where the helper works: the folder that holds sys, proc, dev, run and etc, as a path and as a descriptor."""

    __slots__ = ("boot", "path", "root")

    def __init__(self, path: str = "/") -> None:
        self.path = path
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.boot = boot_id(self.root)


class Wish:
    """What is to be taken: on whose behalf, what it must be (None: whatever is there), what its user agreed to."""

    __slots__ = ("consent", "devnum", "expect", "mode", "uid")

    def __init__(
        self,
        *,
        uid: int,
        mode: str,
        expect: Identity | None = None,
        devnum: int | None = None,
        consent: frozenset[str] = frozenset(),
    ) -> None:
        self.uid = uid
        self.mode = mode
        self.expect = expect
        self.devnum = devnum
        self.consent = consent


def take(place: Place, claim: Claim, policy: Policy, wish: Wish) -> Device:
    """Binds the device to usbip-host, after every check, with the record written first.

    Returns:
        The bound device.

    Raises:
        QvdUsbError: every refusal of `authorise`, storage-in-use, no-free-slot, bind-failed, device-changed,
            device-gone, foreign-owner; the device is then on the driver it had before.
    """
    if (bound := standing(place, claim, wish)) is not None:
        return bound
    driver = usbip_host.load(place.root)
    device = _present(place, claim.busid)
    try:
        if device.driver == usbip_host.NAME:
            raise QvdUsbError(FOREIGN_OWNER, busid=str(claim.busid), uid="unknown")
        if wish.expect is not None:
            check_identity(device, wish.expect, wish.devnum)
        check_device(policy, device, wish.consent)
        taken = usbip_host.entries(driver)
        if len(taken) >= usbip_host.SLOTS and str(claim.busid) not in taken:
            raise QvdUsbError(NO_FREE_SLOT, busid=str(claim.busid))
        return _bind(place, claim, driver, device, wish)
    finally:
        device.close()
        os.close(driver)


def settle_leftover(place: Place, claim: Claim, uid: int) -> bool:
    """Finishes what a killed helper left on this busid, for its owner or root; returns whether a device was given back.

    An old caller's bind that still stands is no leftover.
    """
    record = claim.load(place.boot)
    if uid not in {0, -1 if record is None else record.uid} or not claim.exists:
        return False
    if record is not None and record.mode == CALLED and record.phase == BOUND:
        device = observe(place.root, claim.busid)
        if device is not None:
            device.close()
            if device.driver == usbip_host.NAME and record.is_of(device):
                return False
    return give_back(place, claim)


def discard_stale(place: Place, claim: Claim, uid: int) -> None:
    """Removes the caller's own record of a bind that does not stand any more: replugged, or unbound by hand."""
    record = claim.load(place.boot)
    if record is not None and uid in {0, record.uid}:
        settle_leftover(place, claim, uid)


def standing(place: Place, claim: Claim, wish: Wish) -> Device | None:
    """Finishes what a killed helper left on this busid; returns the device where an old caller's bind still stands.

    Raises:
        QvdUsbError: foreign-owner, return-failed.
    """
    record = claim.load(place.boot)
    if not claim.exists:
        return None
    if record is None or record.mode == LENT or record.phase != BOUND:
        give_back(place, claim)
        return None
    device = observe(place.root, claim.busid)
    if device is None or device.driver != usbip_host.NAME or not record.is_of(device):
        if device is not None:
            device.close()
        give_back(place, claim)
        return None
    if wish.uid not in {0, record.uid}:
        device.close()
        raise QvdUsbError(FOREIGN_OWNER, busid=str(claim.busid), uid=record.uid)
    if wish.mode == CALLED:
        return device
    device.close()
    give_back(place, claim)
    return None


def _bind(place: Place, claim: Claim, driver: int, device: Device, wish: Wish) -> Device:
    record = Record(
        busid=claim.busid,
        uid=wish.uid,
        boot=place.boot,
        devnum=device.devnum,
        identity=device.identity,
        mode=wish.mode,
        phase=BINDING,
    )
    held = storage.hold(place.root, device)
    now = None
    try:
        claim.save(record)
        usbip_host.take_off(device)
        storage.let_go(held)
        usbip_host.bind(driver, claim.busid)
        now = _present(place, claim.busid)
        _check_bound(now, device)
        claim.save(record.at(BOUND))
    except (OSError, QvdUsbError) as error:
        if now is not None:
            now.close()
        raise _rolled_back(place, claim, error) from error
    finally:
        storage.let_go(held)
    return now


def _check_bound(now: Device, before: Device) -> None:
    """Decides whether the bind took the device that was judged, and none that was plugged in meanwhile."""
    if now.driver != usbip_host.NAME:
        raise QvdUsbError(BIND_FAILED, busid=str(now.busid), reason=f"the device is on driver {now.driver or '-'}")
    if not now.same(before):
        raise QvdUsbError(DEVICE_CHANGED, busid=str(now.busid))


def _rolled_back(place: Place, claim: Claim, error: OSError | QvdUsbError) -> QvdUsbError:
    """Returns the failure of the bind, whatever became of the way back; the record stays when that failed too."""
    try:
        present = give_back(place, claim)
    except (OSError, QvdUsbError) as also:
        return QvdUsbError(
            BIND_FAILED, busid=str(claim.busid), reason=f"{_reason(error)}; not given back: {_reason(also)}"
        )
    if not present:
        return QvdUsbError(DEVICE_GONE, busid=str(claim.busid))
    if isinstance(error, QvdUsbError):
        return error
    problem = NO_FREE_SLOT if error.errno == errno.ENOMEM else BIND_FAILED
    return QvdUsbError(problem, busid=str(claim.busid), reason=_reason(error))


def _reason(error: OSError | QvdUsbError) -> str:
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)


def give_back(place: Place, claim: Claim) -> bool:
    """Gives the device back to its local driver, whatever state a run before left it in, and removes the record.

    Returns:
        Whether the device is still plugged in.

    Raises:
        QvdUsbError: return-failed when it is plugged in and no local driver has it; the record stays for the next run.
    """
    record = claim.load(place.boot)
    if record is not None and record.phase != RETURNING:
        _note_return(claim, record)
    device = observe(place.root, claim.busid)
    if device is None:
        _forget(place, claim.busid)
        claim.drop()
        return False
    try:
        _release(place, device)
        held_by = driver_of(device.folder)
    finally:
        device.close()
    if held_by in {"", usbip_host.NAME}:
        after = observe(place.root, claim.busid)
        if after is not None:
            after.close()
            if after.driver in {"", usbip_host.NAME}:
                raise QvdUsbError(RETURN_FAILED, busid=str(claim.busid), driver=after.driver or "-")
    claim.drop()
    return True


def _note_return(claim: Claim, record: Record) -> None:
    """Notes that the return is under way; on a full disk the older record does too, and the device must come back."""
    try:
        claim.save(record.at(RETURNING))
    except QvdUsbError:
        return


def _release(place: Place, device: Device) -> None:
    """Brings the device to a local driver; a write the kernel refuses does not keep the next from being tried."""
    driver = usbip_host.opened(place.root)
    if driver >= 0:
        try:
            bound = device.driver == usbip_host.NAME
            if not bound and not device.driver and str(device.busid) in usbip_host.entries(driver):
                # killed between "add" and "bind": only a device that was bound can be forgotten
                bound = usbip_host.tried(driver, "bind", str(device.busid))
            if bound:
                usbip_host.release(place.root, driver, device)
            if driver_of(device.folder) != usbip_host.NAME:
                usbip_host.forget(driver, device.busid)
        finally:
            os.close(driver)
    if not driver_of(device.folder):
        usbip_host.probe(place.root, device.busid)


def _forget(place: Place, busid: BusId) -> None:
    driver = usbip_host.opened(place.root)
    if driver >= 0:
        try:
            usbip_host.forget(driver, busid)
        finally:
            os.close(driver)


def _present(place: Place, busid: BusId) -> Device:
    device = observe(place.root, busid)
    if device is None:
        raise QvdUsbError(DEVICE_GONE, busid=str(busid))
    return device


def bound_device(place: Place, claim: Claim, uid: int) -> Device:
    """Returns the device that this caller bound before, for `connect` and `unbind`.

    Raises:
        QvdUsbError: device-gone, not-bound, foreign-owner, device-changed.
    """
    device = observe(place.root, claim.busid)
    record = claim.load(place.boot)
    refusal: Problem | None = None
    if device is None:
        raise QvdUsbError(DEVICE_GONE, busid=str(claim.busid))
    if device.driver != usbip_host.NAME:
        refusal = NOT_BOUND
    elif uid not in {0, -1 if record is None else record.uid}:
        refusal = FOREIGN_OWNER
    elif record is not None and not record.is_of(device):
        refusal = DEVICE_CHANGED
    if refusal is None:
        return device
    device.close()
    raise QvdUsbError(
        refusal, busid=str(claim.busid), driver=device.driver or "none", uid="unknown" if record is None else record.uid
    )
