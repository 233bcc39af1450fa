"""qvd-create-device on a folder that stands for a container: guide §3.2 by its sentences, and what goes wrong."""

import errno
import grp
import os
from pathlib import Path

import pytest

from qvd_usbip.errors import problem_of
from qvd_usbip.ids import DevNum
from tests.unit.vma_hooks.conftest import Image, own_group
from vma_hooks.acl import encode_group_acl
from vma_hooks.create_device import INSTALLED, main

USB = "/devices/platform/vhci_hcd.3/usb7/7-1"
TTY = f"{USB}/7-1:1.0/tty/ttyACM0"
DISK = f"{USB}/7-1:1.0/host0/target0:0:0/0:0:0:0/block/sda"
USBFS = "bus/usb/007/005"
GID = grp.getgrnam(own_group()).gr_gid


def status(code: str) -> int:
    return problem_of(code).exit_status


def test_a_device_that_is_plugged_in_appears_with_the_groups_access_list(image: Image) -> None:
    assert image.on(image.plug(USB, USBFS, "189:772")) == 0
    node = (image.dev / USBFS).stat()
    assert image.nodes.identify(node) == ("c", DevNum.parse("189:772"))
    assert node.st_mode & 0o7777 == 0o660
    assert image.acl(USBFS) == encode_group_acl(GID, 6)


def test_it_is_gone_with_the_device_and_leaves_no_folder_and_no_record(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    image.on(event)
    assert image.on(image.unplug(event)) == 0
    assert image.left() == []


def test_where_the_host_makes_the_nodes_nothing_is_made_and_nothing_complained_of(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    (image.dev / "qvd").mkdir()
    event = image.plug(USB, USBFS, "189:772")
    assert image.on(event) == 0
    assert image.on(image.unplug(event)) == 0
    assert image.left() == ["dev/qvd"]
    assert capsys.readouterr().err == ""


def test_another_devices_folder_stays(image: Image) -> None:
    first = image.plug(USB, USBFS, "189:772")
    second = image.plug("/devices/platform/vhci_hcd.3/usb7/7-2", "bus/usb/007/006", "189:773")
    image.on(first)
    image.on(second)
    image.on(image.unplug(first))
    assert image.left() == ["dev/bus", "dev/bus/usb", "dev/bus/usb/007", "dev/bus/usb/007/006", "run/c189:773"]


def test_a_disk_and_a_serial_port_get_their_nodes(image: Image) -> None:
    image.on(image.plug(DISK, "sda", "8:0", "block"))
    image.on(image.plug(TTY, "ttyACM0", "166:0", "tty"))
    assert image.left() == ["dev/sda", "dev/ttyACM0", "run/b8:0", "run/c166:0"]


def test_with_a_device_comes_what_its_drivers_have_made_by_then_and_nothing_of_another_device(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    tty = image.plug(TTY, "ttyACM0", "166:0", "tty")
    image.plug(DISK, "sda", "8:0", "block")
    image.plug(f"{USB[:-1]}2/7-2:1.0/tty/ttyACM1", "ttyACM1", "166:1", "tty")
    made = ["dev/bus", "dev/bus/usb", "dev/bus/usb/007", f"dev/{USBFS}", "dev/sda", "dev/ttyACM0"]
    records = ["run/b8:0", "run/c166:0", "run/c189:772"]
    assert image.on(event) == 0
    assert image.left() == [*made, *records]
    assert image.on(tty) == 0
    assert image.left() == [*made, *records]
    assert image.on(image.unplug(tty)) == 0
    assert image.on(image.unplug(event)) == 0
    assert image.left() == ["dev/sda", "run/b8:0"]


def test_what_is_wrong_below_a_device_is_said_at_its_own_event(
    image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    event = image.plug(USB, USBFS, "189:772")
    escaping = image.plug(TTY, "../escape", "166:0", "tty")
    image.plug(DISK, "sda", "8:0", "block")
    assert image.on(event) == 0
    assert (image.dev / "sda").exists()
    assert capsys.readouterr().err == ""
    assert image.on(escaping) == status("uevent-malformed")


def test_the_guides_example_configuration(image: Image) -> None:
    image.settings(
        "# When VMA creates an user account, add it to the qvduser group (must exist as a group in the disk image)\n"
        "vma.user.default.groups=qvduser\n"
        "# Enable setting ACLs\n"
        "createdevice.acl.enable=1\n"
        "# Add an ACL for group qvduser\n"
        f"createdevice.acl.group={own_group()}\n"
        "# Allowing members read and write access to the devices shared by USBIP\n"
        "createdevice.acl.permissions=rw\n"
    )
    assert image.on(image.plug(USB, USBFS, "189:772")) == 0
    assert image.acl(USBFS) == encode_group_acl(GID, 6)


def test_read_only_permissions(image: Image) -> None:
    image.settings(f"createdevice.acl.group={own_group()}\ncreatedevice.acl.permissions=r--\n")
    image.on(image.plug(USB, USBFS, "189:772"))
    assert image.acl(USBFS) == encode_group_acl(GID, 4)


def test_without_access_lists_the_node_belongs_to_root_alone(image: Image) -> None:
    image.settings("createdevice.acl.enable=0\n")
    assert image.on(image.plug(USB, USBFS, "189:772")) == 0
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o600
    assert image.acl(USBFS) is None


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("createdevice.acl.group=no-such-group-here\n", "group-unknown", "no-such-group-here"),
        ("createdevice.acl.permissions=rwz\n", "settings-malformed", "createdevice.acl.permissions"),
        ("createdevice.acl.permissions=\n", "settings-malformed", "createdevice.acl.permissions"),
        ("createdevice.acl.enable=maybe\n", "settings-malformed", "createdevice.acl.enable"),
        ("createdevice.acl.group=\n", "settings-malformed", "createdevice.acl.group"),
    ],
)
def test_settings_that_mean_nothing_leave_the_node_to_root(
    image: Image, capsys: pytest.CaptureFixture[str], text: str, code: str, words: str
) -> None:
    image.settings(text)
    assert image.on(image.plug(USB, USBFS, "189:772")) == status(code)
    assert words in capsys.readouterr().err
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o600
    assert image.acl(USBFS) is None


def test_settings_that_are_no_text_or_no_file_leave_the_node_to_root(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    (image.top / "vma.conf").write_bytes(b"createdevice.acl.group=\xff\n")
    assert image.on(event) == status("config-not-text")
    (image.top / "vma.conf").unlink()
    (image.top / "vma.conf").mkdir()
    assert image.on(event) == status("config-is-folder")
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o600


def test_a_file_system_without_access_lists_leaves_the_node_to_root(image: Image) -> None:
    image.nodes.refuse_acl = OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    assert image.on(image.plug(USB, USBFS, "189:772")) == status("acl-unsupported")
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize("number", [errno.EROFS, errno.EPERM, errno.ENOSPC])
def test_where_no_node_can_be_made_the_reason_is_said(
    image: Image, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    image.nodes.refuse_make = OSError(number, os.strerror(number))
    event = image.plug(USB, USBFS, "189:772")
    assert image.on(event) == status("node-refused")
    assert os.strerror(number) in capsys.readouterr().err
    assert not (image.dev / USBFS).exists()
    image.on(image.unplug(event))
    assert image.left() == []


def test_a_failed_access_list_leaves_no_node_and_no_unfinished_one(image: Image) -> None:
    image.nodes.refuse_acl = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert image.on(image.plug(USB, USBFS, "189:772")) == status("node-refused")
    assert list((image.dev / USBFS).parent.iterdir()) == []


def test_the_same_event_twice_is_the_same_as_once(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    image.on(event)
    before = image.left()
    assert image.on(event) == 0
    assert image.left() == before
    gone = image.unplug(event)
    assert [image.on(gone), image.on(gone)] == [0, 0]
    assert image.left() == []


def test_a_repeated_add_mends_rights_that_somebody_widened(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    image.on(event)
    (image.dev / USBFS).chmod(0o666)
    image.on(event)
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o660


def test_a_late_remove_does_not_take_the_next_devices_node(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    image.on(event)
    assert image.on(event | {"ACTION": "remove"}) == 0  # the kernel shows the number again: this remove is old
    assert (image.dev / USBFS).exists()


def test_another_hubs_late_remove_does_not_take_the_node_that_has_the_number_now(image: Image) -> None:
    mine = image.plug(DISK, "sda", "8:0", "block")
    image.on(mine)
    theirs = mine | {
        "ACTION": "remove",
        "DEVPATH": DISK.replace("vhci_hcd.3/usb7/7-1/7-1", "vhci_hcd.9/usb19/19-1/19-1"),
    }
    assert image.on(theirs) == 0
    assert image.left() == ["dev/sda", "run/b8:0"]
    image.unplug(mine)
    assert image.on(theirs) == 0
    assert image.left() == []


def test_a_number_that_is_another_tenants_now_loses_the_node_that_was_ours(image: Image) -> None:
    (image.top / "ports").write_text("1-1\n")
    mine = image.plug(DISK, "sda", "8:0", "block")
    image.on(mine)
    gone = image.unplug(mine)
    image.plug(DISK.replace("7-1", "7-2"), "sda", "8:0", "block")  # of the same hub, but not this container's port
    assert image.on(gone) == 0
    assert image.left() == []


def test_a_late_add_makes_nothing_for_a_device_that_is_gone(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    image.unplug(event)
    assert image.on(event) == 0
    assert image.left() == []


def test_a_number_under_a_new_name_loses_the_old_node(image: Image) -> None:
    event = image.plug(TTY, "ttyACM0", "166:0", "tty")
    image.on(event)
    assert image.on(event | {"DEVNAME": "/dev/ttyACM7"}) == 0
    assert image.left() == ["dev/ttyACM7", "run/c166:0"]


def test_a_name_under_a_new_number_is_replaced_when_it_was_ours(image: Image) -> None:
    image.on(image.plug(TTY, "ttyACM0", "166:0", "tty"))  # and its remove event was lost
    image.on(image.plug("/devices/platform/vhci_hcd.3/usb7/7-2/7-2:1.0/tty/ttyACM0", "ttyACM0", "166:1", "tty"))
    assert image.left() == ["dev/ttyACM0", "run/c166:1"]


def test_somebody_elses_file_is_neither_replaced_nor_removed(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    event = image.plug(TTY, "ttyACM0", "166:0", "tty")
    (image.dev / "ttyACM0").write_text("mine")
    assert image.on(event) == status("node-refused")
    assert "/dev/ttyACM0" in capsys.readouterr().err
    image.on(image.unplug(event))
    assert (image.dev / "ttyACM0").read_text() == "mine"


def test_somebody_elses_node_of_the_same_number_stays(image: Image) -> None:
    event = image.plug(TTY, "ttyACM0", "166:0", "tty")
    folder = os.open(image.dev, os.O_RDONLY)
    image.nodes.make("ttyACM0", folder, "c", DevNum.parse("166:0"))
    os.close(folder)
    assert image.on(event) == status("node-refused")
    assert image.on(image.unplug(event)) == 0
    assert image.left() == ["dev/ttyACM0"]


def test_a_link_put_in_the_way_leads_nowhere(image: Image) -> None:
    (image.top / "elsewhere").mkdir()
    (image.dev / "bus").symlink_to(image.top / "elsewhere")
    event = image.plug(USB, USBFS, "189:772")
    assert image.on(event) == status("node-refused")
    assert image.on(image.unplug(event)) == 0
    assert list((image.top / "elsewhere").iterdir()) == []


def test_what_a_killed_run_left_is_cleaned_by_the_next(image: Image) -> None:
    event = image.plug(TTY, "ttyACM0", "166:0", "tty")
    image.records.mkdir(mode=0o700)
    (image.records / "c166:0").symlink_to("ttyACM0")
    (image.dev / ".qvd-create-device.c166:0").touch()
    assert image.on(event) == 0
    assert image.left() == ["dev/ttyACM0", "run/c166:0"]
    (image.dev / ".qvd-create-device.c166:0").touch()
    image.on(image.unplug(event))
    assert image.left() == []


def test_a_folder_of_records_that_others_could_lock_is_refused(image: Image) -> None:
    image.records.mkdir(mode=0o755)
    image.records.chmod(0o755)
    assert image.on(image.plug(USB, USBFS, "189:772")) == status("node-refused")
    assert not (image.dev / USBFS).exists()


def test_two_adds_at_once_end_in_one_good_node(image: Image) -> None:
    event = image.plug(USB, USBFS, "189:772")
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os._exit(max(image.on(event) for _ in range(10)))
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
    assert image.left() == ["dev/bus", "dev/bus/usb", "dev/bus/usb/007", f"dev/{USBFS}", "run/c189:772"]
    assert (image.dev / USBFS).stat().st_mode & 0o7777 == 0o660


def test_coldplug_makes_what_was_attached_before(image: Image) -> None:
    image.plug(USB, USBFS, "189:772")
    image.plug(TTY, "ttyACM0", "166:0", "tty")
    image.plug(DISK, "sda", "8:0", "block")
    image.plug("/devices/platform/dummy_hcd.0/usb3/3-1", "bus/usb/003/002", "189:257")
    assert image.run("--coldplug") == 0
    assert sorted(str(path.relative_to(image.dev)) for path in image.dev.rglob("*") if path.is_file()) == [
        USBFS, "sda", "ttyACM0",
    ]  # fmt: skip


def test_on_a_shared_hub_only_what_is_on_its_own_ports_is_made_and_removed(image: Image) -> None:
    (image.top / "ports").write_text("2-5\n")
    theirs = image.plug(USB, USBFS, "189:772")
    mine = image.plug(f"{USB[:-1]}2", "bus/usb/007/006", "189:773")
    assert [image.on(theirs), image.on(mine)] == [0, 0]
    assert image.left() == ["dev/bus", "dev/bus/usb", "dev/bus/usb/007", "dev/bus/usb/007/006", "run/c189:773"]
    assert image.run("--coldplug") == 0
    assert image.run("--create", f"/dev/{USBFS}", f"/sys{USB}") == status("node-refused")
    assert not (image.dev / USBFS).exists()
    assert image.on(image.unplug(mine)) == 0
    assert image.left() == []


@pytest.mark.parametrize("text", ["", "all", "5-2", "1-256", "1", "0-3"])
def test_ports_that_cannot_be_read_leave_everything_alone(image: Image, text: str) -> None:
    (image.top / "ports").write_text(text)
    assert image.on(image.plug(USB, USBFS, "189:772")) == status("node-refused")
    (image.top / "ports").unlink()
    (image.top / "ports").mkdir()
    assert image.run("--coldplug") == status("node-refused")
    assert image.left() == []


def test_coldplug_goes_on_after_a_device_it_cannot_do(image: Image) -> None:
    image.plug(TTY, "../escape", "166:0", "tty")
    image.plug(DISK, "sda", "8:0", "block")
    assert image.run("--coldplug") == status("uevent-malformed")
    assert image.left() == ["dev/sda", "run/b8:0"]
    assert not (image.top / "escape").exists()


def test_coldplug_without_any_hub(image: Image) -> None:
    assert image.run("--coldplug") == 0


def test_create_and_delete_by_hand(image: Image) -> None:
    image.plug(TTY, "ttyACM0", "166:0", "tty")
    assert image.run("--create", "/dev/modem", f"/sys{TTY}") == 0
    assert image.left() == ["dev/modem", "run/c166:0"]
    assert image.run("--delete", "/dev/modem") == 0
    assert image.run("--delete", "/dev/modem") == 0
    assert image.left() == []


def test_a_node_that_cannot_be_deleted_is_told_as_a_problem_whatever_is_missing(image: Image) -> None:
    (image.top / "run").write_text("no folder")
    assert image.run("--delete", "/dev/modem") == status("node-refused")
    image.dev.rmdir()
    assert image.run("--delete", "/dev/modem") == status("node-kept")


def test_create_for_no_device_and_delete_of_a_foreign_node_are_refused(image: Image) -> None:
    assert image.run("--create", "/dev/modem", "/sys/devices/platform/serial8250") == status("node-refused")
    (image.dev / "null").touch()
    assert image.run("--delete", "/dev/null") == status("node-kept")
    assert (image.dev / "null").exists()


@pytest.mark.parametrize("arguments", [(), ("--from-env", "x"), ("--create", "/dev/x"), ("--remove",), ("",)])
def test_other_arguments_are_refused(image: Image, arguments: tuple[str, ...]) -> None:
    assert image.run(*arguments) == status("usage")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0o022)
    assert main(["--help"]) == 0
    os.umask(before)
    assert "examples:" in capsys.readouterr().out


def test_an_event_without_anything_in_it_is_nothing_or_a_refusal_of_ours(image: Image) -> None:
    assert image.on({}) in {0, status("uevent-malformed")}
    assert image.left() == []


def test_the_installed_places() -> None:
    assert (INSTALLED.dev, INSTALLED.sys, INSTALLED.records) == ("/dev", "/sys", "/run/qvd-create-device")
    assert Path(INSTALLED.settings) == Path("/etc/qvd/vma.conf")
