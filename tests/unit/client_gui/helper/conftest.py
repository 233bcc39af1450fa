"""The fake kernel, put in the place of sysfs."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_gui.helper import usbip_host
from client_gui.helper.handover import Place
from tests.unit.client_gui.helper.fake_engine import Lending
from tests.unit.client_gui.helper.fake_kernel import SERIAL_ADAPTER, FakeKernel


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


@pytest.fixture
def lending(kernel: FakeKernel, place: Place) -> Lending:
    """A loan of the one device that is plugged in."""
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=SERIAL_ADAPTER)
    return Lending(place)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """`lend` catches signals: what it caught before is caught again."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
