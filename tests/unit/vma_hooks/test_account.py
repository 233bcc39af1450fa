"""Root is given up for the group that reaches the agent, even where the nodes are for root alone."""

import grp
import os
import pwd
import types

import pytest

from qvd_usbip.errors import QvdUsbError
from tests.unit.vma_hooks.conftest import own_group
from vma_hooks.account import become_member


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What a process that is root would ask the kernel for."""
    asked: list[tuple[str, object]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", lambda name: types.SimpleNamespace(pw_uid=65534, pw_gid=65533))
    monkeypatch.setattr(os, "setgroups", lambda groups: asked.append(("groups", groups)))
    monkeypatch.setattr(os, "setresgid", lambda *ids: asked.append(("gid", ids)))
    monkeypatch.setattr(os, "setresuid", lambda *ids: asked.append(("uid", ids)))
    return asked


@pytest.mark.parametrize("needed", [True, False])
def test_it_is_the_one_group_and_the_groups_come_first(became: list[tuple[str, object]], needed: bool) -> None:
    gid = grp.getgrnam(own_group()).gr_gid
    become_member(own_group(), needed=needed)
    assert became == [("groups", [gid]), ("gid", (gid,) * 3), ("uid", (65534,) * 3)]


def test_a_group_nobody_made_matters_where_nodes_are_for_it(became: list[tuple[str, object]]) -> None:
    with pytest.raises(QvdUsbError) as caught:
        become_member("nobody-made-this", needed=True)
    assert caught.value.problem.code == "group-unknown"
    assert became == []
    become_member("nobody-made-this", needed=False)
    assert became[0] == ("groups", [65533])
