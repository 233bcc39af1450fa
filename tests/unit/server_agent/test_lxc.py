"""The lines for a container's configuration, and what LXC tells a hook."""

from dataclasses import replace
from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from server_agent import hook_call, lxc
from server_agent.backend import Backend
from server_agent.device_list import BASE

TERMS = lxc.ContainerTerms(name=VmId("desk1"), devicefs=Path("/var/lib/qvd/storage/devicefs"), broker_gid=989)
ROOT = Path(__file__).resolve().parents[3]


def values(key: str) -> list[str]:
    lines = [line.partition(" = ") for line in lxc.config_lines(TERMS)]
    return [value for found, _, value in lines if found == key]


def test_every_line_is_a_comment_or_a_key() -> None:
    for line in lxc.config_lines(TERMS):
        assert line.startswith("# ") or line.split(" ")[0].startswith("lxc."), line


def test_the_hooks_refuse_the_start_and_release_after_the_stop() -> None:
    for key in ("lxc.hook.pre-start", "lxc.hook.post-stop"):
        assert values(key) == ["/usr/sbin/qvd-usb-agent hook --container desk1 --backend map --broker-gid 989"]


def test_the_configuration_names_no_hub() -> None:
    assert not any("vhci_hcd.1" in line or "vhci_hcd.0" in line for line in lxc.config_lines(TERMS))
    assert "/var/lib/qvd/storage/devicefs/desk1 sys/devices/platform none defaults,rbind 0 0" in values(
        "lxc.mount.entry"
    )


def test_the_list_of_lxc_is_open_below_a_parent_cgroup_of_the_host() -> None:
    assert values("lxc.cgroup2.devices.allow") == ["c *:* rwm", "b *:* rwm"]
    assert values("lxc.cgroup.dir.container") == ["qvd/desk1/payload"]
    assert values("lxc.cgroup.dir.container.inner") == ["ns"]


@pytest.mark.parametrize("moment", [hook_call.PRE_START, hook_call.START_HOST])
def test_lines_of_another_container_refuse_the_start(moment: str) -> None:
    copy = hook_call.HookCall(name=VmId("desk2"), moment=moment)
    with pytest.raises(QvdUsbError, match="lines are those of 'desk1'") as caught:
        hook_call.require_own_lines(copy, "desk1")
    assert "lxc-config desk2" in caught.value.remedy()
    hook_call.require_own_lines(copy, "desk2")
    hook_call.require_own_lines(copy, "")  # lines of an older version
    stopped = hook_call.HookCall(name=VmId("desk2"), moment=hook_call.POST_STOP)
    hook_call.require_own_lines(stopped, "desk1")  # LXC calls it after the refusal too


@pytest.mark.parametrize("backend", [Backend.LXC, Backend.V1])
def test_a_list_that_the_agent_adds_to_begins_closed_and_is_confirmed_before_init(backend: Backend) -> None:
    lines = lxc.config_lines(replace(TERMS, backend=backend))
    ours = ["lxc.cgroup2.devices.deny = a", *(f"lxc.cgroup2.devices.allow = {row}" for row in BASE)]
    hosts = ["lxc.cgroup.devices.deny =", "lxc.cgroup.devices.allow ="]
    assert [line for line in lines if ".devices." in line] == (ours if backend == Backend.LXC else hosts)
    for moment in ("pre-start", "start-host", "post-stop"):
        assert (
            f"lxc.hook.{moment} = /usr/sbin/qvd-usb-agent hook --container desk1 --backend {backend} --broker-gid 989"
            in lines
        )
    assert not any("*:*" in line and "rw" in line for line in lines)


def test_run_is_mounted_before_the_brokers_folder() -> None:
    entries = values("lxc.mount.entry")
    run = next(n for n, entry in enumerate(entries) if " run tmpfs " in entry)
    broker = next(n for n, entry in enumerate(entries) if " run/qvd-usbip " in entry)
    assert run < broker
    assert "bind,ro" in entries[broker]


def test_profile_and_seccomp_policy_against_container_root_are_there() -> None:
    assert values("lxc.apparmor.profile") == [lxc.PROFILE]
    assert values("lxc.apparmor.allow_nesting") == ["0"]
    assert values("lxc.seccomp.profile") == [lxc.SECCOMP]
    refused = (ROOT / "resources/lxc/container.seccomp").read_text().split("[all]\n")[1].splitlines()
    assert {line.split()[0] for line in refused} >= {
        "unshare", "clone", "clone3", "pivot_root", "mount_setattr", "open_by_handle_at",
        "bpf", "open_tree", "move_mount", "fsopen", "fsmount", "fspick", "init_module", "finit_module", "kexec_load",
        "setns", "fanotify_init", "keyctl", "add_key", "request_key",
    }  # fmt: skip


def test_an_image_that_attaches_by_itself_has_the_other_profile_and_its_price_beside_it() -> None:
    lines = lxc.config_lines(replace(TERMS, own_attach=True))
    at = lines.index(f"lxc.apparmor.profile = {lxc.OWN_ATTACH_PROFILE}")
    assert lines[at - len(lxc.OWN_ATTACH_COSTS) : at] == [f"# {line}" for line in lxc.OWN_ATTACH_COSTS]
    assert [line for line in lines if line[0] != "#" and "apparmor.profile" not in line] == [
        line for line in lxc.config_lines(TERMS) if line[0] != "#" and "apparmor.profile" not in line
    ]


def test_the_names_are_those_of_the_file_that_is_installed() -> None:
    text = (ROOT / "resources/apparmor.d" / Path(lxc.PROFILE_FILE).name).read_text()
    assert [line.split()[1] for line in text.splitlines() if line.startswith("profile ")] == [
        lxc.PROFILE, lxc.OWN_ATTACH_PROFILE,
    ]  # fmt: skip


def test_a_hook_hears_of_its_container_by_environment_or_arguments() -> None:
    by_environment = hook_call.parse_hook({"LXC_NAME": "desk1", "LXC_HOOK_TYPE": "pre-start"}, [])
    on_its_way = hook_call.parse_hook({"LXC_NAME": "desk1", "LXC_HOOK_TYPE": "start-host"}, [])
    assert on_its_way.moment == "start-host"
    by_arguments = hook_call.parse_hook({}, ["desk1", "lxc", "post-stop"])
    assert (by_environment.name, by_environment.moment) == (VmId("desk1"), "pre-start")
    assert (by_arguments.name, by_arguments.moment) == (VmId("desk1"), "post-stop")


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        ({}, []),
        ({"LXC_NAME": "x"}, []),
        ({}, ["x", "lxc", "mount"]),
        ({"LXC_NAME": "../x", "LXC_HOOK_TYPE": "pre-start"}, []),
    ],
)
def test_a_hook_that_is_not_told_refuses(environment: dict[str, str], arguments: list[str]) -> None:
    with pytest.raises(QvdUsbError):
        hook_call.parse_hook(environment, arguments)
