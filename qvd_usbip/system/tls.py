"""EFFECT: TLS 1.3 on a socket that is meant for the kernel: its context, and whether the kernel itself does the TLS.

The kernel's USB/IP wants a plain stream socket. Where the kernel makes and opens the records, the very socket is one;
where OpenSSL does, the bytes have to go through a relay. Nothing fails by itself when a socket of OpenSSL's is handed
over, the kernel would write readable USB/IP into it; so whoever hands one over asks here first.
Source: include/uapi/linux/tls.h; the kernel's Documentation/networking/tls.rst.
"""

from __future__ import annotations

import errno
import socket
import ssl

from qvd_usbip.encryption import Way
from qvd_usbip.errors import SLAVE_PROTOCOL, QvdUsbError

_SOL_TLS = 282
_TLS_TX, _TLS_RX = 1, 2
_INFO_BYTES = 4  # struct tls_crypto_info: version and cipher
_NO_OP = 0


def new_context(*, server: bool) -> ssl.SSLContext:
    """What both ends have in common: TLS 1.3, records by the kernel where it can, and no record that is no data.

    USB/IP takes a session ticket in its stream for a broken connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= getattr(ssl, "OP_ENABLE_KTLS", _NO_OP)  # Python 3.12; without it there is the relay
    if server:
        context.num_tickets = 0
    return context


def way_of(connection: ssl.SSLSocket) -> Way:
    """Decides who does the TLS of a connection whose handshake is over: the kernel only if it does both directions."""
    try:
        for direction in (_TLS_TX, _TLS_RX):
            connection.getsockopt(_SOL_TLS, direction, _INFO_BYTES)
    except OSError as error:
        if error.errno not in {errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EBUSY, errno.EINVAL}:
            raise
        return Way.RELAY
    return Way.KERNEL


def take_from_openssl(connection: ssl.SSLSocket) -> socket.socket:
    """The socket itself, whose TLS the kernel does; OpenSSL forgets the connection and says nothing.

    Raises:
        QvdUsbError: slave-protocol: the other end spoke before its turn, and OpenSSL holds what it said.
        ValueError: the kernel does not do its TLS.
    """
    if way_of(connection) is not Way.KERNEL:
        raise ValueError("this connection is OpenSSL's")
    if connection.pending():
        raise QvdUsbError(SLAVE_PROTOCOL, reason="it spoke before its turn")
    return socket.socket(fileno=connection.detach())
