"""EFFECT: `qvd-usb-agent pair`, `clients` and `unpair`: which clients reach which container."""

from __future__ import annotations

import json
import select
import sys

from qvd_usbip.errors import printable
from qvd_usbip.ids import VmId
from qvd_usbip.pairing import shown, typed
from server_agent import asking
from server_agent.commands.printed import print_json, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

WAIT_SECONDS = 20
_WINDOW = ("window", "stage", "code", "name", "peer", "fingerprint")


def pair(options: argparse.Namespace) -> int:
    """Wait for a client, show the code, ask whether the client shows it too."""
    name = VmId.parse(options.container)
    if options.code is not None:
        request = {"op": "pair-confirm", "container": str(name), "code": typed(options.code)}
        return _end(options, _until_not(asking.ask_for(request, *_WINDOW), "code"))
    window: Mapping[str, Any] = asking.ask_for({"op": "pair", "container": str(name)}, *_WINDOW, "seconds")
    try:
        minutes = window["seconds"] // 60
        _event(options, "waiting", window, f"Now, on the client: qvd-usb pair HOST  ({minutes} minutes are left)")
        window = _until_not(window, "waiting")
        text = printable(f"{window['name']} at {window['peer']} is to reach {name}.")
        _event(options, "code", window, f"{text}\nDoes it show the code  {shown(window['code'])}  too? [y/N] ")
        return _end(options, _answered(window, str(name)))
    except (KeyboardInterrupt, BrokenPipeError):
        asking.ask({"op": "pair-refuse", "window": window["window"]})
        raise


def _until_not(window: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    """The window once it is at another stage."""
    while window["stage"] == stage:
        window = _now(window, WAIT_SECONDS)
    return window


def _now(window: Mapping[str, Any], wait: int) -> Mapping[str, Any]:
    request = {"op": "pair-state", "window": window["window"], "stage": window["stage"], "wait": wait}
    return asking.ask_for(request, *_WINDOW)


def _answered(window: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    """The window after somebody has answered, here or by --code somewhere else.

    Standard input that ends says neither yes nor no.
    """
    while window["stage"] == "code":
        ready, _, _ = select.select([sys.stdin], [], [], 1)
        line = sys.stdin.readline() if ready else ""
        if ready and not line:
            return _until_not(window, "code")
        if line:
            return _decided(window, container, typed(line).lower())
        window = _now(window, 0)
    return window


def _decided(window: Mapping[str, Any], container: str, answer: str) -> Mapping[str, Any]:
    if answer in {"y", "yes"} or answer.isdecimal():
        code = answer if answer.isdecimal() else window["code"]
        asking.ask({"op": "pair-confirm", "container": container, "code": code})
    else:
        asking.ask({"op": "pair-refuse", "window": window["window"]})
    return _until_not(window, "code")


def _end(options: argparse.Namespace, window: Mapping[str, Any]) -> int:
    name = printable(window["name"])
    told = f"{name} may use {options.container} from now on. To take that back: qvd-usb-agent unpair {name}"
    _event(options, "paired", window, told)
    return 0


def _event(options: argparse.Namespace, event: str, window: Mapping[str, Any], sentence: str) -> None:
    if options.json:
        print(json.dumps({**window, "event": event}, sort_keys=True), flush=True)
    else:
        print(sentence, end="" if sentence.endswith(" ") else "\n", flush=True)


def clients(options: argparse.Namespace) -> int:
    """Who is paired; files that are no record of anybody are named on standard error."""
    answer = asking.ask_for({"op": "clients"}, "clients", "faults")
    if options.json:
        print_json(answer)
        return 0
    for each in answer["clients"]:
        print(printable(f"{each['name']:24} {each['container']:16} {each['added']}  {each['fingerprint']}"))
    if not answer["clients"]:
        print("no client is paired; pair one with: qvd-usb-agent pair CONTAINER")
    for fault in answer["faults"]:
        print(f"note: {fault['text']}\n  {fault['remedy']}", file=sys.stderr)
    return 0


def unpair(options: argparse.Namespace) -> int:
    """Take a client's access away."""
    answer = asking.ask_for({"op": "unpair", "name": options.name}, "client")
    say(options, answer, f"{options.name} is not paired any more; whatever it had here has ended")
    return 0
