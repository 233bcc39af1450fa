"""EFFECT: the way of two devices: what its steps share, and how a link is waited for and told.

What counts is seen by a witness in a guest, never the product's own word.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.demo.desk import SHARE_LIST_FILE, Desk
from tests.lab.demo.timeline import LinkBrokenError, Seen, Timeline
from tests.lab.demo.witness import Facts, Sight, Witness
from tests.lab.errors import CommandFailed, LabError
from tests.lab.lab import Lab
from tests.lab.product import SLAVE_KEYS

CONTAINER, STRANGER = "one", "two"
ADDRESS = "10.9.1.11:11100"
KEY = SLAVE_KEYS[CONTAINER]
PATIENCE = 90.0  # seconds for each link; the machine may be slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One of the demo's devices, as it identifies itself."""

    name: str
    gadget: str
    vid: str
    pid: str
    serial: str
    product: str
    local: str  # the driver of its interface on the client

    @property
    def identity(self) -> str:
        return f"{self.vid}:{self.pid}@{self.serial}"


SERIAL = Device(
    name="serial",
    gadget="acm",
    vid="0bda",
    pid="58c2",
    serial="1234",
    product="Serial Adapter",
    local="cdc_acm",
)
STICK = Device(
    name="stick",
    gadget="mass",
    vid="0781",
    pid="5581",
    serial="4C530001",
    product="Ultra Fit",
    local="usb-storage",
)
DEVICES = (SERIAL, STICK)
FILE_TEXT = "This file came from the stick on the desk."


@dataclass(frozen=True, slots=True)
class Step:
    """One link of the way for one device: `run` acts and observes, and raises LinkBrokenError."""

    link: str
    device: Device | None
    run: Callable[["Way"], None]


@dataclass(slots=True)
class Way:
    """The state of one run: where the steps find the guests, the screen, the witnesses and the timeline."""

    lab: Lab
    timeline: Timeline
    pictures: Path
    patience: float = PATIENCE
    waited: dict[str, float] = field(default_factory=dict)
    """Seconds that each link was waited for at most, what was done before not counted."""
    desk: Desk = field(init=False)
    client: Witness = field(init=False)
    server: Witness = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.lab.client)
        self.client = Witness(self.lab.client, "client")
        self.server = Witness(self.lab.server, "server")

    def prepare(self) -> None:
        """Sets the stage: the user's desk and the witnesses."""
        self.desk.prepare()
        identities = [device.identity for device in DEVICES]
        self.client.start(SHARE_LIST_FILE, *identities)
        self.server.start(CONTAINER, f"/sys/fs/bpf/qvd/{CONTAINER}", *identities)

    def take(self, step: Step) -> None:
        """Takes one step; whatever a guest cannot do in it is told as the broken link, too."""
        try:
            step.run(self)
        except LabError as error:
            raise self.broken(step.link, step.device, str(error)) from error

    # -- telling -----------------------------------------------------------------------------------------------------
    def tell(
        self, link: str, device: Device | None, evidence: str, at: float | None = None, *, ok: bool = True
    ) -> None:
        """Puts a link into the timeline, with the time a guest's kernel gave it or the time now."""
        name = device.name if device else ""
        self.timeline.add(Seen(link=link, device=name, evidence=evidence, at=at or time.time(), ok=ok))

    def broken(self, link: str, device: Device | None, reason: str) -> LinkBrokenError:
        """Tells that a link did not hold; returns the error to raise."""
        self.tell(link, device, reason, ok=False)
        return LinkBrokenError(link, device.name if device else "", reason)

    def expect(
        self, link: str, device: Device, side: Witness, holds: Callable[[Facts], object], tell: Callable[[Facts], str]
    ) -> Sight:
        """Waits until a witness sees a fact and puts it into the timeline; else the link is broken."""
        sight = self.look(link, device, side, holds)
        self.tell(link, device, tell(sight.facts), sight.at)
        return sight

    def look(self, link: str, device: Device, side: Witness, holds: Callable[[Facts], object]) -> Sight:
        """Waits until a witness sees a fact; else the link is broken.

        What was seen since the last click on this device counts, so that a state that passed quickly is not missed.
        """
        began = time.monotonic()
        sight = side.first(device.identity, holds, since=self.clicked_at(device), patience=self.patience)
        self.waited[link] = max(self.waited.get(link, 0.0), time.monotonic() - began)
        if sight is None:
            last = side.latest(device.identity)
            reason = f"in {self.patience:.0f} s; the {side.side} guest's kernel says {json.dumps(last)}"
            raise self.broken(link, device, reason)
        return sight

    def click(self, device: Device) -> None:
        """Clicks the device's switch in the picker, and tells when and where; else the link `clicked` is broken."""
        try:
            place, moment = self.desk.click(f"Share {device.product}")
        except CommandFailed as error:
            raise self.broken("clicked", device, error.output.strip()) from error
        self.tell("clicked", device, f'"Share {device.product}" at {place}', moment + self.client.shift)

    def clicked_at(self, device: Device) -> float:
        """When this device was clicked last, in seconds of this machine's clock; the start where it never was."""
        clicks = [seen.at for seen in self.timeline.seen if (seen.link, seen.device) == ("clicked", device.name)]
        return clicks[-1] if clicks else self.timeline.start
