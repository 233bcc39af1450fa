"""The packages hold what `make install` puts in place, each file once, and depend on what pyproject.toml names.

What dpkg-buildpackage and lintian make of them is seen by `make packages`; what apt makes of them by the lab.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from qvd_usbip import VERSION
from tests.unit.tooling.test_install import EXPECTED, Modes, found, outside_packages

ROLES = ("client", "server", "vma")
PACKAGES = {*(f"qvd-usbip-{name}" for name in ("common", "picker", *ROLES))}
SHARED = "usr/lib/qvd-usbip/python/qvd_usbip"
WINDOW = "usr/lib/qvd-usbip/python/client_gui/ui"
HELPER = "usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux"
#: Settings that QVD reads too: they are copied into place by a postinst script, where there are none.
TEMPLATES = {f"etc/qvd/{name}.conf": f"usr/share/qvd-usbip/conf/{name}.conf" for name in ("node", "vma")}


def packed(staged: Path) -> dict[str, Modes]:
    return {folder.name: found(folder) for folder in staged.iterdir() if folder.is_dir()}


def test_each_installed_file_is_in_exactly_one_package_with_its_mode(staged: Path) -> None:
    all_packed = packed(staged)
    assert set(all_packed) == PACKAGES
    names = [name for modes in all_packed.values() for name in modes]
    assert len(names) == len(set(names)), "a file in two packages"
    together = {name: mode for modes in all_packed.values() for name, mode in modes.items()}
    expected = {TEMPLATES.get(name, name): mode for name, mode in EXPECTED["all"].items()}
    assert outside_packages(together) == expected
    assert together[HELPER] == 0o4755


def test_what_is_shared_and_what_needs_qt_are_packages_of_their_own(staged: Path) -> None:
    for package, modes in packed(staged).items():
        shared = {name for name in modes if name.startswith(SHARED)}
        window = {name for name in modes if name.startswith(WINDOW)}
        assert bool(shared) == (package == "qvd-usbip-common")
        assert bool(window) == (package == "qvd-usbip-picker")
        assert not {name for name in modes if "__pycache__" in name}, "py3compile makes them"


def test_the_settings_that_qvd_reads_too_are_no_conffiles(staged: Path) -> None:
    """dpkg would ask about a file that an administrator has made for QVD, and stop where nobody can answer."""
    in_etc = {name for modes in packed(staged).values() for name in modes if name.startswith("etc/qvd/")}
    assert in_etc == {"etc/qvd/usbip-policy.conf", "etc/qvd/usbip-rules.conf"}


def test_packages_depend_on_the_libraries_of_pyproject_and_on_the_interpreter_of_the_launcher(staged: Path) -> None:
    words = {file.stem: file.read_text(encoding="utf-8") for file in staged.glob("*.substvars")}
    assert "qvd:Depends=python3-h11 (>= 0.14)" in words["qvd-usbip-vma"]
    assert "python3-prctl (>= 1.8)" in words["qvd-usbip-server"]
    assert "python3-pyudev (>= 0.24), python3-psutil (>= 5.9)" in words["qvd-usbip-client"]
    assert "pyside" not in words["qvd-usbip-client"]
    for part in ("qtcore", "qtgui", "qtsvg", "qtwidgets"):
        assert f"python3-pyside6.{part}" in words["qvd-usbip-picker"]
    interpreter = Path("/usr/bin/python3").resolve().name
    assert f"qvd:Interpreter={interpreter}\n" in words["qvd-usbip-client"]
    assert f"/usr/bin/{interpreter}".encode() in (staged / "qvd-usbip-client" / HELPER).read_bytes()


def test_it_is_for_linux_alone(repository: Path, debian: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    systems = [each for each in project["classifiers"] if each.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    with_the_helper = (debian / "control").read_text(encoding="utf-8").partition("Package: qvd-usbip-client\n")[2]
    assert with_the_helper.startswith("Architecture: linux-any\n")


def test_2_6_the_name_that_the_guide_installs_is_the_client_s_alone_and_the_server_needs_no_package_of_it(
    debian: Path,
) -> None:
    paragraphs = (debian / "control").read_text(encoding="utf-8").split("\n\n")[1:]
    told = {paragraph.splitlines()[0].removeprefix("Package: "): paragraph for paragraph in paragraphs}
    standing_in = {name for name, text in told.items() if "Provides:\n qvd-client-slaveclient-usbip,\n" in text}
    assert standing_in == {"qvd-usbip-client"}
    assert "client" not in told["qvd-usbip-server"].partition("Description:")[0]


def test_the_version_is_the_product_s(debian: Path) -> None:
    first = (debian / "changelog").read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(rf"qvd-usbip \({re.escape(VERSION)}-[0-9]+\) unstable; urgency=medium", first)


def test_every_lintian_override_has_its_reason(debian: Path) -> None:
    for file in debian.glob("*.lintian-overrides"):
        lines = file.read_text(encoding="utf-8").splitlines()
        for above, line in zip(["", *lines], lines, strict=False):
            assert line.startswith("#") or above.startswith("#"), f"{file.name}: {line}"


def test_maintainer_scripts_are_plain_sh(debian: Path) -> None:
    scripts = [file for file in debian.iterdir() if file.suffix in {".postinst", ".postrm"}]
    assert scripts
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        assert text.startswith("#!/bin/sh\nset -e\n")
        assert "#DEBHELPER#" in text
        subprocess.run(["sh", "-n", str(script)], check=True)


def test_a_purge_leaves_the_folders_that_qvd_itself_has_for_its_containers(debian: Path, tmp_path: Path) -> None:
    script = (debian / "qvd-usbip-server.postrm").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\s*find (/.*/devicefs .* -delete)$", script, re.MULTILINE)
    folder = tmp_path / "devicefs"
    for name in ("QVD-42/vhci_hcd.3", "one/vhci_hcd.1/usb3", "two"):
        (folder / name).mkdir(parents=True)
    command = "find " + line.replace("/var/lib/qvd/storage/devicefs", str(folder))
    subprocess.run(["sh", "-c", command], check=True)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == {"QVD-42", "QVD-42/vhci_hcd.3"}


def test_a_requirement_that_nobody_can_read_stops_the_build(repository: Path) -> None:
    program = "import depends; depends.packaged(['>=1'])"
    folder = str(repository / "resources/packaging")
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert "ValueError: >=1" in done.stderr
