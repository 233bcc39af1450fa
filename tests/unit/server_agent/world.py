"""PURE: a small model of the kernel: it carries the core's actions out, slowly, and sends its events in order."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from qvd_usbip.ids import DevNum, HubId, VmId
from qvd_usbip.port_range import ALL_PORTS
from server_agent import actions, events
from server_agent.decide import decide
from server_agent.events import DeviceSeen, HubSeen, Left, Observed
from server_agent.ledger import format_ledger, parse_ledger
from server_agent.lending import Lease, Lending
from server_agent.state import Port, Right, Stage, State, Thing
from tests.kit.usbfs import number_of
from tests.unit.server_agent.world_hubs import BOOT, HUBS, Plugged, busid_of, usb_device
from tests.unit.server_agent.world_inside import ACCESS, Inside, things_of
from tests.unit.server_agent.world_promises import check_authorise, check_condemned, check_maps, note_exposed

PORTS, TTYS = 3, 3  # few, so that they are used again
LENDING = Lending(shared=1, ports=1)  # hubs 1 and 2 as a whole, of hub 3 one port of each half
NAMES = tuple(VmId(name) for name in ("one", "two", "three", "four", "five", "six"))


@dataclass(slots=True)
class World:
    """Kernel, containers, and the agent's state; results of slow actions and kernel events wait until delivered."""

    state: State = field(default_factory=State)
    now: float = 1.0
    maps: dict[VmId, set[Right]] = field(default_factory=dict)
    mounts: dict[VmId, Lease | None] = field(default_factory=dict)
    running: set[VmId] = field(default_factory=set)
    attached: set[Port] = field(default_factory=set)
    plugged: dict[Port, Plugged] = field(default_factory=dict)
    gates: set[HubId] = field(default_factory=set)
    brokers: set[VmId] = field(default_factory=set)
    slow: deque[actions.Action] = field(default_factory=deque)
    uevents: deque[events.Event] = field(default_factory=deque)
    answers: dict[int, actions.Answer] = field(default_factory=dict)
    ledger: str = ""
    requests: int = 0
    saves: int = 0
    outdated: bool = False  # the ledger is an older one: its disk was full
    began_outdated: bool = False  # and the agent that runs has begun with such a one
    devnums: int = 0
    count: int = 0  # of the kernel's events
    written: list[actions.Action] = field(default_factory=list)
    stubborn: set[Port] = field(default_factory=set)  # ports that will not become free
    revoke_fails: bool = False
    disk_full: bool = False
    looks_wanted: int = 0
    results_lost: bool = False
    revokes_lost: bool = False  # of what was done and is done again later
    deaf: bool = False  # no event of the kernel arrives
    grants_fail: bool = False  # and come true all the same
    slow_rights: set[VmId] = field(default_factory=set)  # containers whose back end takes its time
    busy_once: set[Port] = field(default_factory=set)
    inside: Inside = field(default_factory=Inside)
    looking: Observed | None = None  # what a look has found that is not over yet

    def __post_init__(self) -> None:
        self.look()

    # the agent -------------------------------------------------------------------------------------------------------
    def submit(self, event: events.Event) -> None:
        self.now += 0.01
        queue = deque([event])
        while queue:
            event = queue.popleft()
            before = self.state
            self.state, todo = decide(before, event)
            check_condemned(self, before, event)
            for action in todo:
                result = self._quick(action)
                if result is not None:
                    queue.append(result)
                check_maps(self)

    def ask(self, kind: type[events.Event], **words: object) -> int:
        self.requests += 1
        self.submit(kind(at=self.now, request=self.requests, **words))  # type: ignore[call-arg]
        return self.requests

    def _quick(self, action: actions.Action) -> events.Event | None:
        match action:
            case actions.Answer(request=request):
                assert request not in self.answers, "answered twice"
                self.answers[request] = action
            case actions.Remember():
                return self._save() or events.Remembered(at=self.now)
            case actions.OpenBroker(container=name):
                self.written.append(action)
                self.brokers.add(name)
                return events.BrokerOpened(at=self.now, container=name)
            case actions.CloseBroker(container=name):
                self.brokers.discard(name)
            case actions.LookAround() | actions.Judged():
                self.looks_wanted += isinstance(action, actions.LookAround)
            case actions.Grant() | actions.Revoke() if self._takes_long(action):
                self.slow += [action] * (action not in self.slow)  # what is asked for again is done once
            case actions.Grant() | actions.Revoke() | actions.AttachPort():
                self.written.append(action)
                return self._perform(action)
            case (
                actions.MakeNode(container=name) | actions.RemoveNode(container=name) | actions.Announce(container=name)
            ):
                self.written.append(action)
                return self.inside.perform(action, self.maps.get(name, set()), self.now)
            case _ if action not in self.slow or not isinstance(action, actions.RememberSoon):  # many are one write
                self.slow.append(action)
        return None

    def _save(self) -> events.Event | None:
        self.saves += 1
        self.outdated = self.disk_full
        if self.disk_full:
            return events.NotRemembered(at=self.now, path="ledger.json", detail="No space left on device")
        self.ledger = format_ledger(self.state, BOOT)
        return None

    def _takes_long(self, action: actions.Grant | actions.Revoke) -> bool:
        return action.container in self.slow_rights or bool(self._lane(action))

    def _lane(self, action: actions.Grant | actions.Revoke) -> list[actions.Action]:
        rights = (a for a in self.slow if isinstance(a, actions.Grant | actions.Revoke))
        return [a for a in rights if a.container == action.container]

    def deliver_slow(self, which: int = 0) -> None:
        """Perform one slow action; those about containers keep their order, and so do the rights of each.

        Authorise waits until no number is being taken and the ledger is written; it is not done once nobody waits.
        """
        ready = self._ready()
        if not ready:
            return
        action = ready[which % len(ready)]
        if isinstance(action, actions.Grant | actions.Revoke):
            action = self._lane(action)[0]
        container_work = (actions.PutInForce, actions.TearDown, actions.ClearLeftover, actions.CloseGate)
        if isinstance(action, container_work):
            action = next(a for a in self.slow if isinstance(a, container_work))
        self.slow.remove(action)
        if isinstance(action, actions.Authorise) and not self._still_waits(action):
            return
        if not isinstance(action, actions.RememberSoon):
            self.written.append(action)
        self.now += 0.001
        result = self._perform(action)
        check_maps(self)
        self.revokes_lost |= self.results_lost and isinstance(action, actions.Revoke)
        if result is not None and not self.results_lost:
            self.submit(result)

    def _still_waits(self, action: actions.Authorise) -> bool:
        device = self.state.devices.get(action.port)
        return device is not None and (device.number, device.stage) == (action.number, Stage.AUTHORISING)

    def _ready(self) -> list[actions.Action]:
        must_wait = self.state.revoking or actions.RememberSoon() in self.slow
        return [a for a in self.slow if not (must_wait and isinstance(a, actions.Authorise))]

    def deliver_uevent(self) -> None:
        while self.uevents:
            event = replace(self.uevents.popleft(), at=self.now)
            if not self.deaf:
                self.submit(event)
            if not isinstance(event, events.Heard):  # it comes with one that counts
                return

    def restart(self) -> None:
        """Kill the agent; what it was about to do is not done."""
        self.slow.clear()
        self.uevents.clear()
        self.brokers.clear()
        self.looking, self.began_outdated = None, self.began_outdated or self.outdated
        for plugged in self.plugged.values():  # what it took from others right before is not known any more
            plugged.exposed.clear()
        note_exposed(self)
        self.state = parse_ledger(self.ledger, BOOT, self.now) if self.ledger else State()
        self.now += 1
        self.look()

    def look(self) -> None:
        self.begin_look()
        self.end_look()

    def begin_look(self) -> None:
        """Look at everything; what happens until the look is over it does not tell. There is one look at a time."""
        if self.looking is None:
            self.now += 0.01
            self.looking = self.observe()

    def end_look(self, *, events_first: bool = False, rights_last: bool = False) -> None:
        """What was found is judged, after the kernel's events; rights may be looked at in the end."""
        while events_first and self.uevents:
            self.deliver_uevent()
        seen, self.looking = self.looking, None
        if seen is not None:
            self.submit(replace(seen, rights=self.observe().rights) if rights_last else seen)

    def settle(self) -> None:
        """Deliver everything, then look around until nothing is left to do."""
        for _ in range(16):
            self.deliver_all()
            self.look()
            if not self.slow and not self.uevents:
                self.now += 100
                self.submit(events.Clock(at=self.now))
                self.look()
                if not self.slow and not self.uevents:
                    return
        raise AssertionError("never comes to rest")

    def deliver_all(self) -> None:
        while self.uevents or self._ready():
            self.deliver_uevent()
            self.deliver_slow()

    # the kernel ------------------------------------------------------------------------------------------------------
    def _perform(self, action: actions.Action) -> events.Event | None:  # noqa: C901, PLR0911, PLR0912 (one table)
        at = self.now
        match action:
            case actions.RememberSoon():
                return self._save()
            case actions.AttachPort(port=port):
                if port in self.attached or port in self.busy_once:
                    self.busy_once.discard(port)
                    return events.PortBusy(at=at, port=port)
                self.attached.add(port)
                return events.Attached(at=at, port=port)
            case actions.DetachPort(port=port):
                if port in self.stubborn:
                    return events.DetachFailed(at=at, port=port, detail="stubborn")
                self.vanish(port)
                return events.PortFree(at=at, port=port)
            case actions.Inspect(port=port, number=number):
                plugged = self.plugged.get(port)
                if plugged is None or plugged.number != number:
                    return events.InspectFailed(at=at, port=port, number=number, detail="gone")
                return events.Inspected(
                    at=at, port=port, number=number, device=usb_device(port, hub=plugged.is_hub),
                    isochronous=plugged.isochronous,
                )  # fmt: skip
            case actions.Authorise(port=port, number=number):
                plugged = self.plugged.get(port)
                if plugged is None or plugged.number != number:
                    return events.AuthoriseFailed(at=at, port=port, number=number, detail="gone")
                check_authorise(self, port, plugged)
                self._happen(port, "add", lambda: setattr(plugged, "authorised", True))
                return events.Authorised(at=at, port=port, number=number)
            case actions.Grant(container=name, right=right):
                if name not in self.maps:
                    return events.GrantFailed(at=at, container=name, right=right, detail="no map")
                self.maps[name].add(right)
                if self.grants_fail:
                    return events.GrantFailed(at=at, container=name, right=right, detail="not sure")
                return events.Granted(at=at, container=name, right=right)
            case actions.Revoke(container=name, right=right):
                if self.revoke_fails:
                    return events.RevokeFailed(at=at, container=name, right=right, detail="fault")
                self.maps.get(name, set()).discard(right)
                return events.Revoked(at=at, container=name, right=right, count=self.count)
            case actions.PutInForce(container=name, hub=hub, ports=ports, fresh=fresh, nodes=nodes):
                if fresh and hub is not None and self.in_use(Lease(hub=hub, ports=ports)):
                    return events.NotInForce(
                        at=at, container=name, problem="hub-quarantined", detail="in use", hub_at_fault=True
                    )
                self.maps[name] = set()
                if hub is not None:
                    self.gates.add(hub)
                if fresh and nodes is not None:
                    self.inside.open(name)
                if fresh:
                    self.mounts[name] = None if hub is None else Lease(hub=hub, ports=ports)
                return events.InForce(at=at, container=name)
            case actions.TearDown(container=name) if self.revoke_fails and name in self.running:
                self.mounts[name] = None
                self.inside.close(name)
                return events.TornDown(at=at, container=name, reason="a process is left, and so may be its rights")
            case actions.TearDown(container=name, hub=hub, ports=ports):
                self._clear(name)
                used = hub is not None and self.in_use(Lease(hub=hub, ports=ports))
                return events.TornDown(at=at, container=name, reason="in use" if used else "")
            case actions.ClearLeftover(container=name):
                self._clear(name)
            case actions.CloseGate(hub=hub):
                self.gates.add(hub)
        return None

    def in_use(self, lease: Lease) -> bool:
        return any(lease.covers(port.hub, port.rhport) for port in self.attached)

    def _clear(self, name: VmId) -> None:
        self.maps.pop(name, None)
        self.mounts.pop(name, None)
        self.inside.close(name)
        self.running.discard(name)  # and what it had open is closed
        for plugged in self.plugged.values():
            plugged.exposed = {pair for pair in plugged.exposed if pair[0] != name}

    def things(self, port: Port) -> tuple[Thing, ...]:
        """What the kernel has made events of below a port."""
        plugged = self.plugged.get(port)
        if plugged is None:
            return ()
        return things_of(port, plugged.number, plugged.children, authorised=plugged.authorised)

    def _happen(self, port: Port, event: str, change: Callable[[], object]) -> None:
        """Change something below a port; the kernel says what has come or gone by it."""
        before = self.things(port)
        change()
        after = self.things(port)
        moved = set(before) ^ set(after)
        order = after if event == "add" else before[::-1]
        self.uevents.extend(
            events.Heard(at=0, port=port, event=event, thing=thing) for thing in order if thing in moved
        )

    def enumerate(self, port: Port, *, is_hub: bool = False, isochronous: bool = False) -> None:
        """The kernel finds a device on an attached port."""
        if port not in self.attached or port in self.plugged:
            return
        self.devnums += 1
        number = Right(kind="c", number=number_of(getattr(HUBS[port.hub], port.half), 2 + self.devnums % 3))
        if any(p.number == number for p in self.plugged.values()):
            return
        plugged = Plugged(number=number, is_hub=is_hub, isochronous=isochronous)
        self.count += 1
        name = f"usb/{port}"
        self.uevents.append(
            events.UsbAdded(at=0, port=port, busid=busid_of(port), number=number, name=name, since=self.count)
        )
        self._happen(port, "add", lambda: self.plugged.update({port: plugged}))
        note_exposed(self)

    def child(self, port: Port) -> None:
        """A driver makes a node."""
        plugged = self.plugged.get(port)
        taken = {right for p in self.plugged.values() for right in p.children}
        free = [r for n in range(TTYS) if (r := Right(kind="c", number=DevNum(166, n))) not in taken]
        if plugged is None or not plugged.authorised or not free:
            return
        self.count += 1
        name = f"tty{free[0].number.minor}"
        self.uevents.append(events.NodeAdded(at=0, port=port, right=free[0], name=name, since=self.count))
        self._happen(port, "add", lambda: plugged.children.add(free[0]))
        note_exposed(self)

    def lose_child(self, port: Port) -> None:
        self.count += 1
        plugged = self.plugged.get(port)
        if plugged is not None and plugged.children:
            right = min(plugged.children)
            self.uevents.append(events.NodeRemoved(at=0, port=port, right=right))
            self._happen(port, "remove", lambda: plugged.lose(right))

    def vanish(self, port: Port) -> None:
        """The peer is gone: the device goes, then the port is free."""
        self.count += 1
        plugged = self.plugged.get(port)
        if plugged is not None:
            self._happen(port, "remove", lambda: self.plugged.pop(port))
            self.uevents.extend(events.NodeRemoved(at=0, port=port, right=right) for right in sorted(plugged.children))
            self.uevents.append(events.UsbRemoved(at=0, port=port, number=plugged.number))
        self.attached.discard(port)

    def observe(self) -> Observed:
        return Observed(
            at=self.now,
            hubs={
                hub: HubSeen(
                    buses=buses,
                    gate_closed=hub in self.gates,
                    used=frozenset(port for port in self.attached if port.hub == hub),
                )
                for hub, buses in HUBS.items()
            },
            ports_per_half=PORTS,
            devices={
                port: DeviceSeen(
                    port=port, busid=busid_of(port), number=p.number, name=f"usb/{port}", authorised=p.authorised,
                    children={right: f"tty{right.number.minor}" for right in p.children}, things=self.things(port),
                )
                for port, p in self.plugged.items()
            },
            rights={name: frozenset(rights) for name, rights in self.maps.items()},
            running=frozenset(self.running),
            leftovers={
                name: Left(
                    hub=lease.hub if lease else None, ports=lease.ports if lease else ALL_PORTS,
                    running=name in self.running, broker_gid=0,
                    nodes=ACCESS if name in self.inside.nodes else None,
                )
                for name in set(self.maps) | set(self.mounts)
                for lease in (self.mounts.get(name),)
            },
            nodes={name: dict(nodes) for name, nodes in self.inside.nodes.items()},
            told={name: tuple(told.values()) for name, told in self.inside.told.items()},
        )  # fmt: skip
