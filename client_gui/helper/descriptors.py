"""PURE: the interfaces of a device, by its own description."""

_INTERFACE = 4


class Interface:
    """What an interface is, by its class codes, and the local driver that has it ("" if none)."""

    __slots__ = ("cls", "driver", "protocol", "subclass")

    def __init__(self, cls: int, subclass: int, protocol: int, driver: str = "") -> None:
        self.cls = cls
        self.subclass = subclass
        self.protocol = protocol
        self.driver = driver


def interfaces_of(descriptors: bytes) -> list[Interface]:
    """Reads the interfaces of every configuration and setting, as far as the description makes sense.

    Args:
        descriptors: the content of the sysfs attribute of that name.

    Source: USB 2.0, 9.6.5: length, type, …, class, subclass and protocol at the offsets 5 to 7.
    """
    found = []
    at = 0
    while at + 1 < len(descriptors) and descriptors[at] >= 2:
        one = descriptors[at : at + descriptors[at]]
        if one[1] == _INTERFACE and len(one) >= 8:
            found.append(Interface(one[5], one[6], one[7]))
        at += len(one)
    return found
