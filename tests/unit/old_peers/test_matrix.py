"""A device through every mixture of old and our client, image and host; the documentation shows what came of each."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client_gui.helper import main as helper
from client_gui.helper import usbip_host
from client_gui.helper.handover import Place
from client_gui.helper.request import parse_arguments
from client_gui.state import DeviceState
from qvd_usbip.errors import QvdUsbError
from tests.kit.old_peers.client import OldClient
from tests.kit.old_peers.host import OldHost
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.helper.fake_kernel import SERIAL_ADAPTER, FakeKernel
from tests.unit.client_gui.helper.test_main import helper_caller
from tests.unit.client_gui.slave_peer import KEY
from tests.unit.old_peers.parts import OurHost, host, image

ENTRY = "0bda:58c2@1234"
CLIENTS, IMAGES, HOSTS = ("ours", "old"), ("ours", "mixed", "old"), ("ours", "old")
#: What the client comes to know: the user may open it; it was handed over; it never arrived.
IN_USE, ATTACHED, NOTHING = "in use remotely", "attached", "does not arrive"
EXPECTED = {
    # client, image, host
    ("ours", "ours", "ours"): IN_USE,
    ("ours", "ours", "old"): IN_USE,
    ("ours", "mixed", "ours"): ATTACHED,
    ("ours", "mixed", "old"): ATTACHED,
    ("ours", "old", "ours"): NOTHING,
    ("ours", "old", "old"): ATTACHED,
    ("old", "ours", "ours"): ATTACHED,
    ("old", "ours", "old"): ATTACHED,
    ("old", "mixed", "ours"): ATTACHED,
    ("old", "mixed", "old"): ATTACHED,
    ("old", "old", "ours"): NOTHING,
    ("old", "old", "old"): ATTACHED,
}
STATES = {IN_USE: DeviceState.IN_USE, ATTACHED: DeviceState.ATTACHED, NOTHING: DeviceState.FAILED}
SETTLED = 1.0  # seconds within which what does not last has ended
PATIENCE = 30.0
Share = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def nodes_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes, which only root can make, are there."""
    monkeypatch.setattr("vma_hooks.follow.find_obstacle", lambda *_: None)


@pytest.fixture
def our_client(tmp_path: Path) -> Iterator[Share]:
    """The engine with its share list; what its row comes to say."""
    bench = Bench(tmp_path / "client")

    def share(address: str, expected: str) -> str:
        bench.bus.plug()
        bench.configure(ENTRY)
        bench.run().set_session(bench.session(address))
        bench.wait_state(STATES[expected])
        if expected == ATTACHED:
            time.sleep(SETTLED)
            assert bench.states()[-1] is STATES[ATTACHED]
        return expected

    yield share
    bench.close()


@pytest.fixture
def old_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    """An old client with our helper, by its command line."""
    kernel = FakeKernel(tmp_path / "machine")
    monkeypatch.setattr(usbip_host, "write", kernel.write)
    monkeypatch.setattr(helper, "identify", lambda root, uid, gid: helper_caller(uid))
    kernel.plug("1-4", "0bda:58c2", "1234", interfaces=SERIAL_ADAPTER)
    place = Place(f"{kernel.root}/")

    def run(words: list[str], descriptor: int) -> int:
        monkeypatch.setattr(helper, "SOCKET_FD", descriptor)
        try:
            helper.serve(place, parse_arguments(words), os.getuid() or 1000, os.getgid())
        except QvdUsbError as error:
            return error.problem.exit_status
        return 0

    client = OldClient(run)

    def share(address: str, expected: str) -> str:
        failed = client.share("1-4", address, KEY)
        assert failed == "", "up to there no old client sees anything of what the other end is"
        status = kernel.folder("1-4") / "usbip_status"
        end = time.monotonic() + (PATIENCE if expected == NOTHING else SETTLED)
        while time.monotonic() < end and status.read_text() == "2\n":
            time.sleep(0.02)
        outcome = ATTACHED if status.read_text() == "2\n" else NOTHING
        assert client.take_back("1-4")
        assert kernel.driver_of("1-4") == "usb"
        return outcome

    yield share
    kernel.stop()
    assert not kernel.oopses


@pytest.mark.parametrize(("client_", "image_", "host_"), list(itertools.product(CLIENTS, IMAGES, HOSTS)))
def test_a_device_through(
    client_: str, image_: str, host_: str, tmp_path: Path, our_client: Share, old_client: Share
) -> None:
    expected = EXPECTED[client_, image_, host_]
    share = our_client if client_ == "ours" else old_client
    with (
        host(host_, tmp_path / "host") as (there, agent, attach_file),
        image(image_, KEY, agent, attach_file, tmp_path / "dev") as address,
    ):
        assert share(address, expected) == expected
        arrived = list(there.devids)
    assert bool(arrived) == (expected != NOTHING)
    assert all((devid, speed) == (65541, 3) for devid, speed in arrived)
    assert_rights(there, arrived)


def assert_rights(there: OldHost | OurHost, arrived: list[tuple[int, int]]) -> None:
    """On our host the right comes with the device whoever sent it; an old one has no such thing."""
    if isinstance(there, OurHost):
        assert bool(there.rights()) == bool(arrived)


def test_the_documentation_shows_what_came_of_each(repository: Path) -> None:
    text = (repository / "resources/doc/compatibility.md").read_text(encoding="utf-8")
    rows = [f"| {' | '.join(parts)} | {outcome} |" for parts, outcome in EXPECTED.items()]
    assert [line for line in text.splitlines() if line.startswith(("| ours |", "| old |"))] == rows
    assert set(EXPECTED) == set(itertools.product(CLIENTS, IMAGES, HOSTS))
