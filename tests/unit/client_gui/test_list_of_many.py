"""`qvd-usb list` of many devices: each costs as much as the one before it."""

import sys
from pathlib import Path

import pytest

from client_gui.list_devices import show_list
from tests.kit.fake_sysfs import describe, make_sysfs

KINDS = ("keyboard", "stick", "serial-adapter", "webcam")


def calls_for(devices: int, home: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many calls it takes to list so many devices, a quarter of them alike but for the serial number."""
    found = [
        describe(KINDS[number % 4], busid=f"1-{number + 1}", devnum=str(number + 2), serial=f"S{number}")
        for number in range(devices)
    ]
    usbroot = make_sysfs(home / f"tree-{devices}", found).usbroot
    (home / ".qvd").mkdir(exist_ok=True)
    (home / ".qvd/client.conf").write_text(f"path.usb.usbroot={usbroot}\n")
    monkeypatch.setenv("HOME", str(home))
    show_list(as_json=False)  # what the first one loads is not counted
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        show_list(as_json=False)
    finally:
        sys.setprofile(None)
    return calls


def test_the_hundredth_device_costs_no_more_than_the_tenth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few, some, many = (calls_for(devices, tmp_path, monkeypatch) for devices in (20, 60, 100))
    assert len(capsys.readouterr().out.splitlines()) == 2 * (21 + 61 + 101)
    assert many - some < 1.1 * (some - few)
