"""The first rule that decides wins; what types or routes needs consent, hubs and borrowed devices are never shared."""

from pathlib import Path

import pytest

from qvd_usbip import errors, policy
from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VidPid
from qvd_usbip.policy import Rule, Verdict, judge
from qvd_usbip.system.sysfs import list_busids, read_device
from tests.kit.fake_sysfs import DEVICE_NAMES, make_sysfs
from tests.unit.qvd_usbip.test_usb import described, device

ALLOWED = Verdict(allowed=True, rule="default")


@pytest.mark.parametrize("name", ["webcam", "stick", "serial-adapter", "headset", "composite", "hostile"])
def test_ordinary_devices_are_allowed(name: str) -> None:
    assert judge(described(name)) == ALLOWED


@pytest.mark.parametrize("name", ["keyboard", "security-key"])
def test_what_types_needs_consent(name: str) -> None:
    assert judge(described(name)) == Verdict(allowed=False, rule="keyboard", consent="keyboard")
    assert judge(described(name), consent={"keyboard"}) == ALLOWED
    assert not judge(described(name), consent={"mouse", "storage"}).allowed


@pytest.mark.parametrize(
    ("codes", "rule"),
    [("03/01/02", "mouse"), ("02/06/00", "network"), ("e0/01/03", "network"), ("e0/01/01", "bluetooth")],
)
def test_what_points_or_routes_needs_consent(codes: str, rule: str) -> None:
    assert judge(device(codes)) == Verdict(allowed=False, rule=rule, consent=rule)
    assert judge(device("08/06/50", codes)).consent == rule
    assert judge(device(codes), consent={rule}) == ALLOWED


def test_a_network_adapter_is_known_by_its_driver() -> None:
    assert judge(device("ff/ff/00", driver="r8152")).rule == "network"


def test_a_device_with_two_faces_needs_both_consents() -> None:
    receiver = device("03/01/01", "03/01/02")
    assert judge(receiver, consent={"keyboard"}) == Verdict(allowed=False, rule="mouse", consent="mouse")
    assert judge(receiver, consent={"keyboard", "mouse"}) == ALLOWED


def test_no_consent_shares_a_hub() -> None:
    everything = set(policy.SUBJECTS)
    assert judge(described("hub"), consent=everything) == Verdict(allowed=False, rule="hub")
    assert judge(device(cls=0x09), consent=everything) == Verdict(allowed=False, rule="hub")


def test_no_consent_shares_a_borrowed_device(tmp_path: Path) -> None:
    tree = make_sysfs(tmp_path, ["from-elsewhere"])
    (busid,) = list_busids(tree.usbroot)
    borrowed = read_device(tree.usbroot, busid)
    assert borrowed is not None
    assert judge(borrowed, consent=set(policy.SUBJECTS)) == Verdict(allowed=False, rule="from-elsewhere")


@pytest.mark.parametrize("name", DEVICE_NAMES)
def test_without_a_rule_that_applies_nothing_is_shared(name: str) -> None:
    assert judge(described(name), rules=()) == Verdict(allowed=False, rule="none")
    assert judge(described(name), rules=[Rule("fax", policy.ALLOW, vidpid=VidPid(1, 2))]).rule == "none"


def test_order_decides() -> None:
    stick = described("stick")
    allow = Rule("this-stick", policy.ALLOW, vidpid=stick.vidpid, serial=stick.serial)
    deny = Rule("no-sticks", policy.DENY, subject="storage")
    assert judge(stick, rules=[allow, deny]) == Verdict(allowed=True, rule="this-stick")
    assert judge(stick, rules=[deny, allow]) == Verdict(allowed=False, rule="no-sticks")


def test_a_rule_for_one_serial_number_is_for_no_other() -> None:
    stick = described("stick")
    other = Rule("other", policy.ALLOW, vidpid=stick.vidpid, serial=stick.serial + "0")
    assert judge(stick, rules=[other]).rule == "none"


@pytest.mark.parametrize(("action", "subject"), [("permit", "any"), ("allow", "keybord"), ("", "any")])
def test_a_rule_that_cannot_be_is_refused(action: str, subject: str) -> None:
    with pytest.raises(QvdUsbError) as caught:
        Rule("odd", action, subject=subject)
    assert caught.value.problem is errors.SETTINGS_MALFORMED
