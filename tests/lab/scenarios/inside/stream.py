"""EFFECT: stream.py: in a container, eight isochronous packets from the one device there; says how that ended."""

import ctypes
import errno
import os
import time
from pathlib import Path

PACKETS, SIZE = 8, 64
ENDPOINT = 0x83
CLAIM, SUBMIT, REAP = 0x8004550F, 0x8038550A, 0x4008550D  # Source: include/uapi/linux/usbdevice_fs.h
PATIENCE = 8.0


class Packet(ctypes.Structure):
    """struct usbdevfs_iso_packet_desc."""

    _fields_ = (("length", ctypes.c_uint), ("actual", ctypes.c_uint), ("status", ctypes.c_uint))


class Urb(ctypes.Structure):
    """struct usbdevfs_urb, of type USBDEVFS_URB_TYPE_ISO (0)."""

    _fields_ = (
        ("type", ctypes.c_ubyte),
        ("endpoint", ctypes.c_ubyte),
        ("status", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_int),
        ("actual", ctypes.c_int),
        ("start_frame", ctypes.c_int),
        ("packets", ctypes.c_int),
        ("errors", ctypes.c_int),
        ("signal", ctypes.c_uint),
        ("context", ctypes.c_void_p),
        ("rows", Packet * PACKETS),
    )


def ioctl(fd: int, request: int, argument: object) -> int:
    """ioctl(2) on the argument itself: the kernel writes to it later, and Python's own passes a copy."""
    call = ctypes.CDLL(None, use_errno=True).ioctl
    call.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)
    return ctypes.get_errno() if call(fd, request, argument) else 0


def main() -> None:
    (node,) = Path("/dev/bus/usb").glob("*/*")
    fd = os.open(node, os.O_RDWR)
    buffer = ctypes.create_string_buffer(PACKETS * SIZE)
    urb = Urb(
        endpoint=ENDPOINT,
        flags=2,
        buffer=ctypes.addressof(buffer),
        length=PACKETS * SIZE,
        packets=PACKETS,
        rows=(Packet * PACKETS)(*(Packet(length=SIZE) for _ in range(PACKETS))),
    )
    if failed := ioctl(fd, CLAIM, ctypes.byref(ctypes.c_uint(0))) or ioctl(fd, SUBMIT, ctypes.byref(urb)):
        raise SystemExit(f"not submitted: {os.strerror(failed)}")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        failed = ioctl(fd, REAP, ctypes.byref(ctypes.c_void_p()))
        if failed != errno.EAGAIN:
            print(f"reaped: {os.strerror(failed)}, status {urb.status}, {urb.actual} bytes, {urb.errors} errors")
            return
        time.sleep(0.05)
    raise SystemExit("nothing came")


main()
