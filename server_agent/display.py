"""PURE: an entry of the chronicle as one line for people."""

from collections.abc import Mapping

from qvd_usbip.errors import printable

SHOWN_APART = frozenset({"v", "event", "time", "container", "device", "identity", "ms", "held_ms"})


def format_row(row: Mapping[str, object]) -> str:
    """When, what, which container and device, the rest by name, and how long it took or lasted."""
    clock = str(row.get("time", "")).partition("T")[2].partition("+")[0]
    lead = [f"{clock:12}", f"{row.get('event', '?'):10}", str(row.get("container", "-"))]
    lead += [str(row[word]) for word in ("device", "identity") if word in row]
    rest = [f"{word}={row[word]}" for word in row if word not in SHOWN_APART]
    times = [f"{words} {row[word]} ms" for word, words in (("ms", "took"), ("held_ms", "held")) if word in row]
    return printable("  ".join([*lead, *rest, *times]))
