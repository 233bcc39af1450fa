"""What tests say through the kernel is read as the kernel's own words."""

import struct

from server_agent.kernel.udev import properties_of
from tests.kit.kernel_word import message


def test_a_message_has_its_length_before_words_that_the_agent_reads() -> None:
    words = {"ACTION": "add", "DEVPATH": "/devices/x", "SUBSYSTEM": "tty", "MAJOR": "166", "MINOR": "0"}
    sent = message(words)
    assert struct.unpack_from("=I", sent) == (len(sent),)
    assert sent[16:].startswith(b"add@/devices/x\0")
    assert properties_of(sent[16:]) == words
