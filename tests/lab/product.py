"""EFFECT: the working tree's product installed in both guests and the containers' root, everything running."""

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.lab import cache, first_loan
from tests.lab.containers import Container, base_config
from tests.lab.guest import Guest
from tests.lab.machines import Pair
from tests.lab.progress import say
from tests.lab.recipe import CONTAINERS

REPOSITORY = Path(__file__).resolve().parents[2]
#: What `make install` reads: the level `product` is made anew when one of these files changes.
PARTS = (
    "qvd_usbip",
    "client_gui",
    "server_agent",
    "vma_hooks",
    "resources",
    "Makefile",
    "pyproject.toml",
)
_LEFT_OUT = {"__pycache__", ".ruff_cache", ".mypy_cache", "screenshots"}
_SOURCE = "/usr/local/src/qvd-usbip"

#: The key that the containers' receivers ask for, per container.
SLAVE_KEYS = {name: f"lab-key-of-{name}" for name in CONTAINERS}


def files(repository: Path = REPOSITORY) -> list[Path]:
    """The product's files in the working tree, committed or not."""
    found = []
    for part in PARTS:
        path = repository / part
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [each for each in inside if each.is_file() and not _LEFT_OUT & set(each.parts)]
    return sorted(found)


def tree_key(repository: Path = REPOSITORY) -> str:
    """The key of the working tree's product."""
    return cache.key_of_files(repository, files(repository))


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path in files():
            tar.add(path, arcname=path.relative_to(REPOSITORY).as_posix())
    return buffer.getvalue()


def _make(guest: Guest, arguments: str) -> None:
    guest.run(f"make -C {_SOURCE} install {arguments}", timeout=300)


def _install_client(client: Guest) -> None:
    _make(client, "ROLE=client ENABLE=1")
    client.run("modprobe usbip-host; usermod -aG qvdusb user")


def _install_server(server: Guest) -> None:
    _make(server, "ROLE=server ENABLE=1")
    _make(server, "ROLE=vma DESTDIR=/srv/ctroot ENABLE=1")
    server.run("systemctl restart systemd-modules-load")
    server.run("qvd-usb-agent config set key=vm.lxc.use_vhci_hubs,value=1,tenant_id=-1")
    server.run("systemctl start qvd-usb-agent", timeout=120)
    group = server.run("awk -F: '$1 == \"qvduser\" {print $3}' /srv/ctroot/etc/group").out
    for name in CONTAINERS:
        container = Container(server, name)
        lines = server.run(["qvd-usb-agent", "lxc-config", "--broker-gid", group, name]).out
        container.write_config(f"{base_config(name)}{lines}\n")
        container.put_file("/etc/qvd/slave.key", f"{SLAVE_KEYS[name]}\n", mode="0600")
        container.start()
        say(f"container {name} started")
    for name in CONTAINERS:
        Container(server, name).wait()


def install(pair: Pair) -> None:
    """Installs the product in both guests at the same time, and starts what belongs to it."""
    archive = _archive()
    pair.both(lambda guest: guest.unpack(archive, _SOURCE))
    with ThreadPoolExecutor(2) as pool:
        works = [
            pool.submit(_install_client, pair.guests["client"]),
            pool.submit(_install_server, pair.guests["server"]),
        ]
        for work in works:
            work.result()
    first = next(iter(CONTAINERS))
    first_loan.make(pair, Container(pair.guests["server"], first), SLAVE_KEYS[first])
    pair.settle()
