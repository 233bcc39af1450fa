#!/usr/bin/python3
"""EFFECT: saves a picture of the X screen as PNG.    grab.py FILE"""

import sys

from PySide6.QtGui import QGuiApplication

application = QGuiApplication(sys.argv[:1])
sys.exit(not application.primaryScreen().grabWindow(0).save(sys.argv[1]))
