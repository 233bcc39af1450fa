#!/usr/bin/python3
"""A QVD client written with PySide6: the list of USB devices as one of its own widgets.

The session is what `--session -` takes, on standard input: embed.py < session.json
"""

import sys

sys.path.insert(1, "/usr/lib/qvd-usbip/python")

from PySide6.QtWidgets import QApplication, QTabWidget

from client_gui.session import parse_session
from client_gui.ui.embed import UsbDevices


def main() -> int:
    """Opens the client's window, one of its tabs being the list."""
    application = QApplication(sys.argv)
    window = QTabWidget()

    devices = UsbDevices()
    window.addTab(devices, "USB devices")
    devices.set_session(parse_session(sys.stdin.read()))

    # Before the program ends, every device comes home.
    application.setQuitOnLastWindowClosed(False)
    application.lastWindowClosed.connect(devices.bring_home)
    devices.home.connect(application.quit)
    window.show()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
