"""The fake kernel, put in the place of sysfs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client_gui.helper import usbip_host
from client_gui.helper.handover import Place
from tests.unit.client_gui.helper.fake_kernel import FakeKernel


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKernel]:
    """A machine without devices, usbip-host loaded."""
    fake = FakeKernel(tmp_path)
    monkeypatch.setattr(usbip_host, "write", fake.write)
    yield fake
    fake.stop()
    assert not fake.oopses, f"a real kernel would have oopsed: {fake.oopses}"


@pytest.fixture
def place(kernel: FakeKernel) -> Place:
    """Where the helper works in these tests."""
    return Place(f"{kernel.root}/")
