"""The ways by which root of a privileged container gets round the isolation of devices: each is tried, none is open.

`inside/ways_out.py` has the ways. A container without our lines is the control that they are ways at all.
"""

import io
import json
import shlex
import tarfile
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.containers import Container, base_config, plain_config
from tests.lab.scenarios.test_agent import Host

INSIDE = Path(__file__).with_name("inside")
PARTS = ("attempts.py", "system_calls.py", "ways_of_mounts.py", "ways_out.py")
LIBRARY = "/usr/local/lib/lab"
PROGRAM = f"env PYTHONPATH={LIBRARY} python3 -m tests.lab.scenarios.inside.ways_out"
REFUSED = {"EACCES", "EPERM", "ENOSYS", "EROFS"}
OUTSIDER = "sleep 4242"
SERVICE = "systemd-run -q --wait --pipe"  # as a process of the container, not one of lxc-attach
NO_GUARD = """lxc.apparmor.profile = unconfined
lxc.seccomp.profile =
lxc.cap.drop =
"""
# Of a container that nothing confines: what LXC itself refuses is off as well.
UNCONFINED = f"{NO_GUARD}lxc.cgroup2.devices.allow = a\n"
FREE_HUB = 5
EARLY = f"""[Unit]
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec {PROGRAM} >/root/early.json'
"""


def place_of(part: str) -> str:
    """Where a part of the program is in a container."""
    return f"{LIBRARY}/tests/lab/scenarios/inside/{part}"


def packed() -> bytes:
    """The program, as tar unpacks it at the root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for part in PARTS:
            archive.add(INSIDE / part, arcname=place_of(part))
    return buffer.getvalue()


class Prison:
    """A container, and what its root finds out in it."""

    def __init__(self, container: Container) -> None:
        self.container = container
        container.run("tar -xC /", stdin=packed())

    def outcomes(self, groups: str = "", *, within: str = "") -> dict[str, dict[str, str]]:
        """What became of each way, by group; `within` is the command that runs the program."""
        done = self.container.run(f"{within} {PROGRAM} {groups}", timeout=240)
        found: dict[str, dict[str, str]] = json.loads(done.out.splitlines()[-1])
        return found

    def let_in(self) -> None:
        """A process of the host's in the container's process namespace, as each of lxc-attach is on its way in."""
        server, name = self.container.server, self.container.name
        server.spawn(f"exec nsenter -t $(lxc-info -n {name} -pH) -p {OUTSIDER}", f"outsider-{name}")
        server.until(f"lxc-attach -n {name} -- pgrep -fx {shlex.quote(OUTSIDER)}")


def give_hub_0(container: Container) -> None:
    """Its configuration has hub 0, without which it is, in the place of its own."""
    folder = f"/run/lab/{container.name}/platform"
    container.server.run(
        f"mkdir -p {folder}/vhci_hcd.0 && sed -i 's,^lxc.mount.entry = .* sys/devices/platform none.*,"
        f"lxc.mount.entry = {folder} sys/devices/platform none bind 0 0\\n"
        "lxc.mount.entry = /sys/devices/platform/vhci_hcd.0 sys/devices/platform/vhci_hcd.0 none bind 0 0,' "
        f"/var/lib/lxc/{container.name}/config"
    )


def assert_none_is_open(found: dict[str, dict[str, str]]) -> None:
    """What has to work works, everything else is refused; a way that could not be tried counts as open."""
    for group, outcomes in found.items():
        good = {"open"} if group == "works" else REFUSED
        assert {way: outcome for way, outcome in outcomes.items() if outcome not in good} == {}, group


@pytest.mark.core
def test_hubs_drivers_and_foreign_numbers_are_shut_to_a_process_of_the_container(lab: Lab) -> None:
    label = lab.server.run("cat /proc/$(lxc-info -n one -pH)/attr/current").out
    assert label == "lxc-container-qvd (enforce)"
    assert_none_is_open(Prison(lab.container("one")).outcomes("works devices files", within=SERVICE))


@pytest.mark.deep
@pytest.mark.every_kernel
def test_none_of_the_ways_is_open_to_a_process_of_the_container_and_to_lxc_attach(lab: Lab) -> None:
    prison = Prison(lab.container("one"))
    for within in ("", SERVICE):
        found = prison.outcomes(within=within)
        assert sum(map(len, found.values())) > 250
        assert_none_is_open(found)
    # What nobody thought of: every number that the host has, every file of sysfs and procfs that can be written.
    found = prison.outcomes("numbers sysfs procfs", within=SERVICE)
    assert sum(map(len, found.values())) > 500
    assert_none_is_open(found)
    prison.let_in()
    assert_none_is_open(prison.outcomes("outsider"))


@pytest.mark.deep
def test_none_of_the_ways_is_open_while_the_container_starts(lab: Lab) -> None:
    """Root of the container put something in its own system that runs before anything else of it.

    Of a stock kernel only hub 0 has `attach` and `detach` to try, so the container is given that one.
    """
    one = lab.container("one")
    one.stop(kill=True)
    give_hub_0(one)
    for part in PARTS:
        one.put_file(place_of(part), (INSIDE / part).read_text())
    one.put_file("/etc/systemd/system/early.service", EARLY)
    one.put_file("/etc/systemd/system/sysinit.target.d/early.conf", "[Unit]\nWants=early.service\n")
    one.start()
    one.wait()
    ended = one.run("systemctl show -P ExecMainExitTimestampMonotonic early.service").out
    rest = one.run("systemctl show -P ActiveEnterTimestampMonotonic sysinit.target").out
    assert 0 < int(ended) < int(rest), "it was the first"
    found = json.loads(one.run("cat /root/early.json").out)
    assert sum(map(len, found.values())) > 250
    assert_none_is_open(found)
    assert_none_is_open(Prison(one).outcomes("attach", within=SERVICE))


@pytest.mark.deep
def test_its_system_and_its_udevd_run_and_a_lent_device_is_used_while_every_way_is_refused(lab: Lab) -> None:
    host = Host(lab)
    one = host.one
    assert one.run("systemctl --failed --plain --no-legend").out == ""
    assert one.run("systemctl is-active systemd-udevd").out == "active"
    one.run("systemd-run -q --wait -p PrivateTmp=yes -p ProtectSystem=strict true")
    host.hand_over()
    host.until_granted()
    host.server.until("lxc-attach -n one -- test -c /dev/ttyACM0")
    one.run("exec 3<>/dev/ttyACM0", user="user")
    assert one.run("udevadm info -q property -n ttyACM0 | grep -x ID_VENDOR_ID=0bda").out
    node = one.run("find /dev/bus/usb -type c").out
    assert one.run(f"head -c 18 {node} | wc -c", user="user").out == "18", "its descriptor, through usbfs"
    assert one.run("exec 3<>/dev/ttyACM0", user="other", check=False).rc

    assert_none_is_open(Prison(one).outcomes(within=SERVICE))
    held = "exec 9</sys/devices/platform/vhci_hcd.*/; umount -l /sys/devices/platform/vhci_hcd.*"
    written = "for file in /proc/self/fd/9/usb*/authorized_default; do echo 1 >$file && echo written; done"
    assert "written" not in one.run(f"{held}; {written}", check=False).out
    one.run("exec 3<>/dev/ttyACM0", user="user")
    assert host.devices(), "and the device is still lent"


@pytest.mark.deep
@pytest.mark.every_kernel
def test_without_the_lines_the_ways_are_open(lab: Lab) -> None:
    """What this file shows it shows by this: the program finds the ways where they are."""
    two = lab.container("two")
    two.stop(kill=True)
    two.make_plain(FREE_HUB)
    two.write_config(f"{plain_config('two', FREE_HUB)}{UNCONFINED}")
    two.start()
    two.wait()
    prison = Prison(two)
    prison.let_in()
    found = prison.outcomes("works files calls devices outsider 'file systems'")
    refusing = REFUSED - {"EROFS"}  # /proc/sys is mounted read-only, as LXC does it
    refused = {way for outcomes in found.values() for way, outcome in outcomes.items() if outcome in refusing}
    # What this kernel has not, and a new hierarchy of cgroups, which it makes for no container, need none of our lines.
    absent = {"mount cgroup v1", "mount cgroup v1 of devices", "call open_tree_attr"}
    assert {way.removesuffix(", 32 bits") for way in refused if not way.endswith(", x32")} <= absent, found
    places = prison.outcomes("places")["places"]
    assert list(places.values()).count("open") > 10, places
    assert places["bind what a link that turns about leads to"] == "open"


@pytest.mark.deep
def test_an_image_that_attaches_by_itself_reaches_attach_and_nothing_else(lab: Lab) -> None:
    """Tried with hub 0; and what tries its files in the strict form finds them here, by every path."""
    two = lab.container("two")
    two.stop(kill=True)
    lines = lab.server.run("qvd-usb-agent lxc-config --own-attach two").out
    assert "attach and detach without the agent" in lines
    two.write_config(f"{base_config('two')}{lines}\n")
    assert "every line it needs is in force" in lab.server.run("qvd-usb-agent check two").out
    give_hub_0(two)
    two.start()
    two.wait()
    attach = "/sys/devices/platform/vhci_hcd.0/attach"
    assert "Invalid argument" in two.run(f"echo nonsense >{attach}", check=False).out
    prison = Prison(two)
    assert_none_is_open(prison.outcomes())
    found = prison.outcomes("attach")["attach"]
    assert {outcome for way, outcome in found.items() if way.endswith(("/attach", "/detach"))} == {"open"}, found
    assert {outcome for way, outcome in found.items() if way.endswith("/usbip_debug")} <= REFUSED, found


@pytest.mark.deep
def test_2_4_by_default_apparmor_blocks_the_hub_for_writing(lab: Lab) -> None:
    """What LXC brings for any container, without a line of ours; nothing but the profile stands in the way."""
    two, hub = lab.container("two"), f"/sys/devices/platform/vhci_hcd.{FREE_HUB}"
    two.stop(kill=True)
    two.make_plain(FREE_HUB)
    for profile, outcome in (("lxc-container-default-cgns", "Permission denied"), ("unconfined", "written")):
        lines = (
            f"lxc.apparmor.profile = {profile}\nlxc.apparmor.allow_nesting = 0\nlxc.init.cmd = /bin/sleep infinity\n"
        )
        two.write_config(f"{plain_config('two', FREE_HUB)}{lines}")
        two.start()
        assert lab.server.run("cat /proc/$(lxc-info -n two -pH)/attr/current").out.startswith(profile)
        assert two.run(f"cat {hub}/usb*/speed").out.split()[0] == "480", "read"
        said = two.run(
            f"for file in {hub}/usb*/authorized_default; do echo 0 >$file && echo written; done", check=False
        )
        assert said.out.count(outcome) == 2, said.out
        two.stop(kill=True)
