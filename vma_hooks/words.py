"""EFFECT: what the image's programs have to say: on standard error and in syslog, never in a device's connection."""

import errno
import os
import stat
import sys
import syslog

from qvd_usbip.errors import QvdUsbError, report


def complain(error: QvdUsbError) -> int:
    """Say what went wrong.

    Standard error is left alone when it is the same socket as standard input: a program started by an inetd has the
    client there. Syslog hears it always: udevd shows the words of what it runs only in its debug log.

    Returns:
        The exit status that belongs to the problem.
    """
    words = report(error)
    syslog.syslog(syslog.LOG_ERR, words)
    if not _is_the_client(2):
        sys.stderr.write(words + "\n")
    return error.problem.exit_status


def _is_the_client(descriptor: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(0).st_mode) and os.path.sameopenfile(0, descriptor)
    except OSError as error:
        if error.errno == errno.EBADF:  # one of them is closed
            return False
        raise
