"""EFFECT: single_hub.py TARGET: writes this kernel's vhci-hcd with one hub, as a kernel built for one has it.

How many there are is a variable that the module's build sets and its start reads (vhci_num_controllers,
drivers/usb/usbip/vhci_hcd.c); no parameter sets it, so its first value is changed here. The signature no longer
belongs to what was signed, and is left out. Source of the layout: elf(5); scripts/sign-file.c for the signature.
"""

import lzma
import struct
import subprocess
import sys
from pathlib import Path

VARIABLE = b"vhci_num_controllers"
SECTION, SYMBOL = struct.Struct("<IIQQQQIIQQ"), struct.Struct("<IBBHQQ")
SYMBOL_TABLE = 2
NUMBER = struct.Struct("<i")
SIGNED = b"~Module signature appended~\n"
SIGNATURE = struct.Struct(">8xI")  # the length of what stands before it is all that counts here


def module() -> bytes:
    """The module as this machine would load it."""
    found = subprocess.run(["modinfo", "-n", "vhci-hcd"], check=True, capture_output=True, text=True)
    path = Path(found.stdout.strip())
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def unsigned(data: bytes) -> bytes:
    """The module without the signature at its end."""
    if not data.endswith(SIGNED):
        return data
    rest = data.removesuffix(SIGNED)
    (length,) = SIGNATURE.unpack(rest[-SIGNATURE.size :])
    return rest[: -SIGNATURE.size - length]


def place_of(data: bytes, name: bytes) -> int:
    """Where in the file the first value of a variable stands."""
    (begin,), (size, count) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<HH", data, 58)
    sections = [SECTION.unpack_from(data, begin + number * size) for number in range(count)]
    for _, kind, _, _, offset, length, link, _, _, _ in sections:
        if kind != SYMBOL_TABLE:
            continue
        names = sections[link][4]
        for word, _, _, section, value, _ in SYMBOL.iter_unpack(data[offset : offset + length]):
            if data[names + word :].startswith(name + b"\0"):
                return int(sections[section][4] + value)
    raise SystemExit(f"no variable {name.decode()}")


def main(target: str) -> None:
    """Write it."""
    data = bytearray(unsigned(module()))
    place = place_of(bytes(data), VARIABLE)
    (hubs,) = NUMBER.unpack_from(data, place)
    if not 1 < hubs <= 128:
        raise SystemExit(f"it has {hubs} hubs")
    NUMBER.pack_into(data, place, 1)
    Path(target).write_bytes(data)


main(*sys.argv[1:])
