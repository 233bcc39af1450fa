"""Files of settings, rules and records, and what a person types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_gui import memory, rules, settings, targets, wishes
from client_gui.helper import authorise, ownership, request
from qvd_usbip import errors, ids, percent, properties, share_list, usb
from tests.fuzz.target import chosen, pieces, target, text_of
from tests.fuzz.targets.names import BUSID

if TYPE_CHECKING:
    from collections.abc import Iterator

_ABOUT_LISTS = (errors.SHARE_LIST_MALFORMED, errors.SETTINGS_MALFORMED)


@target(errors.SETTINGS_MALFORMED)
def properties_file(data: bytes) -> Iterator[None]:
    text = text_of(data)
    found = properties.parse(text)
    expanded = properties.expand(found)
    yield
    assert expanded.keys() == found.keys()
    assert all(expanded[key] == value for key, value in found.items() if "${" not in value)
    lines = [properties.parse(line) for _, line in properties.numbered(text)]
    assert properties.layered(*lines) == found


@target(errors.SETTINGS_MALFORMED)
def properties_edit(data: bytes) -> Iterator[None]:
    key, value, text = map(text_of, pieces(data, 3))
    before = properties.parse(text)
    yield
    edited = properties.edit(text, key, value)
    assert properties.parse(edited) == {**before, key: value}
    assert properties.edit(edited, key, value) == edited


@target(errors.SHARE_LIST_MALFORMED)
def wanted_devices(data: bytes) -> Iterator[None]:
    found = share_list.parse(text_of(data))
    yield
    written = str(found)
    assert share_list.parse(written) == found
    assert properties.parse(properties.edit("", "list", written))["list"] == written
    assert "${" not in written


@target(errors.SETTINGS_MALFORMED)
def wanted_ports(data: bytes) -> Iterator[None]:
    found = wishes.parse_ports(text_of(data))
    yield
    assert wishes.parse_ports(wishes.format_ports(found)) == found


@target(errors.BUSID_MALFORMED, errors.VIDPID_MALFORMED, errors.SHARE_LIST_MALFORMED)
def typed_target(data: bytes) -> Iterator[None]:
    found = targets.parse_target(text_of(data))
    yield
    assert targets.parse_target(str(found)) == found


@target(errors.SETTINGS_MALFORMED)
def rule_file(data: bytes) -> Iterator[None]:
    found = rules.parse(text_of(data), rules.USER, "rules.conf")
    yield
    for rule in found:
        device = usb.UsbDevice(
            busid=rule.port or BUSID,
            vidpid=rule.vidpid or ids.VidPid(1, 2),
            serial=rule.serial or "",
            busnum=1,
            devnum=2,
        )
        assert rule.applies(device, [rule.kind])
        assert rules.deciding(device, found, [rule.kind]) is not None
        if len(device.serial) > memory.LONGEST_NAME:  # which no device has
            continue
        said = rules.naming(device, alike=False, twin=False)
        (again,) = rules.parse(f"allow {said}", rules.USER, "rules.conf")
        assert again.vidpid == device.vidpid
        assert (again.serial or "") == device.serial


@target(UnicodeDecodeError)
def percent_escapes(data: bytes) -> Iterator[None]:
    text = text_of(data)
    percent.decoded(text)
    yield
    assert percent.decoded("".join(map(percent.escaped, text))) == text


@target(errors.POLICY_UNSAFE)
def policy_file(data: bytes) -> Iterator[None]:
    policy = authorise.parse_policy(text_of(data))
    yield
    assert policy.locked | policy.consent <= set(authorise.KINDS)


@target(*_ABOUT_LISTS)
def client_settings(data: bytes) -> Iterator[None]:
    layers = [properties.parse(text_of(each)) for each in pieces(data, 2)]
    found = settings.interpret(properties.expand(properties.layered(settings.DEFAULTS, *layers)))
    yield
    assert found.commands.keys() == {"share", "return", "fail"}


@target(errors.SETTINGS_MALFORMED)
def devices_file(data: bytes) -> Iterator[None]:
    found = memory.parse(data.decode("utf-8", "replace"))
    yield
    written = memory.format_memory(found)
    assert memory.parse(written) == {key: each for key, each in found.items() if each != memory.NOTHING}
    written.encode()


@target()
def helper_record(data: bytes) -> Iterator[None]:
    found = ownership.parse_record(BUSID, data)
    yield
    if found is not None:
        again = ownership.parse_record(BUSID, ownership.format_record(found))
        assert again is not None
        assert ownership.format_record(again) == ownership.format_record(found)


@target(errors.HELPER_REQUEST_MALFORMED, errors.BUSID_MALFORMED)
def helper_arguments(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    arguments = [text_of(each) for each in rest.split(b"\0")]
    if which % 2:
        uid, gid = request.parse_caller({"QVD_CALLER_UID": arguments[0], "QVD_CALLER_GID": arguments[-1]})
        yield
        assert uid >= 0 <= gid
    else:
        call = request.parse_arguments(arguments)
        yield
        assert [call.verb, str(call.busid)][: len(arguments)] == arguments[:2]
