"""What counts as a defect in a kernel log, and what does not."""

import pytest

from tests.lab.health import Allowed, kernel_problems, restarted_units

DEFECTS = [
    "[   12.3] BUG: kernel NULL pointer dereference, address: 0000000000000008",
    "[   12.3] Oops: 0002 [#1] PREEMPT SMP NOPTI",
    "[   12.3] WARNING: CPU: 0 PID: 77 at drivers/usb/usbip/vhci_hcd.c:610 vhci_urb_enqueue+0x1/0x2",
    "[   12.3] general protection fault, probably for non-canonical address 0xdead: 0000 [#1]",
    "[  241.7] INFO: task lsusb:812 blocked for more than 60 seconds.",
    "[   12.3] BUG: KASAN: slab-use-after-free in stub_rx_loop+0x1/0x2",
    "[   12.3] watchdog: BUG: soft lockup - CPU#0 stuck for 61s! [kworker]",
    "[   12.3] refcount_t: underflow; use-after-free.",
    "[   12.3] list_del corruption. prev->next should be ffff",
    "[   12.3] Kernel panic - not syncing: Fatal exception",
    "[   12.3] python3[99]: segfault at 0 ip 0000 sp 0000 error 4 in libc.so.6",
    "[   12.3] Out of memory: Killed process 77 (python3)",
]
HARMLESS = [
    "[    0.0] Command line: console=ttyS0 root=/dev/vda loglevel=5",
    "[    1.2] usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "[    1.2] vhci_hcd: connection closed",
    "[    1.2] usbip-host 1-1: stub up",
    "[    0.9] DEBUG: nothing",
    "[    4.0] warning: `x' uses wireless extensions",
]


@pytest.mark.parametrize("line", DEFECTS)
def test_a_defect_is_found_among_other_lines(line: str) -> None:
    assert kernel_problems("\n".join([*HARMLESS, line, *HARMLESS])) == [line]


def test_harmless_lines_are_left_alone() -> None:
    assert kernel_problems("\n".join(HARMLESS)) == []


def test_an_allowed_line_hides_only_itself() -> None:
    allowed = [Allowed(r"vhci_urb_enqueue", "said for the test")]
    assert kernel_problems("\n".join(DEFECTS), allowed) == [line for line in DEFECTS if "vhci_urb_enqueue" not in line]


UNITS = """Id=qvd-usb-agent.service
NRestarts=2
Result=success
ActiveState=active

Id=qvd-usb-recover.service
NRestarts=0
Result=exit-code
ActiveState=failed

Id=qvd-usb-slaveserver.socket
Result=success
ActiveState=active
"""


def test_units_that_came_back_or_failed() -> None:
    assert restarted_units(UNITS) == [
        "qvd-usb-agent.service: restarted 2 times",
        "qvd-usb-recover.service: failed (exit-code)",
    ]


def test_what_a_scenario_broke_on_purpose_is_not_counted() -> None:
    assert restarted_units(UNITS, ["qvd-usb-agent.service"]) == ["qvd-usb-recover.service: failed (exit-code)"]


def test_no_units() -> None:
    assert restarted_units("") == []
