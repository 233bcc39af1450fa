"""The picker as a person uses it, with a real pointer and real keys; the kernels say whether it came true."""

from collections.abc import Callable

import pytest

from tests.lab import Lab
from tests.lab.demo.desk import SHARE_LIST_FILE
from tests.lab.scenarios.window import ADAPTER, IN_USE, KEYBOARD, NOT_SHARED, STICK, Window, opened

pytestmark = [pytest.mark.deep, pytest.mark.picker, pytest.mark.long]


@pytest.fixture
def window(beginning: Callable[[Callable[[Lab], Window]], Window]) -> Window:
    """The picker is open beside a serial adapter."""
    return beginning(opened)


def test_found_by_typing_shared_and_taken_back_by_the_space_bar(window: Window) -> None:
    window.plug(STICK)
    window.row(STICK, NOT_SHARED)
    window.keys("ctrl+f")
    window.types("serial")
    window.misses("Memory Stick, .*")
    window.keys("Down", "space")
    window.row(ADAPTER, IN_USE)
    window.lent(ADAPTER)
    window.in_container("/dev/ttyACM0")
    window.at_home(STICK)
    window.keys("space")
    window.row(ADAPTER, NOT_SHARED)
    window.at_home(ADAPTER)
    window.keys("Escape")
    window.row(STICK, NOT_SHARED)
    window.keys("ctrl+f")
    window.types("no such thing")
    window.sees("No device matches .no such thing..")
    window.click("Clear the filter")
    window.row(ADAPTER, NOT_SHARED)
    window.nothing_is_left()


def test_what_failed_says_why_and_is_tried_again_by_its_button(window: Window) -> None:
    key, read_again = "/etc/qvd/slave.key", "systemctl stop qvd-usb-slaveserver.service"
    window.one.run(f"cp -p {key} /root/key; echo another >{key}; {read_again}")
    window.share(ADAPTER)
    window.row(ADAPTER, "Failed")
    window.sees("The session refused its key.*")
    window.at_home(ADAPTER)
    window.click("Stop sharing Serial Adapter")
    window.row(ADAPTER, NOT_SHARED)
    window.share(ADAPTER)
    window.row(ADAPTER, "Failed")
    window.one.run(f"cp -p /root/key {key}; {read_again}")
    window.click("Retry Serial Adapter now")
    window.row(ADAPTER, IN_USE)
    window.in_container("/dev/ttyACM0")


def test_a_keyboard_is_locked_until_its_card_is_agreed_to(window: Window) -> None:
    window.plug(KEYBOARD)
    window.row(KEYBOARD, "Locked")
    window.click("Unlock Desk Keyboard")
    window.sees("You cannot type on this computer with it while it is shared.*")
    window.click("Cancel: Desk Keyboard")
    window.misses("Share this keyboard\\?")
    window.row(KEYBOARD, "Locked")
    window.at_home(KEYBOARD)
    window.click("Unlock Desk Keyboard")
    window.click("Unlock and share: Desk Keyboard")
    window.row(KEYBOARD, IN_USE)
    window.lent(KEYBOARD)
    window.in_container("/dev/hidraw0")
    window.share(KEYBOARD)
    window.row(KEYBOARD, NOT_SHARED)
    window.at_home(KEYBOARD)
    assert KEYBOARD.identity not in window.client.read(SHARE_LIST_FILE).decode()
    window.nothing_is_left()


def test_a_lost_session_brings_the_device_home_and_shares_it_again_when_it_returns(window: Window) -> None:
    window.share(ADAPTER)
    window.row(ADAPTER, IN_USE)
    window.client.run(
        "nft add table inet cut; "
        "nft 'add chain inet cut out { type filter hook output priority 0; }'; "
        "nft add rule inet cut out tcp dport 11100 reject with tcp reset; ss -K dst 10.9.1.11 >/dev/null"
    )
    window.sees("Session lost\\. Trying again in [0-9]+ s\\.")
    window.at_home(ADAPTER)
    window.client.run("nft delete table inet cut")
    window.sees("Connected · not encrypted")
    window.row(ADAPTER, IN_USE)
    window.in_container("/dev/ttyACM0")
