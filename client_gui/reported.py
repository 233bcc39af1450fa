"""PURE: the status that a running engine left for other programs -> rows."""

from __future__ import annotations

import json

from client_gui.state import (
    Asked,
    Consent,
    Decision,
    DeviceState,
    Fitness,
    Mode,
    Row,
    SessionView,
    Snapshot,
    Step,
    Trouble,
    Volume,
)
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.kinds import Kind
from qvd_usbip.usb import Speed
from qvd_usbip.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_status(data: bytes) -> dict[str, object] | None:
    """Reads the status as it stands in a file or comes in a line; None for what is no JSON object."""
    try:
        status: object = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return status if isinstance(status, dict) else None


def rows_of_status(status: Mapping[str, object]) -> tuple[Row, ...]:
    """Reads the rows; one that is not understood (another version wrote it) is left out."""
    devices = status.get("devices")
    found = [_row(device) for device in devices if isinstance(device, dict)] if isinstance(devices, list) else []
    return tuple(row for row in found if row is not None)


def with_reported(rows: Sequence[Row], status: Mapping[str, object]) -> tuple[Row, ...]:
    """The rows with the state that the engine reports for the same device at the same port."""
    reported = {(row.identity, row.busid): row for row in rows_of_status(status)}
    return tuple(_updated(row, reported.get((row.identity, row.busid))) for row in rows)


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
        tries=reported.tries,
    )


def _row(device: Mapping[str, object]) -> Row | None:
    busid, speed = device.get("busid"), device.get("speed")
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
            retry_in=_real(device.get("retry_in")),
            tries=_number(device, "tries"),
            identity=_text(device, "identity"),
            twin=device.get("twin") is True,
            faces=_faces(device.get("faces")),
            drivers=tuple(_texts(device.get("drivers"))),
            nickname=_text(device, "nickname"),
            mode=Mode(_text(device, "mode") or Mode.AUTOMATIC),
            follows_port=_number(device, "follows_port"),
            consent=_consent(device.get("consent")),
            volumes=_volumes(device.get("volumes")),
            rule=_rule(device.get("rule")),
            own_rule=_text(device, "own_rule"),
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


def _faces(value: object) -> tuple[Kind, ...]:
    return tuple(Kind(text) for text in _texts(value))


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _consent(value: object) -> Consent | None:
    if not isinstance(value, dict):
        return None
    asked, only_one = Asked(_text(value, "asked")), value.get("only_one") is True
    return Consent(asked=asked, before=_faces(value.get("before")), now=_faces(value.get("now")), only_one=only_one)


def _volumes(value: object) -> tuple[Volume, ...]:
    volumes = value if isinstance(value, list) else []
    return tuple(
        Volume(name=_text(each, "name"), path=_text(each, "path"), size=_number(each, "size"))
        for each in volumes
        if isinstance(each, dict)
    )


def _rule(value: object) -> Decision | None:
    if not isinstance(value, dict):
        return None
    return Decision(
        name=_text(value, "name"),
        number=_number(value, "number"),
        total=_number(value, "total"),
        file=_text(value, "file"),
        line=_number(value, "line"),
        administrator=value.get("administrator") is True,
    )


def _number(device: Mapping[str, object], name: str) -> int:
    value = device.get(name, 0)
    return value if isinstance(value, int) else 0


def snapshot_of_status(status: Mapping[str, object]) -> Snapshot:
    """Reads everything that another engine shows; what is not understood is left out."""
    problems = status.get("problems")
    return Snapshot(
        rows=rows_of_status(status),
        session=session_of_status(status),
        problems=tuple(
            Trouble(code=_text(each, "code"), text=_text(each, "text"), remedy=_text(each, "remedy"))
            for each in (problems if isinstance(problems, list) else [])
            if isinstance(each, dict)
        ),
        fitness=_fitness(status.get("fitness")),
        elsewhere=True,
    )


def _session(value: Mapping[str, object]) -> SessionView:
    return SessionView(
        name=_text(value, "name"),
        address=_text(value, "address"),
        connected=value.get("connected") is True,
        encryption=_text(value, "encryption"),
        way=_text(value, "way"),
        text=_text(value, "text"),
        lost=value.get("lost") is True,
        retry_in=_real(value.get("retry_in")),
        problem=_text(value, "problem"),
    )


def session_of_status(status: Mapping[str, object]) -> SessionView | None:
    """Reads the session."""
    session = status.get("session")
    return _session(session) if isinstance(session, dict) else None


def _fitness(value: object) -> Fitness | None:
    if not isinstance(value, dict):
        return None
    round_trip, jitter, throughput = (_real(value.get(name)) for name in ("round_trip", "jitter", "throughput"))
    return None if round_trip is None else Fitness(round_trip=round_trip, jitter=jitter or 0.0, throughput=throughput)


def _real(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None


def _text(device: Mapping[str, object], name: str) -> str:
    value = device.get(name, "")
    return value if isinstance(value, str) else ""
