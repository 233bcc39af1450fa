"""EFFECT: `qvd-usb list`: what is plugged in, what is shared; it has to be quick, so that it imports little."""

from __future__ import annotations

import os
import sys

from client_gui import settings
from client_gui.advisor import Advisor
from client_gui.listing import json_of_row, table
from client_gui.scan import Scanner
from client_gui.selection import Situation, rows_of
from client_gui.settings import Files
from qvd_usbip.errors import QvdUsbError, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client_gui.state import Row


def show_list(*, as_json: bool) -> int:
    """Prints the devices; where the configuration is broken they are listed all the same, and that is said."""
    trouble: QvdUsbError | None = None
    files = Files.of_user()
    try:
        read = settings.load(files)
    except QvdUsbError as error:
        read, trouble = settings.defaults(), error
    scanner = Scanner(read.usbroot)
    devices = scanner.scan()
    advisor = Advisor(files, read.database)
    advisor.reload()
    situation = Situation(
        wishes=read.wishes,
        assessments=advisor.assess(devices, read.wishes, scanner.usbroot),
        remembered=advisor.of_absent,
    )
    rows = _as_engine_says(rows_of(devices, situation))
    if as_json:
        import json

        print(json.dumps({"v": 1, "devices": [json_of_row(row) for row in rows]}))
    else:
        print(table(rows) if rows else "No USB devices are plugged in.")
    troubles = [each for each in (trouble, advisor.book_fault, advisor.memory_fault) if each is not None]
    troubles += scanner.left_out.values()
    for each in troubles:
        print(report(each), file=sys.stderr)
    return troubles[0].problem.exit_status if troubles else 0


def _as_engine_says(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """The rows with the states of the engine that runs, if one does."""
    if not any(row.ticked for row in rows):
        return rows
    from client_gui.presence import read_status, runtime_folder
    from client_gui.reported import with_reported

    status = read_status(runtime_folder(os.environ, os.geteuid()))
    return rows if status is None else with_reported(rows, status)
