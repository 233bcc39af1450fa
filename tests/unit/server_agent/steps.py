"""The steps that the tests of decide are made of: containers that start, devices that come into use."""

from qvd_usbip.ids import HubId
from server_agent import events
from server_agent.lending import Lending
from server_agent.state import Port
from tests.unit.server_agent.world import NAMES, World

ONE, TWO, THREE, FOUR, FIVE, SIX = NAMES
WHOLE = Lending(shared=0)
FIRST = Port(hub=HubId(1), half="hs", rhport=0)


def started(*names: object) -> World:
    world = World()
    for name in names or (ONE,):
        reserve(world, name)
    return world


def reserve(
    world: World, name: object, *, enabled: bool = True, running: bool = False, lending: Lending = WHOLE
) -> int:
    words = {"container": name, "broker_gid": 0, "enabled": enabled, "running": running, "lending": lending}
    request = world.ask(events.Reserve, **words)
    while world.slow:
        world.deliver_slow()
    if request in world.answers and not world.answers[request].problem:
        world.running.add(name)  # type: ignore[arg-type]
    return request


def attach(world: World, name: object = ONE, attach_id: str = "a", speed: int = 3) -> int:
    return world.ask(events.Attach, container=name, attach_id=attach_id, devid=0x10002, speed=speed)


def in_use(world: World, name: object = ONE, attach_id: str = "a", port: Port = FIRST) -> None:
    attach(world, name, attach_id)
    world.enumerate(port)
    world.deliver_uevent()
    while world.slow:
        world.deliver_slow()


def kinds(world: World) -> list[str]:
    return [type(action).__name__ for action in world.written]
