"""PURE: the POSIX access control list of a device node, as the kernel stores it."""

ATTRIBUTE = "system.posix_acl_access"
READ, WRITE, EXECUTE = 4, 2, 1
LETTERS = (("r", READ), ("w", WRITE), ("x", EXECUTE))

_VERSION = 2
_USER_OBJ, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF


def parse_permissions(text: str) -> int | None:
    """Decide which rights a setting names.

    Args:
        text: `rw-` with a dash for each right left out, or the letters alone (`rw`, `r`), each at most once.

    Returns:
        Bits as in a file mode (4 read, 2 write, 1 execute), None when the text is anything else.

    Source: guide §3.2 (createdevice.acl.permissions).
    """
    long_form = len(text) == len(LETTERS) and all(text[place] in f"{LETTERS[place][0]}-" for place in range(3))
    letters = text.replace("-", "") if long_form else text
    bits = sum(bit for letter, bit in LETTERS if letter in letters)
    return bits if len(letters) == bits.bit_count() and text else None


def format_permissions(bits: int) -> str:
    """Return bits in the long form, `rw-`."""
    return "".join(letter if bits & bit else "-" for letter, bit in LETTERS)


def encode_group_acl(gid: int, bits: int) -> bytes:
    """Return the list "owner rw, this group as told, nobody else" in the form of the extended attribute.

    Args:
        gid: the numeric group, 0 to 2**32 - 2.
        bits: its rights, as parse_permissions returns them.

    Returns:
        The value of `system.posix_acl_access`.

    Source: include/uapi/linux/posix_acl_xattr.h, acl(5).
    """
    entries = (
        (_USER_OBJ, READ | WRITE, _NO_ID),
        (_GROUP_OBJ, 0, _NO_ID),
        (_GROUP, bits, gid),
        (_MASK, bits, _NO_ID),
        (_OTHER, 0, _NO_ID),
    )
    words = b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + owner.to_bytes(4, "little")
        for tag, rights, owner in entries
    )
    return _VERSION.to_bytes(4, "little") + words


def mode_under(bits: int) -> int:
    """Return the file mode a node shows with that list: the mask stands where the group's bits were."""
    return 0o600 | bits << 3
