"""EFFECT: `qvd-usb-agent lxc-config`: the lines of a container's configuration."""

import argparse
import sys

from qvd_usbip.errors import USAGE, QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.system.files import save_atomic
from server_agent import container_config, lxc, settings
from server_agent.backend import Backend
from server_agent.commands.printed import print_json
from server_agent.kernel.rights import default_backend


def lxc_config(options: argparse.Namespace) -> int:
    """Print the lines to append to a container's configuration."""
    terms = container_config.with_ids(
        lxc.ContainerTerms(
            name=VmId.parse(options.container), devicefs=settings.load().devicefs, broker_gid=options.broker_gid,
            backend=Backend(options.backend or default_backend()), root_uid=options.root_uid,
            own_attach=options.own_attach,
        ),
        userns=options.userns,
    )  # fmt: skip
    if terms.own_attach and terms.root_uid:
        raise QvdUsbError(USAGE, reason="--own-attach: in a user namespace its root may not write attach at all")
    lines = lxc.config_lines(terms)
    if terms.own_attach:
        print(" ".join(lxc.OWN_ATTACH_COSTS), file=sys.stderr)
    if options.write:
        save_atomic(lxc.include_file(terms.name), "".join(f"{line}\n" for line in lines).encode(), 0o644)
        lines = [lxc.include_line(terms.name)]
    if options.json:
        print_json({"v": 1, "container": str(terms.name), "lines": [line for line in lines if line[0] != "#"]})
    else:
        print("\n".join(lines))
    return 0
