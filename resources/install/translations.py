"""PURE: a Qt translation source (.ts) -> the binary form that Qt reads (.qm).

Qt's own lrelease does the same; a machine that only installs does not have it.
Source: qtbase/src/corelib/kernel/qtranslator.cpp reads it, qttools/src/linguist/shared/qm.cpp writes it.
"""

import struct
from xml.etree import ElementTree as ET

MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
HASHES, MESSAGES, LANGUAGE = 0x42, 0x69, 0xA7  # sections
END, TRANSLATION, SOURCE, CONTEXT, COMMENT = 1, 3, 6, 7, 8  # parts of a message


def compile_ts(text: str) -> bytes:
    """Compiles a translation; messages without one are left out, and Qt then shows the source text.

    Raises: xml.etree.ElementTree.ParseError if it is no XML.
    """
    root = ET.fromstring(text)  # noqa: S314  # a file of this repository, not one that a stranger sent
    messages, offsets = b"", []
    for context in root.iter("context"):
        name = context.findtext("name", "")
        for message in context.iter("message"):
            source, translation = message.findtext("source", ""), message.findtext("translation", "")
            if source and translation:
                offsets.append((elf_hash(source.encode()), len(messages)))
                messages += _message(name, source, translation)
    table = b"".join(struct.pack(">II", *pair) for pair in sorted(offsets))
    sections = ((LANGUAGE, root.get("language", "").encode()), (HASHES, table), (MESSAGES, messages))
    return MAGIC + b"".join(struct.pack(">BI", tag, len(data)) + data for tag, data in sections)


def _message(context: str, source: str, translation: str) -> bytes:
    parts = (
        (TRANSLATION, translation.encode("utf-16-be")),
        (COMMENT, b""),
        (SOURCE, source.encode()),
        (CONTEXT, context.encode()),
    )
    return b"".join(struct.pack(">BI", tag, len(data)) + data for tag, data in parts) + bytes([END])


def elf_hash(data: bytes) -> int:
    """The hash by which Qt finds a source text; never 0."""
    found = 0
    for byte in data:
        found = (found << 4) + byte
        high = found & 0xF0000000
        found = (found ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return found or 1
