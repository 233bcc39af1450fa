"""EFFECT: what a container's configuration says already, and which numbers its root and group have."""

import errno
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from qvd_usbip.errors import CONFIG_UNREADABLE, USERNS_UNMAPPED, QvdUsbError
from qvd_usbip.ids import LAST_ID, decimal
from qvd_usbip.system.files import read_text
from server_agent import idmap, lxc

CONTAINERS = Path("/var/lib/lxc")
INCLUDE, ROOT = "lxc.include", "lxc.rootfs.path"
DEPTH = 8
GROUP = "qvduser"  # createdevice.acl.group of an image that does not say otherwise
GROUP_BYTES = 1 << 20
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def entries(path: Path, depth: int = DEPTH) -> Iterator[tuple[str, str]]:
    """Key and value of each line, those of included files and folders in their place.

    Raises:
        FileNotFoundError: there is no such file.
        QvdUsbError: it cannot be read as text.

    Source: lxc.container.conf(5), configuration file.
    """
    for line in read_text(path).splitlines():
        key, equals, value = line.strip().partition("=")
        if not equals or key.startswith("#"):
            continue
        key, value = key.strip(), value.strip()
        if key != INCLUDE:
            yield key, value
        elif depth:
            for each in _included(Path(value)):
                yield from entries(each, depth - 1)


def _included(path: Path) -> list[Path]:
    """The files an include stands for; none where there is nothing, as in Debian's own userns.conf."""
    if path.is_dir():
        return sorted(path.glob("*.conf"))
    return [path] if path.exists() else []


def with_ids(terms: lxc.ContainerTerms, *, userns: bool) -> lxc.ContainerTerms:
    """The ids of a container in a user namespace, as far as they were not given: from its configuration and image.

    Args:
        terms: what is known of it.
        userns: whether it has to be in one.

    Raises:
        QvdUsbError: userns-unmapped when there has to be a user namespace and none can be found; config-unreadable.
    """
    path = CONTAINERS / str(terms.name) / "config"
    try:
        found = list(entries(path))
        ids = idmap.idmap_of(found)
    except FileNotFoundError:
        found, ids = [], None
    except ValueError as error:
        raise QvdUsbError(USERNS_UNMAPPED, container=terms.name, reason=f"{path}: {error}") from error
    if ids is None:
        if userns and not terms.root_uid:
            raise QvdUsbError(USERNS_UNMAPPED, container=terms.name, reason=f"{path} has no lxc.idmap")
        return terms
    root, root_group = ids.uid(0), ids.gid(0)
    if not root or root_group is None:
        raise QvdUsbError(USERNS_UNMAPPED, container=terms.name, reason="its root is not mapped")
    group = image_group(found, GROUP)
    gid = ids.gid(group) if group is not None else root_group
    if gid is None:
        raise QvdUsbError(USERNS_UNMAPPED, container=terms.name, reason=f"its group {GROUP} is not mapped")
    return replace(terms, root_uid=terms.root_uid or root, broker_gid=terms.broker_gid or gid)


def image_group(found: Iterable[tuple[str, str]], group: str) -> int | None:
    """The number of a group in a container's image, as the image counts it.

    Args:
        found: the configuration's entries.
        group: its name.

    Returns:
        None when the image is none that can be looked into, or has no such group.
    """
    values = [value for key, value in found if key == ROOT]
    for root in image_roots(values[-1]) if values else ():
        text = _group_file(root)
        if any(line.partition(":")[0] == group for line in text.splitlines()):
            return group_in(text, group)
    return None


def group_in(text: str, group: str) -> int | None:
    """The number of a group in the text of an image's etc/group; None where it has none."""
    for line in text.splitlines():
        name, _, number = line.partition(":")
        if name == group:
            digits = number.split(":")[1] if ":" in number else ""
            return decimal(digits, LAST_ID)
    return None


def image_roots(value: str) -> list[Path]:
    """The folders that make up a root file system, the uppermost first; none for images of other kinds.

    Source: lxc.container.conf(5), lxc.rootfs.path.
    """
    kind, colon, rest = value.partition(":")
    if not colon:
        return [Path(value)]
    if kind == "dir":
        return [Path(rest)]
    return [Path(part) for part in reversed(rest.split(":"))] if kind in {"overlay", "overlayfs"} else []


def _group_file(root: Path) -> str:
    """etc/group of an image, which may be hostile: no link in it is followed.

    Raises:
        QvdUsbError: config-unreadable; who is let in would then be guessed.
    """
    try:
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder = os.open("etc", FOLDER, dir_fd=top)
        finally:
            os.close(top)
        try:
            file = os.open("group", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno in NOT_THERE:  # a layer without it, or no folder at all: then it is not known
            return ""
        raise QvdUsbError(CONFIG_UNREADABLE, path=root / "etc/group", reason=error.strerror) from error
    with os.fdopen(file, "rb") as opened:
        return opened.read(GROUP_BYTES).decode("utf-8", "replace")
