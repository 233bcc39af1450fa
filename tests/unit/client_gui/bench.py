"""A whole client on a bench: a folder as sysfs, a home, a fake helper, a peer; and an engine that runs on them."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from client_gui.engine import Engine
from client_gui.session import Session, parse_address
from client_gui.settings import Files
from qvd_usbip.system.files import save_atomic
from tests.unit.client_gui.fake_helper import FakeHelper
from tests.unit.client_gui.slave_peer import KEY, SlavePeer

if TYPE_CHECKING:
    from collections.abc import Callable

    from client_gui.state import DeviceState, Row, Snapshot
    from client_gui.troubles import Fault


class Bus:
    """A folder that looks like /sys/bus/usb/devices."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._next = 5

    def plug(
        self, busid: str = "1-4", vidpid: str = "0bda:58c2", serial: str = "1234", *, interface: str = "02 02 01"
    ) -> None:
        """Plugs a device in; its number is a new one each time, as the kernel does it."""
        vendor, product = vidpid.split(":")
        attributes = {
            "idVendor": vendor, "idProduct": product, "bDeviceClass": "00", "speed": "480", "busnum": busid[0],
            "devnum": str(self._next), "product": f"Adapter {serial or busid}", "manufacturer": "ACME",
            "serial": serial,
        }  # fmt: skip
        self._next += 1
        place = self.folder.parent / f"making-{busid}"
        (place / f"{busid}:1.0").mkdir(parents=True)
        for name, value in attributes.items():
            if value:
                (place / name).write_text(value + "\n")
        cls, subclass, protocol = interface.split()
        described = {"Class": cls, "SubClass": subclass, "Protocol": protocol, "Number": "00"}
        for name, value in described.items():
            (place / f"{busid}:1.0" / f"bInterface{name}").write_text(value + "\n")
        (place / f"{busid}:1.0" / "bAlternateSetting").write_text(" 0\n")
        place.rename(self.folder / busid)

    def bind(self, busid: str, driver: str) -> None:
        """Has the device go to a driver, as sysfs shows it: usbip-host takes its interfaces away."""
        folder = self.folder / busid
        (folder / "driver").unlink(missing_ok=True)
        (folder / "driver").symlink_to(f"../../drivers/{driver}")
        if driver == "usbip-host":
            shutil.rmtree(folder / f"{busid}:1.0")

    def unplug(self, busid: str = "1-4") -> None:
        """Pulls a device."""
        gone = self.folder.parent / f"gone-{busid}"
        (self.folder / busid).rename(gone)
        shutil.rmtree(gone)


class Bench:
    """Everything an engine needs, and an engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bus = Bus(folder / "bus")
        self.helper = FakeHelper(folder / "bin")
        self.peer = SlavePeer()
        self.files = Files(system=f"{folder}/etc/client.conf", user=f"{folder}/home/.qvd/client.conf")
        self.runtime = folder / "run"
        self.configure()
        self.engine: Engine | None = None
        self.seen: list[Snapshot] = []
        self._news = threading.Condition()

    def configure(self, share_list: str = "", **more: str) -> None:
        """Writes the user's file, at once: half of it would lead the engine to this computer's own devices."""
        Path(self.files.user).parent.mkdir(parents=True, exist_ok=True)
        values = {
            "client.usb.enable": "1",
            "client.usb.share_list": share_list,
            "client.slave.command.qvd-client-slaveclient-usbip": str(self.helper.path),
            "path.usb.usbroot": str(self.bus.folder),
            **{name.replace("__", "."): value for name, value in more.items()},
        }
        text = "# mine\n" + "".join(f"{name}={value}\n" for name, value in values.items())
        save_atomic(self.files.user, text.encode(), 0o600)

    def session(self, address: str = "", key: str = KEY, name: str = "Work desktop") -> Session:
        """The session with the peer."""
        return Session(name=name, address=parse_address(address or self.peer.address), key=key)

    def run(self, check: Callable[[str], Fault | None] = lambda _: None) -> Engine:
        """Starts the engine; `check` says what is missing on this computer."""
        self.engine = Engine(self.files, runtime=self.runtime, check=check, listen=False)
        self.engine.subscribe(self.take)
        self.engine.start()
        return self.engine

    def take(self, snapshot: Snapshot) -> None:
        """Remembers a snapshot."""
        with self._news:
            self.seen.append(snapshot)
            self._news.notify_all()

    def wait(self, test: Callable[[Snapshot], bool], what: str, seconds: float = 30.0) -> Snapshot:
        """Waits for a snapshot that passes."""
        deadline = time.monotonic() + seconds
        with self._news:
            while not (self.seen and test(self.seen[-1])):
                left = deadline - time.monotonic()
                assert left > 0, f"never {what}; last seen: {self.seen[-1:]}; helper: {self.helper.diary()}"
                self._news.wait(left)
            return self.seen[-1]

    def wait_state(self, state: DeviceState, busid: str = "1-4", seconds: float = 30.0) -> Row:
        """Waits until the device is in this state."""

        def found(snapshot: Snapshot) -> Row | None:
            return next((row for row in snapshot.rows if str(row.busid) == busid and row.state is state), None)

        row = found(self.wait(lambda snapshot: found(snapshot) is not None, f"{busid} {state}", seconds))
        assert row is not None
        return row

    def wait_state_absent(self, seconds: float = 30.0) -> None:
        """Waits until nothing is plugged in."""
        self.wait(lambda snapshot: all(row.busid is None for row in snapshot.rows), "absent", seconds)

    def states(self, busid: str = "1-4") -> list[DeviceState]:
        """The states that were seen, each once in a row."""
        states: list[DeviceState] = []
        for snapshot in self.seen:
            for row in snapshot.rows:
                if str(row.busid) == busid and states[-1:] != [row.state]:
                    states.append(row.state)
        return states

    def close(self) -> None:
        """Ends engine and peer."""
        self.peer.manner = "close"
        self.helper.behave()
        self.helper.end_hung()
        if self.engine is not None:
            self.engine.stop()
        self.peer.close()
