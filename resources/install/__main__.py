"""EFFECT: `make install` and `make uninstall`: python3 resources/install --role=R [--destdir=D] [--enable] install.

Needs the standard library only: it runs in guests and in package builds that have nothing else.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from errors import InstallError
from layout import ROLES, UNITS, Item, Role, roles_of
from place import Placement, interpreter_path
from system import make_groups, make_run_folders, reload_running_system

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Installs or removes what the command line names; 2 for a wrong call, 1 for what could not be done."""
    options = _options()
    roles = roles_of(options.role)
    if not roles:
        return _fail(2, f"ROLE must be one of {', '.join(ROLES)} or all, as in: make {options.action} ROLE=server")
    if not options.destdir and os.geteuid() != 0:
        return _fail(
            1, f"writing to /usr needs root: sudo make {options.action} ROLE={options.role}, or name a DESTDIR"
        )
    os.umask(0o022)
    root = Path(options.destdir or "/").absolute()
    placement = Placement(source=REPOSITORY, root=root, interpreter=interpreter_path(), cc=options.cc)
    print(f"{options.action} {options.role} below {root}", flush=True)
    try:
        if options.action == "install":
            _install(placement, roles, enable=options.enable)
            if not options.destdir:
                make_run_folders(roles)
        else:
            _uninstall(placement, roles)
        if not options.destdir:
            reload_running_system()
    except InstallError as error:
        return _fail(1, str(error))
    except OSError as error:
        return _fail(1, f"{error.filename}: {error.strerror}: nothing after this was {options.action}ed")
    except subprocess.CalledProcessError as error:
        return _fail(1, f"{error.cmd[0]} failed with status {error.returncode}: its own words stand above")
    return 0


def _install(placement: Placement, roles: tuple[Role, ...], *, enable: bool) -> None:
    if not placement.own:
        _say("not root: every file belongs to you; an installation that counts is made by root or under fakeroot")
    for item in _items(roles):
        _say(placement.install(item))
    for role in roles:
        _say(make_groups(placement.root, role))
        if enable:
            for unit, wanted_by in role.enable:
                _say(placement.enable(unit, wanted_by, UNITS))


def _uninstall(placement: Placement, roles: tuple[Role, ...]) -> None:
    for role in roles:
        for unit, wanted_by in role.enable:
            placement.disable(unit, wanted_by)
    others = tuple(role for role in ROLES.values() if role not in roles and placement.has(role))
    still_used = set(_items(others))
    for item in _items(roles):
        if item not in still_used:
            _say(placement.remove(item))
    placement.remove_empty_folders()
    if any(role.sysusers for role in roles):
        _say("groups stay: files may still belong to them")


def _items(roles: tuple[Role, ...]) -> list[Item]:
    """Everything of these roles, what they share once; packages first, so that no start script lacks its modules."""
    packages = [item for role in roles for item in role.packages]
    return list(dict.fromkeys([*packages, *(item for role in roles for item in role.items)]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="resources/install",
        description="Puts the product's files where they belong, or takes them away.",
        epilog="example: make install ROLE=vma DESTDIR=/srv/image ENABLE=1",
    )
    parser.add_argument("--role", required=True, help=f"{', '.join(ROLES)} or all")
    parser.add_argument("--destdir", default="", help="the root folder to install below (default: this system)")
    parser.add_argument("--cc", default="cc", help="the C compiler")
    parser.add_argument("--enable", action="store_true", help="also make the links that start the units at boot")
    parser.add_argument("action", choices=("install", "uninstall"))
    return parser.parse_args()


def _say(sentence: str) -> None:
    if sentence:
        print(f"  {sentence}", flush=True)


def _fail(status: int, sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
