"""The hook killed before each of its effects: never a node that is wider than asked, and the next run is exact."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.vma_hooks.conftest import Image

USB = "/devices/platform/vhci_hcd.3/usb7/7-1"
USBFS = "bus/usb/007/005"
WHOLE = ["dev/bus", "dev/bus/usb", "dev/bus/usb/007", f"dev/{USBFS}", "run/c189:772"]
EFFECTS = ("mkdir", "symlink", "rename", "unlink", "rmdir", "chown")


class Killed(BaseException):
    """SIGKILL, as far as one process can play it: no handler of OSError runs."""


class Executioner:
    """Lets a number of effects happen, then kills."""

    def __init__(self, image: Image, patch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in EFFECTS:
            patch.setattr(os, name, self.guard(getattr(os, name)))
        patch.setattr(image.nodes, "make", self.guard(image.nodes.make))
        patch.setattr(image.nodes, "set_acl", self.guard(image.nodes.set_acl))

    def guard(self, effect: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*words: Any, **named: Any) -> Any:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return effect(*words, **named)

        return guarded

    def killed_after(self, effects: int, run: Callable[[], object]) -> bool:
        """Whether the run was killed; False when it had fewer effects than that."""
        self.left = effects
        try:
            run()
        except Killed:
            return True
        finally:
            self.left = -1
        return False


@pytest.fixture
def executioner(image: Image, monkeypatch: pytest.MonkeyPatch) -> Executioner:
    return Executioner(image, monkeypatch)


def test_killed_while_a_node_is_made(image: Image, executioner: Executioner) -> None:
    event = image.plug(USB, USBFS, "189:772")
    gone = event | {"ACTION": "remove"}
    effects = 0
    while executioner.killed_after(effects, lambda: image.on(event)):
        for path in image.dev.rglob("*"):
            if path.is_file():
                assert path.stat().st_mode & 0o007 == 0
                assert path.stat().st_mode & 0o070 == 0 or image.nodes.acls[path.stat().st_ino]
        assert image.on(event) == 0
        assert image.left() == WHOLE, effects
        assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o660
        (image.top / "sys" / USB.strip("/") / "dev").unlink()
        assert image.on(gone) == 0
        assert image.left() == [], effects
        (image.top / "sys" / USB.strip("/") / "dev").write_text("189:772\n")
        effects += 1
    assert effects >= 8


def test_killed_while_a_node_is_made_and_its_device_goes_before_the_next_run(
    image: Image, executioner: Executioner
) -> None:
    event = image.plug(USB, USBFS, "189:772")
    attribute = image.top / "sys" / USB.strip("/") / "dev"
    effects = 0
    while executioner.killed_after(effects, lambda: image.on(event)):
        attribute.unlink()
        image.on(event | {"ACTION": "remove"})
        stray = [name for name in image.left() if not name.startswith("dev/bus")]
        assert stray == [], effects
        attribute.write_text("189:772\n")
        effects += 1
    assert effects >= 8


def test_killed_while_a_node_is_removed(image: Image, executioner: Executioner) -> None:
    event = image.plug(USB, USBFS, "189:772")
    attribute = image.top / "sys" / USB.strip("/") / "dev"
    effects = 0
    while True:
        image.on(event)
        attribute.unlink()
        if not executioner.killed_after(effects, lambda: image.on(event | {"ACTION": "remove"})):
            break
        image.on(event | {"ACTION": "remove"})
        assert image.left() == [], effects
        attribute.write_text("189:772\n")
        effects += 1
    assert effects >= 5
