"""EFFECT: the clients that are paired with this host: a file each, which says which container is theirs.

A file is the whole of a client's access: where it is gone, or is not understood, there is none.
"""

import json
import stat
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from pathlib import Path

from qvd_usbip import json_object
from qvd_usbip.errors import CLIENT_RECORD_BROKEN, CLIENT_UNKNOWN, CONFIG_UNREADABLE, USAGE, QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.pairing import CERTIFICATE_LIMIT, NAME_LIMIT, fingerprint_of, is_name
from qvd_usbip.system.files import read_bounded, save_atomic
from qvd_usbip.system.files import remove as remove_file
from qvd_usbip.system.folder_lock import locked_folder

CLIENTS = Path("/var/lib/qvd-usbip/endpoint/clients")
SUFFIX = ".json"
_LIMIT = 16 * 1024
_KEYS = frozenset({"v", "name", "container", "fingerprint", "added", "certificate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A client that may reach one container.

    Args:
        fingerprint: of its certificate.
        added: when, as ISO 8601 has it.
        certificate: DER.
    """

    name: str
    container: VmId
    fingerprint: str
    added: str
    certificate: bytes

    def as_json(self) -> dict[str, str]:
        """The client for people and programs; the certificate itself is of no use to them."""
        return {
            "name": self.name, "container": str(self.container), "fingerprint": self.fingerprint, "added": self.added,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """Who is paired, and the files that are no record of anybody."""

    clients: tuple[Paired, ...] = ()
    faults: tuple[QvdUsbError, ...] = ()

    def by_fingerprint(self, fingerprint: str) -> Paired | None:
        """The client with this certificate."""
        return next((each for each in self.clients if each.fingerprint == fingerprint), None)


def read(folder: Path) -> Register:
    """Everybody who is paired; a folder that is not there holds nobody.

    Raises:
        QvdUsbError: config-unreadable, where the folder does not say what is in it.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))  # a save that was killed
    except FileNotFoundError:
        return Register()
    except OSError as error:
        raise QvdUsbError(CONFIG_UNREADABLE, path=folder, reason=error.strerror) from error
    found: list[tuple[Path, Paired]] = []
    faults: list[QvdUsbError] = []
    for path in paths:
        try:
            found.append((path, _record(path)))
        except QvdUsbError as error:
            faults.append(error)
        except FileNotFoundError:
            continue  # removed in between
    return _without_twins(found, faults)


def _without_twins(found: list[tuple[Path, Paired]], faults: list[QvdUsbError]) -> Register:
    """A certificate that stands in two files has no container: which one is meant is not guessed."""
    often = [paired.fingerprint for _, paired in found]
    clients = tuple(paired for _, paired in found if often.count(paired.fingerprint) == 1)
    twins = [path for path, paired in found if paired not in clients]
    faults += [_broken(path, "its certificate stands in another file too") for path in twins]
    return Register(clients=clients, faults=tuple(faults))


def _record(path: Path) -> Paired:
    try:
        data = read_bounded(path, _LIMIT)
        if path.suffix != SUFFIX:
            raise _broken(path, f"its name does not end in {SUFFIX}")
        if stat.S_IMODE(path.stat().st_mode) & 0o022:
            raise _broken(path, "others than its owner may write it")
        paired = parse_record(data)
        if paired.name != path.stem:
            raise _broken(path, "it is the record of another name")
    except QvdUsbError as error:
        raise _broken(path, error.context.get("reason", str(error))) from error
    return paired


def parse_record(data: bytes) -> Paired:
    """Read a client's file.

    Raises:
        QvdUsbError: client-record-broken, container-name-malformed.
    """
    record = json_object.parse(data, _LIMIT, CLIENT_RECORD_BROKEN)
    record.version(1)
    record.only(_KEYS)
    try:
        certificate = b64decode(record.text("certificate").encode("ascii"), validate=True)
    except ValueError:  # of both, the text's and the base64's
        raise record.refusal("its certificate is no base64") from None
    if not 0 < len(certificate) <= CERTIFICATE_LIMIT or fingerprint_of(certificate) != record.text("fingerprint"):
        raise record.refusal("its fingerprint is not its certificate's")
    if not is_name(record.text("name")):
        raise record.refusal("its name is no client's")
    return Paired(
        name=record.text("name"),
        container=VmId.parse(record.text("container")),
        fingerprint=record.text("fingerprint"),
        added=record.text("added"),
        certificate=certificate,
    )


def _broken(path: Path, reason: str) -> QvdUsbError:
    return QvdUsbError(CLIENT_RECORD_BROKEN, path=path, reason=reason)


def add(folder: Path, new: Paired) -> Paired:
    """Stores a client, or moves one that is known to another container.

    Args:
        folder: is made if it is not there.
        new: a known certificate keeps the name it has; a name that another one has gets a number.

    Returns:
        The client as it is stored.

    Raises:
        QvdUsbError: config-unwritable, and who was paired still is.
    """
    with locked_folder(folder):
        register = read(folder)
        known = register.by_fingerprint(new.fingerprint)
        taken = {path.stem for path in folder.iterdir()}
        stored = replace(new, name=known.name if known is not None else _free(new.name, taken))
        record = {"v": 1, **stored.as_json(), "certificate": b64encode(stored.certificate).decode("ascii")}
        save_atomic(folder / f"{stored.name}{SUFFIX}", json.dumps(record, indent=1).encode(), 0o600)
    return stored


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first of name-2, name-3 … that nobody has."""
    number, found = 1, name
    while found in taken:
        number += 1
        ending = f"-{number}"
        found = f"{name[: NAME_LIMIT - len(ending)]}{ending}"
    return found


def remove(folder: Path, name: str) -> None:
    """Takes a client's access away, for good; a record that is broken goes the same way.

    Raises:
        QvdUsbError: client-unknown; config-unwritable, and it is still there.
    """
    if not is_name(name):
        raise QvdUsbError(USAGE, reason=f"'{name}' is no client's name")
    try:
        remove_file(folder / f"{name}{SUFFIX}")
    except FileNotFoundError:
        raise QvdUsbError(CLIENT_UNKNOWN, name=name) from None
