"""PURE but for `new_seed`: the steps of a walk at random: from a seed without end, or as they were written down."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tests.lab.campaign.model import VERBS, State, Step, after, parse_step

#: How many of ten steps are not waited for.
HURRIED_OF_TEN = 3
#: How much more often steps are taken by which a device moves, and those after which a container sees devices again.
MOVING, CURING = 3, 12
_APART = ";"


def new_seed() -> int:
    """A seed that nobody took before."""
    return random.SystemRandom().randrange(1 << 32)


def at_random(seed: int, state: State) -> Iterator[Step]:
    """Steps that are possible one after the other, for ever; the same for the same seed.

    The weight of a kind of step is shared by all of that kind; what brings about a lot is taken more often.
    """
    chance = random.Random(seed)
    while True:
        steps = [Step(name, words) for name, verb in VERBS.items() for words in verb.possible(state)]
        kinds = Counter(step.verb for step in steps)
        weights = [VERBS[step.verb].weight / kinds[step.verb] * _worth(state, step) for step in steps]
        (step,) = chance.choices(steps, weights)
        step = replace(step, hurried=chance.randrange(10) < HURRIED_OF_TEN)
        yield step
        state = after(state, step)


def _worth(state: State, step: Step) -> int:
    if step.verb == "stop" and step.words[0] in state.blind:
        return CURING
    return MOVING if moves(state, step) else 1


def moves(state: State, step: Step) -> bool:
    """Whether a device leaves a container or goes into one by this step."""
    then = after(state, step)
    return any(state.place(device) != then.place(device) for device in state.lent() | then.lent())


def written(steps: list[Step]) -> str:
    """Steps as one line, which `read` takes."""
    return f"{_APART} ".join(map(str, steps))


def read(text: str) -> list[Step]:
    """The steps of a line; raises ValueError for what is no step."""
    return [parse_step(part) for part in text.split(_APART) if part.strip()]
