"""PURE: what is to be where: the reference that a walk at random is held against. How it is done it knows not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from tests.lab.recipe import CONTAINERS

#: Who shares at the client; each has ticks and a session of their own.
USERS = ("user", "other")
ABSENT, HOME = "absent", "home"
HURRIED = "&"
_BOTH = frozenset(CONTAINERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device in a port of its own at the client: gadget kind, identity, the driver that it has at home."""

    kind: str
    vid: str
    pid: str
    serial: str
    controller: str
    driver: str

    @property
    def identity(self) -> str:
        """As `qvd-usb` takes it."""
        return f"{self.vid}:{self.pid}@{self.serial}"


DEVICES = {
    "serial": Device(
        kind="acm", vid="0bda", pid="58c2", serial="WALK1", controller="dummy_udc.0", driver="cdc_acm"
    ),
    "modem": Device(
        kind="acm", vid="0bda", pid="58c2", serial="WALK2", controller="dummy_udc.1", driver="cdc_acm"
    ),
    "stick": Device(
        kind="mass", vid="0951", pid="1666", serial="WALK3", controller="dummy_udc.2", driver="usb-storage"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that was done and still counts.

    Args:
        plugged: devices in their ports.
        ticked: (user, device).
        sessions: (user, container).
        running: containers.
        blind: those of them whose hub went away with the module: until they start again USB is not for them.
        cut: the client reaches nobody.
        perhaps_lent: devices that may have been lent at some moment since all was last seen to be at rest.
        pulled_lent: devices pulled while they may have been lent, of which usbip-host may remember the port.
        lent_since: those of them that were lent once more, after which it forgets the port as they come home.
    """

    plugged: frozenset[str] = frozenset()
    ticked: frozenset[tuple[str, str]] = frozenset()
    sessions: frozenset[tuple[str, str]] = frozenset()
    running: frozenset[str] = _BOTH
    blind: frozenset[str] = frozenset()
    cut: bool = False
    perhaps_lent: frozenset[str] = frozenset()
    pulled_lent: frozenset[str] = frozenset()
    lent_since: frozenset[str] = frozenset()

    def place(self, device: str) -> str:
        """Where a device is once all is at rest: `absent`, `home`, or in the container of that name."""
        if device not in self.plugged:
            return ABSENT
        for user, container in self.sessions:
            if (user, device) in self.ticked and container in self.running and not self.cut:
                return container
        return HOME

    def unsure(self, device: str) -> bool:
        """Whether it would be in a container that cannot see it, so that it comes and goes."""
        return self.place(device) in self.blind

    def lent(self) -> frozenset[str]:
        """The devices that are in a container, or on the way to one that cannot see them."""
        return frozenset(device for device in DEVICES if self.place(device) in CONTAINERS)

    def session(self, user: str) -> str | None:
        """The container of a user's session."""
        return next((container for who, container in self.sessions if who == user), None)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens: a verb and its words; the next one does not wait for what comes of a hurried one."""

    verb: str
    words: tuple[str, ...] = ()
    hurried: bool = False

    def __str__(self) -> str:
        return " ".join((self.verb, *self.words, *([HURRIED] if self.hurried else [])))

    @property
    def inner(self) -> "Step":
        """What happens while the agent hears nothing: see `unheard`."""
        return Step(self.words[0], self.words[1:])


def parse_step(text: str) -> Step:
    """A step as `str` writes it; raises ValueError for a verb there is not."""
    verb, *words = text.split()
    hurried = words[-1:] == [HURRIED]
    if verb not in VERBS:
        raise ValueError(f"no step is called {verb!r}; known: {', '.join(VERBS)}")
    return Step(verb, tuple(words[:-1] if hurried else words), hurried)


@dataclass(frozen=True, slots=True)
class Verb:
    """A kind of step: with which words it is possible, what it makes of the state, how often it is taken."""

    weight: int
    possible: Callable[[State], list[tuple[str, ...]]]
    effect: Callable[..., State]
    unheard: bool = False
    """Whether it may happen while the agent is stopped and its events are lost."""


def _pulled(state: State, device: str) -> State:
    lost = frozenset({device} & (state.perhaps_lent | state.lent()))
    return replace(
        state,
        plugged=state.plugged - {device},
        pulled_lent=state.pulled_lent | lost,
        lent_since=state.lent_since - {device},
    )


def _left(state: State, user: str) -> State:
    return replace(state, sessions=frozenset(each for each in state.sessions if each[0] != user))


def _stopped(state: State, name: str) -> State:
    return replace(state, running=state.running - {name}, blind=state.blind - {name})


def _unheard(state: State) -> list[tuple[str, ...]]:
    return [(step.verb, *step.words) for step in _each(state) if VERBS[step.verb].unheard]


def _each(state: State) -> Iterator[Step]:
    """Every step but `unheard` itself, which is one of these."""
    for name, verb in VERBS.items():
        if name != "unheard":
            yield from (Step(name, words) for words in verb.possible(state))


def _with_session(state: State) -> list[tuple[str, ...]]:
    return [(user,) for user in USERS if state.session(user)]


VERBS: dict[str, Verb] = {
    "plug": Verb(
        6,
        lambda state: [(device,) for device in DEVICES if device not in state.plugged],
        lambda state, device: replace(state, plugged=state.plugged | {device}),
        unheard=True,
    ),
    "pull": Verb(4, lambda state: [(device,) for device in sorted(state.plugged)], _pulled, unheard=True),
    "tick": Verb(  # one user at a time: who comes first of two is nobody's promise
        6,
        lambda state: [
            (user, device) for user, device in product(USERS, DEVICES)
            if device not in {ticked for _, ticked in state.ticked}
        ],
        lambda state, user, device: replace(state, ticked=state.ticked | {(user, device)}),
    ),
    "untick": Verb(
        3,
        lambda state: sorted(state.ticked),
        lambda state, user, device: replace(state, ticked=state.ticked - {(user, device)}),
        unheard=True,
    ),
    "connect": Verb(
        7,
        lambda state: [pair for pair in product(USERS, CONTAINERS) if not state.session(pair[0])],
        lambda state, user, name: replace(state, sessions=state.sessions | {(user, name)}),
        unheard=True,
    ),
    "leave": Verb(2, _with_session, _left, unheard=True),
    "kill-client": Verb(2, _with_session, _left, unheard=True),
    "kill-agent": Verb(2, lambda state: [()], lambda state: state),
    "stop": Verb(1, lambda state: [(name,) for name in sorted(state.running)], _stopped),
    "start": Verb(
        6,
        lambda state: [(name,) for name in sorted(_BOTH - state.running)],
        lambda state, name: replace(state, running=state.running | {name}),
    ),
    "cut": Verb(1, lambda state: [] if state.cut else [()], lambda state: replace(state, cut=True)),
    "mend": Verb(8, lambda state: [()] if state.cut else [], lambda state: replace(state, cut=False)),
    "unheard": Verb(
        2, _unheard, lambda state, verb, *words: VERBS[verb].effect(state, *words)
    ),
    "reload": Verb(1, lambda state: [] if state.blind else [()], lambda state: replace(state, blind=state.running)),
}  # fmt: skip


def is_possible(state: State, step: Step) -> bool:
    """Whether a step can be made in this state."""
    verb = VERBS.get(step.verb)
    return verb is not None and step.words in verb.possible(state)


def after(state: State, step: Step) -> State:
    """The state that follows a step; raises ValueError for one that cannot be made."""
    if not is_possible(state, step):
        raise ValueError(f"impossible here: {step}")
    then: State = VERBS[step.verb].effect(state, *step.words)
    then = replace(then, perhaps_lent=state.perhaps_lent | state.lent() | then.lent())
    return then if step.hurried else at_rest(then)


def at_rest(state: State) -> State:
    """The same once all has come of it that comes: what is lent, and which ports usbip-host has forgotten."""
    lent = state.lent()
    sure = frozenset(device for device in DEVICES if not state.unsure(device))
    home = frozenset(device for device in DEVICES if state.place(device) == HOME)
    forgotten = state.lent_since & home
    return replace(
        state,
        perhaps_lent=lent,
        pulled_lent=state.pulled_lent - forgotten,
        lent_since=(state.lent_since - forgotten) | (state.pulled_lent & lent & sure),
    )
