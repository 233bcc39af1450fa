"""PURE: the status that a running engine left for other programs -> rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from client_gui.state import DeviceState, Row, Step
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.kinds import Kind
from qvd_usbip.usb import Speed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def rows_of_status(status: Mapping[str, object]) -> tuple[Row, ...]:
    """Reads the rows; one that is not understood (another version wrote it) is left out."""
    devices = status.get("devices")
    found = [_row(device) for device in devices if isinstance(device, dict)] if isinstance(devices, list) else []
    return tuple(row for row in found if row is not None)


def with_reported(rows: Sequence[Row], status: Mapping[str, object]) -> tuple[Row, ...]:
    """The rows with the state that the engine reports for the same device at the same port."""
    reported = {(row.key, row.busid): row for row in rows_of_status(status)}
    return tuple(_updated(row, reported.get((row.key, row.busid))) for row in rows)


def _updated(row: Row, reported: Row | None) -> Row:
    if reported is None or row.ticked != reported.ticked:
        return row
    return replace(
        row,
        kind=reported.kind,
        state=reported.state,
        steps=reported.steps,
        problem=reported.problem,
        problem_text=reported.problem_text,
        remedy=reported.remedy,
        retry_in=reported.retry_in,
    )


def _row(device: Mapping[str, object]) -> Row | None:
    busid, speed, retry_in = device.get("busid"), device.get("speed"), device.get("retry_in")
    try:
        return Row(
            key=_text(device, "key"),
            busid=BusId.parse(busid) if isinstance(busid, str) else None,
            vidpid=VidPid.parse(_text(device, "vid_pid")),
            serial=_text(device, "serial"),
            product=_text(device, "product"),
            vendor=_text(device, "vendor"),
            kind=Kind(_text(device, "kind")),
            speed=Speed(speed) if isinstance(speed, int) else None,
            driver=_text(device, "driver"),
            ticked=device.get("ticked") is True,
            state=DeviceState(_text(device, "state")),
            steps=_steps(device.get("steps")),
            problem=_text(device, "problem"),
            problem_text=_text(device, "problem_text"),
            remedy=_text(device, "remedy"),
            retry_in=float(retry_in) if isinstance(retry_in, int | float) else None,
            identity=_text(device, "identity"),
            twin=device.get("twin") is True,
        )
    except (ValueError, QvdUsbError):
        return None


def _steps(value: object) -> tuple[Step, ...]:
    steps = value if isinstance(value, list) else []
    return tuple(
        Step(name=str(step["name"]), milliseconds=step["milliseconds"])
        for step in steps
        if isinstance(step, dict) and "name" in step and isinstance(step.get("milliseconds"), int)
    )


def _text(device: Mapping[str, object], name: str) -> str:
    value = device.get(name, "")
    return value if isinstance(value, str) else ""
