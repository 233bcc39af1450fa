"""PURE: why things are as they are: what a container has and why, why it has no hub, why a device was refused."""

from collections.abc import Iterable, Iterator, Mapping

from qvd_usbip.errors import HUBS_DISABLED, PROBLEMS, QvdUsbError
from qvd_usbip.ids import BusId, VmId
from server_agent.chronicle import DEFAULT_RULE, Kind
from server_agent.state import Container, Device, Hold, Phase, Stage, State

Row = Mapping[str, object]
NO_LEASE = (
    "is not known to the agent: it does not run, or its configuration lacks the lines of qvd-usb-agent lxc-config"
)
PHASES = {
    Phase.RECORDING: "is about to start: what it will have is being written down",
    Phase.PREPARING: "is about to start: its hub is being prepared",
    Phase.RELEASING: "has stopped: its devices are being taken away",
    Phase.TEARING: "has stopped: what was made for it is being undone",
}
STAGES = {
    Stage.ATTACHING: "the kernel is being asked to attach it",
    Stage.ATTACHED: "attached; the client's device has not answered yet",
    Stage.INSPECTING: "it answered and is being looked at; no driver has it",
    Stage.GRANTING: "it passed; the right to it is being put in force",
    Stage.AUTHORISING: "the right is in force; drivers are being let in",
    Stage.AUTHORISED: "in use",
    Stage.DETACHING: "being taken away",
}


def explain_container(state: State, recent: Iterable[Row], name: VmId) -> list[str]:
    """Sentences about one container: its hub or why there is none, its devices, what was refused to it lately."""
    container = state.containers.get(name)
    if container is None:
        said = [f"{name} {NO_LEASE} {name}."]
    elif container.phase != Phase.IN_FORCE:
        said = [f"{name} {PHASES[container.phase]}."]
    elif container.hub is None:
        said = list(_no_hub(state, container))
    else:
        said = [f"{name} has {container.lease}: its devices appear on buses {_buses(state, container)}."]
    for device in state.devices_of(name):
        said += explain_device(state, device)
    said += [f"{right} is still being taken from {name}." for owner, right in sorted(state.revoking) if owner == name]
    return [*said, *_lately(recent, "container", str(name))]


def explain_busid(state: State, recent: Iterable[Row], busid: BusId) -> list[str]:
    """Sentences about one device: whose it is, how far it has come and why, or what became of it."""
    device = next((each for each in state.devices.values() if each.busid == busid), None)
    if device is None:
        said = [f"Nothing is at {busid} now."]
        place = state.place(busid.bus, busid.ports[0] - 1)
        owner = state.owner(place) if place is not None else None
        if place is None:
            said.append(f"Bus {busid.bus} belongs to no hub that is lent to a container.")
        elif owner is None:
            said.append(f"That place belongs to {place.hub.name}, and to no container.")
        else:
            said.append(f"That place belongs to {owner.name}, which has {owner.lease}.")
    else:
        owner = state.containers.get(device.container)
        said = [f"{busid} belongs to {device.container}, which has {owner.lease if owner else 'nothing any more'}."]
        said += explain_device(state, device)
    return [*said, *_lately(recent, "device", str(busid))]


def explain_device(state: State, device: Device) -> Iterator[str]:
    """Sentences about a device that is there."""
    name = str(device.busid or device.port)
    yield f"{name}: {STAGES[device.stage]}."
    if device.stuck:
        yield f"{name}: its port did not become free; it is tried again each minute."
    for right, hold in sorted(device.rights.items()):
        node = f"/dev/{device.names.get(right, '?')}"
        if hold == Hold.GRANTED:
            yield f"{name}: {device.container} may open {node} ({right}), since it is part of this device."
        elif hold == Hold.WANTED and any(pending == right for _, pending in state.revoking):
            yield f"{name}: {node} ({right}) waits until the same number is taken from whoever had it before."
        else:
            yield f"{name}: the right to {node} ({right}) is not in force yet."


def _no_hub(state: State, container: Container) -> Iterator[str]:
    if container.switched_off:
        error = QvdUsbError(HUBS_DISABLED, container=container.name)
        yield f"{error} {error.remedy()}"
        return
    yield f"{container.name} runs without USB: when it started no hub and no port of one was free."
    for hub in sorted(state.hubs):
        for tenant in state.tenants(hub):
            yield f"{tenant.lease} belongs to {tenant.name}."
    for lease, reason in sorted(state.quarantine.items()):
        yield f"{lease} is held back: {reason}."
    free = state.free_lease(container.lending)
    if free is not None:
        yield f"{free} has become free since: restart the container to give it that."
    if not state.hubs:
        yield "This host has no hub that could be lent; see: qvd-usb-agent check"


def _buses(state: State, container: Container) -> str:
    buses = state.hubs.get(container.hub) if container.hub is not None else None
    return f"{buses.hs} and {buses.ss}" if buses is not None else "that the kernel does not show at the moment"


def _lately(recent: Iterable[Row], word: str, value: str) -> Iterator[str]:
    """What the last entries say about it that is worth an explanation, oldest first."""
    for row in recent:
        if row.get(word) != value:
            continue
        when, problem = row.get("time", ""), row.get("problem")
        if problem:
            yield f"{when}: {row['event']} by rule '{problem}': {_sentence(row)}"
        elif row.get("event") == Kind.GRANT:
            yield f"{when}: right given by rule '{row.get('rule', DEFAULT_RULE)}': {row.get('node')}."


def _sentence(row: Row) -> str:
    problem = PROBLEMS.get(str(row["problem"]))
    if problem is None:
        return f"{row.get('reason', row['problem'])}."
    words = {key: str(part) for key, part in row.items() if isinstance(part, str | int)}
    error = QvdUsbError(problem, **{"busid": words.get("device", "the device"), **words})
    return f"{error} {error.remedy()}"
