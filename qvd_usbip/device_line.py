r"""PURE: the line "DEVID SPEED\n" that goes from client to server before the two kernels talk.

Light module: QVD's own slave server starts a program of ours that reads nothing but this line.
"""

from qvd_usbip import errors, ids
from qvd_usbip.boundaries import line_end

MAX_DEVICE_LINE = 64
_MAX_DEVID = 0xFFFF_FFFF
_MAX_SPEED = 6


class DeviceLine(ids.Value):
    """Which device, how fast (1 to 6), and the `length` of the line in bytes, its newline included."""

    __match_args__ = ("devid", "speed", "length")
    __slots__ = __match_args__
    devid: int
    speed: int
    length: int

    def __init__(self, *, devid: int, speed: int, length: int) -> None:
        self._set(devid=devid, speed=speed, length=length)


def format_device_line(devid: int, speed: int) -> bytes:
    r"""The line "DEVID SPEED\n", decimal."""
    return f"{devid} {speed}\n".encode("ascii")


def parse_device_line(data: bytes) -> "DeviceLine | None":
    """Read the line at the start of `data`; None while it is not complete.

    Raises: QvdUsbError slave-protocol if it is longer than 64 bytes or not two decimal numbers that name a device and
    a speed from 1 to 6.
    """
    length = line_end(data[:MAX_DEVICE_LINE])
    if length is None:
        if len(data) >= MAX_DEVICE_LINE:
            raise _refusal(f"the device line is longer than {MAX_DEVICE_LINE} bytes")
        return None
    text = data[: length - 1].decode("latin-1")
    first, _, second = text.partition(" ")
    devid, speed = ids.decimal(first, _MAX_DEVID), ids.decimal(second, _MAX_SPEED)
    if devid is None or not speed or not ids.devid_is_sane(devid):
        raise _refusal(f"the device line is '{text}'")
    return DeviceLine(devid=devid, speed=speed, length=length)


def _refusal(reason: str) -> errors.QvdUsbError:
    return errors.QvdUsbError(errors.SLAVE_PROTOCOL, reason=reason)
