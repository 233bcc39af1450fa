"""What the host's agent reads: its porter, administrators, LXC, its own records."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from qvd_usbip import errors, json_object
from qvd_usbip.ids import LAST_ID, HubId, VmId
from qvd_usbip.pairing import fingerprint_of
from server_agent import (
    asking,
    control,
    device_list,
    hook_call,
    idmap,
    introduction,
    lacks,
    ledger,
    lending,
    paired,
    settings,
)
from server_agent.container_config import group_in
from server_agent.kernel import lxc_program, told
from tests.fuzz.target import chosen, pieces, target, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOT = "b0"


@target(errors.BROKER_PROTOCOL)
def porter_introduction(data: bytes) -> Iterator[None]:
    found = introduction.decode(data)
    yield
    fields = {"v": 1, "peer": found.peer, "fingerprint": found.fingerprint, "way": found.way}
    if len(json.dumps(fields, separators=(",", ":"))) <= introduction.MAX_MESSAGE:
        assert introduction.decode(found.encode()) == found


@target(errors.CLIENT_RECORD_BROKEN, errors.CONTAINER_NAME_MALFORMED)
def paired_client(data: bytes) -> Iterator[None]:
    found = paired.parse_record(data)
    yield
    assert fingerprint_of(found.certificate) == found.fingerprint
    assert VmId.parse(str(found.container)) == found.container


@target(errors.INTERNAL)
def control_request(data: bytes) -> Iterator[None]:
    found = control.parse_request(data)
    yield
    assert isinstance(found, dict)


@target(ValueError)
def control_answer(data: bytes) -> Iterator[None]:
    found = asking.parse_answer(io.BytesIO(data))
    yield
    assert isinstance(found, dict)


@target(ValueError)
def ledger_file(data: bytes) -> Iterator[None]:
    found = ledger.parse_ledger(text_of(data), BOOT, 1000.0)
    yield
    again = ledger.parse_ledger(ledger.format_ledger(found, BOOT), BOOT, 1000.0)
    assert again.containers == found.containers
    assert again.quarantine == found.quarantine
    assert again.devices == found.devices
    assert all(each.container in found.containers for each in found.devices.values())


@target(ValueError)
def told_record(data: bytes) -> Iterator[None]:
    found = told.parse_record(text_of(data))
    yield
    assert found.told
    assert isinstance(found.devpath, str)
    assert all(isinstance(each, str) for each in found.properties)
    assert found.right is None or found.right.kind in {"b", "c"}


@target(ValueError)
def id_ranges(data: bytes) -> Iterator[None]:
    found = idmap.idmap_of([(idmap.IDMAP, line) for line in text_of(data).split("\n")])
    yield
    for each in found.ranges if found else ():
        assert each.outside + each.count - 1 <= LAST_ID
        assert idmap.parse_range(f"{each.kind} {each.inside} {each.outside} {each.count}") == each
    if found:
        assert (found.uid(0) or 0) <= LAST_ID


@target(ValueError)
def device_rows(data: bytes) -> Iterator[None]:
    rows = device_list.parse(text_of(data))
    yield
    assert device_list.parse("\n".join(map(str, rows))) == rows
    for right in device_list.rights_of(rows):
        assert device_list.opens(rows, right)
    for row in device_list.too_wide(rows):
        assert row.right is None


@target(ValueError)
def list_program(data: bytes) -> Iterator[None]:
    rows = lxc_program.rows_of(data)
    yield
    assert all(row.kind in {"a", "b", "c"} for row in rows)


@target()
def node_conf(data: bytes) -> Iterator[None]:
    text = text_of(data)
    faults = settings.faults(text)
    yield
    assert all(0 <= fault.line <= text.count("\n") + text.count("\r") + 1 for fault in faults)
    if not faults:
        found = settings.settings_of(settings.values_in(text))
        assert found.devicefs.is_absolute()


@target(errors.SETTINGS_MALFORMED)
def assignment(data: bytes) -> Iterator[None]:
    words = text_of(data).split("\0")
    key, _ = settings.parse_assignment(words)
    yield
    assert key


@target(ValueError)
def listen_address(data: bytes) -> Iterator[None]:
    found = settings.parse_listen(text_of(data))
    yield
    assert settings.parse_listen(str(found)) == found


@target(ValueError)
def hub_numbers(data: bytes) -> Iterator[None]:
    found = lending.parse_hubs(text_of(data))
    yield
    if found is not None:
        assert all(HubId.parse(hub.name) == hub for hub in found)
        assert lending.parse_hubs(",".join(str(hub.number) for hub in found)) == found


@target(errors.USAGE, errors.CONTAINER_NAME_MALFORMED)
def lxc_hook(data: bytes) -> Iterator[None]:
    name, kind, *arguments = map(text_of, pieces(data, 5))
    found = hook_call.parse_hook({"LXC_NAME": name, "LXC_HOOK_TYPE": kind}, arguments)
    yield
    assert found.moment in hook_call.MOMENTS


@target()
def lxc_config(data: bytes) -> Iterator[None]:
    mine, wanted = (lacks.parse(text_of(each)) for each in pieces(data, 2))
    words = lacks.hook_words(mine)
    yield
    assert isinstance(lacks.value_of("--backend", words), str)
    assert lacks.parse("\n".join(map(str, mine))) == mine
    for lack in lacks.lacks(wanted, mine):
        assert lack.text
        assert lack.remedy


@target()
def image_groups(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    found = group_in(rest.decode("utf-8", "replace"), "qvduser" if which % 2 else "g")
    yield
    assert found is None or found >= 0


@target(errors.BROKER_PROTOCOL)
def json_from_peer(data: bytes) -> Iterator[None]:
    found = json_object.parse(data, 4096, errors.BROKER_PROTOCOL)
    yield
    assert all(name in found for name in found.names())
