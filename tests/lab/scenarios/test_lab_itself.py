"""The lab keeps its own promises: devices, network, checkpoints, and a health check that sees what it must."""

import time

import pytest

from tests.lab import CommandFailed, Lab, TimedOut, Unhealthy

pytestmark = pytest.mark.core

_COMES_BACK = "systemd-run -q --unit=qvd-test -p Restart=always -p RestartSec=0.1 -p StartLimitBurst=99 sleep 1"


def test_gadgets_have_the_identity_they_were_given(bare_lab: Lab) -> None:
    client = bare_lab.client
    places = {
        "cam": client.gadget("cam", "acm", "0bda", "58c2", "1234", product="Camera \u2603"),
        "stick": client.gadget("stick", "mass", "0951", "1666", "S1"),
        "keys": client.gadget("keys", "hid", "046d", "c31c"),
    }
    identity = client.run(f"cd /sys/bus/usb/devices/{places['cam']}; cat idVendor idProduct serial product").out.split(
        "\n"
    )
    assert identity == ["0bda", "58c2", "1234", "Camera \u2603"]
    client.until("test -c /dev/ttyACM0 && test -b /dev/sda && ls /dev/hidraw0")
    assert not client.run(f"test -e /sys/bus/usb/devices/{places['keys']}/serial", check=False)

    client.gadget_remove("cam")
    client.until(f"! test -e /sys/bus/usb/devices/{places['cam']}")
    assert client.gadget("again", "acm", "0bda", "58c2", "1234") == places["cam"], "its controller is free again"


def test_qemu_plugs_and_unplugs_a_stick(bare_lab: Lab) -> None:
    client = bare_lab.client
    client.usb_add("usb-storage", "stick", serial="QEMU-7")
    client.until("grep -lx QEMU-7 /sys/bus/usb/devices/*/serial && test -b /dev/sda")
    client.run("echo content >/dev/sda; sync; head -c 7 /dev/sda | grep -qx content")
    client.usb_del("stick")
    client.until("! test -e /dev/sda")


def test_the_client_reaches_a_container_and_nothing_else_and_its_services_are_looked_at(bare_lab: Lab) -> None:
    one = bare_lab.container("one")
    one.make_plain(hub=3)
    one.start()
    one.wait()
    one.server.spawn("lxc-attach -n one -- python3 -m http.server --directory /usr/share/zoneinfo 8000", "pages")
    bare_lab.client.until("exec 3<>/dev/tcp/10.9.1.11/8000", timeout=60)
    assert one.run("id -un; id -Gn", user="user").out.split() == ["user", "user", "qvduser"]
    assert one.run("id -Gn", user="other").out == "other"
    assert one.run("ls -d /sys/devices/platform/vhci_hcd.*").out == "/sys/devices/platform/vhci_hcd.3"
    assert "default" not in bare_lab.client.run("ip route").out

    one.run(_COMES_BACK)
    one.server.until("[ $(lxc-attach -n one -- systemctl show -P NRestarts qvd-test) -ge 1 ]")
    with pytest.raises(Unhealthy, match=r"container \S*one\S*: qvd-test\.service: restarted"):
        bare_lab.health()
    one.stop(kill=True)


def test_restore_puts_both_guests_back(bare_lab: Lab) -> None:
    bare_lab.client.run("echo before >/root/mark")
    bare_lab.client.spawn("echo $$ >/root/pid; exec sleep infinity", "sleeper")
    bare_lab.client.until("test -s /root/pid")
    bare_lab.client.usb_add("usb-storage", "stick", serial="KEPT")
    bare_lab.client.until("test -b /dev/sda && echo content >/dev/sda && sync")
    bare_lab.checkpoint("here")
    bare_lab.client.run("echo after >/root/mark; kill $(cat /root/pid)")
    bare_lab.client.usb_del("stick")
    bare_lab.client.usb_add("usb-kbd", "keys")
    bare_lab.server.run("touch /root/late; systemctl stop dbus.socket dbus")
    late = float(bare_lab.client.run("sleep 8; cut -d' ' -f1 /proc/uptime").out)
    bare_lab.restore("here")
    assert float(bare_lab.client.run("cut -d' ' -f1 /proc/uptime").out) < late, "its clock went back as well"
    assert bare_lab.client.run("cat /root/mark; kill -0 $(cat /root/pid) && echo alive").out.split() == [
        "before",
        "alive",
    ]
    assert bare_lab.server.run("ls /root/late 2>/dev/null; systemctl is-active dbus", check=False).out == "active"
    assert abs(float(bare_lab.client.run("date +%s.%N").out) - time.time()) < 10, "and it knows today's time"
    assert bare_lab.client.plugged() == ["stick"]
    bare_lab.client.run("echo 3 >/proc/sys/vm/drop_caches; head -c 7 /dev/sda | grep -qx content")
    bare_lab.client.run("ping -c1 -W5 server || exec 3<>/dev/tcp/10.9.0.1/1", check=False)
    bare_lab.client.until("ip neigh get 10.9.0.1 dev eth0 | grep -q lladdr")


def test_commands_report_their_status_output_and_delay(bare_lab: Lab) -> None:
    with pytest.raises(CommandFailed, match="no such thing") as failed:
        bare_lab.server.run("echo no such thing >&2; exit 7")
    assert failed.value.status == 7
    assert bare_lab.server.run("sleep 30", timeout=1, check=False).rc == 124
    with pytest.raises(TimedOut):
        bare_lab.server.until("false", timeout=1)
    assert len(bare_lab.server.run("head -c 3000000 /dev/zero | tr '\\0' x").out) == 3_000_000
    assert bare_lab.server.run("wc -c", stdin=b"\xff" * 2_000_000).out == "2000000"


@pytest.mark.parametrize("where", ["server", "client"])
def test_a_complaint_of_the_kernel_is_seen(bare_lab: Lab, where: str) -> None:
    bare_lab.health()
    bare_lab.pair.guests[where].run("echo '<3>BUG: unable to handle page fault (said by a test)' >/dev/kmsg")
    with pytest.raises(Unhealthy, match=f"{where}: kernel: .*said by a test"):
        bare_lab.health()
    bare_lab.pair.guests[where].run("dmesg --clear")


def test_a_core_dump_is_seen(bare_lab: Lab) -> None:
    bare_lab.client.run("sh -c 'kill -SEGV $$'", check=False)
    with pytest.raises(Unhealthy, match=r"client: core dump sh\.signal11"):
        bare_lab.health()
    bare_lab.client.run("rm /var/lib/lab/cores/*")


def test_a_service_that_came_back_by_itself_is_seen(bare_lab: Lab) -> None:
    bare_lab.server.run(_COMES_BACK)
    bare_lab.server.until("[ $(systemctl show -P NRestarts qvd-test) -ge 1 ]")
    with pytest.raises(Unhealthy, match=r"server: qvd-test\.service: restarted"):
        bare_lab.health()
    bare_lab.expected_failures.add("qvd-test.service")
    bare_lab.health()
