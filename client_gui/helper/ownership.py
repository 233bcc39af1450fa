"""EFFECT: who took which device: one record and one lock per busid under /run, written before the first effect.

The lock is held as long as the helper that works on the device lives. A record whose lock is free and whose phase says
that work was under way was left by a helper that was killed: the next run finishes it.
"""

import errno
import fcntl
import os

from client_gui.helper.device import Device, Identity
from qvd_usbip.errors import ALREADY_IN_USE, QvdUsbError
from qvd_usbip.ids import BusId
from qvd_usbip.system.files import save_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

FOLDER = "run/qvd-usbip"
_LIMIT = 4096
BINDING, BOUND, RETURNING = "binding", "bound", "returning"
LENT, CALLED = "lent", "called"


class Record:
    """One taken device.

    `uid` may take it further; `boot` is the kernel's boot id; `mode` is `lent` (it belongs to a living helper) or
    `called` (an old caller bound it and will unbind it); `phase` is `binding`, `bound` or `returning`.
    """

    __slots__ = ("boot", "busid", "devnum", "identity", "mode", "phase", "uid")

    def __init__(
        self, *, busid: BusId, uid: int, boot: str, devnum: int, identity: Identity, mode: str, phase: str
    ) -> None:
        self.busid = busid
        self.uid = uid
        self.boot = boot
        self.devnum = devnum
        self.identity = identity
        self.mode = mode
        self.phase = phase

    def at(self, phase: str) -> "Record":
        """Returns the same record at another phase."""
        return Record(
            busid=self.busid,
            uid=self.uid,
            boot=self.boot,
            devnum=self.devnum,
            identity=self.identity,
            mode=self.mode,
            phase=phase,
        )

    def is_of(self, device: Device) -> bool:
        """Whether the record was made for this very plugged-in device."""
        return self.devnum == device.devnum and self.identity == device.identity


def format_record(record: Record) -> bytes:
    """Returns the record as lines `key=value`; the serial in hexadecimal, for a device may put anything into it."""
    serial = record.identity.serial.encode("utf-8", "surrogateescape").hex()
    lines = {
        "v": "1",
        "uid": str(record.uid),
        "boot": record.boot,
        "devnum": str(record.devnum),
        "vidpid": record.identity.vidpid,
        "serial": serial,
        "mode": record.mode,
        "phase": record.phase,
    }
    return "".join(f"{key}={value}\n" for key, value in lines.items()).encode()


def parse_record(busid: BusId, data: bytes) -> Record | None:
    """Reads a record back; None when it is torn or not ours, which proves nothing about the device."""
    try:
        fields = dict(line.split("=", 1) for line in data.decode().splitlines())
        serial = bytes.fromhex(fields["serial"]).decode("utf-8", "surrogateescape")
        uid, devnum = int(fields["uid"]), int(fields["devnum"])
        identity = Identity(fields["vidpid"], serial)
        boot, mode, phase = fields["boot"], fields["mode"], fields["phase"]
    except (ValueError, KeyError):
        return None
    if fields.get("v") != "1" or mode not in {LENT, CALLED} or phase not in {BINDING, BOUND, RETURNING}:
        return None
    return Record(busid=busid, uid=uid, boot=boot, devnum=devnum, identity=identity, mode=mode, phase=phase)


class Claim:
    """The lock on one busid, and its record.

    Args:
        root: path of the folder that holds `run`, ending in a slash.
        busid: the port.

    Raises:
        QvdUsbError: already-in-use when another helper works on it.
    """

    __slots__ = ("_fd", "_lock", "_path", "busid")

    def __init__(self, root: str, busid: BusId) -> None:
        self.busid = busid
        self._path = f"{root}{FOLDER}/{busid}"
        self._lock = self._path + ".lock"
        os.makedirs(root + FOLDER, mode=0o755, exist_ok=True)
        self._fd = self._take()

    def _take(self) -> int:
        while True:
            fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same_file(fd, self._lock):
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise QvdUsbError(ALREADY_IN_USE, busid=str(self.busid)) from None
            except BaseException:
                os.close(fd)
                raise
            # its last holder removed the file between our open and our lock: the lock is on a file nobody finds
            os.close(fd)

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_failure: object) -> None:
        self.release()

    def load(self, boot: str) -> Record | None:
        """Returns the record, None where there is none that can be read.

        A record of another boot is removed: this boot's kernel never heard of what it stands for.
        """
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            record = parse_record(self.busid, os.read(fd, _LIMIT))
        finally:
            os.close(fd)
        if record is not None and record.boot != boot:
            self.drop()
            return None
        return record

    @property
    def exists(self) -> bool:
        """Whether there is a record at all, readable or torn."""
        return os.path.lexists(self._path)

    def save(self, record: Record) -> None:
        """Puts the record in place of the one before, whole or not at all."""
        save_atomic(self._path, format_record(record), 0o600)

    def drop(self) -> None:
        """Removes the record: nothing is left of what it stood for."""
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            return

    def release(self) -> None:
        """Lets go of the lock; the lock's file goes with the last record."""
        if self._fd < 0:
            return
        if not self.exists:
            os.unlink(self._lock)
        os.close(self._fd)
        self._fd = -1


def recorded(root: str) -> list[BusId]:
    """Returns every busid that has a record or a lock file, sorted; other names in the folder are left alone."""
    try:
        names = os.listdir(root + FOLDER)
    except FileNotFoundError:
        return []
    busids = set()
    for name in names:
        try:
            busids.add(BusId.parse(name.removesuffix(".lock")))
        except QvdUsbError:
            continue
    return sorted(busids)


def boot_id(root: int) -> str:
    """Returns the kernel's name for this boot."""
    fd = os.open("proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
    try:
        return os.read(fd, 64).decode("ascii").strip()
    finally:
        os.close(fd)


def _same_file(fd: int, path: str) -> bool:
    try:
        named = os.stat(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    held = os.fstat(fd)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)
