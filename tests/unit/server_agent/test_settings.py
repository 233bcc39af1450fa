"""/etc/qvd/node.conf: the keys of the guide, and the guide's own way to set them."""

from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from server_agent import settings


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    found = settings.load(tmp_path / "node.conf")
    assert found == settings.Settings(use_vhci_hubs=False, devicefs=Path("/var/lib/qvd/storage/devicefs"))


def test_keys_refer_to_each_other(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text("path.storage.root=/srv/qvd\nvm.lxc.use_vhci_hubs=1\n")
    assert settings.load(path) == settings.Settings(use_vhci_hubs=True, devicefs=Path("/srv/qvd/devicefs"))


@pytest.mark.parametrize(
    "line",
    [
        "vm.lxc.use_vhci_hubs=yes",
        "path.storage.devicefs=relative",
        "path.storage.devicefs=/a b",
        "path.storage.root=/x/..",
        "path.storage.root=${path.storage.devicefs}",
    ],
)
def test_a_value_that_makes_no_sense_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "node.conf"
    path.write_text(line)
    with pytest.raises(QvdUsbError) as caught:
        settings.load(path)
    assert caught.value.problem.code == "settings-malformed"
    assert "path.storage" in str(caught.value) or "use_vhci_hubs" in str(caught.value)


@pytest.mark.parametrize(("content", "code"), [(b"\xff", "config-not-text"), (b"#" * (2 << 20), "config-too-large")])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "node.conf"
    path.write_bytes(content)
    with pytest.raises(QvdUsbError) as caught:
        settings.load(path)
    assert caught.value.problem.code == code


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QvdUsbError) as caught:
        settings.load(tmp_path)
    assert caught.value.problem.code == "config-is-folder"


def test_the_guides_words_set_a_key() -> None:
    words = "key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1"
    assert settings.parse_assignment(words) == ("vm.lxc.use_vhci_hubs", "1")


@pytest.mark.parametrize("words", ["", "key=a", "value=1", "a=b", "key=,value=1", "key=a,value=1,more=2"])
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(QvdUsbError):
        settings.parse_assignment(words)


def test_setting_a_key_keeps_every_other_byte(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text("# ours\nother = x\nvm.lxc.use_vhci_hubs=0\n")
    path.chmod(0o640)
    settings.save(settings.USE_VHCI_HUBS, "1", path)
    assert path.read_text() == "# ours\nother = x\nvm.lxc.use_vhci_hubs=1\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_value_that_makes_no_sense_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    with pytest.raises(QvdUsbError):
        settings.save(settings.USE_VHCI_HUBS, "2", path)
    assert not path.exists()
