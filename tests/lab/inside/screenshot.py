"""screenshot.py FILE.png: the picture of the X display $DISPLAY, taken with Qt."""

import os
import sys

try:
    from PySide6.QtGui import QGuiApplication
except ImportError:
    sys.exit("this guest has no PySide6, which takes the picture (Debian 12 has no package of it)")

os.environ["QT_QPA_PLATFORM"] = "xcb"
application = QGuiApplication(sys.argv)
if not application.primaryScreen().grabWindow(0).save(sys.argv[1]):
    sys.exit(f"{sys.argv[1]} could not be written")
