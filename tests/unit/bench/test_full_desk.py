"""The client with a hundred devices: each in a place of its own, on controllers that can know them all."""

from collections import Counter

from tests.bench import full_desk

_CONTROLLER_KNOWS = 64  # devices, hubs among them: QEMU's qemu-xhci


def plugged() -> list[dict[str, str]]:
    """Each `-device` of the command line: its driver, and its properties."""
    words = full_desk.arguments()
    found = []
    for option, value in zip(words[::2], words[1::2], strict=True):
        driver, *properties = value.split(",")
        if option == "-device":
            found.append({"driver": driver, **dict(each.split("=", 1) for each in properties)})
    return found


def test_there_are_a_hundred_of_them_beside_hubs_and_controllers() -> None:
    drivers = Counter(each["driver"] for each in plugged())
    assert sum(count for name, count in drivers.items() if name not in {"usb-hub", "qemu-xhci"}) == 100
    assert drivers["usb-storage"] == 20


def test_each_has_its_own_port_of_a_hub_that_is_there_and_its_own_serial_number() -> None:
    places = Counter((each["bus"], each["port"]) for each in plugged() if "port" in each)
    assert set(places.values()) == {1}
    hubs = {(each["bus"], each["port"]) for each in plugged() if each["driver"] == "usb-hub"}
    devices = [each for each in plugged() if "serial" in each]
    assert len({each["serial"] for each in devices}) == len(devices)
    for each in devices:
        hub, port = each["port"].split(".")
        assert (each["bus"], hub) in hubs
        assert 1 <= int(port) <= 8


def test_no_controller_has_more_than_it_can_know() -> None:
    buses = Counter(each["bus"] for each in plugged() if "port" in each)
    controllers = {f"{each['id']}.0" for each in plugged() if each["driver"] == "qemu-xhci"}
    assert set(buses) == controllers
    assert max(buses.values()) <= _CONTROLLER_KNOWS
