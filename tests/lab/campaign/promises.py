"""PURE: what the kernels have, held against the model: which promises are broken, a sentence each.

Facts are what guest/eye.py writes: of the client and of the server guest. What agent and engine say of themselves is
not among them, but for the ledger, which is held against what the kernel has.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.lab.campaign.model import ABSENT, DEVICES, HOME, State
from tests.lab.recipe import CONTAINERS

Facts = dict[str, Any]
READ_WRITE = 6
LENT, SPARE = "2", "usbip-host"  # usbip_status of a device that a peer has; the driver of one that is lent


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """What a container has that no device of ours is behind: rights with their access, and numbers of nodes."""

    rights: dict[str, dict[str, int]]
    nodes: dict[str, frozenset[str]]

    @classmethod
    def of(cls, server: Facts) -> "Bare":
        """As it is while nothing is lent."""
        found = server["containers"]
        return cls(
            rights={name: found[name]["rights"] for name in CONTAINERS},
            nodes={name: frozenset(found[name]["nodes"].values()) for name in CONTAINERS},
        )


def crossed(server: Facts) -> list[str]:
    """What must not be at any moment: a container with a right to a device that drivers have for another one."""
    said = []
    for device in server["steady"]:
        owners = {name for name, hub in server["leases"].items() if hub == device["hub"]}
        for name in set(CONTAINERS) - owners:
            held = server["containers"][name]["rights"] or {}
            shared = sorted(set(device["numbers"]) & set(held))
            if device["authorised"] and owners and shared:
                said.append(f"{name} may open {', '.join(shared)}, of {device['serial']} in {', '.join(owners)}")
    return said


def broken(state: State, client: Facts, server: Facts, bare: Bare) -> list[str]:
    """Which promises do not hold, where all should be at rest."""
    said = crossed(server)
    for name in CONTAINERS:
        said += _stopped(name, server) if name not in state.running else _container(name, state, server, bare)
    said += _hubs(server)
    for name in DEVICES:
        if not state.unsure(name):
            said += _at_client(name, state, client)
            said += _at_server(name, state, server)
    if not state.blind:
        lent = {client["devices"][DEVICES[name].identity]["busid"] for name in state.lent() if _plugged(name, client)}
        said += [f"a record of a loan is left: {name}" for name in client["records"] if not _is_of(name, lent)]
    return said


def _plugged(name: str, client: Facts) -> bool:
    return client["devices"][DEVICES[name].identity] is not None


def _is_of(record: str, busids: set[str]) -> bool:
    return any(record == busid or record.startswith(f"{busid}.") for busid in busids)


def _stopped(name: str, server: Facts) -> list[str]:
    found = server["containers"][name]
    said = [f"{name} runs"] if found["running"] else []
    said += [f"{name} has stopped and its map is there"] if found["rights"] is not None else []
    return said + ([f"{name} has stopped and has a lease"] if name in server["leases"] else [])


def _container(name: str, state: State, server: Facts, bare: Bare) -> list[str]:
    """Right ⇔ there and let through; node ⇔ right."""
    found = server["containers"][name]
    if not found["running"] or found["rights"] is None or server["leases"].get(name) is None:
        return [f"{name} does not run, or has no map or no hub"]
    hub = server["leases"][name]
    there = {
        number: READ_WRITE
        for device in server["devices"]
        if device["hub"] == hub and device["authorised"]
        for number in device["numbers"]
    }
    said = []
    if (wanted := {**bare.rights[name], **there}) != found["rights"]:
        said.append(f"rights of {name}: {_differing(wanted, found['rights'])}")
    nodes = {number for number in found["nodes"].values() if number not in bare.nodes[name]}
    if extra := nodes - set(there):
        said.append(f"nodes in {name} that no right is for: {sorted(extra)}")
    missing = set(there) - nodes
    if missing and name not in state.blind:
        said.append(f"nodes that {name} lacks: {sorted(missing)}")
    return said


def _differing(wanted: dict[str, int], held: dict[str, int]) -> str:
    many = {number: access for number, access in held.items() if wanted.get(number) != access}
    few = {number: access for number, access in wanted.items() if held.get(number) != access}
    return f"too many {many}, too few {few}"


def _hubs(server: Facts) -> list[str]:
    """A hub that nobody has is empty; one that is lent holds what enumerated there and nothing else."""
    there = Counter(device["hub"] for device in server["devices"])
    leased = set(server["leases"].values())
    said = [
        f"{hub}: {count} ports in use, {there[hub]} devices"
        for hub, count in server["used"].items()
        if count != there[hub]
    ]
    return said + [f"{hub} is nobody's and has {count} in use" for hub, count in server["used"].items()
                   if count and hub not in leased]  # fmt: skip


def _at_client(name: str, state: State, client: Facts) -> list[str]:
    device, place = DEVICES[name], state.place(name)
    found = client["devices"][device.identity]
    if found is None or place == ABSENT:
        return [] if found is None and place == ABSENT else [f"{name} should be {place} and is {found or ABSENT}"]
    if place != HOME:
        lent = found["driver"] == SPARE and found["status"] == LENT
        return [] if lent else [f"{name} should be in {place}; the client has {found}"]
    said = []
    if found["driver"] != "usb" or found["interfaces"] != [device.driver]:
        said.append(f"{name} should be at home on {device.driver}; the client has {found}")
    if found["busid"] in client["table"] and name not in state.pulled_lent:
        said.append(f"{name} is at home, and usbip-host still has {found['busid']} in match_busid")
    return said


def _at_server(name: str, state: State, server: Facts) -> list[str]:
    place = state.place(name)
    found = [device for device in server["devices"] if device["serial"] == DEVICES[name].serial]
    if place in {ABSENT, HOME}:
        return [f"{name} should be {place}; the server has {found}"] if found else []
    hub = server["leases"].get(place)
    right = len(found) == 1 and found[0]["hub"] == hub and found[0]["authorised"]
    return [] if right else [f"{name} should be in {place} ({hub}); the server has {found}"]
