"""A device that does not say its name is called as the distribution's list calls it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_gui.usb_ids import UsbNames, names_in
from qvd_usbip.ids import VidPid
from tests.unit.client_gui.bench import Bench
from tests.unit.client_gui.command import run

if TYPE_CHECKING:
    from pathlib import Path

LIST = b"""# List of USB ID's
0bda  Realtek Semiconductor Corp.
\t0001  First
# a comment between
\t58c2  Integrated Webcam HD
\t\t00  58c3
0bdb  Ericsson Business Mobile Networks BV
\t58c3  Not Realtek's
C 0b  Chip/SmartCard
"""


@pytest.mark.parametrize(
    ("vidpid", "names"),
    [
        ("0bda:58c2", ("Realtek Semiconductor Corp.", "Integrated Webcam HD")),
        ("0bda:58c3", ("Realtek Semiconductor Corp.", "")),
        ("0bdb:58c3", ("Ericsson Business Mobile Networks BV", "Not Realtek's")),
        ("ffff:0001", ("", "")),
    ],
)
def test_names_are_found_below_their_vendor(vidpid: str, names: tuple[str, str]) -> None:
    assert names_in(b"\n" + LIST, VidPid.parse(vidpid)) == names


@given(st.binary(max_size=200), st.integers(0, 0xFFFF))
def test_any_file_is_read(data: bytes, vendor: int) -> None:
    names_in(data, VidPid(vendor, 1))
    names_in(b"\n%04x  " % vendor + data, VidPid(vendor, 1))


def test_the_first_file_that_is_there_counts(tmp_path: Path) -> None:
    (tmp_path / "usb.ids").write_bytes(LIST)
    (tmp_path / "folder").mkdir()
    found = UsbNames(f"{tmp_path}/none, {tmp_path}/folder,{tmp_path}/usb.ids")
    assert found.of(VidPid(0xBDA, 1)) == ("Realtek Semiconductor Corp.", "First")
    assert UsbNames("").of(VidPid(0xBDA, 1)) == ("", "")


@pytest.mark.usefixtures("at_home")
def test_a_device_without_strings_is_listed_by_name(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    path = bench.folder / "usb.ids"
    path.write_bytes(LIST)
    bench.bus.plug()
    for name in ("product", "manufacturer"):
        (bench.bus.folder / "1-4" / name).unlink()
    bench.configure(**{"path.usb.database": str(path)})
    (device,) = json.loads(run(capsys, "list", "--json")[1])["devices"]
    assert (device["vendor"], device["product"]) == ("Realtek Semiconductor Corp.", "Integrated Webcam HD")
    bench.run()
    bench.wait(lambda seen: any(row.product == "Integrated Webcam HD" for row in seen.rows), "named")
