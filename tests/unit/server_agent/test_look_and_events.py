"""What a look found and the kernel had told of already: when it came, only the event says, so that is read first."""

from dataclasses import replace

import pytest

from qvd_usbip.ids import BusId, DevNum, VmId
from qvd_usbip.uevent import from_environment
from server_agent.events import DeviceSeen
from server_agent.state import Hold, Right, Stage, Taken
from tests.unit.server_agent.conftest import NUMBER, PORT, Bench, Run

TTY = Right(kind="c", number=DevNum(166, 0))
ADDED = {
    "ACTION": "add", "DEVPATH": "/devices/platform/vhci_hcd.1/usb3/3-1/3-1:1.0/tty/ttyACM0", "SUBSYSTEM": "tty",
    "MAJOR": "166", "MINOR": "0", "DEVNAME": "ttyACM0",
}  # fmt: skip


@pytest.mark.parametrize(("count", "stage"), [(9, Stage.AUTHORISED), (4, Stage.DETACHING)])
def test_a_look_goes_by_the_events_that_came_before_it(run: Run, count: int, stage: Stage) -> None:
    """Another container lost the number when the kernel had counted five events."""

    async def work(bench: Bench) -> None:
        bench.kernel.may_authorise.set()
        await bench.in_use()
        await bench.until(lambda: bench.daemon.state.devices[PORT].stage == Stage.AUTHORISED)
        taken = {TTY: {VmId("two"): Taken(at=bench.daemon.now, count=5)}}
        bench.daemon.state = replace(bench.daemon.state, taken=taken)
        bench.kernel.devices[PORT] = DeviceSeen(
            port=PORT, busid=BusId.parse("3-1"), number=NUMBER, name="x", authorised=True, children={TTY: "ttyACM0"}
        )
        bench.kernel.incoming.append(from_environment({**ADDED, "SEQNUM": str(count)}))
        found: list[tuple[Stage, Hold | None]] = []
        submit = bench.daemon.submit

        def noted(event: object) -> None:
            submit(event)  # type: ignore[arg-type]
            device = bench.daemon.state.devices.get(PORT)
            found.append((device.stage, device.rights.get(TTY)) if device is not None else (Stage.DETACHING, None))

        bench.daemon.submit = noted  # type: ignore[method-assign]
        await bench.daemon.look()
        assert found[-1] == (stage, Hold.GRANTED if stage == Stage.AUTHORISED else None)

    run(work)
