"""PURE: the kernel's virtual hubs: which layout this machine has, its port table, and which port number to write.

Light module. Source: drivers/usb/usbip/vhci_sysfs.c and vhci.h; the layouts as found on stock and on QVD's kernels.
"""

from qvd_usbip import errors, ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

STATE_FREE = 4
STATE_NOT_ASSIGNED = 5
STATE_USED = 6
STATE_ERROR = 7

LOW = 1
FULL = 2
HIGH = 3
SUPER = 5
SUPER_PLUS = 6
# sysfs `speed`, in Mbit/s, to the number that USB/IP writes
SPEEDS = {"1.5": LOW, "12": FULL, "480": HIGH, "5000": SUPER, "10000": SUPER_PLUS, "20000": SUPER_PLUS}

_HALVES = ("hs", "ss")
_HEADER = ("hub", "port", "sta", "spd", "dev", "sockfd", "local_busid")
_MAX_STATUS_BYTES = 65536


class Layout(ids.Value):
    """How one machine's hubs take a device; compare with the constants below."""

    __match_args__ = ("name",)
    __slots__ = __match_args__
    name: str

    def __init__(self, name: str) -> None:
        self._set(name=name)

    def __str__(self) -> str:
        return self.name


MODULE_MISSING = Layout("module-missing")  # vhci_hcd is not loaded
NO_HUBS = Layout("no-hubs")  # loaded, but no hub could be made
SINGLE_HUB = Layout("single-hub")  # one hub: its ports are shared out, not hubs
GLOBAL_PORTS = Layout("global-ports")  # stock: all hubs' ports are numbered through and written to hub 0
PER_HUB = Layout("per-hub")  # QVD's patch: each hub has its own `attach` and numbers its own ports
HYBRID = Layout("hybrid")  # hub 0 as in GLOBAL_PORTS, the others as in PER_HUB
UNRECOGNISED = Layout("unrecognised")  # several hubs and no way to reach them: lend nothing


class Observation(ids.Value):
    """What was seen of vhci_hcd in sysfs.

    `driver_dir_exists`: the folder bus/platform/drivers/vhci_hcd; `hubs`: the n of its links vhci_hcd.n;
    `has_status1`: vhci_hcd.0/status.1 exists; `hub_attach`: the n of the hubs that have a file `attach`.
    """

    __match_args__ = ("driver_dir_exists", "hubs", "has_status1", "hub_attach")
    __slots__ = __match_args__
    driver_dir_exists: bool
    hubs: tuple[int, ...]
    has_status1: bool
    hub_attach: frozenset[int]

    def __init__(
        self, *, driver_dir_exists: bool, hubs: "Iterable[int]", has_status1: bool, hub_attach: "Iterable[int]"
    ) -> None:
        self._set(
            driver_dir_exists=driver_dir_exists,
            hubs=tuple(sorted(hubs)),
            has_status1=has_status1,
            hub_attach=frozenset(hub_attach),
        )


def recognise(observation: Observation) -> Layout:
    """Decide the layout. Several hubs alone do not mean a patched kernel: stock Debian has eight."""
    if not observation.driver_dir_exists:
        return MODULE_MISSING
    if not observation.hubs:
        return NO_HUBS
    if any(hub >= 1 and hub in observation.hubs for hub in observation.hub_attach):
        return HYBRID if observation.has_status1 else PER_HUB
    if observation.has_status1:
        return GLOBAL_PORTS
    return SINGLE_HUB if observation.hubs == (0,) else UNRECOGNISED


def lendable_hubs(layout: Layout, hubs: "Iterable[int]") -> tuple[int, ...]:
    """The hubs, by number, that may be lent.

    Hub 0 only where there is no other, or where its `attach` and `detach` reach no other hub's ports. Else it stays
    with the host, whose own tools know no other hub.
    """
    numbers = tuple(sorted(hubs))
    if layout in (GLOBAL_PORTS, HYBRID):
        return tuple(hub for hub in numbers if hub >= 1) or numbers
    return numbers if layout in (PER_HUB, SINGLE_HUB) else ()


class PortStatus(ids.Value):
    """One row of a hub's port table. `hub` is the half, "hs" or "ss"; `local_busid` is "0-0" unless in use."""

    __match_args__ = ("hub", "port", "state", "speed", "devid", "sockfd", "local_busid")
    __slots__ = __match_args__
    hub: str
    port: int
    state: int
    speed: int
    devid: int
    sockfd: int
    local_busid: str

    def __init__(
        self, *, hub: str, port: int, state: int, speed: int, devid: int, sockfd: int, local_busid: str
    ) -> None:
        self._set(hub=hub, port=port, state=state, speed=speed, devid=devid, sockfd=sockfd, local_busid=local_busid)


def parse_status(text: str) -> tuple[PortStatus, ...]:
    """Read vhci_hcd.0/status or status.N: the header, then a row for each port, in the file's order.

    Raises: QvdUsbError vhci-status-malformed. Source: port_show_vhci, drivers/usb/usbip/vhci_sysfs.c.
    """
    lines = text.split("\n")
    if len(text) > _MAX_STATUS_BYTES or tuple(lines[0].split()) != _HEADER or lines[-1]:
        raise _malformed(lines[0])
    return tuple(_row(line) for line in lines[1:-1])


def _row(line: str) -> PortStatus:
    fields = line.split()
    if len(fields) != len(_HEADER) or fields[0] not in _HALVES:
        raise _malformed(line)
    hub, port, state, speed, devid, sockfd, local_busid = fields
    decimals = (port, state, speed, sockfd)
    if not all(_is_number(field, "0123456789") for field in decimals) or not _is_number(devid, "0123456789abcdef"):
        raise _malformed(line)
    if not STATE_FREE <= int(state) <= STATE_ERROR:
        raise _malformed(line)
    return PortStatus(
        hub=hub,
        port=int(port),
        state=int(state),
        speed=int(speed),
        devid=int(devid, 16),
        sockfd=int(sockfd),
        local_busid=_local_busid(local_busid),
    )


def _is_number(field: str, digits: str) -> bool:
    return len(field) <= 10 and all(char in digits for char in field)


def _local_busid(text: str) -> str:
    """The bus id as the kernel wrote it; a device on its way out shows "0-0" or a name of the kernel's own."""
    if not text.isascii() or not text.isprintable():
        raise _malformed(text)
    return text


def _malformed(line: str) -> errors.QvdUsbError:
    return errors.QvdUsbError(errors.VHCI_STATUS_MALFORMED, reason=f"it has the line '{line[:80]}'")


class Ports:
    """The arithmetic of ports: each hub has a half for up to high speed and one for super speed.

    Numbers as the kernel counts them: a *global* port counts through all hubs, a root-hub port (rhport) counts from 0
    in its half. Source: port_to_pdev_nr and port_to_rhport, drivers/usb/usbip/vhci_sysfs.c.
    """

    __slots__ = ("ports_per_half",)

    def __init__(self, ports_per_half: int) -> None:
        """Args: ports_per_half: CONFIG_USBIP_VHCI_HC_PORTS, which is `nports` / (2 * number of hubs); Debian: 15."""
        self.ports_per_half = ports_per_half

    def global_port(self, hub: int, rhport: int, speed: int) -> int:
        """The number of this root-hub port, in the half that `speed` selects. With hub 0: the hub's own number."""
        return (2 * hub + (1 if half_of(speed) == "ss" else 0)) * self.ports_per_half + rhport

    def attach_target(self, layout: Layout, hub: int, rhport: int, speed: int) -> tuple[int, int]:
        """Where to attach: the hub whose `attach` is written, and the port number to write there.

        The same pair, with the half's own number, serves `detach`.
        """
        if layout == PER_HUB or (layout == HYBRID and hub >= 1):
            return hub, self.global_port(0, rhport, speed)
        return 0, self.global_port(hub, rhport, speed)

    @staticmethod
    def attach_line(port: int, fd: int, devid: int, speed: int) -> str:
        """What is written to `attach`: the port, the writer's own descriptor, the device's id, its speed (1 to 6)."""
        return f"{port} {fd} {devid} {speed}"


def half_of(speed: int) -> str:
    """The half of a hub, "hs" or "ss", where the kernel puts a device of this speed."""
    return "ss" if speed >= SUPER else "hs"


def speed_of(text: str) -> int:
    """The USB/IP number for a sysfs `speed`; one that is not known becomes the next slower one, never an error."""
    if text in SPEEDS:
        return SPEEDS[text]
    whole = text.partition(".")[0]
    megabits = int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 10 else 0
    slower = [number for name, number in SPEEDS.items() if float(name) <= megabits]
    return max(slower, default=LOW)


def clamp_speed(speed: int, highest: int = SUPER_PLUS) -> int:
    """The fastest speed, at most this one and at most `highest`, that the kernel takes: 4 (wireless) becomes 3.

    Kernels before 6.12 refuse SUPER_PLUS: call with highest=SUPER there.
    """
    known = (LOW, FULL, HIGH, SUPER, SUPER_PLUS)
    return max((number for number in known if number <= min(speed, highest)), default=LOW)


def speeds_to_try(speed: int) -> "tuple[int, ...]":
    """The speeds to write to `attach`, the next one where the kernel answers EINVAL: it may not know SUPER_PLUS."""
    return tuple(dict.fromkeys((clamp_speed(speed), clamp_speed(speed, SUPER))))
