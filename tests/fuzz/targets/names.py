"""Names, numbers, and what devices and kernels say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from client_gui.helper import authorise
from client_gui.usb_ids import names_in
from qvd_usbip import bitmaps, errors, ids, kernel_defects, kinds, port_range, uevent, usb, vhci
from qvd_usbip.errors import printable
from server_agent.kernel.udev import has_keys
from tests.fuzz.target import chosen, pieces, target, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMES: tuple[Callable[[str], ids.Value], ...] = (
    ids.BusId.parse,
    ids.VidPid.parse,
    ids.DevNum.parse,
    ids.HubId.parse,
    ids.VmId.parse,
)
BUSID = ids.BusId(1, (4,))
_ATTRIBUTES = (
    *("idVendor", "idProduct", "bDeviceClass", "speed", "busnum", "devnum", "serial", "product", "manufacturer"),
    *("bInterfaceNumber", "bAlternateSetting", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"),
)


@target(
    errors.BUSID_MALFORMED,
    errors.VIDPID_MALFORMED,
    errors.DEVICE_NUMBER_MALFORMED,
    errors.HUB_NAME_MALFORMED,
    errors.CONTAINER_NAME_MALFORMED,
)
def name(data: bytes) -> Iterator[None]:
    which, rest = chosen(data)
    parse, text = _NAMES[which % len(_NAMES)], text_of(rest)
    value = parse(text)
    yield
    assert str(value) == (text.lower() if isinstance(value, ids.VidPid) else text)
    assert parse(str(value)) == value
    assert "/" not in str(value)


@target()
def ports_file(data: bytes) -> Iterator[None]:
    text = text_of(data)
    found = port_range.PortRange.parse(text)
    yield
    assert found is None or (str(found) == text and 0 <= found.first <= found.last and found.count <= 255)


@target()
def shown_text(data: bytes) -> Iterator[None]:
    shown = printable(text_of(data))
    yield
    assert shown.isprintable()
    assert printable(shown) == shown
    shown.encode()


@target(errors.UEVENT_MALFORMED)
def udev_environment(data: bytes) -> Iterator[None]:
    pairs = (word.partition("=") for word in text_of(data).split("\0"))
    event = uevent.from_environment({key: value for key, _, value in pairs})
    yield
    _assert_confined(event)


def _assert_confined(event: uevent.Uevent) -> None:
    for path in (event.devpath, f"/{event.devname or 'none'}"):
        assert path.startswith("/")
        assert not {"", ".", ".."} & set(path[1:].split("/"))
    place = uevent.place_of(event.devpath)
    assert place is None or event.devpath.startswith(f"/devices/platform/{place.hub}/usb{place.bus}/")
    assert event.is_block == (event.subsystem == "block")


@target()
def device_path(data: bytes) -> Iterator[None]:
    path = text_of(data)
    place = uevent.place_of(path)
    yield
    if place is not None:
        port = ids.BusId(place.bus, (place.rhport + 1,))
        assert path.startswith(f"/devices/platform/{place.hub}/usb{place.bus}/{port}")
        assert place.busid.ports[0] == place.rhport + 1
        assert str(place.busid) in path.split("/")


@target(errors.SYSFS_UNREADABLE)
def sysfs_attributes(data: bytes) -> Iterator[None]:
    attributes = dict(zip(_ATTRIBUTES, map(text_of, pieces(data, len(_ATTRIBUTES))), strict=True))
    interface = usb.interface_from_attributes(BUSID, attributes)
    device = usb.device_from_attributes(BUSID, attributes, interfaces=[interface])
    yield
    assert device.speed in usb.Speed
    assert kinds.kind_of(device) == kinds.faces_of(device)[0]
    assert len(device.fingerprint) == 64
    assert device == usb.device_from_attributes(BUSID, attributes, interfaces=[interface])


@target(errors.VHCI_STATUS_MALFORMED)
def vhci_status(data: bytes) -> Iterator[None]:
    rows = vhci.parse_status(data.decode("latin-1"))
    yield
    for row in rows:
        assert row.hub in {"hs", "ss"}
        assert vhci.STATE_FREE <= row.state <= vhci.STATE_ERROR
        assert min(row.port, row.speed, row.devid, row.sockfd) >= 0
        assert row.local_busid.isprintable()


@target()
def speed(data: bytes) -> Iterator[None]:
    number = vhci.speed_of(text_of(data))
    yield
    assert number in {vhci.LOW, vhci.FULL, vhci.HIGH, vhci.SUPER, vhci.SUPER_PLUS}
    assert number in vhci.speeds_to_try(number)


@target()
def kernel_release(data: bytes) -> Iterator[None]:
    kernel = kernel_defects.kernel_of(*map(text_of, pieces(data, 2)))
    yield
    for side in kernel_defects.Side:
        for found in kernel_defects.findings(side, kernel):
            assert kernel is not None or found.verdict is kernel_defects.Verdict.CANNOT_TELL


@target()
def key_bitmap(data: bytes) -> Iterator[None]:
    text = text_of(data)
    typing = has_keys(text)
    bits = bitmaps.bits_of(text)
    yield
    assert typing or bits is not None
    assert bits is None or set("".join(text.split())) <= set("0123456789abcdef")


@target()
def process_cgroup(data: bytes) -> Iterator[None]:
    cgroup, session = map(text_of, pieces(data, 2))
    named, uid = authorise.session_of(cgroup)
    seated = authorise.is_seated(session, 1000)
    yield
    assert not named or (named.isascii() and named.isalnum() and uid == -1)
    assert not seated or "UID=1000" in session


@target()
def usb_names(data: bytes) -> Iterator[None]:
    vendor, product = names_in(b"\n" + data, ids.VidPid(0x0BDA, 0x58C2))
    yield
    assert "\n" not in vendor + product
