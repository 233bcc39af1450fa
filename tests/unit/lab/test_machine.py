"""What the machines are made of and started with."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab import accelerator, emulator, levels, product, qemu, recipe
from tests.lab.build import Image, archives_key, image_key
from tests.lab.containers import base_config, plain_config
from tests.lab.errors import GuestStopped, LabError
from tests.lab.lab import Lab


def machine(role: str = "server", state: Path | None = None) -> qemu.Machine:
    return qemu.Machine(
        role=recipe.ROLES[role],
        kernel=Path("/c/vmlinuz"),
        initrd=Path("/c/initrd"),
        disk=Path("/c/disk.qcow2"),
        run=Path("/tmp/qvdlab-x"),
        accelerator="tcg",
        state=state,
    )


def test_the_guests_talk_to_each_other_and_to_nobody_else() -> None:
    lines = {role: qemu.command_line(machine(role), "qemu") for role in recipe.ROLES}
    for line in lines.values():
        assert sum(word == "-netdev" for word in line) == 1
        assert "-nodefaults" in line
    assert "local.path=/tmp/qvdlab-x/server.lan,remote.type=unix,remote.path=/tmp/qvdlab-x/client.lan" in " ".join(
        lines["server"]
    )
    assert "local.path=/tmp/qvdlab-x/client.lan,remote.type=unix,remote.path=/tmp/qvdlab-x/server.lan" in " ".join(
        lines["client"]
    )


def test_a_stored_state_needs_the_same_machine() -> None:
    booted = qemu.command_line(machine(), "qemu")
    resumed = qemu.command_line(machine(state=Path("/c/a b.state")), "qemu")
    assert resumed == [*booted, "-incoming", "exec:cat '/c/a b.state'"]


def test_the_role_comes_with_the_kernel_command_line() -> None:
    line = qemu.kernel_command_line(recipe.ROLES["client"], "debug")
    assert "systemd.hostname=client" in line.split()
    assert "systemd.mask=apparmor.service" in line.split()
    assert line.endswith(" debug")
    assert "systemd.mask" not in qemu.kernel_command_line(recipe.ROLES["server"], "")


def test_sockets_fit_into_107_bytes() -> None:
    for role in recipe.ROLES:
        for name in ("agent", "people", "console", "qmp", "qmp2", "lan"):
            path = Path("/tmp/qvdlab-a-rather-long-name.abcdefgh") / f"{role}.{name}"
            assert len(str(path)) < 108


def test_debian_12_has_no_pyside_packages() -> None:
    assert not [name for name in recipe.SUITES["bookworm"].guest_packages if "pyside" in name]
    assert [name for name in recipe.SUITES["trixie"].guest_packages if "pyside" in name]


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(LabError, match="no suite 'buster'"):
        recipe.suite_named("buster")


def test_each_suite_has_its_own_keys() -> None:
    keys = {key(suite) for key in (archives_key, image_key) for suite in recipe.SUITES.values()}
    assert len(keys) == 2 * len(recipe.SUITES)
    assert all(re.fullmatch("[0-9a-f]{12}", key) for key in keys)


def test_containers_have_fixed_addresses_and_leave_usb_to_the_product() -> None:
    one, two = base_config("one"), base_config("two")
    assert "10.9.1.11/24" in one
    assert "10.9.1.12/24" in two
    assert "vhci" not in one
    assert "apparmor" not in one
    assert "vhci_hcd.5" in plain_config("two", 5)


def test_the_product_key_follows_the_working_tree(tmp_path: Path) -> None:
    for part in product.PARTS:
        path = tmp_path / part
        if "." in part or part == "Makefile":
            path.write_text("x")
        else:
            (path / "__pycache__").mkdir(parents=True)
            (path / "module.py").write_text("x")
    before = product.tree_key(tmp_path)
    (tmp_path / "qvd_usbip/__pycache__/module.pyc").write_text("x")
    (tmp_path / "README.md").write_text("x")
    assert product.tree_key(tmp_path) == before
    (tmp_path / "vma_hooks/module.py").write_text("y")
    assert product.tree_key(tmp_path) != before


@pytest.mark.parametrize("order", ["tcg", "kvm"])
def test_the_accelerator_is_as_ordered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, order: str) -> None:
    monkeypatch.setenv("QVD_LAB_ACCEL", order)
    assert accelerator.accelerator(tmp_path) == order
    assert not accelerator.give_up_kvm(tmp_path)
    assert accelerator.accelerator(tmp_path) == order


@pytest.fixture
def on_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A QEMU that does what a shell script says, on a machine with /dev/kvm."""
    monkeypatch.delenv("QVD_LAB_ACCEL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("os.access", lambda *_: True)
    monkeypatch.setattr(emulator, "program", lambda: str(tmp_path / "qemu"))
    (tmp_path / "qvd-usbip-lab").mkdir()

    def behave(script: str) -> None:
        (tmp_path / "qemu").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "qemu").chmod(0o755)

    return behave


FIRST_PROGRAM_RAN = "echo 'Kernel panic - not syncing: Attempted to kill init! exitcode=0'; exec sleep 60"


def test_kvm_is_taken_where_the_guests_kernel_gets_to_its_first_program(
    on_kvm: Callable[[str], None], tmp_path: Path
) -> None:
    on_kvm(f'test "$*" != "${{*#*-kernel {tmp_path}/vmlinuz}}" || exit 1; {FIRST_PROGRAM_RAN}')
    assert accelerator.accelerator(tmp_path) == "kvm"


@pytest.mark.parametrize("script", ["exit 1", "echo 'SeaBIOS (version 1)'; exec sleep 60", "exec sleep 60"])
def test_kvm_is_not_taken_where_it_fails_or_hangs(
    on_kvm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    monkeypatch.setattr(accelerator, "_DEADLINE", 0.5)
    on_kvm(script)
    assert accelerator.accelerator(tmp_path) == "tcg"


def test_kvm_that_cannot_do_an_instruction_is_not_waited_for(on_kvm: Callable[[str], None], tmp_path: Path) -> None:
    on_kvm("echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60")
    began = time.monotonic()
    assert accelerator.accelerator(tmp_path) == "tcg"
    assert time.monotonic() - began < accelerator._DEADLINE / 2


def test_kvm_that_stopped_a_guest_is_not_tried_again_by_any_run(on_kvm: Callable[[str], None], tmp_path: Path) -> None:
    on_kvm(FIRST_PROGRAM_RAN)
    assert accelerator.accelerator(tmp_path) == "kvm"
    assert accelerator.give_up_kvm(tmp_path)
    assert accelerator.accelerator(tmp_path) == "tcg"
    accelerator._probed.cache_clear()  # another process
    assert accelerator.accelerator(tmp_path) == "tcg"
    assert not accelerator.give_up_kvm(tmp_path)


def test_a_guest_that_kvm_stops_is_booted_without_it(
    on_kvm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_kvm(FIRST_PROGRAM_RAN)
    image = Image(suite=recipe.SUITES["trixie"], key="k", folder=tmp_path)
    booted = []

    def boot(booting: Image, _append: str, folder: Path) -> None:
        booted.append(accelerator.accelerator(booting.folder))
        if booted[-1] == "kvm":
            raise GuestStopped("on KVM the server guest does not get on")
        (folder / "server.state").touch()

    monkeypatch.setattr(levels, "_boot", boot)
    monkeypatch.setattr(emulator, "version", lambda: "1")
    assert (levels.ensure_base(image, "") / "server.state").exists()
    assert booted == ["kvm", "tcg"]


def test_without_a_kvm_device_none_is_started(
    on_kvm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    on_kvm(FIRST_PROGRAM_RAN)
    assert accelerator.accelerator(tmp_path) == "tcg"


def test_a_wrong_order_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QVD_LAB_ACCEL", "xen")
    with pytest.raises(LabError, match="QVD_LAB_ACCEL=xen"):
        accelerator.accelerator(tmp_path)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(LabError, match="no level 'best'"), Lab.open(level="best"):
        pytest.fail("it was opened")


def test_a_checkpoint_brings_its_devices_back() -> None:
    booted = machine()
    line = qemu.command_line(replace(booted, checkpoint="ready", devices=("-device", '{"driver": "usb-kbd"}')), "qemu")
    assert line == [*qemu.command_line(booted, "qemu"), "-device", '{"driver": "usb-kbd"}', "-loadvm", "ready"]
