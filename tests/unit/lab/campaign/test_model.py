"""The reference of a walk: what each step makes of where the devices are, and that only possible steps are taken."""

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.campaign import path
from tests.lab.campaign.model import ABSENT, DEVICES, HOME, VERBS, State, Step, after, at_rest, is_possible, parse_step
from tests.lab.recipe import CONTAINERS

SEEDS = st.integers(0, 2**32 - 1)
STEPS = 60


def led(text: str) -> State:
    """The state after these steps."""
    state = State()
    for step in path.read(text):
        state = after(state, step)
    return state


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ("", ABSENT),
        ("plug serial", HOME),
        ("plug serial; tick user serial", HOME),
        ("plug serial; connect user one", HOME),
        ("plug serial; tick user serial; connect user one", "one"),
        ("connect other two; tick other serial; plug serial", "two"),
        ("plug serial; tick user serial; connect other two", HOME),
        ("plug serial; tick user serial; connect user one; untick user serial", HOME),
        ("plug serial; tick user serial; connect user one; leave user", HOME),
        ("plug serial; tick user serial; connect user one; kill-client user; connect user two", "two"),
        ("plug serial; tick user serial; connect user one; kill-agent", "one"),
        ("plug serial; tick user serial; connect user one; stop one", HOME),
        ("plug serial; tick user serial; connect user one; stop one; start one", "one"),
        ("plug serial; tick user serial; connect user one; cut", HOME),
        ("plug serial; tick user serial; connect user one; cut; mend", "one"),
        ("plug serial; tick user serial; connect user one; unheard pull serial", ABSENT),
        ("plug serial; tick user serial; connect user one; pull serial; plug serial", "one"),
    ],
)
def test_where_a_device_is(steps: str, place: str) -> None:
    assert led(steps).place("serial") == place


def test_a_container_whose_hub_went_with_the_module_is_not_sure_of_devices_until_it_starts_again() -> None:
    state = led("plug serial; tick user serial; connect user one; stop two; reload")
    assert state.unsure("serial")
    state = after(after(state, Step("stop", ("one",))), Step("start", ("one",)))
    assert (state.unsure("serial"), state.place("serial")) == (False, "one")
    assert not led("stop one; reload; start one; plug serial; tick user serial; connect user one").unsure("serial")


@pytest.mark.parametrize(
    ("steps", "remembered"),
    [
        ("plug serial; pull serial", False),
        ("plug serial; tick user serial; connect user one; pull serial; plug serial", True),
        ("plug serial; tick user serial; connect user one; unheard pull serial", True),
        ("plug serial; tick user serial; connect user one; leave user &; pull serial", True),
        ("plug serial; tick user serial; connect user one; leave user; pull serial", False),
        ("plug serial; tick user serial; connect user one; pull serial; untick user serial; plug serial", True),
        ("plug serial; tick user serial; connect user one; pull serial; plug serial; leave user", False),
        ("plug serial; tick user serial; connect user one; pull serial; plug serial; pull serial; leave user", True),
    ],
)
def test_a_port_is_remembered_for_a_device_pulled_while_lent_until_that_was_lent_again(
    steps: str, *, remembered: bool
) -> None:
    assert ("serial" in led(steps).pulled_lent) == remembered


@pytest.mark.parametrize(
    "text", ["pull serial", "plug nothing", "start one", "mend", "leave user", "unheard stop one", "untick user serial"]
)
def test_what_is_impossible_is_refused(text: str) -> None:
    step = parse_step(text)
    assert not is_possible(State(), step)
    with pytest.raises(ValueError, match=text):
        after(State(), step)


def test_a_step_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="'jump'"):
        path.read("plug serial; jump")


def happened(step: Step, before: State, state: State) -> bool:
    """Whether a step that is told from the states alone can be told."""
    return {
        "plug": lambda: step.words[0] in state.plugged - before.plugged,
        "pull": lambda: step.words[0] in before.plugged - state.plugged,
        "stop": lambda: step.words[0] in before.running - state.running,
        "start": lambda: step.words[0] in state.running - before.running,
    }.get(step.verb, lambda: True)()


@given(seed=SEEDS)
def test_a_walk_takes_only_steps_that_are_possible_and_states_that_can_be(seed: int) -> None:
    state = State()
    for step in islice(path.at_random(seed, state), STEPS):
        before = state
        assert is_possible(before, step), step
        state = after(before, step)
        assert max(Counter(device for _, device in state.ticked).values(), default=1) == 1, "of one user at most"
        assert max(Counter(user for user, _ in state.sessions).values(), default=1) == 1, "one session each"
        assert state.blind <= state.running <= set(CONTAINERS)
        assert state.plugged <= set(DEVICES)
        assert state.lent_since <= state.pulled_lent
        assert state.lent() <= state.plugged & {device for _, device in state.ticked} & state.perhaps_lent
        assert happened(step.inner if step.verb == "unheard" else step, before, state), step
        assert at_rest(at_rest(state)) == at_rest(state)


@given(seed=SEEDS)
def test_the_same_seed_is_the_same_walk_and_a_line_of_steps_is_read_as_it_was_written(seed: int) -> None:
    steps = list(islice(path.at_random(seed, State()), STEPS))
    assert list(islice(path.at_random(seed, State()), STEPS)) == steps
    assert path.read(path.written(steps)) == steps


def test_every_kind_of_step_is_taken_and_some_are_not_waited_for() -> None:
    steps = list(islice(path.at_random(1, State()), 2000))
    assert {step.verb for step in steps} == set(VERBS)
    assert 0.2 < sum(step.hurried for step in steps) / len(steps) < 0.4
