"""PURE: where in a stream the part ends that is ours: a request's head, the device line.

Light module.
"""


def head_end(data: bytes) -> "int | None":
    """Where a request's or answer's head ends: behind its first empty line, None while that has not come."""
    ends = [at + len(end) for end in (b"\n\r\n", b"\n\n") if (at := data.find(end)) >= 0]
    return min(ends, default=None)


def line_end(data: bytes) -> "int | None":
    """Where the first line ends: behind its newline, None while that has not come."""
    return data.find(b"\n") + 1 or None
