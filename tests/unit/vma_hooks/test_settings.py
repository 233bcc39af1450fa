"""/etc/qvd/vma.conf as the image's programs read it."""

from pathlib import Path

import pytest

from qvd_usbip.errors import QvdUsbError
from vma_hooks.settings import group_number, load_settings


def load(tmp_path: Path, text: str) -> tuple[str, int] | None:
    (tmp_path / "vma.conf").write_text(text)
    access = load_settings(str(tmp_path / "vma.conf")).access
    return None if access is None else (access.group, access.bits)


def test_without_a_file_the_guides_values_hold(tmp_path: Path) -> None:
    settings = load_settings(str(tmp_path / "none"))
    assert settings.access is not None
    assert (settings.access.group, settings.access.bits) == ("qvduser", 6)
    assert settings.key_file == "/etc/qvd/slave.key"


@pytest.mark.parametrize("word", ["1", "yes", "TRUE", "on"])
def test_switched_on(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, f"createdevice.acl.enable={word}\n") == ("qvduser", 6)


@pytest.mark.parametrize("word", ["0", "no", "False", "off", ""])
def test_switched_off(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, f"createdevice.acl.enable={word}\ncreatedevice.acl.group=usb\n") is None
    assert load_settings(str(tmp_path / "vma.conf")).group == "usb", "it still speaks with the agent"


def test_another_key_can_be_referred_to(tmp_path: Path) -> None:
    assert load(tmp_path, "site.group=usb\ncreatedevice.acl.group=${site.group}\n") == ("usb", 6)


@pytest.mark.parametrize("path", ["slave.key", "", "../key"])
def test_the_key_file_needs_a_full_path(tmp_path: Path, path: str) -> None:
    with pytest.raises(QvdUsbError) as refused:
        load(tmp_path, f"internal.vma.slave.config={path}\n")
    assert refused.value.problem.code == "settings-malformed"
    assert "internal.vma.slave.config" in str(refused.value)


def test_a_group_nobody_made() -> None:
    with pytest.raises(QvdUsbError) as refused:
        group_number("no-such-group-here")
    assert refused.value.problem.code == "group-unknown"
