"""PURE: a client with a hundred devices plugged in, as QEMU's command line: what its own ports have no room for.

They are on two more controllers, each of which knows 64 devices, behind hubs of eight ports. Only a guest that is
booted with them has them, so no other lab pays for it.
"""

DEVICES = 100
_CONTROLLERS = 2
_HUB_PORTS = 8
_DRIVERS = ("usb-kbd", "usb-mouse", "usb-kbd", "usb-tablet", "usb-storage")
_STICK_BYTES = 32 << 20


def arguments() -> tuple[str, ...]:
    """The words that plug all of them in."""
    words: list[str] = []
    each = DEVICES // _CONTROLLERS
    for controller in range(_CONTROLLERS):
        bus = f"desk{controller}"
        words += ["-device", f"qemu-xhci,id={bus},p2={_HUB_PORTS},p3={_HUB_PORTS}"]
        for place in range(each):
            hub, port = divmod(place, _HUB_PORTS)
            if port == 0:
                words += ["-device", f"usb-hub,bus={bus}.0,port={hub + 1}"]
            words += _plugged(f"{bus}.0", f"{hub + 1}.{port + 1}", controller * each + place)
    return tuple(words)


def _plugged(bus: str, port: str, number: int) -> list[str]:
    driver = _DRIVERS[number % len(_DRIVERS)]
    device = f"{driver},bus={bus},port={port},serial=D{number:03}"
    if driver != "usb-storage":
        return ["-device", device]
    medium = f"driver=null-co,node-name=desk{number},size={_STICK_BYTES},read-zeroes=on"
    return ["-blockdev", medium, "-device", f"{device},drive=desk{number}"]
