"""EFFECT: `qvd-usb-agent status`, `hubs`, `watch` and `explain`: what the running agent knows."""

from __future__ import annotations

import json

from qvd_usbip.errors import HUBS_DISABLED
from server_agent import asking, display
from server_agent.commands.printed import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any


def status(options: argparse.Namespace) -> int:
    """Containers, their devices and rights."""
    answer = asking.ask_for({"op": "status"}, "containers", "revoking", "quarantine", "unrecorded")
    if options.json:
        print_json(answer)
        return 0
    for container in answer["containers"]:
        print(f"{container['name']}  {_place(container) or _no_place(container)}  {container['phase']}")
        for device in container["devices"]:
            print(f"  {device['busid'] or '-':8} {device['stage']:12} {device['port']}{_came_by(answer, device)}")
            for right, hold in device["rights"].items():
                print(f"    {right:12} {hold:9} /dev/{device['nodes'].get(right, '?')}")
    if not answer["containers"]:
        print("no container has USB")
    for pending in answer["revoking"]:
        print(f"being revoked: {pending}")
    for held in answer["quarantine"]:
        print(f"not lent: {held['lease']}: {held['reason']}")
    if answer["unrecorded"]:
        print(f"the ledger is not written: {answer['unrecorded']}; no container can start until it is")
    return 0


def _came_by(answer: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    """Whose device it is, and who does its TLS, if it came to the endpoint."""
    found = (each for each in answer.get("endpoint", []) if device["attach"] and each["attach"] == device["attach"])
    session = next(found, None)
    if session is None:
        return ""
    unseen = f"; not seen to be usable: {session['unseen']}" if session["unseen"] else ""
    return f"  from {session['client']}, encrypted ({session['encryption']}){unseen}"


def _place(container: Mapping[str, Any]) -> str:
    """Where a container's devices go: its hub, with its ports if it has not all of them."""
    return f"{container['hub'] or ''}{' ports ' + container['ports'] if container['ports'] else ''}"


def _no_place(container: Mapping[str, Any]) -> str:
    """Why a container has no hub."""
    why = "hubs were switched off" if container.get("without_usb") == HUBS_DISABLED.code else "no hub"
    return f"{why}: starts without USB"


def hubs(options: argparse.Namespace) -> int:
    """Hubs and who has them."""
    answer = asking.ask_for({"op": "hubs"}, "hubs")
    if options.json:
        print_json(answer)
        return 0
    for hub in answer["hubs"]:
        who = ", ".join(
            f"{each['name']} (ports {each['ports']})" if each["ports"] else each["name"] for each in hub["containers"]
        )
        held = f"not lent: {hub['quarantine']}" if hub["quarantine"] else ""
        who = "; ".join(filter(None, (who, held))) or "free"
        ports = f"  ports used: {', '.join(hub['ports_used'])}" if hub["ports_used"] else ""
        print(f"{hub['hub']:12} buses {hub['buses'][0]},{hub['buses'][1]}  {who}{ports}")
    if not answer["hubs"]:
        print("no hub can be lent; see: qvd-usb-agent check")
    return 0


def watch(options: argparse.Namespace) -> int:
    """What happens, as it happens, until interrupted."""
    for row in asking.watch():
        print(json.dumps(row, sort_keys=True) if options.json else display.format_row(row), flush=True)
    return 0


def explain(options: argparse.Namespace) -> int:
    """Why a container or a device is as it is."""
    answer = asking.ask_for({"op": "explain", "subject": options.subject}, "lines")
    if options.json:
        print_json(answer)
    else:
        print("\n".join(answer["lines"]))
    return 0
