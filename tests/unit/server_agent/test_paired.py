"""The clients of this host: stored whole, moved, removed for good; a broken file takes nobody else's access."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvd_usbip.errors import QvdUsbError
from qvd_usbip.ids import VmId
from qvd_usbip.pairing import fingerprint_of
from server_agent.paired import Paired, add, read, remove


def client(name: str = "ann@desk", container: str = "one", certificate: bytes = b"ann's") -> Paired:
    return Paired(
        name=name,
        container=VmId(container),
        fingerprint=fingerprint_of(certificate),
        added="2026-01-01T00:00:00+00:00",
        certificate=certificate,
    )


def faults(folder: Path) -> list[str]:
    return [str(error) for error in read(folder).faults]


def test_who_is_added_is_found_by_fingerprint_until_removed(tmp_path: Path) -> None:
    ann, bob = client(), client("bob", "two", b"bob's")
    assert read(tmp_path / "clients").clients == ()
    assert [add(tmp_path / "clients", each) for each in (ann, bob)] == [ann, bob]
    register = read(tmp_path / "clients")
    assert register.clients == (ann, bob)
    assert register.by_fingerprint(bob.fingerprint) == bob
    assert register.by_fingerprint(fingerprint_of(b"somebody's")) is None
    remove(tmp_path / "clients", "ann@desk")
    assert read(tmp_path / "clients").clients == (bob,)


def test_only_root_reads_who_is_paired(tmp_path: Path) -> None:
    add(tmp_path / "clients", client())
    assert (tmp_path / "clients").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "clients/ann@desk.json").stat().st_mode & 0o777 == 0o600


def test_a_certificate_has_one_container_and_pairing_it_anew_moves_it(tmp_path: Path) -> None:
    add(tmp_path, client())
    moved = add(tmp_path, client("another name", "two"))
    assert (moved.name, moved.container) == ("ann@desk", VmId("two"))
    assert read(tmp_path).clients == (moved,)


def test_a_name_that_another_has_gets_a_number(tmp_path: Path) -> None:
    names = [add(tmp_path, client("x" * 100, certificate=bytes([number]))).name for number in range(3)]
    assert names == ["x" * 100, "x" * 98 + "-2", "x" * 98 + "-3"]


@pytest.mark.parametrize("name", ["nobody", "ann"])
def test_who_is_not_there_cannot_be_removed(tmp_path: Path, name: str) -> None:
    add(tmp_path, client())
    with pytest.raises(QvdUsbError) as caught:
        remove(tmp_path, name)
    assert caught.value.problem.code == "client-unknown"


@pytest.mark.parametrize("name", ["", "../ledger", ".", "a/b", "a\0b", "*"])
def test_a_name_that_is_none_reaches_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "ledger.json").write_text("{}")
    with pytest.raises(QvdUsbError) as caught:
        remove(tmp_path / "clients", name)
    assert caught.value.problem.code == "usage"
    assert (tmp_path / "ledger.json").exists()


def record(folder: Path, **changes: object) -> None:
    path = folder / "ann@desk.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in {**fields, **changes}.items() if value is not ...}))


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"extra": 1}, {"name": "bob"}, {"name": 5}, {"container": "../x"}, {"container": ...},
        {"fingerprint": fingerprint_of(b"x")}, {"certificate": "*"}, {"certificate": "ü"}, {"certificate": ""},
        {"added": 5},
    ],
)  # fmt: skip
def test_a_record_that_is_wrong_is_named_and_gives_no_access(tmp_path: Path, changes: dict[str, object]) -> None:
    bob = add(tmp_path, client("bob", certificate=b"bob's"))
    add(tmp_path, client())
    record(tmp_path, **changes)
    assert read(tmp_path).clients == (bob,)
    assert str(tmp_path / "ann@desk.json") in faults(tmp_path)[0]
    remove(tmp_path, "ann@desk")
    assert faults(tmp_path) == []


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    ann = add(tmp_path, client())
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "large.json").write_text(" " * 20_000)
    (tmp_path / ".bob.json.0011.new").write_text("what a killed save leaves")
    assert read(tmp_path).clients == (ann,)
    assert len(faults(tmp_path)) == 4


def test_a_record_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    add(tmp_path, client())
    (tmp_path / "ann@desk.json").chmod(0o620)
    assert read(tmp_path).clients == ()
    assert "others than its owner may write it" in faults(tmp_path)[0]


def test_a_certificate_in_two_files_is_nobodys(tmp_path: Path) -> None:
    add(tmp_path, client())
    text = (tmp_path / "ann@desk.json").read_text().replace("ann@desk", "copy").replace('"one"', '"two"')
    (tmp_path / "copy.json").write_text(text)
    assert read(tmp_path).clients == ()
    assert len(faults(tmp_path)) == 2


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "clients").write_text("a file")
    with pytest.raises(QvdUsbError) as caught:
        read(tmp_path / "clients")
    assert caught.value.problem.code == "config-unreadable"


def test_a_disk_that_is_full_leaves_who_was_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = add(tmp_path, client())

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(QvdUsbError) as caught:
        add(tmp_path, replace(ann, container=VmId("two")))
    assert caught.value.problem.code == "config-unwritable"
    assert read(tmp_path).clients == (ann,)


def test_a_removal_lasts_through_a_power_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(tmp_path, client())
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append((tmp_path / "ann@desk.json").exists()))
    remove(tmp_path, "ann@desk")
    assert synced == [False]


@given(st.binary(max_size=200))
def test_any_bytes_in_a_file_are_a_fault_and_no_more(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "x.json").write_bytes(data)
    assert read(folder).clients == ()
    assert len(faults(folder)) == 1
