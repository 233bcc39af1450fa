#!/usr/bin/python3
"""screenshot.py DISPLAY FILE.png: the picture of an X display, with Qt where it is, else as FILE.png by xwd's plain dump."""
