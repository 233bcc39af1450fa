"""EFFECT: `qvd-usb-agent endpoint`: the process that listens on the network."""

import argparse
import logging
import sys

from qvd_usbip.errors import KEYS_UNAVAILABLE, QvdUsbError
from server_agent import settings

LOG = logging.getLogger(__name__)


def endpoint(options: argparse.Namespace) -> int:  # noqa: ARG001  # it has none of its own
    """Be the porter, where node.conf wants an endpoint; else end at once."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    wanted = settings.load().endpoint
    if wanted is None:
        LOG.info("no endpoint is wanted: %s is not set in %s", settings.LISTEN, settings.NODE_CONF)
        return 0
    try:
        from server_agent import porter  # noqa: PLC0415  # only where it is wanted must the library for keys be there
    except ImportError as error:
        raise QvdUsbError(KEYS_UNAVAILABLE, reason=str(error)) from error
    porter.run(wanted)
    return 0
