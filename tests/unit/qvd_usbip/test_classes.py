"""What a device is by its class codes and drivers: on this the rules of the client and the gate of the host rest."""

import pytest

from qvd_usbip import classes
from tests.unit.qvd_usbip.test_usb import described, device

LOCKED = {
    "bluetooth": classes.BLUETOOTH,
    "keyboard": classes.KEYBOARD,
    "mouse": classes.MOUSE,
}


def locked(*codes: str, driver: str = "") -> set[str]:
    """Which of the kinds that are asked about a device with these interfaces is of."""
    return locked_of(device(*codes, driver=driver).interfaces)


def locked_of(interfaces: "tuple[classes.InterfaceLike, ...]") -> set[str]:
    found = {name for name, patterns in LOCKED.items() if classes.has(interfaces, patterns)}
    return found | ({"network"} if classes.is_network(interfaces) else set())


@pytest.mark.parametrize("name", ["webcam", "stick", "serial-adapter", "headset", "composite", "hostile"])
def test_ordinary_devices_are_of_no_locked_kind(name: str) -> None:
    assert not locked_of(described(name).interfaces)
    assert not classes.is_hub(described(name).cls, described(name).interfaces)


@pytest.mark.parametrize("name", ["keyboard", "security-key"])
def test_what_types_is_a_keyboard(name: str) -> None:
    assert locked_of(described(name).interfaces) == {"keyboard"}


@pytest.mark.parametrize(
    ("codes", "kind"),
    [("03/01/02", "mouse"), ("02/06/00", "network"), ("e0/01/03", "network"), ("e0/01/01", "bluetooth")],
)
def test_what_points_or_routes(codes: str, kind: str) -> None:
    assert locked(codes) == {kind}
    assert locked("08/06/50", codes) == {kind}


def test_a_network_adapter_is_known_by_its_driver() -> None:
    assert locked("ff/ff/00", driver="r8152") == {"network"}


def test_a_device_with_two_faces_is_of_both_kinds() -> None:
    assert locked("03/01/01", "03/01/02") == {"keyboard", "mouse"}


def test_a_hub_is_one_by_its_own_class_or_by_an_interface() -> None:
    hub = described("hub")
    assert classes.is_hub(hub.cls, hub.interfaces)
    assert classes.is_hub(0x09, ())
    assert classes.is_hub(0x00, device("09/00/00").interfaces)
    assert not classes.is_hub(0x00, device("08/06/50").interfaces)
