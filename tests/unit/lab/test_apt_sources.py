"""The machine's own apt sources, with another suite's name."""

from pathlib import Path

import pytest

from tests.lab import apt_sources
from tests.lab.errors import LabError

DEB822 = """Types: deb deb-src
# kept by hand
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://archive.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://vendor.example/bookworm
Suites: nodistro
Components: main

Types: deb-src
URIs: http://archive.example/debian
Suites: bookworm
Components: main

Types: deb
Enabled: no
URIs: http://old.example/debian
Suites: bookworm
Components: main
"""

ONE_LINE = """# deb http://off.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/k.gpg arch=amd64] http://archive.example/debian bookworm main non-free-firmware
deb http://archive.example/security bookworm-security main  # fixes
deb-src http://archive.example/debian bookworm main
deb http://vendor.example/apt stable main stable-extra
deb http://flat.example/ ./
"""


def test_only_debians_own_enabled_binary_stanzas_stay() -> None:
    text = apt_sources.from_deb822(DEB822, "bookworm", "trixie")
    assert text.count("Types: deb\n") == 2
    assert "Suites: trixie trixie-updates\n" in text
    assert "Suites: trixie-security\n" in text
    assert "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg" in text
    assert "vendor" not in text
    assert "old.example" not in text


def test_a_key_inside_the_stanza_stays_whole() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n -----END PGP PUBLIC KEY BLOCK-----"
    text = apt_sources.from_deb822(
        f"Types: deb\nURIs: http://a.example\nSuites: trixie\nComponents: main\n{key}\n", "trixie", "trixie"
    )
    assert " .\n mDME\n" in text


def test_the_address_is_left_alone_even_if_it_names_the_suite() -> None:
    line = "deb http://mirror.example/bookworm/debian bookworm main\n"
    assert apt_sources.from_one_line(line, "bookworm", "trixie") == line.replace(" bookworm main", " trixie main")


def test_one_line_sources() -> None:
    assert apt_sources.from_one_line(ONE_LINE, "bookworm", "trixie") == (
        "deb [signed-by=/usr/share/keyrings/k.gpg arch=amd64] "
        "http://archive.example/debian trixie main non-free-firmware\n"
        "deb http://archive.example/security trixie-security main\n"
    )


def test_a_machine_without_debian_sources_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "apt/sources.list.d/vendor.list").write_text("deb http://vendor.example/apt nodistro main\n")
    with pytest.raises(LabError, match="no apt source of Debian itself") as failed:
        apt_sources.machine_sources(tmp_path, "bookworm", "trixie")
    assert "sources.list.d" in failed.value.remedy


def test_both_places_are_read(tmp_path: Path) -> None:
    (tmp_path / "apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "apt/sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "apt/sources.list").write_text("deb http://archive.example/debian bookworm main\n")
    assert set(apt_sources.machine_sources(tmp_path, "bookworm", "trixie")) == {"debian.sources", "sources.list"}


def test_code_name() -> None:
    assert apt_sources.code_name('PRETTY_NAME="x"\nVERSION_CODENAME=trixie\nID=debian\n') == "trixie"
    with pytest.raises(LabError, match="which Debian release"):
        apt_sources.code_name("ID=other\n")
