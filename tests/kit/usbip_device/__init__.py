"""USB devices without hardware: the far end of USB/IP in Python, honest or lying.

A device is made of functions (functions.py) and answers what vhci_hcd asks (device.py); `serve` connects it to a
socket, `attach` hands the other end of it to an agent's broker or to a slave server. Nothing but the standard library:
the folder is copied into a guest as it is (tests/lab/scenarios/software.py), and runs there as
`python3 -m tests.kit.usbip_device`.
"""
