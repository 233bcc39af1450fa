"""What counts as a broken promise: facts as they should be break none, each thing that is wrong breaks one."""

import copy
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.campaign import path
from tests.lab.campaign.model import DEVICES, HOME, State, after
from tests.lab.campaign.promises import Bare, broken, crossed
from tests.lab.recipe import CONTAINERS
from tests.unit.lab.campaign.test_model import led

Facts = dict[str, Any]
ALWAYS = {"c:1:3": 7}
HUBS = {"one": "vhci_hcd.1", "two": "vhci_hcd.2"}
NUMBERS = {
    "serial": {"c:189:0": "bus/usb/003/002", "c:166:0": "ttyACM0"},
    "modem": {"c:189:1": "bus/usb/003/003", "c:166:1": "ttyACM1"},
    "stick": {"c:189:2": "bus/usb/003/004", "b:8:0": "sda", "c:21:0": "sg0"},
}


def server_of(state: State) -> Facts:
    """The server as it should be."""
    devices = [
        {
            "hub": HUBS[state.place(name)],
            "busid": "3-1",
            "serial": DEVICES[name].serial,
            "authorised": True,
            "numbers": NUMBERS[name],
        }
        for name in sorted(state.lent())
    ]
    containers = {}
    for name in CONTAINERS:
        here = {number: node for each in state.lent() if state.place(each) == name
                for number, node in NUMBERS[each].items()}  # fmt: skip
        runs = name in state.running
        containers[name] = {
            "running": runs,
            "rights": {**ALWAYS, **dict.fromkeys(here, 6)} if runs else None,
            "nodes": {"null": "c:1:3", **{node: number for number, node in here.items()}} if runs else {},
        }
    return {
        "containers": containers,
        "devices": devices,
        "steady": copy.deepcopy(devices),
        "leases": {name: HUBS[name] for name in state.running},
        "used": {hub: sum(device["hub"] == hub for device in devices) for hub in ("vhci_hcd.0", *HUBS.values())},
    }


def client_of(state: State) -> Facts:
    """The client as it should be."""
    devices: dict[str, Facts | None] = {device.identity: None for device in DEVICES.values()}
    for name in state.plugged:
        home, busid = state.place(name) == HOME, f"{list(DEVICES).index(name) + 1}-1"
        devices[DEVICES[name].identity] = {
            "busid": busid,
            "driver": "usb" if home else "usbip-host",
            "interfaces": [DEVICES[name].driver] if home else [],
            "status": "" if home else "2",
        }
    lent = [devices[DEVICES[name].identity] for name in state.lent()]
    busids = [found["busid"] for found in lent if found]
    return {"devices": devices, "table": list(busids), "records": list(busids)}


BARE = Bare.of(server_of(State()))
LENT = "plug serial; plug stick; tick user serial; tick user stick; connect user one"


@given(seed=st.integers(0, 2**32 - 1))
def test_as_it_should_be_nothing_is_broken(seed: int) -> None:
    state = State()
    for step in islice(path.at_random(seed, state), 60):
        state = after(state, step)
    assert broken(state, client_of(state), server_of(state), BARE) == []


def change(place: str, key: str, value: object) -> Callable[[Facts], None]:
    """Puts a value into the facts at a place such as `containers.one.rights`."""

    def apply(facts: Facts) -> None:
        found: Any = facts
        for word in filter(None, place.split(".")):
            found = found[int(word) if word.isdecimal() else word]
        if value is None:
            del found[key]
        else:
            found[key] = value

    return apply


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (change("containers.one.rights", "c:166:9", 6), "rights of one: too many {'c:166:9': 6}"),
        (change("containers.one.rights", "c:166:0", None), "rights of one: too many {}, too few {'c:166:0': 6}"),
        (change("containers.one.rights", "c:189:0", 2), "too few {'c:189:0': 6}"),
        (change("containers.two.rights", "c:189:0", 6), "two may open c:189:0, of WALK1 in one"),
        (change("containers.two.nodes", "ttyACM0", "c:166:0"), "nodes in two that no right is for: ['c:166:0']"),
        (change("containers.one.nodes", "ttyACM9", "c:166:9"), "nodes in one that no right is for: ['c:166:9']"),
        (change("containers.one.nodes", "ttyACM0", None), "nodes that one lacks: ['c:166:0']"),
        (change("containers.one", "running", False), "one does not run"),
        (change("devices.0", "authorised", False), "serial should be in one"),
        (change("devices.0", "hub", "vhci_hcd.2"), "serial should be in one"),
        (change("used", "vhci_hcd.1", 3), "vhci_hcd.1: 3 ports in use, 2 devices"),
        (change("used", "vhci_hcd.0", 1), "vhci_hcd.0 is nobody's and has 1 in use"),
    ],
)
def test_each_thing_that_is_wrong_at_the_server_is_named(wrong: Callable[[Facts], None], words: str) -> None:
    state = led(LENT)
    server = copy.deepcopy(server_of(state))
    wrong(server)
    assert words in "; ".join(broken(state, client_of(state), server, BARE))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (change("devices.0bda:58c2@WALK1", "driver", "usb"), "serial should be in one"),
        (change("devices.0bda:58c2@WALK2", "driver", ""), "modem should be at home on cdc_acm"),
        (change("devices.0bda:58c2@WALK2", "interfaces", []), "modem should be at home on cdc_acm"),
        (change("", "table", ["1-1", "2-1", "3-1"]), "usbip-host still has 2-1 in match_busid"),
        (change("", "records", ["1-1", "2-1"]), "a record of a loan is left: 2-1"),
    ],
)
def test_each_thing_that_is_wrong_at_the_client_is_named(wrong: Callable[[Facts], None], words: str) -> None:
    state = led(f"{LENT}; plug modem")
    client = copy.deepcopy(client_of(state))
    wrong(client)
    assert words in "; ".join(broken(state, client, server_of(state), BARE))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (change("containers.two", "running", True), "two runs"),
        (change("containers.two", "rights", {}), "two has stopped and its map is there"),
        (change("leases", "two", "vhci_hcd.2"), "two has stopped and has a lease"),
    ],
)
def test_what_a_stopped_container_leaves_is_named(wrong: Callable[[Facts], None], words: str) -> None:
    state = led("stop two")
    server = copy.deepcopy(server_of(state))
    wrong(server)
    assert broken(state, client_of(state), server, BARE) == [words]


def test_a_device_that_stays_behind_is_named_at_both_ends() -> None:
    before, state = led(LENT), led(f"{LENT}; leave user")
    said = "; ".join(broken(state, client_of(before), server_of(before), BARE))
    assert "serial should be home; the server has" in said
    assert "serial should be at home on cdc_acm" in said


def test_the_port_of_a_device_pulled_while_lent_may_stay_in_the_table() -> None:
    state = led(f"{LENT}; pull serial; untick user serial; plug serial")
    client = {**client_of(state), "table": ["1-1", "3-1"]}
    assert broken(state, client, server_of(state), BARE) == []


def test_a_right_across_is_seen_at_any_moment_but_only_for_what_stayed() -> None:
    server = server_of(led(LENT))
    assert crossed(server) == []
    server["containers"]["two"]["rights"]["b:8:0"] = 6
    assert crossed(server) == ["two may open b:8:0, of WALK3 in one"]
    server["steady"] = []
    assert crossed(server) == []
