"""EFFECT: what the process may do, cut down to what the agent does, and the name it goes by."""

import logging

import prctl

LOG = logging.getLogger(__name__)
NAME = "qvd-usb-agent"
NEEDED = (
    "CAP_SYS_ADMIN",  # mount, bpf(2), programs on cgroups
    "CAP_NET_ADMIN",  # a receive buffer that holds a storm of events
    "CAP_DAC_OVERRIDE",  # cgroups and folders of containers, whoever made them
    "CAP_CHOWN",  # the broker socket's group
    "CAP_MKNOD",  # nodes of containers that cannot make their own
)


def reduce_privileges() -> None:
    """Keep only the capabilities the agent needs, for good, and set the process's name.

    Raises:
        OSError, PermissionError: this process has not got them.
    """
    kept = tuple(getattr(prctl, name) for name in NEEDED)
    prctl.set_name(NAME)
    prctl.capbset.limit(*kept)
    prctl.cap_inheritable.limit()
    prctl.cap_effective.limit(*kept)
    prctl.cap_permitted.limit(*kept)
    prctl.set_no_new_privs(1)
    LOG.info("capabilities kept=%s", ",".join(NEEDED))
