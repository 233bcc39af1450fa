"""EFFECT: `qvd-usb-agent reserve`, `release` and `revoke`: what an administrator has the running agent do."""

from __future__ import annotations

from qvd_usbip.errors import NO_FREE_HUB, PROBLEMS, QvdUsbError
from qvd_usbip.ids import BusId, VmId
from server_agent import asking
from server_agent.backend import Backend
from server_agent.commands.printed import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any


def reserve(options: argparse.Namespace) -> int:
    """Do by hand what the pre-start hook does."""
    name = VmId.parse(options.container)
    answer = asking.ask_for(reservation(name, options), "hub")
    lack = without_usb(answer, name)
    if lack is not None:
        raise lack
    say(options, answer, f"{name} has {answer['hub']}")
    return 0


def release(options: argparse.Namespace) -> int:
    """Do by hand what the post-stop hook does."""
    name = VmId.parse(options.container)
    answer = asking.ask({"op": "release", "container": str(name)})
    say(options, answer, f"{name} is released")
    return 0


def revoke(options: argparse.Namespace) -> int:
    """Take a device from a container, at once."""
    name, busid = VmId.parse(options.container), BusId.parse(options.busid)
    answer = asking.ask({"op": "revoke", "container": str(name), "busid": str(busid)})
    say(options, answer, f"{busid} is taken from {name}: detached, its rights are gone")
    return 0


def without_usb(answer: Mapping[str, Any], name: VmId) -> QvdUsbError | None:
    """Why a container starts without USB; None where it has a hub."""
    if answer["hub"]:
        return None
    return QvdUsbError(PROBLEMS.get(answer.get("without_usb", ""), NO_FREE_HUB), container=name)


def reservation(name: VmId, options: argparse.Namespace) -> dict[str, object]:
    """The request for a hub, on the terms of the command line."""
    backend = options.backend or Backend.MAP
    request = {"op": "reserve", "container": str(name), "broker_gid": options.broker_gid, "backend": backend}
    return {**request, "root_uid": options.root_uid} if options.root_uid else request
