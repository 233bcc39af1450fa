"""EFFECT: what the commands of `qvd-usb-agent` do, each file read only when one of its commands is called."""
