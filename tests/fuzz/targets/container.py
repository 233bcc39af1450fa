"""What the image's programs read: udev, the agent's files, settings, accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qvd_usbip import errors, port_range, properties, uevent
from qvd_usbip.ids import DevNum
from tests.fuzz.target import pieces, target, text_of
from vma_hooks import accounts, acl, plan, settings

if TYPE_CHECKING:
    from collections.abc import Iterator


@target(errors.UEVENT_MALFORMED, errors.NODE_REFUSED)
def node_plan(data: bytes) -> Iterator[None]:
    action, path, name, major, minor = map(text_of, pieces(data, 5))
    event = uevent.from_environment(
        {"ACTION": action, "DEVPATH": path, "DEVNAME": name, "MAJOR": major, "MINOR": minor, "SUBSYSTEM": "usb"}
    )
    ports = port_range.PortRange(2, 5)
    found = plan.plan(event, path if action == "add" else "", ports)
    yield
    if found is not None:
        assert found.number == DevNum.parse(f"{major}:{minor}")
        assert not {"", ".", ".."} & set(found.path)
        assert all("/" not in part for part in found.path)
        place = uevent.place_of(path)
        assert place is not None
        assert place.rhport in ports


@target(errors.NODE_REFUSED)
def node_name(data: bytes) -> Iterator[None]:
    name = text_of(data)
    found = plan.confine(name)
    yield
    assert "/".join(found) == name.removeprefix("/dev/")
    assert not {"", ".", ".."} & set(found)


@target(errors.SETTINGS_MALFORMED)
def image_settings(data: bytes) -> Iterator[None]:
    values = properties.expand(properties.layered(settings.DEFAULTS, properties.parse(text_of(data))))
    found = settings.parse_settings(values, "vma.conf")
    yield
    assert found.key_file.startswith("/")
    assert found.group
    assert found.access is None or 0 <= found.access.bits <= 7


@target()
def permissions(data: bytes) -> Iterator[None]:
    found = acl.parse_permissions(text_of(data))
    yield
    if found is not None:
        assert acl.parse_permissions(acl.format_permissions(found)) == found
        assert len(acl.encode_group_acl(7, found)) == 4 + 5 * 8


@target()
def account_files(data: bytes) -> Iterator[None]:
    groups, users = map(text_of, pieces(data, 2))
    found = accounts.accounts_in(groups, users)
    yield
    assert all(gid >= 0 for gid in found.users.values())
    assert all(each.gid >= 0 for each in found.groups.values())
