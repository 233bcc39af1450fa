"""PURE: the devices and states that tests and pictures show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from client_gui.state import (
    Asked,
    Consent,
    Decision,
    DeviceState,
    Fitness,
    Row,
    SessionView,
    Snapshot,
    Step,
    Trouble,
    Volume,
)
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.usb import Kind, Speed

SESSION = SessionView(
    name="Work desktop", address="10.9.1.11:11100", connected=True, encryption="tls", text="Work desktop: connected"
)

HELPER_MISSING = Trouble(
    code="helper-missing",
    text="The helper /usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux is not installed.",
    remedy="Install the qvd-usbip client package; from its sources, as root: make install ROLE=client.",
)
SESSION_REFUSED = Trouble(
    code="slave-refused-key",
    text="The session refused its key.",
    remedy="Reconnect the session: the key changes with each one.",
)
SESSION_GONE = Trouble(
    code="slave-unreachable",
    text="The session at 10.9.1.11:11100 cannot be reached: Connection refused.",
    remedy="Check that the desktop is running and the address is right.",
)
MODULE_MISSING = Trouble(
    code="usbip-host-unavailable",
    text="The kernel part that lends USB devices (usbip-host) is not available: module not loaded.",
    remedy="As root: modprobe usbip-host. If that fails, install the kernel's extra modules.",
)


def device(key: str, product: str, vendor: str, kind: Kind, **changes: Any) -> Row:
    """Returns a plugged-in device that is not shared, but for the changes."""
    row = Row(
        key=key,
        busid=BusId.parse("1-4.2"),
        vidpid=VidPid.parse("0403:6001"),
        serial="A50285BI",
        product=product,
        vendor=vendor,
        kind=kind,
        speed=Speed.HIGH,
        driver="usb",
        ticked=False,
        state=DeviceState.NOT_SHARED,
    )
    return replace(row, **changes)


def steps(*moments: int) -> tuple[Step, ...]:
    """Returns the steps taken at these moments, in milliseconds after the tick."""
    names = ("released", "exported", "attached", "ready")
    return tuple(Step(name=name, milliseconds=moment) for name, moment in zip(names, moments, strict=False))


BRIO = device(
    "046d:085e@3A7C91F0",
    "BRIO Ultra HD Webcam",
    "Logitech",
    Kind.CAMERA,
    vidpid=VidPid.parse("046d:085e"),
    serial="3A7C91F0",
    speed=Speed.SUPER,
    driver="usbip-host",
    ticked=True,
    state=DeviceState.IN_USE,
    steps=steps(12, 43, 453, 508),
    faces=(Kind.CAMERA, Kind.MICROPHONE),
    drivers=("uvcvideo", "snd-usb-audio"),
    rule=Decision(name="cameras", number=3, total=7, file="/etc/qvd/usb-policy.conf", line=12, administrator=True),
    own_rule="allow 046d:085e@3A7C91F0",
)
SCANNER = device(
    "04a9:1913@",
    "CanoScan LiDE 300",
    "Canon",
    Kind.SCANNER,
    busid=None,
    ticked=True,
    state=DeviceState.ABSENT,
    serial="",
)
HEADSET = device(
    "0b0e:0301@1",
    "Evolve2 65",
    "Jabra",
    Kind.HEADSET,
    ticked=True,
    state=DeviceState.FAILED,
    problem="bind-failed",
    problem_text="PipeWire still uses it.",
    remedy="Close the programs that use it and try again.",
    retry_in=8.0,
)
SERIAL = device(
    "0403:6001@A50285BI",
    "FT232R USB UART",
    "FTDI",
    Kind.SERIAL_ADAPTER,
    ticked=True,
    state=DeviceState.CONNECTING,
    steps=steps(12, 43),
)
SERIAL_AT_HOME = replace(SERIAL, ticked=False, state=DeviceState.NOT_SHARED, steps=())
KEYBOARD = device(
    "046a:0011@1-2",
    "KC 1000",
    "Cherry",
    Kind.KEYBOARD,
    state=DeviceState.LOCKED,
    serial="",
    problem="device-locked",
    problem_text="1-2 is locked: keyboards stay here.",
    consent=Consent(asked=Asked.UNLOCK, only_one=True),
)
STICK = device("0781:5583@4C53", "Ultra Fit", "SanDisk", Kind.MEMORY_STICK, faces=(Kind.MEMORY_STICK,))
BACKUP = Volume(name="BACKUP", path="/media/user/BACKUP", size=57_000_000_000)
PHOTOS = Volume(name="PHOTOS", path="/media/user/PHOTOS", size=4_200_000_000)
STICK_MOUNTED = replace(STICK, volumes=(BACKUP,), consent=Consent(asked=Asked.STORAGE))
STICK_TWO_VOLUMES = replace(STICK, volumes=(BACKUP, PHOTOS), consent=Consent(asked=Asked.STORAGE))
STICK_CHANGED = replace(
    STICK,
    ticked=True,
    state=DeviceState.CONFIRM,
    faces=(Kind.MEMORY_STICK, Kind.KEYBOARD),
    consent=Consent(
        asked=Asked.CHANGE, before=(Kind.MEMORY_STICK,), now=(Kind.MEMORY_STICK, Kind.KEYBOARD), only_one=False
    ),
)
FITNESS = Fitness(round_trip=18.0, throughput=94.0)
YUBIKEY = device(
    "1050:0407@", "YubiKey 5 NFC", "Yubico", Kind.SECURITY_KEY, ticked=True, state=DeviceState.ATTACHED, serial=""
)

SERIAL_WITH_STEPS = replace(
    SERIAL, key="0403:6001@2", product="Zebra", steps=steps(12, 43, 453, 508), state=DeviceState.IN_USE
)

EVERY_KIND_OF_ROW = (BRIO, SCANNER, HEADSET, SERIAL, KEYBOARD, STICK_MOUNTED, YUBIKEY)

WITHOUT_SESSION = tuple(
    replace(row, state=DeviceState.WAITING, steps=(), driver="usb", retry_in=None)
    if row.ticked and row.state is not DeviceState.ABSENT
    else row
    for row in EVERY_KIND_OF_ROW
)

_ONE_EACH = (
    (DeviceState.NOT_SHARED, "Ultra Fit", "SanDisk", Kind.MEMORY_STICK),
    (DeviceState.WAITING, "YubiKey 5 NFC", "Yubico", Kind.SECURITY_KEY),
    (DeviceState.RELEASING, "FT232R USB UART", "FTDI", Kind.SERIAL_ADAPTER),
    (DeviceState.CONNECTING, "BRIO Ultra HD Webcam", "Logitech", Kind.CAMERA),
    (DeviceState.ATTACHED, "LaserJet P1102", "HP", Kind.PRINTER),
    (DeviceState.IN_USE, "Yeti Nano", "Blue", Kind.MICROPHONE),
    (DeviceState.RETURNING, "Pixel 8", "Google", Kind.PHONE),
    (DeviceState.ABSENT, "CanoScan LiDE 300", "Canon", Kind.SCANNER),
    (DeviceState.LOCKED, "KC 1000", "Cherry", Kind.KEYBOARD),
    (DeviceState.BLOCKED, "AX88179", "ASIX", Kind.NETWORK_ADAPTER),
    (DeviceState.FAILED, "Evolve2 65", "Jabra", Kind.HEADSET),
)
EVERY_STATE = tuple(
    device(
        str(state),
        product,
        vendor,
        kind,
        state=state,
        ticked=state not in {DeviceState.NOT_SHARED, DeviceState.LOCKED, DeviceState.BLOCKED, DeviceState.RETURNING},
        steps=steps(12, 43) if state is DeviceState.CONNECTING else (),
        problem={DeviceState.BLOCKED: "device-locked", DeviceState.FAILED: "bind-failed"}.get(state, ""),
        problem_text="PipeWire still uses it." if state is DeviceState.FAILED else "",
        rule=Decision(name="no networks", number=2, total=7, file="/etc/qvd/usb-policy.conf", line=4),
        consent=Consent(asked=Asked.UNLOCK) if state is DeviceState.LOCKED else None,
    )
    for state, product, vendor, kind in _ONE_EACH
)
TWINS = tuple(
    device(
        f"10c4:ea60/{port}",
        "CP2102 USB to UART",
        "Silicon Labs",
        Kind.SERIAL_ADAPTER,
        vidpid=VidPid.parse("10c4:ea60"),
        busid=BusId.parse(port),
        serial="",
        twin=True,
        ticked=port == "1-2.1",
        state=DeviceState.WAITING if port == "1-2.1" else DeviceState.NOT_SHARED,
        nickname="Left meter" if port == "1-2.1" else "",
    )
    for port in ("1-2.1", "1-2.2")
)


def snapshot(*rows: Row, **changes: Any) -> Snapshot:
    """Returns a snapshot of these devices in the sample session, but for the changes."""
    return replace(Snapshot(rows=rows, session=SESSION, generation=1, fitness=FITNESS), **changes)


def many(count: int) -> tuple[Row, ...]:
    """Returns as many different devices as a full USB tree can hold."""
    states = [state for state in DeviceState if state is not DeviceState.FAILED]
    return tuple(
        device(
            f"0403:6001@{number:04}",
            f"Adapter {number:04}",
            "FTDI",
            Kind.SERIAL_ADAPTER,
            serial=f"{number:04}",
            state=states[number % len(states)],
        )
        for number in range(count)
    )
