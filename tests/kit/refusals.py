"""What a refusal must look like, and files that no program can read its settings from."""

import re
from pathlib import Path

from qvd_usbip.errors import problem_of

#: What is in the place of a configuration file -> the problem each reader of `qvd_usbip.system.files` names.
UNUSABLE = {
    "no text": "config-not-text",
    "a folder": "config-is-folder",
    "unreadable": "config-unreadable",
    "100 MB": "config-too-large",
}


def make_unusable(path: Path, kind: str) -> None:
    """Puts something into the place of a configuration file."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "no text":
            path.write_bytes(b"client.usb.share_list=\xff\xfe\n")
        case "a folder":
            path.mkdir()
        case "unreadable":  # for root, too
            path.symlink_to(path.name)
        case "100 MB":
            with path.open("wb") as file:
                file.truncate(100 << 20)
        case _:
            raise ValueError(kind)


def identity(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    found = path.lstat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _pattern(template: str) -> str:
    parts = re.split(r"\{\w+\}", template)
    return "[^\n]*".join(re.escape(part.replace("{{", "{").replace("}}", "}")) for part in parts)


def is_told(text: str, code: str) -> bool:
    """Whether the sentence and the remedy of the problem are there, one after the other, and nothing of Python's own.

    Each {field} of theirs must have been filled.
    """
    problem = problem_of(code)
    about = r"(\d+-[\d.]+: )?"  # the device it is about, where a command is about several
    found = re.search(f"error: {about}{_pattern(problem.sentence)}\n {{2}}{_pattern(problem.remedy)}(\n|$)", text)
    return found is not None and problem.code == code and "Traceback" not in text


def assert_refused(status: int, err: str, code: str) -> None:
    """The command ended as this problem says: its own exit status, its sentence and its remedy on standard error."""
    assert status == problem_of(code).exit_status, err
    assert is_told(err, code), f"{code} is not told by: {err!r}"
