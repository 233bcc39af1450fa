"""Anything that can happen, in any order: no right without its device, no device without its right."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qvd_usbip.ids import VmId
from server_agent import actions, events
from server_agent.state import Phase, Port, Stage, claims_of
from tests.unit.server_agent.world import LENDING, NAMES, PORTS, World
from tests.unit.server_agent.world_hubs import HUBS, busid_of
from tests.unit.server_agent.world_inside import ACCESS
from tests.unit.server_agent.world_promises import check_maps, check_rest, unrecorded

ONE = NAMES[0]


class Anything(RuleBasedStateMachine):
    """Whatever happens, in whatever order: no number is ever open to two, and at rest the rights are exact."""

    deaf = False

    def __init__(self) -> None:
        super().__init__()
        self.world = World(deaf=self.deaf)
        self.attaches = 0

    ports = st.builds(
        Port, hub=st.sampled_from(sorted(HUBS)), half=st.sampled_from(["hs", "ss"]), rhport=st.integers(0, PORTS - 1)
    )
    names = st.sampled_from(NAMES)

    @initialize(used=st.sampled_from([NAMES[:0], NAMES[:1], NAMES[:2]]))
    def some_in_use(self, used: tuple[VmId, ...]) -> None:
        """Most of what can go wrong needs containers with devices to begin with."""
        for name in used:
            self.begin(name)
            self.bring(name, 3)

    @rule(name=names)
    def reserve_switched_off(self, name: object) -> None:
        self.reserve(name, enabled=False)

    @rule(name=names)
    def reserve(self, name: object, *, enabled: bool = True) -> None:
        running = name in self.world.running
        words = {"container": name, "broker_gid": 0, "enabled": enabled, "running": running, "lending": LENDING}
        nodes = ACCESS if name in NAMES[1::2] else None
        self.world.ask(events.Reserve, nodes=nodes, **words)

    @rule(name=names)
    def start(self, name: object) -> None:
        container = self.world.state.containers.get(name)  # type: ignore[call-overload]
        if container is not None and container.phase == Phase.IN_FORCE and container.name in self.world.mounts:
            self.world.running.add(container.name)

    @rule(name=names)
    def stop(self, name: object) -> None:
        self.world.running.discard(name)
        self.world.ask(events.Release, container=name)

    @rule(name=names)
    def release_by_hand(self, name: object) -> None:
        self.world.ask(events.Release, container=name)

    @rule(name=names, speed=st.sampled_from([1, 3, 5]))
    def attach(self, name: object, speed: int) -> None:
        self.attaches += 1
        self.world.ask(events.Attach, container=name, attach_id=str(self.attaches), devid=0x10002, speed=speed)

    @rule(name=names)
    def begin(self, name: object) -> None:
        """What usually happens, at once, so that what comes after has something to happen to."""
        self.reserve(name)
        self.world.deliver_all()
        self.start(name)

    @rule(data=st.data(), speed=st.sampled_from([1, 3, 5]))
    @precondition(lambda self: self.world.running)
    def use(self, data: st.DataObject, speed: int) -> None:
        self.bring(data.draw(st.sampled_from(sorted(self.world.running))), speed)

    def bring(self, name: object, speed: int) -> None:
        before = set(self.world.attached)
        self.attach(name, speed)
        for port in self.world.attached - before:
            self.world.enumerate(port)
            self.world.deliver_all()
            self.world.child(port)
            self.world.deliver_all()

    @rule(data=st.data(), is_hub=st.booleans(), isochronous=st.booleans())
    @precondition(lambda self: self.world.attached)
    def enumerate(self, data: st.DataObject, *, is_hub: bool, isochronous: bool) -> None:
        port = data.draw(st.sampled_from(sorted(self.world.attached)))
        self.world.enumerate(port, is_hub=is_hub, isochronous=isochronous)

    @rule(data=st.data(), what=st.sampled_from(["child", "lose_child", "vanish"]))
    @precondition(lambda self: self.world.plugged)
    def change(self, data: st.DataObject, what: str) -> None:
        port = data.draw(st.sampled_from(sorted(self.world.plugged)))
        getattr(self.world, what)(port)

    @rule(data=st.data(), what=st.sampled_from(["lose_child", "vanish"]))
    @precondition(lambda self: len(self.world.plugged) > 1)
    def pass_a_number_on(self, data: st.DataObject, what: str) -> None:
        """One device loses a number, and before anybody hears of it another one gets it."""
        first, second = data.draw(st.permutations(sorted(self.world.plugged)))[:2]
        self.world.child(first)
        self.world.deliver_all()
        getattr(self.world, what)(first)
        self.world.child(second)

    @rule(which=st.integers(0, 5))
    def deliver_slow(self, which: int) -> None:
        self.world.deliver_slow(which)

    @rule()
    def deliver_uevent(self) -> None:
        self.world.deliver_uevent()

    @rule()
    def lose_uevent(self) -> None:
        if self.world.uevents:
            self.world.uevents.popleft()

    @rule()
    def look(self) -> None:
        self.world.look()

    @rule()
    def begin_look(self) -> None:
        self.world.begin_look()

    @rule(rights_last=st.booleans())
    def end_look(self, *, rights_last: bool) -> None:
        self.world.end_look(events_first=True, rights_last=rights_last)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule(port=ports)
    def revoke(self, port: Port) -> None:
        owner = self.world.state.owner(port)
        self.world.ask(events.RevokeAsked, container=owner.name if owner else ONE, busid=busid_of(port))

    @rule(fails=st.booleans())
    def revoke_fault(self, *, fails: bool) -> None:
        self.world.revoke_fails = fails

    @rule(full=st.booleans())
    def disk(self, *, full: bool) -> None:
        self.world.disk_full = full

    @rule(lost=st.booleans())
    def results(self, *, lost: bool) -> None:
        self.world.results_lost = lost

    @rule(fails=st.booleans())
    def grant_fault(self, *, fails: bool) -> None:
        self.world.grants_fail = fails

    @rule(name=names, slow=st.booleans())
    def back_end(self, name: VmId, *, slow: bool) -> None:
        (self.world.slow_rights.add if slow else self.world.slow_rights.discard)(name)

    @rule(cramped=st.booleans(), deaf=st.booleans())
    def inside_fault(self, *, cramped: bool, deaf: bool) -> None:
        self.world.inside.cramped, self.world.inside.deaf = cramped, deaf

    @rule(seconds=st.sampled_from([1, 20, 100]))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds
        self.world.submit(events.Clock(at=self.world.now))

    @invariant()
    def one_owner_a_number(self) -> None:
        check_maps(self.world)

    @invariant()
    def the_index_by_number_is_that_of_the_devices(self) -> None:
        state = self.world.state
        index = claims_of(state.devices)
        assert {right: set(ports) for right, ports in state.claims.items()} == {r: set(p) for r, p in index.items()}

    @invariant()
    def what_is_being_detached_has_no_right_and_waits_for_none(self) -> None:
        assert not [d for d in self.world.state.devices.values() if d.stage == Stage.DETACHING and d.rights]

    @invariant()
    def who_starts_while_hubs_are_switched_off_has_none(self) -> None:
        ending = (Phase.RELEASING, Phase.TEARING)
        started = [c for c in self.world.state.containers.values() if c.switched_off and c.phase not in ending]
        assert not [c for c in started if c.hub is not None]

    def teardown(self) -> None:
        world = self.world
        world.revoke_fails = world.grants_fail = world.disk_full = world.results_lost = False
        world.inside.cramped = world.inside.deaf = False
        self.world.settle()
        check_rest(self.world)
        self.world.running |= set(self.world.state.containers)
        self.world.written.clear()
        saves = self.world.saves
        self.world.look()
        assert self.world.saves == saves
        if not unrecorded(self.world):
            assert not [a for a in self.world.written if not isinstance(a, actions.OpenBroker)]
        assert not self.world.slow


class Deaf(Anything):
    """The same, and no event of the kernel ever arrives: looking around alone gets everything right."""

    deaf = True


TestAnything, TestDeaf = Anything.TestCase, Deaf.TestCase
TestAnything.settings = TestDeaf.settings = settings(
    max_examples=500, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
