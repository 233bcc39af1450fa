"""The picker starts with the desktop if the user says so: one entry, made of the menu's, gone when not wanted."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from client_gui.autostart import BACKGROUND, NAME, Autostart
from client_gui.ui.main import main, parser
from qvd_usbip.errors import QvdUsbError
from tests.kit.refusals import UNUSABLE, assert_refused, make_unusable

MENU = Path(__file__).parents[3] / "resources/desktop" / NAME


class Home:
    """A user's home and a machine, in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_CONFIG_DIRS": f"{folder / 'none'}:{folder / 'xdg'}",
            "XDG_DATA_DIRS": f"{folder / 'local'}:{folder / 'share'}",
        }
        self.own = folder / "config/autostart" / NAME
        self.machines = folder / "xdg/autostart" / NAME
        self.menu = folder / "share/applications" / NAME
        for path in (self.machines, self.menu):
            path.parent.mkdir(parents=True)
        self.menu.write_bytes(MENU.read_bytes())

    @property
    def autostart(self) -> Autostart:
        return Autostart.of_user(self.environment)

    def write(self, text: str) -> None:
        self.own.parent.mkdir(parents=True, exist_ok=True)
        self.own.write_text(text)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return made


def test_nothing_starts_that_nobody_has_switched_on(home: Home) -> None:
    assert not home.autostart.is_on()
    assert not home.own.parent.exists()


def test_the_entry_is_the_menu_s_and_begins_in_the_background(home: Home) -> None:
    home.autostart.switch(on=True)
    assert home.autostart.is_on()
    made, menu = (configparser.ConfigParser(interpolation=None) for _ in range(2))
    made.read(home.own, encoding="utf-8")
    menu.read(MENU, encoding="utf-8")
    for key, value in menu["Desktop Entry"].items():
        assert made["Desktop Entry"][key] == (f"{value} {BACKGROUND}" if key == "exec" else value)
    program, *words = made["Desktop Entry"]["exec"].split()
    assert (program, parser().parse_args(words).background) == ("qvd-usb-picker", True)


def test_switched_off_it_leaves_nothing(home: Home) -> None:
    home.autostart.switch(on=True)
    home.autostart.switch(on=False)
    home.autostart.switch(on=False)
    assert list(home.own.parent.iterdir()) == []
    assert not home.autostart.is_on()


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_what_the_desktop_s_own_settings_switched_off_is_off_and_can_be_switched_on_again(
    home: Home, line: str
) -> None:
    home.autostart.switch(on=True)
    home.write(f"{home.own.read_text()}{line}\nX-GNOME-Autostart-Delay=9\n")
    assert not home.autostart.is_on()
    home.autostart.switch(on=True)
    assert home.autostart.is_on()
    assert "X-GNOME-Autostart-Delay=9\n" in home.own.read_text(), "the user's own words stay"


def test_an_entry_that_somebody_has_changed_and_that_is_on_is_not_touched(home: Home) -> None:
    home.write("[Desktop Entry]\nExec=sh -c 'sleep 9; qvd-usb-picker'\n")
    before = home.own.stat()
    home.autostart.switch(on=True)
    assert home.own.stat().st_ino == before.st_ino


def test_an_entry_that_only_hides_is_replaced_by_a_whole_one(home: Home) -> None:
    home.write("[Desktop Entry]\nHidden=true\n")
    home.autostart.switch(on=True)
    assert home.autostart.is_on()
    assert f"Exec=qvd-usb-picker {BACKGROUND}\n" in home.own.read_text()


def test_what_the_administrator_starts_for_everybody_is_hidden_for_who_does_not_want_it(home: Home) -> None:
    home.machines.write_text(MENU.read_text())
    assert home.autostart.is_on()
    home.autostart.switch(on=False)
    assert not home.autostart.is_on()
    assert home.own.read_text() == "[Desktop Entry]\nHidden=true\n"
    home.autostart.switch(on=True)
    assert home.autostart.is_on()


def test_folders_that_are_named_by_no_absolute_path_are_not_believed(home: Home) -> None:
    folder = Path(home.environment["HOME"])
    found = Autostart.of_user({"XDG_CONFIG_HOME": "config", "XDG_CONFIG_DIRS": "", "XDG_DATA_DIRS": "share"})
    assert found.own == folder / ".config/autostart" / NAME
    assert found.machine == (Path("/etc/xdg/autostart") / NAME,)
    assert found.menu[-1] == Path("/usr/share/applications") / NAME


def test_where_the_picker_is_in_no_menu_it_says_what_to_install(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.menu.unlink()
    assert_refused(main(["--autostart", "on"]), capsys.readouterr().err, "autostart-unavailable")
    assert not home.own.exists()


def test_where_nothing_can_be_written_it_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.own.parent.parent.mkdir()
    home.own.parent.write_text("a file in the folder's place")
    assert_refused(main(["--autostart", "on"]), capsys.readouterr().err, "config-unreadable")
    home.own.parent.unlink()
    home.own.parent.symlink_to("/proc/nowhere")
    assert_refused(main(["--autostart", "on"]), capsys.readouterr().err, "config-unwritable")


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_entry_that_cannot_be_read_is_named_and_left(
    home: Home, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_unusable(home.own, kind)
    assert_refused(main(["--autostart"]), capsys.readouterr().err, UNUSABLE[kind])
    assert_refused(main(["--autostart", "on"]), capsys.readouterr().err, UNUSABLE[kind])


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(QvdUsbError) as refused:
        Autostart.of_user({})
    assert refused.value.problem.code == "autostart-unavailable"


def test_the_command_needs_no_screen_and_says_how_it_is_afterwards(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    said = []
    for words in ([], ["on"], [], ["off"], []):
        assert main(["--autostart", *words]) == 0
        said.append(capsys.readouterr().out)
    assert said == ["off\n", "on\n", "on\n", "off\n", "off\n"]


@pytest.mark.parametrize("words", [["--autostart", "yes"], ["--autostart", "on", "--session", "-"]])
def test_wrong_words_change_nothing(home: Home, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused(main(words), capsys.readouterr().err, "usage")
    assert not home.own.exists()
