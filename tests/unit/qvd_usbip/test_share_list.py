"""The share list is QVD's grammar, prints what it reads, and means exactly the devices that it names."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qvd_usbip import errors, properties, share_list
from qvd_usbip.ids import BusId, VidPid
from qvd_usbip.share_list import Entry, ShareList, entry_for, parse
from qvd_usbip.usb import UsbDevice
from tests.unit.qvd_usbip.strategies import hostile_text, only, vidpids

entries = st.builds(Entry, vidpid=vidpids, serial=st.none() | hostile_text.filter(bool))


def device(vidpid: str, serial: str = "") -> UsbDevice:
    return UsbDevice(busid=BusId(1, (4,)), vidpid=VidPid.parse(vidpid), serial=serial, busnum=1, devnum=2)


def test_the_list_of_the_guide() -> None:
    parsed = parse("0441:0012, 0bda:58c2@1234")
    assert [str(entry) for entry in parsed.entries] == ["0441:0012", "0bda:58c2@1234"]
    assert str(parsed) == "0441:0012, 0bda:58c2@1234"


@pytest.mark.parametrize("text", ["", " ", ",", " , ,", "\t"])
def test_an_empty_list(text: str) -> None:
    assert parse(text) == ShareList()


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("0BDA:58C2@AbC", "0bda:58c2@AbC"),
        ("0bda:58c2@1234,0bda:58c2@1234", "0bda:58c2@1234"),
        (" 0bda:58c2 @ 1234 ,", "0bda:58c2@1234"),
        ("0bda:58c2@a@b", "0bda:58c2@a@b"),
        ("0bda:58c2@SN 12 34", "0bda:58c2@SN 12 34"),
        ("0bda:58c2@50%", "0bda:58c2@50%"),
        ("0bda:58c2@a%2Cb", "0bda:58c2@a%2Cb"),
        ("0bda:58c2@AB%20CD", "0bda:58c2@AB%20CD"),
        ("0bda:58c2@1%ff2", "0bda:58c2@1%ff2"),
        ("0bda:58c2@%FF", "0bda:58c2@%FF"),
        ("0bda:58c2@a%20${x}\x01", "0bda:58c2@a %24{x}%01"),
    ],
)
def test_reading_is_generous_and_printing_exact(text: str, printed: str) -> None:
    assert str(parse(text)) == printed


@pytest.mark.parametrize(
    "text", ["x", "0bda", "0bda:58c2@", "0bda:58c2@ ", "0bda:58c2 1234", "@1234", "1-4", "0bda:58c2;1"]
)
def test_refused_with_the_entry_that_is_wrong(text: str) -> None:
    with pytest.raises(errors.QvdUsbError) as raised:
        parse(f"0441:0012, {text}")
    assert raised.value.problem is errors.SHARE_LIST_MALFORMED
    assert raised.value.context == {"value": text.strip()}


@pytest.mark.parametrize(
    ("written", "serial"),
    [
        ("AB%20CD", "AB%20CD"), ("AB%20CD", "AB CD"), ("1%ff2", "1%ff2"), ("50%", "50%"), ("50%25", "50%"), ("%", "%"),
        ("a%2Cb", "a,b"), ("a%40b%3Ac", "a@b:c"), ("a@b:c", "a@b:c"), ("AB", "AB  "), ("AB", " AB"), ("AB%20", "AB"),
    ],
)  # fmt: skip
def test_an_entry_means_the_serial_as_it_is_written_and_as_it_is_read(written: str, serial: str) -> None:
    """A client that knows no %XX writes a serial as it is; whoever wrote it, blanks at the ends may be left out."""
    listed = parse(f"0441:0012, 0bda:58c2@{written}")
    assert listed.matches(device("0bda:58c2", serial))
    assert str(listed) == f"0441:0012, 0bda:58c2@{written}", "and it is left as it is"


@given(hostile_text)
def test_no_serial_of_blanks_is_none(serial: str) -> None:
    assert not parse("0bda:58c2@%20").matches(device("0bda:58c2", ""))
    blank = parse(str(ShareList().with_entry(entry_for(device("0bda:58c2", " \t")))))
    assert blank.matches(device("0bda:58c2", " \t"))
    assert not blank.matches(device("0bda:58c2", serial.strip()))


@given(st.text(st.sampled_from("aB1%25 ,@:é2CfF$"), min_size=1))
def test_whatever_an_old_client_wrote_for_a_device_means_that_device(serial: str) -> None:
    """It knows no commas in a serial, and neither writes nor reads the blanks at its ends."""
    plain = serial.replace(",", "").strip()
    if plain:
        listed = parse(f"0bda:58c2@{plain}, 0441:0012")
        assert listed.matches(device("0bda:58c2", plain))
        assert len(listed.entries) == 2
        assert parse(str(listed)) == listed


@given(st.lists(entries, max_size=5))
def test_round_trip(listed: list[Entry]) -> None:
    wanted = ShareList(entries=tuple(dict.fromkeys(listed)))
    assert parse(str(wanted)) == wanted


@given(hostile_text)
def test_hostile_text_raises_only_our_error(text: str) -> None:
    for candidate in (text, f"0bda:58c2@{text}"):
        parsed = only(errors.SHARE_LIST_MALFORMED, parse, candidate)
        if parsed is not None:
            assert parse(str(parsed)) == parsed


@given(hostile_text)
@example("50%2C")
def test_a_device_can_always_be_listed_and_then_only_it_is_meant(serial: str) -> None:
    meant = device("0bda:58c2", serial)
    listed = parse(str(ShareList().with_entry(entry_for(meant))))
    assert listed.matches(meant)
    assert not listed.matches(device("0bda:58c3", serial))
    if serial:
        assert not listed.matches(device("0bda:58c2"))
        assert not listed.matches(device("0bda:58c2", serial + "x"))


@given(st.lists(entries, max_size=3))
@example([Entry(vidpid=VidPid(1, 2), serial="${client.usb.share_list}")])
def test_no_serial_number_can_break_the_configuration_file(listed: list[Entry]) -> None:
    wanted = ShareList(entries=tuple(dict.fromkeys(listed)))
    text = properties.edit("client.usb.enable=1\n", "client.usb.share_list", str(wanted))
    settings = properties.expand(properties.parse(text))
    assert parse(settings["client.usb.share_list"]) == wanted


def test_an_entry_without_serial_means_every_such_device() -> None:
    assert parse("0bda:58c2").matches(device("0bda:58c2", "1234"))
    assert parse("0bda:58c2").matches(device("0bda:58c2"))


def test_entry_matching_names_the_first() -> None:
    listed = parse("0bda:58c2@1, 0bda:58c2")
    assert listed.entry_matching(device("0bda:58c2", "2")) == Entry(vidpid=VidPid(0x0BDA, 0x58C2))
    assert listed.entry_matching(device("0441:0012")) is None


def test_adding_and_removing_change_only_that() -> None:
    listed = parse("0441:0012, 0bda:58c2@1, 0bda:58c2")
    assert listed.with_entry(listed.entries[1]) is listed
    assert str(listed.without(listed.entries[1])) == "0441:0012, 0bda:58c2"
    assert str(listed.with_entry(share_list.entry_for(device("1234:5678")))) == f"{listed}, 1234:5678"
