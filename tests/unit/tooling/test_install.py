"""`make install` leaves exactly what belongs there, with its mode; `make uninstall` takes exactly that away."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.tooling.making import run_make

# Path below the root → mode; None for a link.
Modes = dict[str, int | None]

# Written out, not taken from resources/install/layout.py: a slip there must not go unnoticed here.
CLIENT: Modes = {
    "etc/qvd/usbip-policy.conf": 0o644,
    "etc/qvd/usbip-rules.conf": 0o644,
    "usr/bin/qvd-usb": 0o755,
    "usr/bin/qvd-usb-picker": 0o755,
    "usr/lib/qvd/bin/qvd-client-slaveclient-usbip": None,
    "usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux": 0o4755,
    "usr/lib/systemd/system/qvd-usb-recover.service": 0o644,
    "usr/lib/modules-load.d/qvd-usbip-client.conf": 0o644,
    "usr/lib/sysusers.d/qvd-usbip-client.conf": 0o644,
    "usr/share/applications/qvd-usb-picker.desktop": 0o644,
    "usr/share/icons/hicolor/scalable/apps/qvd-usb-picker.svg": 0o644,
    "usr/share/metainfo/org.qvd_usbip.Picker.metainfo.xml": 0o644,
    "usr/share/bash-completion/completions/qvd-usb": 0o644,
    "usr/share/fish/vendor_completions.d/qvd-usb.fish": 0o644,
    "usr/share/zsh/vendor-completions/_qvd-usb": 0o644,
    "usr/lib/tmpfiles.d/qvd-usbip-client.conf": 0o644,
    "usr/share/man/man1/qvd-usb-picker.1": 0o644,
    "usr/share/man/man1/qvd-usb.1": 0o644,
    "usr/share/man/man5/qvd-usbip-client.conf.5": 0o644,
    "usr/share/man/man5/usbip-policy.conf.5": 0o644,
    "usr/share/man/man5/usbip-rules.conf.5": 0o644,
    "usr/share/man/man7/qvd-usbip-problems.7": 0o644,
    "usr/share/man/man8/qvd-client-slaveclient-usbip.8": 0o644,
    "usr/share/qvd-usbip/i18n/es.qm": 0o644,
}
SERVER: Modes = {
    "etc/apparmor.d/abstractions/qvd-container": 0o644,
    "etc/apparmor.d/lxc-container-qvd": 0o644,
    "etc/qvd/node.conf": 0o644,
    "usr/lib/modules-load.d/qvd-usbip.conf": 0o644,
    "usr/lib/systemd/network/05-qvd-usbip-host.network": 0o644,
    "usr/lib/systemd/system/qvd-usb-agent.service": 0o644,
    "usr/lib/systemd/system/qvd-usb-endpoint.service": 0o644,
    "usr/lib/sysusers.d/qvd-usbip-server.conf": 0o644,
    "usr/lib/udev/rules.d/10-qvd-usbip-host.rules": 0o644,
    "usr/sbin/qvd-usb-agent": 0o755,
    "usr/share/man/man5/qvd-usbip-node.conf.5": 0o644,
    "usr/share/man/man7/qvd-usbip-problems.7": 0o644,
    "usr/share/man/man8/qvd-usb-agent.8": 0o644,
    "usr/share/qvd-usbip/lxc/container.seccomp": 0o644,
}
VMA: Modes = {
    "etc/qvd/vma.conf": 0o644,
    "usr/lib/qvd/bin/qvd-create-device": 0o755,
    "usr/lib/qvd/bin/qvd-usb-slaveserver": 0o755,
    "usr/lib/qvd/bin/qvd-vma-slaveserver-usbip": 0o755,
    "usr/lib/systemd/system/qvd-create-device-coldplug.service": 0o644,
    "usr/lib/systemd/system/qvd-usb-slaveserver.service": 0o644,
    "usr/lib/systemd/system/qvd-usb-slaveserver.socket": 0o644,
    "usr/lib/sysusers.d/qvd-usbip-vma.conf": 0o644,
    "usr/lib/udev/rules.d/70-qvd-create-device.rules": 0o644,
    "usr/share/man/man5/qvd-usbip-vma.conf.5": 0o644,
    "usr/share/man/man7/qvd-usbip-problems.7": 0o644,
    "usr/share/man/man8/qvd-create-device.8": 0o644,
    "usr/share/man/man8/qvd-usb-image.8": 0o644,
    "usr/share/man/man8/qvd-usb-slaveserver.8": 0o644,
    "usr/share/man/man8/qvd-vma-slaveserver-usbip.8": 0o644,
    "usr/sbin/qvd-usb-image": 0o755,
    "usr/share/bash-completion/completions/qvd-usb-image": 0o644,
    "usr/share/fish/vendor_completions.d/qvd-usb-image.fish": 0o644,
    "usr/share/zsh/vendor-completions/_qvd-usb-image": 0o644,
}
EXPECTED: dict[str, Modes] = {"client": CLIENT, "server": SERVER, "vma": VMA, "all": CLIENT | SERVER | VMA}
OWN_PACKAGES = {
    "client": {"client_gui"},
    "server": {"server_agent"},
    "vma": {"vma_hooks"},
    "all": {"client_gui", "server_agent", "vma_hooks"},
}
HOME = "usr/lib/qvd-usbip/python"
BOOT = "etc/systemd/system/multi-user.target.wants"
UNITS = "/usr/lib/systemd/system"
LINKS = {
    f"{BOOT}/qvd-usb-agent.service": f"{UNITS}/qvd-usb-agent.service",
    f"{BOOT}/qvd-usb-recover.service": f"{UNITS}/qvd-usb-recover.service",
    f"{BOOT}/qvd-create-device-coldplug.service": f"{UNITS}/qvd-create-device-coldplug.service",
    "etc/systemd/system/sockets.target.wants/qvd-usb-slaveserver.socket": f"{UNITS}/qvd-usb-slaveserver.socket",
}


def make(repository: Path, *words: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    done = run_make(repository, f"PYTHON={sys.executable}", *words)
    assert (done.returncode != 0) == fails, done.stderr
    return done


def found(root: Path) -> Modes:
    """Every file below the root with its mode; a link has none."""
    modes: Modes = {}
    for path in root.rglob("*"):
        if path.is_symlink():
            modes[str(path.relative_to(root))] = None
        elif path.is_file():
            modes[str(path.relative_to(root))] = stat.S_IMODE(path.stat().st_mode)
    return modes


def outside_packages(modes: Modes) -> Modes:
    return {name: mode for name, mode in modes.items() if not name.startswith(HOME)}


def package_files(repository: Path, packages: set[str]) -> set[str]:
    listed = {path.relative_to(repository) for package in packages for path in (repository / package).rglob("*.*")}
    return {f"{HOME}/{name}" for name in listed if name.suffix in {".py", ".typed", ".svg", ".png", ".ttf", ".qm"}}


@pytest.fixture(scope="module")
def staged(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, installed once by somebody whose umask takes nothing away."""
    root = tmp_path_factory.mktemp("staged")
    old = os.umask(0)
    try:
        make(repository, "install", "ROLE=all", f"DESTDIR={root}", "ENABLE=1")
    finally:
        os.umask(old)
    return root


@pytest.mark.parametrize("role", sorted(EXPECTED))
def test_installs_exactly_the_files_of_the_role(repository: Path, tmp_path: Path, role: str) -> None:
    make(repository, "install", f"ROLE={role}", f"DESTDIR={tmp_path}")
    modes = found(tmp_path)
    assert outside_packages(modes) == EXPECTED[role]
    modules = {name for name in modes if name.startswith(HOME) and "__pycache__" not in name}
    assert modules == package_files(repository, OWN_PACKAGES[role] | {"qvd_usbip"})
    assert {modes[name] for name in modes if name.startswith(HOME)} == {0o644}


def test_folders_are_not_writable_by_others(staged: Path) -> None:
    folders = {path: stat.S_IMODE(path.stat().st_mode) for path in staged.rglob("*") if path.is_dir()}
    assert {path for path, mode in folders.items() if mode != 0o755} == set()


def test_everything_belongs_to_root_or_to_who_stages_it(staged: Path) -> None:
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in staged.rglob("*")}
    assert owners == {(os.geteuid(), os.getegid())}


def test_every_module_is_compiled_under_the_path_it_will_have(staged: Path) -> None:
    home = staged / HOME
    sources = {path for path in home.rglob("*.py") if path.stat().st_size}
    tag = sys.implementation.cache_tag
    compiled = {path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc" for path in sources}
    assert {path for path in compiled if not path.is_file()} == set()
    text = (home / f"server_agent/__pycache__/__init__.{tag}.pyc").read_bytes()
    assert b"/usr/lib/qvd-usbip/python/server_agent/__init__.py" in text
    assert str(staged).encode() not in text


@pytest.mark.parametrize(
    ("program", "flags", "entry"),
    [
        ("usr/bin/qvd-usb", "-IS", "client_gui.cli:main"),
        ("usr/bin/qvd-usb-picker", "-I", "client_gui.ui.main:main"),
        ("usr/sbin/qvd-usb-agent", "-I", "server_agent.cli:main"),
        ("usr/lib/qvd/bin/qvd-create-device", "-IS", "vma_hooks.create_device:start"),
        ("usr/lib/qvd/bin/qvd-usb-slaveserver", "-I", "vma_hooks.slave_server:main"),
        ("usr/lib/qvd/bin/qvd-vma-slaveserver-usbip", "-I", "vma_hooks.attach:main"),
        ("usr/sbin/qvd-usb-image", "-I", "vma_hooks.image:main"),
    ],
)
def test_start_script_names_interpreter_and_module(
    repository: Path, staged: Path, program: str, flags: str, entry: str
) -> None:
    module, _, function = entry.partition(":")
    first, *rest = (staged / program).read_text(encoding="utf-8").splitlines()
    assert first == f"#!{sys.executable} {flags}"
    assert f"from {module} import {function}" in rest
    assert (repository / (module.replace(".", "/") + ".py")).is_file()
    assert "@" not in "".join(rest)


def test_settings_of_an_administrator_stay(repository: Path, tmp_path: Path) -> None:
    settings = tmp_path / "etc/qvd/vma.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("createdevice.acl.enable=0\n", encoding="utf-8")
    make(repository, "install", "ROLE=vma", f"DESTDIR={tmp_path}")
    make(repository, "uninstall", "ROLE=vma", f"DESTDIR={tmp_path}")
    assert settings.read_text(encoding="utf-8") == "createdevice.acl.enable=0\n"
    assert set(found(tmp_path)) == {"etc/qvd/vma.conf"}


def test_a_module_of_an_older_version_goes(repository: Path, tmp_path: Path) -> None:
    make(repository, "install", "ROLE=vma", f"DESTDIR={tmp_path}")
    old = tmp_path / HOME / "vma_hooks/forgotten/old.py"
    old.parent.mkdir()
    old.write_text("", encoding="utf-8")
    make(repository, "install", "ROLE=vma", f"DESTDIR={tmp_path}")
    assert not old.parent.exists()


def test_enable_makes_the_links_of_boot(staged: Path) -> None:
    assert {name: str((staged / name).readlink()) for name in LINKS} == LINKS


def test_group_is_made_in_an_image(repository: Path, tmp_path: Path) -> None:
    # An image has /etc/group. As root the group is made there; otherwise the installation says that it was not.
    for name in ("group", "passwd", "gshadow", "shadow"):
        file = tmp_path / "etc" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("", encoding="utf-8")
    said = make(repository, "install", "ROLE=vma", f"DESTDIR={tmp_path}").stdout
    groups = (tmp_path / "etc/group").read_text(encoding="utf-8")
    assert groups.startswith("qvduser:") if os.geteuid() == 0 else "not made" in said


@pytest.mark.parametrize("role", sorted(EXPECTED))
def test_uninstall_leaves_nothing(repository: Path, tmp_path: Path, role: str) -> None:
    make(repository, "install", f"ROLE={role}", f"DESTDIR={tmp_path}", "ENABLE=1")
    make(repository, "uninstall", f"ROLE={role}", f"DESTDIR={tmp_path}")
    assert found(tmp_path) == {}
    ours = [path for path in tmp_path.rglob("*") if "qvd" in path.name]
    assert ours == []


def test_uninstall_keeps_what_another_role_needs(repository: Path, tmp_path: Path) -> None:
    make(repository, "install", "ROLE=server", f"DESTDIR={tmp_path}")
    before = found(tmp_path)
    make(repository, "install", "ROLE=vma", f"DESTDIR={tmp_path}")
    make(repository, "uninstall", "ROLE=vma", f"DESTDIR={tmp_path}")
    assert found(tmp_path) == before


def test_launcher_has_its_paths_built_in(staged: Path) -> None:
    program = (staged / "usr/lib/qvd/bin/qvd-client-slaveclient-usbip-aux").read_bytes()
    assert os.path.realpath(sys.executable).encode() in program
    assert b"/usr/lib/qvd-usbip/python/client_gui/helper/main.py" in program
    assert (staged / "usr/lib/qvd/bin/qvd-client-slaveclient-usbip").readlink() == Path(
        "qvd-client-slaveclient-usbip-aux"
    )


def test_unknown_role_is_refused(repository: Path, tmp_path: Path) -> None:
    done = make(repository, "install", "ROLE=desktop", f"DESTDIR={tmp_path}", fails=True)
    assert "ROLE must be one of client, server, vma or all" in done.stderr
    assert found(tmp_path) == {}


def test_missing_compiler_is_named_with_the_remedy(repository: Path, tmp_path: Path) -> None:
    done = make(repository, "install", "ROLE=client", f"DESTDIR={tmp_path}", "CC=no-such-compiler", fails=True)
    assert "there is no no-such-compiler: install gcc" in done.stderr


def test_needs_no_virtual_environment(repository: Path, tmp_path: Path) -> None:
    # As in a guest: a plain copy of the tree without build/ and .git, an empty environment.
    copy = tmp_path / "copy"
    for name in ("Makefile", "qvd_usbip", "vma_hooks", "resources"):
        source = repository / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(source, copy / name)
    subprocess.run(
        ["make", "-C", str(copy), "install", "ROLE=vma", f"DESTDIR={tmp_path / 'root'}", "PYTHON=/usr/bin/python3"],
        env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        check=True,
        capture_output=True,
    )
    assert outside_packages(found(tmp_path / "root")) == VMA
