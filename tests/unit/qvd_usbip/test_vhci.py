"""Every layout is recognised, the port table is read as the kernel writes it, and ports count as the kernel counts."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip import errors, vhci
from qvd_usbip.vhci import Layout, Observation, Ports, parse_status, recognise
from tests.kit.fake_sysfs import STATUS_HEADER, free_status
from tests.unit.qvd_usbip.strategies import hostile_text, only

EIGHT = range(8)


@pytest.mark.parametrize(
    ("driver", "hubs", "status1", "attach", "layout"),
    [
        (False, (), False, (), vhci.MODULE_MISSING),
        (True, (), False, (), vhci.NO_HUBS),
        (True, (0,), False, (0,), vhci.SINGLE_HUB),
        (True, (0,), True, (0,), vhci.GLOBAL_PORTS),
        (True, EIGHT, True, (0,), vhci.GLOBAL_PORTS),
        (True, EIGHT, False, EIGHT, vhci.PER_HUB),
        (True, EIGHT, False, (3,), vhci.PER_HUB),
        (True, EIGHT, False, (1,), vhci.PER_HUB),
        (True, EIGHT, True, EIGHT, vhci.HYBRID),
        (True, EIGHT, False, (0,), vhci.UNRECOGNISED),
        (True, (3,), False, (), vhci.UNRECOGNISED),
        (True, (0,), False, (5,), vhci.SINGLE_HUB),
    ],
)
def test_layout(*, driver: bool, hubs: Iterable[int], status1: bool, attach: Iterable[int], layout: Layout) -> None:
    seen = Observation(driver_dir_exists=driver, hubs=hubs, has_status1=status1, hub_attach=attach)
    assert recognise(seen) == layout


def test_a_layout_is_shown_by_its_name() -> None:
    assert str(Layout("per-hub")) == "per-hub"


@given(st.booleans(), st.sets(st.integers(0, 9)), st.booleans(), st.sets(st.integers(0, 9)))
def test_every_observation_has_a_layout_and_hub_0_is_lent_only_where_its_files_rule_no_other_hub(
    driver: bool, hubs: set[int], status1: bool, attach: set[int]
) -> None:
    layout = recognise(Observation(driver_dir_exists=driver, hubs=hubs, has_status1=status1, hub_attach=attach))
    lendable = vhci.lendable_hubs(layout, hubs)
    assert set(lendable) <= hubs
    if layout in (vhci.HYBRID, vhci.GLOBAL_PORTS):
        assert 0 not in lendable or hubs == {0}
    if layout not in (vhci.GLOBAL_PORTS, vhci.PER_HUB, vhci.HYBRID, vhci.SINGLE_HUB):
        assert lendable == ()


def test_every_other_hub_is_lent_and_a_single_one_too() -> None:
    assert vhci.lendable_hubs(vhci.GLOBAL_PORTS, EIGHT) == tuple(EIGHT)[1:]
    assert vhci.lendable_hubs(vhci.SINGLE_HUB, (0,)) == (0,)
    assert vhci.lendable_hubs(vhci.PER_HUB, EIGHT) == tuple(EIGHT)


@pytest.mark.parametrize(
    ("port", "hub", "half", "rhport", "name"),
    [
        (30, 1, "hs", 0, "3-1"),  # as seen on Debian, where bus 3 is hub 1's high-speed half
        (45, 1, "ss", 0, "4-1"),
        (210, 7, "hs", 0, "15-1"),
        (0, 0, "hs", 0, "1-1"),
        (14, 0, "hs", 14, "1-15"),
        (15, 0, "ss", 0, "2-1"),
        (239, 7, "ss", 14, "16-15"),
    ],
)
def test_ports_of_debian(port: int, hub: int, half: str, rhport: int, name: str) -> None:
    ports = Ports(15)
    bus = 2 * hub + (2 if half == "ss" else 1)
    assert f"{bus}-{rhport + 1}" == name
    assert ports.global_port(hub, rhport, vhci.HIGH if half == "hs" else vhci.SUPER) == port


@given(st.integers(1, 15), st.integers(0, 127), st.data())
def test_every_global_port_is_the_number_of_one_place(per_half: int, hub: int, data: st.DataObject) -> None:
    rhport = data.draw(st.integers(0, per_half - 1))
    speed = data.draw(st.sampled_from(sorted(set(vhci.SPEEDS.values()))))
    port = Ports(per_half).global_port(hub, rhport, speed)
    # Source: port_to_pdev_nr and port_to_rhport, drivers/usb/usbip/vhci_sysfs.c
    assert (port // (2 * per_half), port % per_half) == (hub, rhport)
    assert (port // per_half) % 2 == (vhci.half_of(speed) == "ss")


@pytest.mark.parametrize(
    ("layout", "hub", "speed", "target"),
    [
        (vhci.GLOBAL_PORTS, 1, vhci.HIGH, (0, 30)),
        (vhci.GLOBAL_PORTS, 1, vhci.SUPER, (0, 45)),
        (vhci.PER_HUB, 1, vhci.HIGH, (1, 0)),
        (vhci.PER_HUB, 0, vhci.SUPER, (0, 15)),
        (vhci.HYBRID, 1, vhci.SUPER, (1, 15)),
        (vhci.HYBRID, 0, vhci.HIGH, (0, 0)),
        (vhci.SINGLE_HUB, 0, vhci.SUPER_PLUS, (0, 15)),
    ],
)
def test_attach_target(layout: Layout, hub: int, speed: int, target: tuple[int, int]) -> None:
    assert Ports(15).attach_target(layout, hub, 0, speed) == target


def test_attach_line_is_what_the_kernel_reads() -> None:
    assert Ports.attach_line(30, 7, 65538, 3) == "30 7 65538 3"


def test_status_of_a_hub_in_use() -> None:
    text = STATUS_HEADER + (
        "hs  0030 006 003 000f000a 000007 3-1\nhs  0031 005 000 00000000 000000 0-0\n"
        "ss  0045 007 000 00000000 000000 0-0\nss  0046 004 000 00000000 000000 0-0\n"
    )
    rows = parse_status(text)
    used = rows[0]
    assert (used.hub, used.port, used.state, used.speed) == ("hs", 30, vhci.STATE_USED, 3)
    assert (used.devid, used.sockfd, used.local_busid) == (0xF000A, 7, "3-1")
    assert [row.state for row in rows[1:]] == [vhci.STATE_NOT_ASSIGNED, vhci.STATE_ERROR, vhci.STATE_FREE]
    assert (rows[2].hub, rows[2].port) == ("ss", 45)


def test_status_of_an_empty_hub() -> None:
    rows = parse_status(free_status(30, 15))
    assert [row.port for row in rows] == list(range(30, 60))
    assert {row.state for row in rows} == {vhci.STATE_FREE}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hub port sta spd dev sockfd local_busid",
        "prt sta spd dev bus socket local_busid\n",
        STATUS_HEADER + "hs  0030 006 003 00010002 000007\n",
        STATUS_HEADER + "xx  0030 004 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  0030 009 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  -030 004 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  0030 004 000 0000000g 000000 0-0\n",
        STATUS_HEADER + "hs  00X0 004 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  0030 004 000 0000000X 000000 0-0\n",
        STATUS_HEADER + "hs  0030 004 000 0000000A 000000 0-0\n",
        STATUS_HEADER + "hs  00000000030 004 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  \uff10 004 000 00000000 000000 0-0\n",
        STATUS_HEADER + "hs  0030 004 000 00000000 000000 é\n",
        STATUS_HEADER + "hs  0030 004 000 00000000 000000 0-0",
        STATUS_HEADER * 2000,
    ],
)
def test_status_refused(text: str) -> None:
    assert only(errors.VHCI_STATUS_MALFORMED, parse_status, text) is None


def test_numbers_have_up_to_ten_digits() -> None:
    (row,) = parse_status(STATUS_HEADER + "hs  4294967295 004 000 00000000 000000 0-0\n")
    assert row.port == 0xFFFF_FFFF


def test_a_table_of_64_kib_is_read_and_no_larger_one() -> None:
    row = "hs  0030 004 000 00000000 000000 0-0"
    largest = STATUS_HEADER + row.ljust(65536 - len(STATUS_HEADER) - 1) + "\n"
    assert len(parse_status(largest)) == 1
    assert only(errors.VHCI_STATUS_MALFORMED, parse_status, largest.replace(row, row + " ")) is None


def test_the_refusal_shows_the_first_80_characters_of_the_line_that_is_wrong() -> None:
    with pytest.raises(errors.QvdUsbError, match="line 'hs " + "x" * 77 + "'"):
        parse_status(f"{STATUS_HEADER}hs {'x' * 100}\n")


@given(hostile_text)
def test_hostile_status_raises_only_our_error(text: str) -> None:
    for candidate in (text, STATUS_HEADER + text, f"{STATUS_HEADER}{text}\n", f"{STATUS_HEADER}hs {text}\n"):
        only(errors.VHCI_STATUS_MALFORMED, parse_status, candidate)


@pytest.mark.parametrize(
    ("text", "speed"),
    [
        *(("1.5", 1), ("12", 2), ("480", 3), ("5000", 5), ("10000", 6), ("20000", 6), ("80000", 6), ("53.3-480", 2)),
        *(("unknown", 1), ("", 1), ("-5", 1), ("7000", 5), ("480.0", 3), ("9" * 9, 6), ("9" * 10, 1), ("9" * 400, 1)),
    ],
)
def test_speed_of_sysfs_never_fails(text: str, speed: int) -> None:
    assert vhci.speed_of(text) == speed


@pytest.mark.parametrize(
    ("speed", "highest", "clamped"),
    [(6, 6, 6), (6, 5, 5), (5, 6, 5), (4, 6, 3), (3, 5, 3), (9, 6, 6), (9, 5, 5), (0, 6, 1), (-1, 6, 1), (1, 6, 1)],
)
def test_clamp_speed(speed: int, highest: int, clamped: int) -> None:
    assert vhci.clamp_speed(speed, highest) == clamped


@pytest.mark.parametrize(("speed", "tried"), [(6, (6, 5)), (5, (5,)), (4, (3,)), (3, (3,)), (1, (1,))])
def test_super_speed_plus_is_tried_as_super_speed_too(speed: int, tried: tuple[int, ...]) -> None:
    assert vhci.speeds_to_try(speed) == tried
