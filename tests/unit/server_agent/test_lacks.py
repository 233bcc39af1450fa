"""Which lines a container's configuration lacks: LXC's own way of reading it, each lack with its remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.ids import VmId
from server_agent import lacks, lxc

TERMS = lxc.ContainerTerms(name=VmId("desk1"), devicefs=Path("/srv/devicefs"), broker_gid=989)
WANTED = lacks.parse("\n".join(lxc.config_lines(TERMS)))
BEFORE = lacks.parse("""
# Debian's own
lxc.mount.auto = cgroup:mixed proc:mixed sys:mixed
lxc.cgroup2.devices.deny = a
lxc.cgroup2.devices.allow = c 1:3 rwm
lxc.apparmor.profile = generated
lxc.hook.pre-start = /usr/local/bin/own
""")


def found(*effective: lacks.Setting) -> list[str]:
    return [f"{each.wanted.key}={each.found}" for each in lacks.lacks(WANTED, effective)]


def test_lines_that_were_appended_lack_nothing() -> None:
    assert not found(*BEFORE, *WANTED)


@pytest.mark.parametrize("line", [line for line in WANTED if line.value and line.key != lacks.AUTO], ids=str)
def test_each_line_is_missed(line: lacks.Setting) -> None:
    (lack,) = lacks.lacks(WANTED, [each for each in WANTED if each != line])
    assert lack.wanted == line
    assert lack.remedy == f"Append: {line}"
    assert "counts on it" not in lack.text, "it says why the line matters"


def test_without_the_line_that_empties_it_lxcs_own_sysfs_comes_back() -> None:
    (lack,) = lacks.lacks(WANTED, [*BEFORE, *(each for each in WANTED if each.value)])
    assert lack.wanted.key == "lxc.mount.auto"
    assert "sys:mixed" in lack.found


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("lxc.apparmor.profile = unconfined", ["lxc.apparmor.profile=unconfined"]),
        ("lxc.seccomp.profile =", ["lxc.seccomp.profile="]),
        ("lxc.apparmor.allow_nesting = 1", ["lxc.apparmor.allow_nesting=1"]),
        ("lxc.cgroup.dir.container = elsewhere", ["lxc.cgroup.dir.container=elsewhere"]),
        ("lxc.mount.auto = sys:rw", ["lxc.mount.auto=cgroup:mixed proc:mixed | sys:rw"]),
        ("lxc.cgroup2.devices.deny = a", ["lxc.cgroup2.devices.allow="] * 2),
        ("lxc.hook.pre-start =", ["lxc.hook.pre-start="]),
        ("lxc.mount.entry =", ["lxc.mount.entry="] * 4),
        ("lxc.hook.pre-start = /another", []),
        ("#lxc.apparmor.profile = unconfined", []),
    ],
)
def test_what_stands_behind_the_lines_counts(line: str, lost: list[str]) -> None:
    assert found(*BEFORE, *WANTED, *lacks.parse(line)) == lost


def test_a_line_that_overrules_is_named_in_the_remedy() -> None:
    (lack,) = lacks.lacks(WANTED, [*WANTED, *lacks.parse("lxc.apparmor.profile = unconfined")])
    assert "Remove the line that says 'lxc.apparmor.profile = unconfined'" in lack.remedy
    assert "other containers' hubs" in lack.text


def test_the_terms_are_read_back_from_the_container_itself() -> None:
    words = lacks.hook_words([*BEFORE, *WANTED])
    assert [lacks.value_of(option, words) for option in ("--broker-gid", "--backend", "989", "--x")] == [
        "989", "map", "", ""
    ]  # fmt: skip
    assert lacks.hook_words(BEFORE) == []


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    lacks.lacks(WANTED, lacks.parse(text))
