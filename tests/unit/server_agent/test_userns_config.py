"""What a container in a user namespace says of its ids, and the lines it gets: nothing has to be typed."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import PROBLEMS
from qvd_usbip.ids import LAST_ID
from server_agent import cli, container_config, lxc
from server_agent.container_config import entries, group_in, image_group, image_roots
from server_agent.idmap import idmap_of, parse_range

CONFIG = """# as LXC's template makes it
lxc.include = {include}
lxc.include = {include}/nothing.conf.d/
lxc.uts.name = three
lxc.rootfs.path = overlay:{root}:{upper}
lxc.idmap = u 0 100000 65536
lxc.idmap = g 0 100000 65536
"""


@pytest.fixture
def containers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A container `three` in a folder of containers, with a group in its image."""
    include, root, upper = tmp_path / "include", tmp_path / "root", tmp_path / "upper"
    include.mkdir()
    (include / "a.conf").write_text("lxc.idmap = u 0 1 1\n", encoding="ascii")
    (include / "b.conf").write_text("lxc.idmap =\n", encoding="ascii")
    (include / "c.other").write_text("lxc.idmap = nonsense\n", encoding="ascii")
    (root / "etc").mkdir(parents=True)
    (root / "etc/group").write_text("root:x:0:\nqvduser:x:989:user\n", encoding="ascii")
    upper.mkdir()
    (tmp_path / "three").mkdir()
    (tmp_path / "three/config").write_text(CONFIG.format(include=include, root=root, upper=upper), encoding="ascii")
    monkeypatch.setattr(container_config, "CONTAINERS", tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(["lxc-config", "--backend", "map", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_ids_and_group_are_found_in_configuration_and_image(
    containers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del containers
    lines = printed(capsys, "three")
    hook = f"{lxc.AGENT} hook --container three --backend map --broker-gid 100989 --root-uid 100000"
    assert f"lxc.hook.pre-start = {hook}" in lines
    assert f"lxc.hook.post-stop = {hook}" in lines


def test_nodes_and_hub_are_mounted_and_no_rule_is_needed_against_its_root(
    containers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del containers
    lines = printed(capsys, "three")
    mounts = [line.removeprefix("lxc.mount.entry = ") for line in lines if line.startswith("lxc.mount.entry")]
    assert f"{lxc.NODES}/three dev/qvd none bind,create=dir 0 0" in mounts
    assert f"{lxc.NODES}/three/bus/usb dev/bus/usb none bind,create=dir 0 0" in mounts
    assert any(mount.endswith("three sys/devices/platform none rbind 0 0") for mount in mounts)
    assert "lxc.apparmor.profile = generated" in lines
    assert not any(line.startswith("lxc.seccomp") for line in lines)
    assert not any(mount.startswith("/sys ") for mount in mounts)


def test_it_cannot_attach_by_itself(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del containers
    assert cli.main(["lxc-config", "--own-attach", "three"]) == PROBLEMS["usage"].exit_status
    assert "may not write attach" in capsys.readouterr().err


def test_what_is_given_counts_before_what_is_found(containers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del containers
    lines = printed(capsys, "--root-uid", "7", "--broker-gid", "8", "three")
    assert any(line.endswith("--broker-gid 8 --root-uid 7") for line in lines)


def test_an_image_without_the_group_lets_its_root_hand_devices_over(
    containers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (containers / "root/etc/group").write_text("root:x:0:\n", encoding="ascii")
    assert any("--broker-gid 100000 " in line for line in printed(capsys, "three"))


def test_a_container_without_ranges_is_privileged_or_refused(
    containers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (containers / "four").mkdir()
    (containers / "four/config").write_text("lxc.uts.name = four\n", encoding="ascii")
    for name in ("four", "five"):
        assert not any("root-uid" in line for line in printed(capsys, name))
        assert cli.main(["lxc-config", "--userns", name]) == 97
    assert "lxc.idmap" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["u 0 100000", "x 0 1 2", "u 0 -1 2", "u 0 ٣ 2", "u 4294967290 0 20", "", "u 0 1 2 3"])
def test_a_range_that_makes_no_sense_is_said(containers: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_range(line)
    with (containers / "three/config").open("a", encoding="utf-8") as file:
        file.write(f"lxc.idmap = {line or 'u'}\n")
    assert cli.main(["lxc-config", "three"]) == 97
    assert "ids of container 'three'" in capsys.readouterr().err


def test_a_root_that_is_not_mapped_is_said(containers: Path) -> None:
    (containers / "three/config").write_text("lxc.idmap = u 1 100001 10\nlxc.idmap = g 0 100000 10\n", encoding="ascii")
    assert cli.main(["lxc-config", "three"]) == 97


def test_ids_are_mapped_by_the_range_they_are_in() -> None:
    found = idmap_of([("lxc.idmap", "u 0 100000 10"), ("lxc.idmap", "u 1000 5000 1"), ("lxc.idmap", "g 0 200000 10")])
    assert found is not None
    assert [found.uid(number) for number in (0, 9, 10, 1000, 1001)] == [100000, 100009, None, 5000, None]
    assert [found.gid(number) for number in (9, 1000)] == [200009, None]


@given(st.integers(0, LAST_ID), st.integers(0, LAST_ID), st.integers(1, LAST_ID))
def test_a_range_is_read_as_it_is_written(inside: int, outside: int, count: int) -> None:
    text = f"g {inside} {outside} {count}"
    if max(inside, outside) + count - 1 > LAST_ID:
        with pytest.raises(ValueError, match="beyond"):
            parse_range(text)
        return
    found = parse_range(text)
    assert (found.inside, found.outside, found.count) == (inside, outside, count)


def test_no_link_in_an_image_is_followed(containers: Path) -> None:
    found = list(entries(containers / "three/config"))
    assert image_group(found, "qvduser") == 989
    (containers / "root/etc/group").rename(containers / "group")
    (containers / "root/etc/group").symlink_to(containers / "group")
    assert image_group(found, "qvduser") is None
    (containers / "root/etc/group").unlink()
    os.mkfifo(containers / "root/etc/group")
    assert image_group(found, "qvduser") is None


def test_an_image_that_cannot_be_looked_into_is_said_for_who_is_let_in_would_be_guessed(
    containers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    really = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "etc":
            raise PermissionError(errno.EACCES, "Permission denied")
        return really(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr("server_agent.container_config.os.open", refuse)
    assert cli.main(["lxc-config", "three"]) == PROBLEMS["config-unreadable"].exit_status
    assert "etc/group cannot be read: Permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["9" * 5000, "4294967295", "-1", "x", ""])
def test_a_group_of_the_image_whose_number_is_none_is_not_known(number: str) -> None:
    assert group_in(f"root:x:0:\nqvduser:x:{number}:\n", "qvduser") is None


def test_an_include_of_itself_ends(containers: Path) -> None:
    path = containers / "three/config"
    path.write_text(f"lxc.include = {path}\nlxc.uts.name = x\n", encoding="ascii")
    assert len(list(entries(path))) == container_config.DEPTH + 1


def test_roots_of_every_kind() -> None:
    assert image_roots("/srv/a") == [Path("/srv/a")]
    assert image_roots("dir:/srv/a") == [Path("/srv/a")]
    assert image_roots("overlay:/srv/a:/srv/b") == [Path("/srv/b"), Path("/srv/a")]
    assert image_roots("zfs:pool/a") == []
