"""EFFECT: `qvd-usb-agent config`: the keys of /etc/qvd/node.conf."""

import argparse

from server_agent import settings
from server_agent.commands.printed import print_json, say


def config_get(options: argparse.Namespace) -> int:
    """Print a key's value, or all of them."""
    values = settings.values()
    wanted = {key: value for key, value in values.items() if options.key in {None, key}}
    if options.json:
        print_json(wanted)
    else:
        for key, value in sorted(wanted.items()):
            print(value if options.key else f"{key}={value}")
    return 0


def config_set(options: argparse.Namespace) -> int:
    """Set a key in /etc/qvd/node.conf."""
    key, value = settings.parse_assignment(options.words)
    settings.save(key, value)
    say(options, {key: value}, f"{key}={value} in {settings.NODE_CONF}")
    return 0
