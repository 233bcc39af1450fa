"""The picker as a person uses it, with a real pointer and real keys, and what happens around it: devices come and go,
other programs share, programs die, the session is lost. The window says it; the kernels say whether it is true.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from qvd_usbip.errors import problem_of
from tests.lab import Lab
from tests.lab.demo.desk import SHARE_LIST_FILE
from tests.lab.scenarios.window import (
    ADAPTER,
    AWAY,
    HELPER,
    IN_USE,
    KEYBOARD,
    LOADER,
    NOT_SHARED,
    PATIENCE,
    STICK,
    TWIN,
    Window,
    opened,
)

pytestmark = [pytest.mark.deep, pytest.mark.picker, pytest.mark.long]

_CONF = "/etc/modprobe.d/slow.conf"
_SLOW = f"install usbip-host while [ -e {_CONF} ]; do sleep 0.3; done; /sbin/modprobe --ignore-install usbip-host"
_NO_MODULE = "install usbip-host /bin/false"
#: State → what keeps a device in it, and what lets it go on; in the client, or in the container.
HOLDS = {
    "Releasing…": (f"modprobe -r usbip-host; echo '{_SLOW}' >{_CONF}", f"rm {_CONF}"),
    "Connecting…": (
        "systemctl kill -s STOP qvd-usb-slaveserver.service",
        "systemctl kill -s CONT qvd-usb-slaveserver.service",
    ),
    "Attached": (
        "systemctl kill -s STOP systemd-udevd.service",
        "systemctl kill -s CONT systemd-udevd.service",
    ),
    IN_USE: ("", ""),
}


@pytest.fixture
def window(beginning: Callable[[Callable[[Lab], Window]], Window]) -> Window:
    """The picker is open beside a serial adapter."""
    return beginning(opened)


def hold(window: Window, state: str, *, on: bool) -> None:
    """Keeps devices from getting further than this state, or lets them."""
    where = window.client if state == "Releasing…" else window.one
    if command := HOLDS[state][not on]:
        where.run(command)


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


def test_what_is_missing_on_this_computer_is_named_and_found_again_when_it_is_there(window: Window) -> None:
    client, driver = window.client, "/lib/modules/$(uname -r)/modules.dep"
    client.run(f"chmod u-s {HELPER}")
    window.sees("The sharing helper has the wrong owner or mode")
    client.run(f"mv {HELPER} {HELPER}.away")
    window.click("Check again")
    window.sees("The sharing helper is not installed")
    client.run(
        f"mv {HELPER}.away {HELPER}; chmod u+s {HELPER}; modprobe -r usbip-host; sed -i.kept /usbip-host/d {driver}"
    )
    window.click("Check again")
    window.sees("The kernel module usbip_host is not in this kernel")
    client.run(f"mv {driver}.kept {driver}; echo '{_NO_MODULE}' >/etc/modprobe.d/none.conf")
    window.click("Check again")
    window.share(ADAPTER)
    window.row(ADAPTER, "Failed")
    window.sees("The kernel part that lends USB devices \\(usbip-host\\) is not available: .*")
    window.at_home(ADAPTER)
    client.run("rm /etc/modprobe.d/none.conf")
    window.row(ADAPTER, IN_USE)
    window.lent(ADAPTER)


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


def test_closed_the_window_goes_on_sharing_and_the_tray_stops_it(window: Window) -> None:
    window.share(ADAPTER)
    window.row(ADAPTER, IN_USE)
    window.keys("alt+F4")
    window.misses("Serial Adapter, .*")
    window.lent(ADAPTER)
    window.in_container("/dev/ttyACM0")
    window.click_tray(3)
    window.keys("Down", "Return")  # the first that can be chosen: Stop sharing Serial Adapter
    window.at_home(ADAPTER)
    window.nothing_is_left()
    window.click_tray(1)
    window.row(ADAPTER, NOT_SHARED)


def test_a_mounted_stick_is_unmounted_before_it_goes_unless_somebody_uses_it_and_is_offered_again(
    window: Window,
) -> None:
    client, mount = window.client, "udisksctl mount -b /dev/sda"
    window.plug(STICK)
    client.until("udevadm info -q property /dev/sda | grep -qx ID_FS_LABEL=LAB")
    place = window.desk.as_user(mount).out.split()[-1]
    window.desk.as_user(f"sh -c 'echo written in haste >{place}/NEW.TXT'")
    assert dirty(window), "a stick that is mounted here is marked on the stick itself"
    window.desk.start("reader", f"env -C {place} sleep 600")
    window.share(STICK)
    window.sees("The remote desktop will be able to read, change and delete everything on it\\. It is unmounted.*")
    window.click("Unmount and share: Memory Stick")
    window.sees("sleep \\([0-9]+\\) still uses LAB\\..*")
    window.at_home(STICK)
    client.run("systemctl stop demo-reader")
    window.click("Unmount and share: Memory Stick")
    window.row(STICK, IN_USE)
    assert not dirty(window), "it was unmounted before it went"
    window.in_container("/dev/sda")
    assert window.one.run("mtype -i /dev/sda ::NEW.TXT", user="user").out == "written in haste"
    window.share(STICK)
    window.row(STICK, NOT_SHARED)
    window.at_home(STICK)
    client.until("udevadm info -q property /dev/sda | grep -qx ID_FS_LABEL=LAB")
    window.desk.as_user(mount)


def dirty(window: Window) -> bool:
    """Whether the stick's own mark says that it is mounted somewhere. Source: Linux, struct fat_boot_sector, state."""
    return window.client.run("od -An -tu1 -j37 -N1 /var/lib/lab/MemoryStick.img").out.strip() != "0"


def test_pulled_out_in_each_step_it_is_not_connected_and_plugged_in_again_it_is_shared(window: Window) -> None:
    window.share(ADAPTER)
    window.is_ticked(ADAPTER)
    for state in HOLDS:
        window.pull(ADAPTER)
        window.row(ADAPTER, AWAY)
        window.nothing_is_left()
        hold(window, state, on=True)
        window.plug(ADAPTER)
        window.row(ADAPTER, state)
        window.pull(ADAPTER)
        window.row(ADAPTER, AWAY)
        hold(window, state, on=False)
        window.plug(ADAPTER)
    window.row(ADAPTER, IN_USE)
    window.in_container("/dev/ttyACM0")


def test_of_twins_without_serial_numbers_only_the_one_at_the_chosen_port_is_shared(window: Window) -> None:
    first, second = window.plug(TWIN, "first"), window.plug(TWIN, "second")
    window.row(TWIN, NOT_SHARED, times=2)
    window.keys("ctrl+f")
    window.types(second)
    window.misses("Serial Adapter, .*")
    window.share(TWIN)
    window.row(TWIN, IN_USE)
    window.lent(TWIN, second)
    window.at_home(TWIN, first)
    window.keys("Escape")
    window.row(TWIN, NOT_SHARED)
    window.pull(TWIN, "first")
    window.pull(TWIN, "second")
    window.nothing_is_left()
    window.plug(TWIN, "first")
    window.plug(TWIN, "second")
    window.lent(TWIN, second)
    window.at_home(TWIN, first)


def test_a_device_that_comes_back_as_a_keyboard_waits_for_consent(window: Window) -> None:
    window.share(ADAPTER)
    window.row(ADAPTER, IN_USE)
    window.pull(ADAPTER)
    window.row(ADAPTER, AWAY)
    changed = replace(ADAPTER, gadget="hid", driver="usbhid")
    window.plug(changed)
    window.row(changed, "Needs your OK")
    window.sees("This device now also presents a keyboard")
    window.at_home(changed, replugged=True)
    window.click("Share anyway: Serial Adapter")
    window.row(changed, IN_USE)
    window.in_container("/dev/hidraw0")


def test_what_comes_to_a_followed_port_is_shared_in_place_of_what_went(window: Window) -> None:
    window.share(ADAPTER)
    window.row(ADAPTER, IN_USE)
    window.click("Details of Serial Adapter")
    window.click("Follow the port of Serial Adapter")
    controller = f"dummy_udc.{window.client.run('cat /sys/kernel/config/usb_gadget/SerialAdapter/UDC').out[-1]}"
    window.plug(replace(LOADER, product="Another Loader", serial="OTHER"))
    window.pull(ADAPTER)
    window.plug(LOADER, controller=controller)
    window.row(LOADER, IN_USE)
    window.sees("Another Loader, .*, Not shared")


def test_a_command_and_a_second_window_see_and_steer_what_the_first_window_shares(window: Window) -> None:
    window.command(f"share {ADAPTER.identity}")
    window.row(ADAPTER, IN_USE)
    (device,) = json.loads(window.command("status --json").out)["devices"]
    assert (device["identity"], device["state"]) == (ADAPTER.identity, "in-use")
    refused = window.command("connect --session - </run/demo/session.json", check=False)
    assert refused.rc == problem_of("session-exists").exit_status, refused.out
    window.desk.start("second", "qvd-usb-picker")
    window.row(ADAPTER, IN_USE, times=2)
    window.keys("ctrl+f", "Down", "space")  # in the second one, which has the keyboard now
    window.row(ADAPTER, NOT_SHARED, times=2)
    window.at_home(ADAPTER)
    window.nothing_is_left()


@pytest.mark.parametrize("state", HOLDS)
def test_killed_in_any_state_the_helper_is_replaced_and_the_window_leaves_the_device_at_home(
    window: Window, state: str
) -> None:
    hold(window, state, on=True)
    window.share(ADAPTER)
    window.row(ADAPTER, state)
    window.kill_helper()
    window.row(ADAPTER, state)
    window.kill_picker()
    hold(window, state, on=False)
    window.nothing_is_left()
    window.at_home(ADAPTER)


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


def test_before_the_computer_sleeps_the_device_comes_home_and_is_shared_again_after(window: Window) -> None:
    """The kernel's own test of a suspend: every driver is suspended and resumed, only the power stays on."""
    client = window.client
    window.share(ADAPTER)
    window.row(ADAPTER, IN_USE)
    client.until("systemd-inhibit --list | grep -q 'USB sharing'")
    client.run("echo devices >/sys/power/pm_test; echo 1 >/sys/module/suspend/parameters/pm_test_delay")
    client.run("echo the user closes the lid >/dev/kmsg; systemctl suspend")
    client.until("dmesg | grep -q 'PM: suspend exit'", PATIENCE)
    window.row(ADAPTER, IN_USE)
    window.in_container("/dev/ttyACM0")
    log = client.run("dmesg").out.partition("the user closes the lid")[2]
    awake, _, _ = log.partition("PM: suspend entry")
    assert "ttyACM0: USB ACM device" in awake, log
