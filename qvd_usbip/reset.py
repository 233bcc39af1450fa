"""PURE: how sysfs shows a device that is being reset: it has no number until the kernel lets go of the device's lock.

usbip-host resets a device where its loan ends, so that is when one looks at it.
Source: Linux, drivers/usb/core/hub.c, hub_port_reset(); drivers/usb/core/sysfs.c, usb_actconfig_show();
drivers/usb/usbip/stub_dev.c, stub_device_reset().
"""

NO_NUMBER = "0"
#: An attribute that the kernel reads under the device's lock: to read it is to wait for the end of a reset.
UNDER_ITS_LOCK = "bConfigurationValue"
#: So many resets in a row are waited for.
RESETS = 5
