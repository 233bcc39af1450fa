"""The guide of QVD 4.2, sentence by sentence, on real kernels: each scenario is named for what it holds us to.

What other tests show of it is in the list of all its sentences, tests/unit/tooling/test_guide.py.
"""

import json

import pytest

from tests.kit.refusals import assert_refused
from tests.lab import Guest, Lab
from tests.lab.scenarios import software
from tests.lab.scenarios.agent_asked import until_agent_says, until_agent_says_no_more
from tests.lab.scenarios.rights_seen import READ_WRITE, needed, opened, rights
from tests.lab.scenarios.terminal import SHARE_LIST_FILE, USER, Terminal

core = pytest.mark.core
deep = pytest.mark.deep

IDENTITY = "0bda:58c2@1234"
HELPER = "/usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
DRIVERS = "/sys/bus/platform/drivers/vhci_hcd"
VMA_CONF = "/etc/qvd/vma.conf"
BROKER = "/run/qvd-usbip/broker/one/broker.sock"
BY_EVENTS_ALONE = (
    '[Service]\nExecStart=\nExecStart=/usr/bin/python3 -I -c "import sys; '
    "sys.path.insert(0, '/usr/lib/qvd-usbip/python'); from server_agent import cli, daemon; "
    "daemon.LOOK_SECONDS = 1e6; sys.exit(cli.main(['run']))\"\n"
)
#: The guide's own example, §3.2.
EXAMPLE = """\
# When VMA creates an user account, add it to the qvduser group (must exist as a group in the disk image)
vma.user.default.groups=qvduser

# Enable setting ACLs
createdevice.acl.enable=1

# Add an ACL for group qvduser
createdevice.acl.group=qvduser

# Allowing members read and write access to the devices shared by USBIP
createdevice.acl.permissions=rw
"""


@pytest.fixture
def terminal(lab: Lab) -> Terminal:
    """The user, who may share; sharing is switched on."""
    terminal = Terminal(lab.client)
    terminal.prepare("client.usb.enable=1", "client.usb.allow_plaintext=1")
    return terminal


def adapter(lab: Lab) -> str:
    """Plugs the guide's webcam's ids in, on a serial adapter; its busid."""
    return lab.client.gadget("adapter", "acm", "0bda", "58c2", "1234", product="Serial Adapter")


def hub_of_one(lab: Lab) -> str:
    """The hub that container `one` has."""
    found = json.loads(lab.server.run("qvd-usb-agent status --json").out)["containers"]
    return next(str(each["hub"]) for each in found if each["name"] == "one")


def limit(server: Guest) -> str:
    """How many containers can have USB, as the host says it."""
    checks = json.loads(server.run("qvd-usb-agent check --json").out)["checks"]
    return next(str(each["text"]) for each in checks if each["name"] == "limit")


# --- 1. the client --------------------------------------------------------------------------------------------------


@core
def test_1_2_the_setuid_helper_loads_usbip_host_by_itself_and_sets_up_sharing_for_a_user(
    lab: Lab, terminal: Terminal
) -> None:
    """§1.1: the kernel needs no special steps. §1.2: only root can do it, so the helper does it for the user."""
    client, busid = lab.client, adapter(lab)
    client.run("modprobe -r usbip-host; ! test -e /sys/bus/usb/drivers/usbip-host")
    assert client.run(f"stat -c '%U %a' {HELPER}").out == "root 4755"
    for command in ("modprobe usbip-host", f"usbip bind -b {busid}", f"echo {busid} >/sys/bus/usb/drivers/usb/unbind"):
        assert client.run_as(USER, command, check=False).rc, f"the user could: {command}"
    client.run_as(USER, f"{HELPER} bind {busid}")
    assert client.run(f"readlink /sys/bus/usb/devices/{busid}/driver").out.endswith("/usbip-host")
    client.run_as(USER, f"{HELPER} unbind {busid}")
    client.until(f"test -e /sys/bus/usb/devices/{busid}/{busid}:1.0/driver")


@core
def test_1_3_devices_are_listed_and_the_selection_is_written_as_vid_pid_serial_comma_separated(
    lab: Lab, terminal: Terminal
) -> None:
    busid = adapter(lab)
    listed = json.loads(terminal.command("list --json").out)["devices"]
    assert [(each["busid"], each["identity"], each["ticked"]) for each in listed] == [(busid, IDENTITY, False)]
    terminal.command(f"share {busid}")
    terminal.command("share 0441:0012")
    written = lab.client.read(SHARE_LIST_FILE).decode().splitlines()
    assert [line for line in written if "share_list" in line] == [f"client.usb.share_list={IDENTITY}, 0441:0012"]

    terminal.prepare("client.usb.enable=1", f"client.usb.share_list = 0441:0012,{IDENTITY.upper()}")
    listed = json.loads(terminal.command("list --json").out)["devices"]
    assert {each["identity"] for each in listed if each["ticked"]} == {IDENTITY, "0441:0012"}, "written by hand"


@deep
def test_1_2_caution_when_a_device_can_store_data(lab: Lab, terminal: Terminal) -> None:
    caution = "the remote side can change or delete everything on"
    busid = lab.client.gadget("stick", "mass", "0781", "5581", "S1")
    assert f"{caution} {busid}." in terminal.command(f"share {busid}").out
    assert caution not in terminal.command(f"share {adapter(lab)}").out


# --- 2. the server --------------------------------------------------------------------------------------------------


@deep
def test_2_2_the_client_works_with_the_standard_kernel_of_its_distribution(lab: Lab, terminal: Terminal) -> None:
    client = lab.client
    assert client.run('dpkg -S "*/modules/$(uname -r)"').out.startswith("linux-image-")
    assert client.run("modinfo -F intree usbip-host").out == "Y"
    adapter(lab)
    terminal.command(f"share {IDENTITY}")
    terminal.connect(lab.container("one"))
    terminal.until_state(IDENTITY, "in-use")
    assert terminal.close() == 0


@deep
def test_2_2_the_number_of_entries_limits_the_containers_and_check_says_it(lab: Lab) -> None:
    """On a stock kernel the ports of every hub are ruled through vhci_hcd.0, which therefore is nobody's."""
    server = lab.server
    entries = server.run(f"for entry in {DRIVERS}/vhci_hcd.*; do test -L $entry && echo $entry; done").out.split()
    ports = json.loads(server.run("qvd-usb-agent hubs --json").out)["ports_per_half"]
    whole, few = len(entries) - 2, ports // 4
    said = f"{whole + few} containers at once, {whole} with a hub of their own: "
    assert limit(server).startswith(said), "the last hub is lent by ports, four to a container"
    assert f", {few} with ports of a shared one: 4 and 4" in limit(server)
    server.run("qvd-usb-agent config set vm.lxc.usb.shared_hubs 0")
    assert limit(server).startswith(f"{len(entries) - 1} containers at once, ")
    rows = json.loads(server.run("qvd-usb-agent hubs --json").out)["hubs"]
    assert sorted(f"{DRIVERS}/{row['hub']}" for row in rows) == sorted(entries)[1:]
    free = [row["hub"] for row in rows if not row["containers"]]
    given = [server.run(f"qvd-usb-agent reserve guest{number}").out.split()[-1] for number, _ in enumerate(free)]
    assert sorted(given) == sorted(free), "every container gets its own"
    answer = server.run("qvd-usb-agent reserve onemore", check=False)
    assert_refused(answer.rc, answer.out, "no-free-hub")


@deep
def test_2_2_if_the_folder_is_missing_entirely_the_module_is_not_loaded(lab: Lab) -> None:
    server = lab.server
    for name in ("one", "two"):
        lab.container(name).stop(kill=True)
    server.run(f"systemctl stop qvd-usb-agent; modprobe -r vhci-hcd; ! test -e {DRIVERS}")
    check = server.run("qvd-usb-agent check", check=False)
    assert check.rc == 60
    assert "FAIL  module: The kernel part that receives USB devices (vhci_hcd) is not loaded." in check.out
    assert "modprobe vhci-hcd" in check.out
    answer = server.run("qvd-usb-agent run", check=False)
    assert_refused(answer.rc, answer.out, "vhci-missing")


@deep
def test_2_6_by_the_guides_line_the_module_is_loaded_and_by_ours_a_container_has_a_hub_or_starts_without_usb(
    lab: Lab,
) -> None:
    """§2.1: with the setting off it gets none; what it may open is decided all the same, and it is told why."""
    server, one, closed = lab.server, lab.container("one"), rights(lab, "one")
    for name in ("one", "two"):
        lab.container(name).stop(kill=True)
    server.run(f"systemctl stop qvd-usb-agent; modprobe -r vhci-hcd; ! test -e {DRIVERS}")
    server.run("echo vhci_hcd >/etc/modules-load.d/qvd-usbip.conf; systemctl restart systemd-modules-load")
    server.run(f"test -e {DRIVERS}/vhci_hcd.0; systemctl start qvd-usb-agent", timeout=120)
    setting = "qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value={},tenant_id=-1"
    server.run(setting.format(0))
    one.start()
    assert one.run("ls /sys/devices/platform").out == ""
    assert rights(lab, "one") == closed
    major, minor = server.run("stat -c '%Hr %Lr' /dev/vda").out.split()
    assert not opened(lab, "one", {("b", int(major), int(minor), READ_WRITE)}), "its map denies"
    assert "one  hubs were switched off: starts without USB" in server.run("qvd-usb-agent status").out
    server.until("journalctl -t qvd-usb-agent -o cat | grep -q use_vhci_hubs,value=1")
    one.stop(kill=True)
    server.run(setting.format(1))
    one.start()
    one.run("ls -d /sys/devices/platform/vhci_hcd.*/usb*")


@deep
def test_2_3_a_device_is_plugged_into_the_host_and_its_rights_come_to_one_container_and_go_with_it(lab: Lab) -> None:
    """§2.5 begins with the same: one kernel; and no other container has the device, even with root."""
    server = lab.server
    closed = {name: rights(lab, name) for name in ("one", "two")}
    software.put_kit(server)
    software.plug(server, "device", "both", "one")
    server.until("test -b /dev/sda && test -c /dev/ttyACM0 && lsusb -d 1209:0001", 60)
    for number in ("b 8:0", "c 166:0"):
        until_agent_says(server, f"{number} *granted")
    server.run("udevadm settle")
    there = needed(lab, hub_of_one(lab))
    assert rights(lab, "one") - closed["one"] == there
    assert rights(lab, "two") == closed["two"]
    assert opened(lab, "one", there) == there
    assert not opened(lab, "two", there)
    (interface,) = server.run("basename -a /sys/bus/usb/drivers/cdc_acm/*:1.0").out.split()
    server.run(f"echo {interface} >/sys/bus/usb/drivers/cdc_acm/unbind")
    until_agent_says_no_more(server, "166:0")
    assert rights(lab, "one") - closed["one"] == needed(lab, hub_of_one(lab)) < there
    server.run(f"echo {interface} >/sys/bus/usb/drivers/cdc_acm/bind")
    until_agent_says(server, "c 166:0 *granted")
    assert rights(lab, "one") - closed["one"] == needed(lab, hub_of_one(lab)) == there, "a driver that comes later"
    software.unplug(server, "device")
    until_agent_says_no_more(server, "(8|166):0")
    assert rights(lab, "one") == closed["one"]


@deep
def test_2_3_so_do_those_of_a_keyboard_and_of_a_sound_device_and_the_kernels_events_alone_bring_them(lab: Lab) -> None:
    """This agent never looks around by itself, as it else does each minute."""
    server = lab.server
    folder = "/run/systemd/system/qvd-usb-agent.service.d"
    server.run(f"mkdir -p {folder}; cat >{folder}/events.conf", stdin=BY_EVENTS_ALONE)
    server.run("qvd-usb-agent config set vm.lxc.usb.isochronous allow; systemctl daemon-reload")
    server.run("systemctl restart qvd-usb-agent", timeout=120)
    closed = {name: rights(lab, name) for name in ("one", "two")}
    software.put_kit(server)
    for kind in ("keyboard", "speaker"):
        software.plug(server, kind, kind, "one")
        server.until(f"journalctl -u {kind} -o cat | grep -q authorised", 60)
    server.until("ls /sys/devices/platform/vhci_hcd.*/usb*/*-*/*/sound/card*/pcm*/dev", 60)
    server.run("udevadm settle")
    there = needed(lab, hub_of_one(lab))
    places = " ".join(
        f"/sys/dev/{'block' if kind == 'b' else 'char'}/{major}:{minor}" for kind, major, minor, _ in there
    )
    subsystems = server.run(f"for place in {places}; do basename $(readlink -f $place/subsystem); done").out.split()
    assert set(subsystems) >= {"usb", "hidraw", "input", "sound"}
    assert rights(lab, "one") - closed["one"] == there
    assert rights(lab, "two") == closed["two"]
    assert not opened(lab, "two", there)
    for kind in ("keyboard", "speaker"):
        software.unplug(server, kind)
    until_agent_says_no_more(server, "vhci_hcd.*/")
    assert rights(lab, "one") == closed["one"]


@deep
def test_2_5_the_host_is_told_which_known_defects_of_its_kernel_a_malicious_user_could_try(lab: Lab) -> None:
    lines = json.loads(lab.server.run("qvd-usb-agent check --json", check=False).out)["checks"]
    (count,) = [each["text"] for each in lines if each["name"] == "defects"]
    named = [each["text"] for each in lines if each["name"] == "defect"]
    fixed, known = (int(word) for word in count.split() if word.isdecimal())
    assert known - fixed == len(named)
    assert any(text.startswith("controller-limit") for text in named), "of which no kernel is free"


@deep
def test_2_4_apparmor_confines_the_container_and_still_lets_it_read_its_hub(lab: Lab) -> None:
    one = lab.container("one")
    confined = lab.server.run("cat /proc/$(lxc-info -n one -pH)/attr/current").out
    assert confined == "lxc-container-qvd (enforce)"
    hub = one.run("echo /sys/devices/platform/vhci_hcd.*").out
    assert one.run(f"cat {hub}/usb*/speed").out.split()[0] == "480", "read"
    refused = one.run(
        f"for file in {hub}/usb*/authorized_default; do echo 1 >$file && exit; done; exit 13", check=False
    )
    assert refused.rc == 13, "not written"


@core
def test_2_5_nothing_on_the_host_mounts_or_examines_a_block_device_and_the_user_cannot_mount_it(
    lab: Lab, terminal: Terminal
) -> None:
    server, client, one = lab.server, lab.client, lab.container("one")
    image = "/var/lib/lab/stick.img"
    client.run(
        f"mkdir -p /var/lib/lab; mkfs.vfat -n CRAFTED -C {image} 32768; echo old | mcopy -i {image} - ::GONE.TXT"
    )
    busid = client.gadget("stick", "mass", "0781", "5581", "S1")
    client.until(f"test -e /sys/bus/usb/devices/{busid}/{busid}:1.0/driver && test -b /dev/sda")
    terminal.command(f"share {busid}")
    terminal.connect(one)
    terminal.until_state("0781:5581@S1", "in-use", 60)
    # usb-storage looks for the medium only a while after it has the device
    disk = server.until("ls -d /sys/devices/platform/vhci_hcd.*/usb*/*/*/host*/target*/*/block/sd? 2>/dev/null").out
    server.run("udevadm settle")
    facts = dict(line.partition("=")[::2] for line in server.run(f"udevadm info -q property -p {disk}").out.split("\n"))
    assert (facts["UDISKS_IGNORE"], facts["UDISKS_AUTO"], facts["SYSTEMD_READY"]) == ("1", "0", "0")
    assert not {name for name in facts if name.startswith("ID_FS_")}, "its content was not looked at"
    name = facts["DEVNAME"]
    assert not server.run(f"grep -w {name} /proc/mounts; ls /dev/disk/by-label 2>/dev/null", check=False).out
    assert not server.run(f"systemctl list-units --plain --no-legend | grep {name.rpartition('/')[2]}", check=False).out

    server.until(f"lxc-attach -n one -- runuser -u user -- test -r {name}")
    assert one.run(f"head -c 512 {name} | wc -c", user="user").out == "512", "it is the user's to read"
    assert "superuser" in one.run(f"mount {name} /mnt", user="user", check=False).out, "but not to mount"
    one.run(f"mdel -i {name} ::GONE.TXT; echo new | mcopy -i {name} - ::NEW.TXT; sync {name}", user="user")
    assert one.run(f"mount {name} /mnt; ls /mnt; umount /mnt").out.lower() == "new.txt", (
        "so there was something to mount"
    )
    assert terminal.close() == 0
    assert client.run(f"mdir -b -i {image}").out == "::/NEW.TXT", "§1.2: changed and deleted from there"


# --- 3. the image ---------------------------------------------------------------------------------------------------


@deep
def test_3_2_dev_is_a_tmpfs_and_the_example_configuration_decides_who_may_open_a_device(
    lab: Lab, terminal: Terminal
) -> None:
    """The agent's socket is for one group: where it is to be another, the host is told (`lxc-config --broker-gid`)."""
    one, node = lab.container("one"), "/dev/ttyACM0"
    assert one.run("findmnt -no FSTYPE /dev").out == "tmpfs"
    one.run("groupadd -r usbers; usermod -aG usbers other")
    adapter(lab)
    for_others = EXAMPLE.replace("acl.group=qvduser", "acl.group=usbers").replace("permissions=rw", "permissions=r")
    opened = {
        EXAMPLE: {"user": "rw", "other": ""},
        for_others: {"user": "", "other": "r"},
        EXAMPLE.replace("enable=1", "enable=0"): {"user": "", "other": ""},
    }
    for text, expected in opened.items():
        group = one.run(f"getent group {'usbers' if text == for_others else 'qvduser'} | cut -d: -f3").out
        lab.server.run(f"chgrp {group} {BROKER}")
        one.run(f"cat >{VMA_CONF}; systemctl stop qvd-usb-slaveserver.service", stdin=text)
        terminal.command(f"share {IDENTITY}")
        terminal.connect(one)
        lab.server.until(f"lxc-attach -n one -- test -c {node}", 60)
        tries = {"r": f"dd if={node} iflag=nonblock count=0", "w": f"dd if=/dev/null of={node} oflag=nonblock count=0"}
        for user, letters in expected.items():
            got = "".join(letter for letter, line in tries.items() if one.run(line, user=user, check=False).rc == 0)
            assert got == letters, f"{user} with:\n{text}"
        terminal.command(f"unshare {IDENTITY}")
        terminal.close()
        lab.server.until(f"! lxc-attach -n one -- test -e {node}", 60)
