"""EFFECT: who the caller is and what the administrator wrote: accounts, logind, and the policy file, read as root."""

import grp
import os
import pwd
import stat

from client_gui.helper.authorise import PATH, RULES_PATH, Caller, Policy, is_seated, parse_policy, session_of
from qvd_usbip.errors import POLICY_UNSAFE, QvdUsbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client_gui.rules import Rule

_SESSIONS = "run/systemd/sessions"
_LIMIT = 65536
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def read_policy(root: int) -> Policy:
    """Reads the policy and the rules about single devices; without a file the default holds.

    Raises:
        QvdUsbError: policy-unsafe when somebody else than root could have written it, or taken it away, or it is not
            understood.
    """
    folder_path, name = os.path.split(PATH)
    folder = _opened(root, folder_path.lstrip("/"), os.O_DIRECTORY, folder_path)
    if folder < 0:
        return parse_policy("")
    try:
        _check_roots(folder, folder_path)
        file = _opened(folder, name, os.O_NONBLOCK, PATH)
        policy = parse_policy("" if file < 0 else _text_of(file, PATH))
        file = _opened(folder, os.path.basename(RULES_PATH), os.O_NONBLOCK, RULES_PATH)
    finally:
        os.close(folder)
    if file >= 0:
        policy.rules = _rules(_text_of(file, RULES_PATH))
    return policy


def _rules(text: str) -> "tuple[Rule, ...]":
    # only a machine that has such rules pays for reading them
    from client_gui.rules import ADMINISTRATOR, parse  # noqa: PLC0415  # see above

    try:
        return parse(text, ADMINISTRATOR, RULES_PATH)
    except QvdUsbError as error:
        raise QvdUsbError(POLICY_UNSAFE, path=RULES_PATH, reason=error.context["reason"]) from error


def _opened(folder: int, name: str, flags: int, path: str) -> int:
    """Opens it without following a link; -1 where it is not there. `path` is what it is called in the refusal."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise QvdUsbError(POLICY_UNSAFE, path=path, reason=os.strerror(error.errno or 0)) from None


def _check_roots(fd: int, path: str) -> os.stat_result:
    found = os.fstat(fd)
    if found.st_uid != 0 or found.st_mode & _WRITABLE:
        raise QvdUsbError(POLICY_UNSAFE, path=path, reason="somebody else than root may write it")
    return found


def _text_of(file: int, path: str) -> str:
    """Reads a file of the administrator's and closes it; `path` is what it is called in a refusal."""
    try:
        if not stat.S_ISREG(_check_roots(file, path).st_mode):
            raise QvdUsbError(POLICY_UNSAFE, path=path, reason="it is not a regular file")
        data = os.read(file, _LIMIT + 1)
    finally:
        os.close(file)
    if len(data) > _LIMIT:
        raise QvdUsbError(POLICY_UNSAFE, path=path, reason="it is larger than 64 KiB")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise QvdUsbError(POLICY_UNSAFE, path=path, reason="it is not UTF-8 text") from None


def identify(root: int, uid: int, gid: int) -> Caller:
    """Looks the caller up in the account database and in logind; nothing comes from the caller's environment.

    Args:
        root: descriptor of the folder that holds `proc` and `run`.
        uid: the caller's real uid.
        gid: the caller's real gid.
    """
    return Caller(uid=uid, groups=_groups(uid, gid), seated=_seated(root, uid))


def _groups(uid: int, gid: int) -> frozenset[str]:
    try:
        gids = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        gids = [gid]
    names = set()
    for number in gids:
        try:
            names.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return frozenset(names)


def _seated(root: int, uid: int) -> bool:
    """Source: sd_pid_get_session(3), sd_session_is_active(3); the files logind keeps for these calls."""
    session, user = session_of(_read(root, "proc/self/cgroup"))
    if session:
        return is_seated(_read(root, f"{_SESSIONS}/{session}"), uid)
    if user != uid:
        return False
    try:
        folder = os.open(_SESSIONS, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
    except FileNotFoundError:
        return False
    try:
        names = [name for name in os.listdir(folder) if name.isascii() and name.isalnum()]
        return any(is_seated(_read(folder, name), uid) for name in names)
    finally:
        os.close(folder)


def _read(folder: int, name: str) -> str:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return ""
    try:
        return os.read(fd, _LIMIT).decode("utf-8", "replace")
    finally:
        os.close(fd)
