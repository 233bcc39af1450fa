"""What a person sees: one row per device, in the state that it is in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from client_gui.memory import Remembered
from client_gui.selection import keys_of, rows_of, wanted
from client_gui.state import Asked, DeviceState, Row
from client_gui.steps import Machine, Phase, Reach, standing
from client_gui.troubles import Fault
from client_gui.wishes import Wishes, parse_ports
from qvd_usbip import share_list
from qvd_usbip.ids import BusId
from qvd_usbip.usb import UsbDevice
from qvd_usbip.values import replace
from tests.unit.client_gui.devices import HUB, KEYBOARD, device, situation

ADAPTER = device()
PORT = ADAPTER.busid


def wished(text: str, ports: str = "") -> Wishes:
    return Wishes(share_list=share_list.parse(text), ports=parse_ports(ports))


def only_row(*devices: UsbDevice, wishes: Wishes | None = None, **changes: object) -> Row:
    rows = rows_of(devices, situation(*devices, wishes=wishes, **changes))
    assert len(rows) == 1
    return rows[0]


def test_a_device_nobody_ticked_is_not_shared() -> None:
    row = only_row(ADAPTER)
    assert (row.state, row.ticked, row.key, row.identity) == (
        DeviceState.NOT_SHARED,
        False,
        "0bda:58c2@1234",
        "0bda:58c2@1234",
    )


def test_a_ticked_device_waits_for_a_session() -> None:
    assert only_row(ADAPTER, wishes=wished("0bda:58c2@1234")).state is DeviceState.WAITING


def test_a_remembered_device_that_is_not_plugged_in_stays_in_the_list() -> None:
    row = only_row(wishes=wished("0bda:58c2@1234"))
    assert (row.state, row.ticked, row.busid, row.key, row.serial) == (
        DeviceState.ABSENT,
        True,
        None,
        "0bda:58c2@1234",
        "1234",
    )


def test_hubs_and_devices_from_elsewhere_are_not_shown() -> None:
    hub, received = device("1-1", interfaces=(HUB,)), device("9-1", below_vhci=True)
    around = situation(hub, received, wishes=wished("0bda:58c2"), in_session=True)
    assert [row.state for row in rows_of([hub, received], around)] == [DeviceState.ABSENT]
    assert wanted([hub, received], around) == ()


def test_a_keyboard_is_locked_and_on_the_list_it_waits_for_a_yes() -> None:
    keyboard = device(interfaces=(KEYBOARD,))
    row = only_row(keyboard)
    assert (row.state, row.problem) == (DeviceState.LOCKED, "device-locked")
    assert "keyboard" in row.problem_text
    around = situation(keyboard, wishes=wished("0bda:58c2@1234"), in_session=True)
    (row,) = rows_of([keyboard], around)
    assert (row.state, row.consent and row.consent.asked) == (DeviceState.CONFIRM, Asked.UNLOCK)
    assert wanted([keyboard], around) == ()


def test_what_stands_in_the_way_of_all_is_told_at_the_ticked_devices() -> None:
    obstacle = Fault(code="helper-missing", text="no helper", remedy="install it")
    other = device("1-5", serial="9")
    around = situation(ADAPTER, other, wishes=wished("0bda:58c2@1234"), in_session=True, obstacle=obstacle)
    rows = rows_of([ADAPTER, other], around)
    assert {row.serial: (row.state, row.problem_text) for row in rows} == {
        "1234": (DeviceState.BLOCKED, "no helper"),
        "9": (DeviceState.NOT_SHARED, ""),
    }


def test_a_moving_device_shows_its_machine() -> None:
    shared = standing(Machine(phase=Phase.SHARED, wanted=True, reach=Reach.READY), 0.0)
    assert only_row(ADAPTER, standings={PORT: shared}).state is DeviceState.IN_USE


def test_a_failed_device_says_why_and_when_it_is_tried_again() -> None:
    fault = Fault(code="slave-silent", seconds=12)
    machine = Machine(phase=Phase.RESTING, wanted=True, fault=fault, limit=107.2)
    row = only_row(ADAPTER, wishes=wished("0bda:58c2"), standings={PORT: standing(machine, 100.0)})
    assert (row.state, row.problem, row.retry_in) == (DeviceState.FAILED, "slave-silent", 8.0)
    assert "12 s" in row.problem_text
    assert row.remedy


def test_twins_have_keys_of_their_own_and_say_that_they_are_twins() -> None:
    twins = [device("1-1", serial=""), device("1-2", serial="")]
    rows = rows_of(twins, situation(*twins, wishes=wished("0bda:58c2", "0bda:58c2/1-2")))
    assert [(row.key, row.twin, row.ticked) for row in rows] == [
        ("0bda:58c2/1-1", True, False),
        ("0bda:58c2/1-2", True, True),
    ]


def test_a_device_at_another_port_than_its_twin_s_is_not_taken_for_it() -> None:
    moved = device("1-3", serial="")
    rows = rows_of([moved], situation(moved, wishes=wished("0bda:58c2", "0bda:58c2/1-2")))
    assert {row.state for row in rows} == {DeviceState.ABSENT, DeviceState.NOT_SHARED}


def test_device_strings_come_as_one_line_without_control_characters() -> None:
    row = only_row(device(product="evil\n\x1b[31m\u202ename"))
    assert row.product.isprintable()
    assert "\x1b" not in row.product


def test_only_ticked_devices_are_wanted_and_only_in_a_session() -> None:
    other = device("1-5", serial="9")
    around = situation(ADAPTER, other, wishes=wished("0bda:58c2@1234"), in_session=True)
    assert wanted([ADAPTER, other], around) == (ADAPTER,)
    assert wanted([ADAPTER], situation(ADAPTER, wishes=wished("0bda:58c2@1234"))) == ()


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from(["", "1", "1", "1/1-4", "1/1-4/1-4"])),
        max_size=9,
        unique_by=lambda d: d[0],
    )
)
def test_keys_are_unique_and_do_not_depend_on_the_order_of_reading(found: list[tuple[int, str]]) -> None:
    devices = [device(f"1-{port}", serial=serial) for port, serial in found]
    keys = keys_of(devices)
    assert len(set(keys.values())) == len(devices)
    assert keys == keys_of(devices[::-1])


@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from(["", "1", "1", "1/1-4", "1/1-4/1-4"])),
        max_size=9,
        unique_by=lambda d: d[0],
    ),
    st.sets(st.integers(1, 9)),
    st.sets(st.integers(1, 9)),
)
def test_a_device_keeps_its_key_whoever_comes_and_goes(
    found: list[tuple[int, str]], before: set[int], after: set[int]
) -> None:
    devices = {port: device(f"1-{port}", serial=serial) for port, serial in found}
    kept = keys_of([each for port, each in devices.items() if port in before])
    stay = {busid: key for busid, key in kept.items() if busid.ports[0] in after}
    keys = keys_of([each for port, each in devices.items() if port in after], stay)
    assert len(set(keys.values())) == len(keys) == len(devices.keys() & after)
    assert stay.items() <= keys.items()


def test_rows_are_sorted_by_the_name_that_is_shown_whether_plugged_in_or_not() -> None:
    present = [
        device("1-1", serial="1", product="zebra"),
        device("1-2", serial="2", product="Ant"),
        device("1-3", serial="3", product="Ant eater"),
    ]
    around = situation(*present, wishes=wished("1111:2222"))
    called = replace(around.assessments[BusId.parse("1-3")], known=Remembered(nickname="Yak"))
    rows = rows_of(
        present,
        replace(
            around,
            assessments={**around.assessments, BusId.parse("1-3"): called},
            remembered=lambda _: Remembered(product="Mouse"),
        ),
    )
    assert [row.nickname or row.product for row in rows] == ["Ant", "Mouse", "Yak", "zebra"]


def test_a_device_that_another_program_has_lent_is_blocked() -> None:
    row = only_row(replace(device(), driver="usbip-host"))
    assert (row.state, row.problem) == (DeviceState.BLOCKED, "already-in-use")
