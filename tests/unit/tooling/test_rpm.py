"""The .rpm packages hold what the .deb ones hold, do what those do by hand, and depend on what pyproject.toml names.

What rpm and rpmlint make of them is seen by `make rpms`.
"""

import importlib
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from qvd_usbip import VERSION
from tests.unit.tooling.test_packages import HELPER, PACKAGES, packed

SCRIPTLETS = {f"{role}.{moment}" for role in ("client", "server", "vma") for moment in ("post", "preun", "postun")}
#: Where this is not the name on PyPI: one package has all of PySide6; rpm cannot see a python-prctl that pip installed.
OTHERWISE = {
    "python3dist(pyside6-essentials) >= 6.8": "python3-pyside6 >= 6.8",
    "python3dist(python-prctl) >= 1.8": None,
}


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "resources/packaging/rpm"


@pytest.fixture(scope="module")
def module(folder: Path) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of the folder."""
    sys.path.insert(0, str(folder))
    yield importlib.import_module
    sys.path.pop(0)


@pytest.fixture(scope="module")
def spec(folder: Path) -> str:
    return (folder / "qvd-usbip.spec").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def sections(spec: str) -> dict[str, str]:
    """What the spec file says of each package: the lines of its %package section."""
    return dict(re.findall(r"^%package (\w+)\n(.*?)^%description", spec, re.MULTILINE | re.DOTALL))


def of(section: str, tag: str) -> set[str]:
    return set(re.findall(rf"^{tag}:\s+(.*)$", section, re.MULTILINE))


def test_the_packages_are_the_same_ones(sections: dict[str, str], spec: str) -> None:
    assert {f"qvd-usbip-{name}" for name in sections} == PACKAGES
    assert set(re.findall(r"^%files (\w+) -f (\w+).files$", spec, re.MULTILINE)) == {(each, each) for each in sections}


def test_each_list_names_the_files_of_the_debian_package_and_their_kind(
    staged: Path, module: Callable[[str], ModuleType]
) -> None:
    for package, modes in packed(staged).items():
        done = subprocess.run(
            [sys.executable, str(module("filelist").__file__), str(staged / package)],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [line for line in done.stdout.splitlines() if not line.startswith("%dir ")]
        assert {line.split()[-1].removeprefix("/").removesuffix("*") for line in lines} == set(modes)
        marked = {line for line in lines if line.startswith("%")}
        assert {line.split()[-1] for line in marked} == {
            f"/{name}" for name in modes if name.startswith("etc/") or name == HELPER
        }


def test_settings_that_were_changed_are_kept_and_the_helper_is_root_s(module: Callable[[str], ModuleType]) -> None:
    line_of = module("filelist").line_of
    assert line_of("etc/qvd/usbip-policy.conf", stat.S_IFREG | 0o644) == "%config(noreplace) /etc/qvd/usbip-policy.conf"
    assert line_of("etc/apparmor.d/x", stat.S_IFREG | 0o644) == "%config /etc/apparmor.d/x"
    assert line_of("usr/lib/x", stat.S_IFREG | 0o4755) == "%attr(4755,root,root) /usr/lib/x"
    assert line_of("usr/share/man/man1/x.1", stat.S_IFREG | 0o644) == "/usr/share/man/man1/x.1*"
    assert line_of("usr/lib/x", stat.S_IFLNK | 0o777) == "/usr/lib/x"


def test_of_folders_those_are_listed_that_nobody_else_has(module: Callable[[str], ModuleType]) -> None:
    names = (
        "usr",
        "usr/lib",
        "usr/lib/qvd-usbip",
        "usr/lib/qvd-usbip/python",
        "etc/qvd",
        "usr/share/man",
        "etc/apparmor.d",
    )
    assert module("filelist").lines_of((name, stat.S_IFDIR | 0o755) for name in names) == [
        "%dir /etc/apparmor.d",
        "%dir /etc/qvd",
        "%dir /usr/lib/qvd-usbip",
        "%dir /usr/lib/qvd-usbip/python",
    ]


@pytest.mark.parametrize("role", ["client", "server", "vma", "picker"])
def test_each_package_requires_the_libraries_of_pyproject(
    repository: Path, sections: dict[str, str], role: str
) -> None:
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    window = "pyside6-essentials"
    wanted = set()
    for each in extras["client" if role == "picker" else role]:
        name, least = re.match(r"([\w.-]+)>=([0-9.]+)", each).groups()  # type: ignore[union-attr]
        if (name.lower() == window) == (role == "picker"):
            plain = f"python3dist({name.lower()}) >= {least}"
            wanted.add(OTHERWISE.get(plain, plain))
    named = {each for each in of(sections[role], "Requires") if each.startswith("python3")}
    assert named == wanted - {None}


def test_what_fedora_lacks_is_named_all_the_same(sections: dict[str, str]) -> None:
    assert "python3dist(python-prctl) >= 1.8" in of(sections["server"], "Recommends")


def test_every_package_requires_the_interpreter_of_the_launcher_and_our_own_of_the_same_version(
    sections: dict[str, str],
) -> None:
    for name, section in sections.items():
        assert "%{interpreter}" in of(section, "Requires")
        above = {"common": None, "picker": "client"}.get(name, "common")
        own = {each for each in of(section, "Requires") if each.startswith("%{name}")}
        assert own == ({f"%{{name}}-{above} = %{{version}}-%{{release}}"} if above else set())


def test_what_debian_provides_recommends_and_says_is_said_here_too(
    repository: Path, sections: dict[str, str], spec: str
) -> None:
    control = (repository / "resources/packaging/debian/control").read_text(encoding="utf-8")
    for paragraph in control.split("\n\n")[1:]:
        name = paragraph.splitlines()[0].removeprefix("Package: qvd-usbip-")
        (short,) = re.findall(r"^Description: .* - (.*)$", paragraph, re.MULTILINE)
        assert of(sections[name], "Summary") == {f"USB devices of a client in QVD containers - {short}"}
        said = paragraph.rpartition(" .\n ")[2].replace("\n ", "\n").strip()
        assert said in spec
        assert ("noarch" in of(sections[name], "BuildArch")) == ("Architecture: all" in paragraph)
        assert ("qvd-client-slaveclient-usbip = %{version}" in of(sections[name], "Provides")) == (
            "\nProvides:" in paragraph
        )


def test_2_7_the_name_that_the_guide_installs_is_there_and_the_server_s_package_has_the_module_loaded(
    staged: Path, sections: dict[str, str]
) -> None:
    standing_in = {
        name for name, text in sections.items() if "qvd-client-slaveclient-usbip" in " ".join(of(text, "Provides"))
    }
    assert standing_in == {"client"}
    server = packed(staged)["qvd-usbip-server"]
    loads = [name for name in server if name == "usr/lib/modules-load.d/qvd-usbip.conf"]
    assert ["vhci-hcd" in (staged / "qvd-usbip-server" / name).read_text().split() for name in loads] == [True]


def test_the_version_is_the_product_s(spec: str) -> None:
    assert of(spec, "Version") == {VERSION}
    assert f"- {VERSION}-1\n" in spec.rpartition("%changelog")[2]


def test_every_scriptlet_is_in_the_spec_and_is_plain_sh_with_debian_s_words(
    folder: Path, debian: Path, spec: str, module: Callable[[str], ModuleType]
) -> None:
    assert {file.name for file in folder.iterdir() if file.suffix in {".post", ".preun", ".postun"}} == SCRIPTLETS
    filled = module("scriptlet").filled
    scripts = {file.name: file.read_text(encoding="utf-8") for file in debian.glob("*.p*")}
    used = set()
    for name in SCRIPTLETS:
        role, moment = name.split(".")
        assert f"%{moment} {role} -f {name}\n" in spec
        text = (folder / name).read_text(encoding="utf-8")
        used |= set(re.findall(r"^#([\w.-]+)#$", text, re.MULTILINE))
        made = filled(text, scripts)
        assert made.startswith("set -e\n")
        assert not re.search(r"^#\S+#$", made, re.MULTILINE)
        subprocess.run(["sh", "-n"], input=made, text=True, check=True)
    assert used == set(scripts), "each of Debian's scripts has its place"


def test_a_script_that_is_not_there_stops_the_build(module: Callable[[str], ModuleType]) -> None:
    with pytest.raises(KeyError):
        module("scriptlet").filled("#gone.postinst#\n", {})


def test_units_that_debian_enables_are_enabled_and_disabled_here(repository: Path, folder: Path) -> None:
    sys.path.insert(0, str(repository / "resources/install"))
    try:
        roles = importlib.import_module("layout").ROLES
    finally:
        sys.path.pop(0)
    for name, role in roles.items():
        units = {unit for unit, _ in role.enable}
        for moment, word in (("post", "enable"), ("preun", "disable")):
            (line,) = re.findall(rf"systemctl --no-reload {word} (.*)", (folder / f"{name}.{moment}").read_text())
            assert set(line.split()) == units
        assert f"systemd-sysusers {role.sysusers}\n" in (folder / f"{name}.post").read_text()


def test_every_word_of_rpmlint_that_is_not_heard_has_its_reason(folder: Path) -> None:
    lines = (folder / "rpmlint.toml").read_text(encoding="utf-8").splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if line.startswith('    "'):
            assert above.lstrip().startswith("#"), line
