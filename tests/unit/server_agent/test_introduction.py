"""Who a connection of the porter's is about is read as it was written, and nothing else is."""

import json

import pytest

from qvd_usbip.errors import QvdUsbError
from server_agent.introduction import Introduction, decode

KNOWN = Introduction(peer="192.0.2.7:4000", fingerprint="a" * 64, way="kernel")


@pytest.mark.parametrize("met", [KNOWN, Introduction(peer="[::1]:5")])
def test_it_is_read_as_it_was_written(met: Introduction) -> None:
    assert decode(met.encode()) == met


@pytest.mark.parametrize(
    "change",
    [{"fingerprint": "a" * 63}, {"fingerprint": "A" * 64}, {"fingerprint": 1}, {"v": 2}, {"more": ""}, {"peer": None}],
)
def test_anything_else_is_refused(change: dict[str, object]) -> None:
    fields = json.loads(KNOWN.encode()) | change
    with pytest.raises(QvdUsbError) as caught:
        decode(json.dumps(fields).encode())
    assert caught.value.problem.code == "broker-protocol"
