"""EFFECT: figures for Prometheus, in a file that its node exporter's textfile collector or any program can read."""

import logging
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system.files import save_atomic
from server_agent.chronicle import Entry, Kind
from server_agent.records import HELD_BACK, Row
from server_agent.state import Hold, Phase, Stage, State

LOG = logging.getLogger(__name__)
GRANT_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)
READY_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
COUNTED = {
    Kind.GRANT: ("grants", "rights given to containers"),
    Kind.REVOKE: ("revokes", "rights taken back"),
    Kind.ATTACH: ("attaches", "devices attached"),
    Kind.DETACH: ("detaches", "devices detached"),
    Kind.OVERFLOW: ("overflows", "times the kernel's events overflowed and everything was looked at anew"),
}


class Metrics:
    """Counts entries as they come; what the state tells is read when the file is written."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._counters = {
            kind: Counter(f"qvd_usb_{name}", text, registry=registry) for kind, (name, text) in COUNTED.items()
        }
        self._problems = Counter(
            "qvd_usb_refusals", "requests and devices refused, and steps that failed", ["event", "problem"],
            registry=registry,
        )  # fmt: skip
        self._grant = Histogram(
            "qvd_usb_grant_seconds", "from the kernel's event to the right in force", registry=registry,
            buckets=GRANT_BUCKETS,
        )  # fmt: skip
        self._ready = Histogram(
            "qvd_usb_ready_seconds", "from the request to attach until the user may open the device",
            registry=registry, buckets=READY_BUCKETS,
        )  # fmt: skip
        self._hubs = Gauge("qvd_usb_hubs", "virtual hubs", ["state"], registry=registry)
        self._containers = Gauge("qvd_usb_containers", "containers that asked for USB", ["hub"], registry=registry)
        self._devices = Gauge("qvd_usb_devices", "ports in use, by how far their device has come", ["stage"],
                              registry=registry)  # fmt: skip
        self._rights = Gauge("qvd_usb_rights", "device numbers open to a container", registry=registry)
        self._revoking = Gauge("qvd_usb_revoking", "device numbers that are still to be closed", registry=registry)

    def __call__(self, entry: Entry, row: Row) -> None:
        """Count one entry."""
        counter = self._counters.get(entry.kind)
        if counter is not None:
            counter.inc()
        if entry.kind in {Kind.REFUSAL, Kind.FAILURE}:
            several = 1 + int(str(row.get(HELD_BACK, 0)))
            self._problems.labels(entry.kind, entry.words.get("problem", "")).inc(several)
        seconds = int(entry.words.get("ms", 0)) / 1000
        if entry.kind is Kind.GRANT:
            self._grant.observe(seconds)
        elif entry.kind is Kind.READY:
            self._ready.observe(seconds)

    def text(self, state: State) -> bytes:
        """All figures, as Prometheus reads them."""
        lent = {lease.hub for lease in state.leases()}
        held = {lease.hub for lease in state.quarantine} - lent
        self._hubs.labels("lent").set(len(lent))
        self._hubs.labels("quarantined").set(len(held))
        self._hubs.labels("free").set(len(set(state.hubs) - lent - held))
        in_force = [container for container in state.containers.values() if container.phase == Phase.IN_FORCE]
        for word, with_hub in (("yes", True), ("no", False)):
            self._containers.labels(word).set(sum((c.hub is not None) == with_hub for c in in_force))
        for stage in Stage:
            self._devices.labels(stage).set(sum(device.stage == stage for device in state.devices.values()))
        holds = [hold for device in state.devices.values() for hold in device.rights.values()]
        self._rights.set(sum(hold == Hold.GRANTED for hold in holds))
        self._revoking.set(len(state.revoking))
        return bytes(generate_latest(self._registry))

    def write(self, path: Path, state: State) -> None:
        """Replace the file; one that cannot be written is said and tried again later."""
        try:
            save_atomic(path, self.text(state), 0o644)
        except QvdUsbError as error:
            LOG.warning("figures not written: %s", error)
