"""EFFECT: witness.py SECONDS: says what a program in a container hears of devices, a line each, as it comes.

`kernel add /devices/…`          a monitor of the kernel's own group, as a program without udev has it (sender's uid 0)
`udev add tty /dev/ttyACM0 S1`   pyudev's monitor behind udevd, with the serial number that its rules found
`libusb arrived 7 2`             libusb's hot plug: bus and address
"""

import ctypes
import socket
import struct
import sys
import threading
import time

import pyudev

NETLINK_KOBJECT_UEVENT, KERNEL_GROUP = 15, 1
CREDENTIALS = struct.Struct("=iII")
END = time.monotonic() + float(sys.argv[1])
ARRIVED, LEFT, ANY = 1, 2, -1


def say(*words: object) -> None:
    print(*words, flush=True)


def kernel() -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        channel.bind((0, KERNEL_GROUP))
        say("kernel ready")
        while True:
            data, ancillary, _, sender = channel.recvmsg(16384, 256)
            _, uid, _ = CREDENTIALS.unpack_from(ancillary[0][2])
            event, _, path = data.split(b"\0")[0].decode().partition("@")
            say("kernel", event, path, *([] if (uid, sender) == (0, (0, KERNEL_GROUP)) else [f"from {uid} {sender}"]))


def udev() -> None:
    monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="udev")
    monitor.start()
    say("udev ready")
    while True:
        device = monitor.poll()
        if device is not None and device.device_node is not None:
            say("udev", device.action, device.subsystem, device.device_node, device.get("ID_SERIAL_SHORT", "-"))


def libusb() -> None:
    library = ctypes.CDLL("libusb-1.0.so.0")
    context = ctypes.c_void_p()
    library.libusb_init(ctypes.byref(context))
    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    for name in ("libusb_get_bus_number", "libusb_get_device_address"):
        getattr(library, name).argtypes = [ctypes.c_void_p]

    def heard(_: int, device: int, event: int, __: int) -> int:
        bus, address = library.libusb_get_bus_number(device), library.libusb_get_device_address(device)
        say("libusb", "arrived" if event == ARRIVED else "left", bus, address)
        return 0

    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.libusb_hotplug_register_callback.argtypes = [pointer, *[number] * 5, kind, pointer, pointer]
    callback = kind(heard)
    library.libusb_hotplug_register_callback(context, ARRIVED | LEFT, 0, ANY, ANY, ANY, callback, None, None)
    say("libusb ready")
    while True:
        library.libusb_handle_events(context)


for work in (kernel, udev, libusb):
    threading.Thread(target=work, daemon=True).start()
time.sleep(max(0, END - time.monotonic()))
