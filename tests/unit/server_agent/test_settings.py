"""/etc/qvd/node.conf: the keys of the guide, and the guide's own way to set them."""

from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.system import folder_lock
from qvd_usbip.system.folder_lock import locked_folder
from server_agent import settings


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    found = settings.load(tmp_path / "node.conf")
    assert found == settings.Settings(
        use_vhci_hubs=False, devicefs=Path("/var/lib/qvd/storage/devicefs"), status_group="",
        metrics=Path("/run/qvd-usbip/metrics.prom"),
    )  # fmt: skip


def test_keys_refer_to_each_other(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text(
        "path.storage.root=/srv/qvd\nvm.lxc.use_vhci_hubs=1\nvm.lxc.usb.metrics=\nvm.lxc.usb.isochronous=refuse\n"
    )
    found = settings.load(path)
    assert (found.use_vhci_hubs, found.devicefs, found.metrics) == (True, Path("/srv/qvd/devicefs"), None)
    assert found.isochronous == "refuse"


@pytest.mark.parametrize(
    "line",
    [
        "vm.lxc.use_vhci_hubs=yes",
        "path.storage.devicefs=relative",
        "path.storage.devicefs=/a b",
        "path.storage.root=/x/..",
        "path.storage.root=${path.storage.devicefs}",
        "vm.lxc.usb.isochronous=1",
    ],
)
def test_a_value_that_makes_no_sense_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "node.conf"
    path.write_text(line)
    with pytest.raises(QvdUsbError) as caught:
        settings.load(path)
    assert caught.value.problem.code == "settings-malformed"
    assert line.partition("=")[0] in str(caught.value)


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


FAULTY = """# a host
vm.lxc.use_vhci_hubs=2
path.storage.root = \\
   relative
vm.lxc.usb.metric=/x
vm.lxc.other=left alone
odd=\\u00zz
vm.lxc.usb.status_group=a b
"""


def test_all_that_is_wrong_is_said_at_once_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text(FAULTY)
    with pytest.raises(QvdUsbError) as caught:
        settings.load(path)
    said = str(caught.value)
    for line, words in (
        (2, "vm.lxc.use_vhci_hubs=2 is neither 0 nor 1"),
        (3, "path.storage.root=relative is no absolute path"),
        (5, "vm.lxc.usb.metric is not known here; what begins with vm.lxc.usb or vm.usb is: vm.lxc.usb."),
        (7, "the line of odd has"),
        (8, "vm.lxc.usb.status_group=a b is the name of no group"),
    ):
        assert f"{path}:{line}: {words}" in said
    assert "other" not in said
    assert said.count(str(path)) == 5


def test_a_circle_hides_no_other_fault() -> None:
    found = settings.faults("path.storage.root=${path.storage.devicefs}\nvm.lxc.use_vhci_hubs=2\n")
    assert [(fault.line, fault.key) for fault in found] == [(1, "path.storage.root"), (2, "vm.lxc.use_vhci_hubs")]


@pytest.mark.parametrize("words", [["key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1"], ["vm.lxc.use_vhci_hubs", "1"]])
def test_the_guides_words_set_a_key_and_plain_ones_do(words: list[str]) -> None:
    assert settings.parse_assignment(words) == ("vm.lxc.use_vhci_hubs", "1")


@pytest.mark.parametrize(
    "words", ["", "key=a", "value=1", "a=b", "key=,value=1", "key=a,value=1,more=2", "key=a,value=1,tenant_id=3"]
)
def test_other_words_are_refused(words: str) -> None:
    with pytest.raises(QvdUsbError):
        settings.parse_assignment([words])


@pytest.mark.parametrize("words", [["", "1"], ["a", "b", "c"], ["key=a,", "value=1,", "x=1"]])
def test_other_numbers_of_words_are_refused(words: list[str]) -> None:
    with pytest.raises(QvdUsbError):
        settings.parse_assignment(words)


def test_a_fault_elsewhere_does_not_keep_a_key_from_being_set_but_a_new_one_does(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text("vm.lxc.usb.metric=/x\npath.storage.devicefs=\n")
    settings.save(settings.USE_VHCI_HUBS, "1", path)
    settings.save(settings.DEVICEFS, "/srv/devicefs", path)
    assert path.read_text() == "vm.lxc.usb.metric=/x\npath.storage.devicefs=/srv/devicefs\nvm.lxc.use_vhci_hubs=1\n"
    for key, value in (("vm.lxc.usb.metric", "/y"), ("vm.lxc.usbx", "1"), ("path.storage.devicefs", "${nowhere}")):
        with pytest.raises(QvdUsbError, match=key):
            settings.save(key, value, path)


def test_setting_a_key_keeps_every_other_byte(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    path.write_text("# ours\nother = x\nvm.lxc.use_vhci_hubs=0\n")
    path.chmod(0o640)
    settings.save(settings.USE_VHCI_HUBS, "1", path)
    assert path.read_text() == "# ours\nother = x\nvm.lxc.use_vhci_hubs=1\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_file_stays_its_owners_and_of_two_who_set_keys_one_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, saved = tmp_path / "node.conf", []
    path.write_text("vm.lxc.use_vhci_hubs=0\n")

    def save(*words: object) -> None:
        with pytest.raises(QvdUsbError, match="locked"), locked_folder(tmp_path):
            pass
        saved.append(words[2:])

    monkeypatch.setattr(folder_lock, "LOCK_LIMIT", 0.02)
    monkeypatch.setattr(settings, "save_atomic", save)
    path.chmod(0o640)
    settings.save(settings.USE_VHCI_HUBS, "1", path)
    assert saved == [(0o640, (path.stat().st_uid, path.stat().st_gid))]


def test_a_value_that_makes_no_sense_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "node.conf"
    with pytest.raises(QvdUsbError):
        settings.save(settings.USE_VHCI_HUBS, "2", path)
    assert not path.exists()


@pytest.mark.parametrize("value", ["0.0.0.0:9020", "[::]:9020", "127.0.0.1:1024", "[fe80::1]:65535"])
def test_where_the_endpoint_listens_is_an_address_and_a_port(value: str) -> None:
    assert str(settings.parse_listen(value)) == value


@pytest.mark.parametrize("value", ["9020", ":9020", "::1:9020", "host:9020", "[0.0.0.0]:9020", "0.0.0.0:80", "::"])
def test_anything_else_is_named_as_wrong(value: str) -> None:
    (fault,) = settings.faults(f"{settings.LISTEN}={value}\n")
    assert "like 0.0.0.0:9020" in fault.text


def test_no_endpoint_is_wanted_until_it_is_set(tmp_path: Path) -> None:
    assert settings.load(tmp_path / "node.conf").endpoint is None
