"""EFFECT: finds out whether the device in a port has the fingerprint that its user once agreed to."""

from pathlib import Path

from client_gui.helper.device import DEVICES
from client_gui.helper.handover import Place
from client_gui.helper.messages import LendRequest
from qvd_usbip.errors import DEVICE_CHANGED, DEVICE_GONE, QvdUsbError
from qvd_usbip.system.sysfs import read_device


def recognise(place: Place, request: LendRequest) -> int:
    """Returns the devnum of the device that has the fingerprint asked for.

    Raises:
        QvdUsbError: device-changed, device-gone.
    """
    seen = read_device(Path(place.path, DEVICES), request.busid)
    if seen is None:
        raise QvdUsbError(DEVICE_GONE, busid=str(request.busid))
    if seen.fingerprint != request.fingerprint:
        raise QvdUsbError(DEVICE_CHANGED, busid=str(request.busid))
    return seen.devnum
