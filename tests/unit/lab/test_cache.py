"""Folders by the hash of their ingredients, whole or not there."""

import os
from pathlib import Path

import pytest

from tests.lab import cache
from tests.lab.errors import LabError


def test_the_key_depends_on_content_name_order_and_mode(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    keys = {cache.key_of_files(tmp_path, [one, two])}
    assert cache.key_of_files(tmp_path, [two, one]) in keys, "the order of asking does not count"
    one.chmod(0o755)
    keys.add(cache.key_of_files(tmp_path, [one, two]))
    one.write_text("c")
    keys.add(cache.key_of_files(tmp_path, [one, two]))
    one.rename(tmp_path / "three")
    keys.add(cache.key_of_files(tmp_path, [tmp_path / "three", two]))
    assert len(keys) == 4
    assert cache.key_of(["ab", "c"]) != cache.key_of(["a", "bc"])


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    built = []

    def build(part: Path) -> None:
        built.append(part)
        (part / "file").touch()

    for _ in range(2):
        folder = cache.ensure(tmp_path / "thing-1", "a thing", build, cache.remove)
        assert (folder / "file").exists()
    assert len(built) == 1


def test_an_interrupted_build_does_not_count_and_is_repaired(tmp_path: Path) -> None:
    def interrupted(part: Path) -> None:
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.ensure(tmp_path / "thing", "a thing", interrupted, cache.remove)
    assert not (tmp_path / "thing").exists()
    folder = cache.ensure(tmp_path / "thing", "a thing", lambda part: (part / "whole").touch(), cache.remove)
    assert [path.name for path in folder.iterdir()] == ["whole"]


def test_prune_keeps_the_last_used_and_those_in_use(tmp_path: Path) -> None:
    for age, name in enumerate(["product-a", "product-b", "product-c", "product-d", "base-x"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    with cache.in_use(tmp_path / "product-d"):
        cache.prune(tmp_path, "product-", 2)
    left = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert left == ["base-x", "product-a", "product-b", "product-d"]


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / "qvd-usbip-lab"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache.cache_root() == Path("/home/somebody/.cache/qvd-usbip-lab")


def test_a_cache_that_cannot_be_made_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"(?s)file/cache cannot be made: Not a directory.*XDG_CACHE_HOME"):
        cache.ensure(tmp_path / "file/cache/folder-key", "it", lambda _: None, cache.remove)
