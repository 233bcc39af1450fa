"""Taking a device and giving it back, as the tests of both say it."""

import pytest

from client_gui.helper import handover
from client_gui.helper.authorise import parse_policy
from client_gui.helper.device import Identity
from client_gui.helper.handover import Place, Wish
from client_gui.helper.ownership import LENT, Claim
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import BusId
from tests.unit.client_gui.helper.fake_kernel import FakeKernel

BUSID = BusId.parse("1-4")
POLICY = parse_policy("")
ME = 1000


def take(
    place: Place,
    *,
    mode: str = LENT,
    uid: int = ME,
    expect: Identity | None = None,
    devnum: int | None = None,
    consent: str = "",
) -> None:
    wish = Wish(uid=uid, mode=mode, expect=expect, devnum=devnum, consent=frozenset(consent.split()))
    with Claim(place.path, BUSID) as claim:
        handover.take(place, claim, POLICY, wish).close()


def give_back(place: Place) -> bool:
    with Claim(place.path, BUSID) as claim:
        return handover.give_back(place, claim)


def there_and_back(place: Place, mode: str) -> None:
    take(place, mode=mode)
    give_back(place)


def refusal(place: Place, **options: str) -> str:
    with pytest.raises(QvdUsbError) as caught:
        take(place, **options)  # type: ignore[arg-type]  # words of the test
    return caught.value.problem.code


def untouched(kernel: FakeKernel) -> bool:
    """Nothing was written to the kernel and nothing is recorded."""
    run = kernel.root / "run/qvd-usbip"
    return not kernel.writes and kernel.driver_of("1-4") in {"usb", ""} and not (run.exists() and list(run.iterdir()))


def recorded(kernel: FakeKernel) -> list[str]:
    return sorted(path.name for path in (kernel.root / "run/qvd-usbip").iterdir())
