"""What can be lent: whole hubs first, ports of the shared ones after them, nothing twice."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.ids import HubId
from qvd_usbip.port_range import PortRange
from server_agent.lending import USUAL, Lease, Lending, free_lease, parse_hubs, possible_leases

STOCK = tuple(HubId(number) for number in range(1, 8))
hubs = st.sets(st.integers(0, 31).map(HubId), max_size=8)
lendings = st.builds(
    Lending, hubs=st.none() | hubs.map(frozenset), shared=st.integers(0, 9), ports=st.integers(1, 40)
)  # fmt: skip


@given(hubs, st.integers(0, 31), lendings)
def test_no_port_is_in_two_leases_and_none_is_of_a_hub_that_is_kept_back(
    found: set[HubId], ports_per_half: int, lending: Lending
) -> None:
    leases = possible_leases(found, ports_per_half, lending)
    assert not any(one.meets(other) for one, other in combinations(leases, 2))
    assert all(lease.hub in found and (lending.hubs is None or lease.hub in lending.hubs) for lease in leases)


@given(hubs, st.integers(1, 31), lendings, st.data())
def test_what_is_free_has_no_port_of_what_is_taken(
    found: set[HubId], ports_per_half: int, lending: Lending, data: st.DataObject
) -> None:
    older = possible_leases(found, ports_per_half, data.draw(lendings))  # the settings may have been others
    taken = data.draw(st.lists(st.sampled_from(older), unique=True)) if older else []
    lease = free_lease(possible_leases(found, ports_per_half, lending), taken)
    assert lease is None or not any(lease.meets(other) for other in taken)


@pytest.mark.parametrize(
    ("found", "ports_per_half", "lending", "count", "last"),
    [
        (STOCK, 15, USUAL, 9, "vhci_hcd.7 ports 9-12"),  # Debian's kernel
        ((HubId(0),), 8, USUAL, 2, "vhci_hcd.0 ports 5-8"),  # a kernel with a single hub
        (STOCK, 15, Lending(shared=0), 7, "vhci_hcd.7"),
        (STOCK, 15, Lending(shared=7, ports=5), 21, "vhci_hcd.7 ports 11-15"),
        (STOCK, 15, Lending(hubs=frozenset({HubId(3)}), shared=1, ports=15), 1, "vhci_hcd.3 ports 1-15"),
        (STOCK, 2, Lending(hubs=frozenset({HubId(3)})), 1, "vhci_hcd.3 ports 1-2"),
    ],
)
def test_how_many_containers_can_have_usb(
    found: tuple[HubId, ...], ports_per_half: int, lending: Lending, count: int, last: str
) -> None:
    leases = possible_leases(found, ports_per_half, lending)
    assert (len(leases), str(leases[-1])) == (count, last)


def test_whole_hubs_are_lent_before_ports() -> None:
    leases = possible_leases(STOCK[:2], 8, USUAL)
    assert leases == (
        Lease(hub=HubId(1)),
        Lease(hub=HubId(2), ports=PortRange(0, 3)),
        Lease(hub=HubId(2), ports=PortRange(4, 7)),
    )
    assert free_lease(leases, leases[:1]) == leases[1]
    assert free_lease(leases, leases) is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("all", None), ("2", {2}), ("1-3,5", {1, 2, 3, 5}), (" 1 - 2 , 2", {1, 2})],
)
def test_hubs_are_written_as_numbers_and_ranges(text: str, numbers: set[int] | None) -> None:
    assert parse_hubs(text) == (None if numbers is None else {HubId(number) for number in numbers})


@pytest.mark.parametrize("text", ["", "all,1", "3-1", "1-", "-1", "1,,2", "vhci_hcd.1", "128", "x"])
def test_hubs_written_otherwise_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whose words nobody sees)
        parse_hubs(text)
