"""EFFECT: `qvd-usb-agent run`: the agent itself."""

import argparse

from server_agent import main


def run(options: argparse.Namespace) -> int:
    """Be the agent."""
    return main.run(verbose=options.verbose)
