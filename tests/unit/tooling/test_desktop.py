"""What a desktop reads of the picker: its menu entry, its page in a software shop, its icon."""

from __future__ import annotations

import configparser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.tooling.test_install import CLIENT

REPOSITORY = Path(__file__).resolve().parents[3]
FOLDER = REPOSITORY / "resources/desktop"
ENTRY = FOLDER / "qvd-usb-picker.desktop"
TARGETS = {f"/{path}" for path in CLIENT}


@pytest.fixture
def entry() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ENTRY, encoding="utf-8")
    return parser["Desktop Entry"]


@pytest.fixture
def shop() -> ET.Element:
    (page,) = FOLDER.glob("*.metainfo.xml")
    return ET.parse(page).getroot()


def test_each_file_is_installed_where_desktops_look() -> None:
    places = {Path(target).name: Path(target).parent.as_posix() for target in TARGETS}
    assert {path.name: places[path.name] for path in FOLDER.iterdir()} == {
        "qvd-usb-picker.desktop": "/usr/share/applications",
        "qvd-usb-picker.svg": "/usr/share/icons/hicolor/scalable/apps",
        "org.qvd_usbip.Picker.metainfo.xml": "/usr/share/metainfo",
    }


def test_the_menu_entry_starts_the_picker_with_its_icon(entry: configparser.SectionProxy) -> None:
    assert f"/usr/bin/{entry['Exec']}" in TARGETS
    assert (FOLDER / f"{entry['Icon']}.svg").exists()


def test_the_window_says_which_menu_entry_it_belongs_to(entry: configparser.SectionProxy) -> None:
    said = (REPOSITORY / "client_gui/ui/app.py").read_text(encoding="utf-8")
    assert f'setDesktopFileName("{ENTRY.stem}")' in said
    assert entry["StartupWMClass"] == ENTRY.stem


def test_what_is_read_by_people_is_there_in_spanish_too(entry: configparser.SectionProxy, shop: ET.Element) -> None:
    for key in ("Name", "GenericName", "Comment", "Keywords"):
        assert entry[f"{key}[es]"] != entry[key]
    language = "{http://www.w3.org/XML/1998/namespace}lang"
    for tag in ("name", "summary"):
        assert [each.get(language) for each in shop.findall(tag)] == [None, "es"]


def test_the_shops_page_is_about_this_program(shop: ET.Element) -> None:
    (page,) = FOLDER.glob("*.metainfo.xml")
    assert page.name == f"{shop.findtext('id')}.metainfo.xml"
    assert shop.findtext("launchable") == ENTRY.name
    assert f"/usr/bin/{shop.findtext('provides/binary')}" in TARGETS
    assert shop.findtext("project_license") == "MIT"
