"""Root's part of the client: binds one device to usbip-host, hands a socket over, and gives the device back."""
