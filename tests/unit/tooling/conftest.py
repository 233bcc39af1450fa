"""What the tests of the packages share: the folders that packages are made of, filled once."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def debian(repository: Path) -> Path:
    return repository / "resources/packaging/debian"


@pytest.fixture(scope="session")
def staged(repository: Path, debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that debian/rules fills, one per package, as they are before debhelper compresses pages."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("Makefile", "pyproject.toml", "qvd_usbip", "client_gui", "server_agent", "vma_hooks", "resources"):
        (tree / name).symlink_to(repository / name)
    (tree / "debian").mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    rules = ["make", "-f", str(debian / "rules"), "override_dh_auto_install"]
    done = subprocess.run(rules, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tree / "debian"
