"""The settings files that are installed say what the programs do without them."""

from pathlib import Path

import pytest

from client_gui.helper.authorise import Policy, parse_policy
from qvd_usbip.properties import expand, parse
from server_agent.settings import KEYS, OURS


def settings(repository: Path, name: str) -> dict[str, str]:
    return dict(expand(parse((repository / "resources/conf" / name).read_text(encoding="utf-8"))))


def words(policy: Policy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in Policy.__slots__}


def test_policy_file_documents_the_default(repository: Path) -> None:
    text = (repository / "resources/conf/usbip-policy.conf").read_text(encoding="utf-8")
    assert words(parse_policy(text)) == words(parse_policy(""))


def test_image_settings_are_the_example_of_the_guide(repository: Path) -> None:
    assert settings(repository, "vma.conf") == {
        "vma.user.default.groups": "qvduser",
        "createdevice.acl.enable": "1",
        "createdevice.acl.group": "qvduser",
        "createdevice.acl.permissions": "rw",
    }


def test_node_settings_hand_out_no_hub_until_told_to(repository: Path) -> None:
    assert settings(repository, "node.conf") == {
        "vm.lxc.use_vhci_hubs": "0",
        "path.storage.root": "/var/lib/qvd/storage",
        "path.storage.devicefs": "/var/lib/qvd/storage/devicefs",
        "vm.lxc.usb.isochronous": "auto",
        "vm.lxc.usb.disk_request_kb": "1024",
        "vm.usb.endpoint.listen": "",
        "vm.lxc.usb.hubs": "all",
        "vm.lxc.usb.shared_hubs": "1",
        "vm.lxc.usb.ports": "4",
        "vm.lxc.usb.status_group": "",
        "vm.lxc.usb.metrics": "/run/qvd-usbip/metrics.prom",
    }


def test_node_settings_document_every_key_of_ours_with_its_default(repository: Path) -> None:
    written = settings(repository, "node.conf")
    ours = {name: key.default for name, key in KEYS.items() if name.startswith(OURS)}
    assert {name: written.get(name) for name in ours} == ours


@pytest.mark.parametrize(("group", "side"), [("qvduser", "vma"), ("qvdusb", "client")])
def test_group_of_the_settings_is_the_group_that_is_made(repository: Path, group: str, side: str) -> None:
    text = (repository / f"resources/sysusers.d/qvd-usbip-{side}.conf").read_text(encoding="utf-8")
    assert f"g {group} -" in text.splitlines()
