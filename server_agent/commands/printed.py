"""EFFECT: an answer as JSON for programs, or as a sentence for people."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any


def print_json(value: object) -> None:
    """Prints a value, with its keys in order."""
    print(json.dumps(value, indent=1, sort_keys=True))


def say(options: argparse.Namespace, answer: Mapping[str, Any], sentence: str) -> None:
    """Prints the answer where JSON was asked for, else the sentence."""
    if options.json:
        print_json(answer)
    else:
        print(sentence)
