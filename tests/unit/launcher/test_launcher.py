"""The setuid launcher: what it refuses, and what is left of the caller when the interpreter starts."""

import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qvd_usbip import errors
from tests.unit.launcher.conftest import ROOT, SOURCE, Compile

AM_ROOT = os.geteuid() == 0
NOT_SETUID, MALFORMED, UNSAFE = 27, 28, 87
ELSEWHERE = "/nonexistent"
PYTHON = "usr/lib/qvd-usbip/python"


class Cell:
    """A folder in which the launcher finds everything it trusts: it runs with this folder as its root."""

    def __init__(self, folder: Path, program: Path, probe: Path) -> None:
        self.folder = folder
        (folder / "dev").mkdir()
        (folder / "dev/null").write_bytes(b"")
        (folder / "home").mkdir()
        for name in (
            "usr/lib/qvd-usbip/python/client_gui/helper",
            "usr/lib/qvd-usbip/python/qvd_usbip/system",
            "usr/bin",
        ):
            (folder / name).mkdir(parents=True)
        for name in ("client_gui/__init__.py", "client_gui/helper/main.py"):
            (folder / PYTHON / name).write_text("")
        (folder / "usr/bin/python").write_bytes(probe.read_bytes())
        (folder / "usr/bin/launcher").write_bytes(program.read_bytes())
        for name in ("python", "launcher"):
            (folder / "usr/bin" / name).chmod(0o755)

    def run(
        self,
        *arguments: str,
        before: Callable[[], object] = int,
        environment: dict[str, str] | None = None,
        pass_fds: tuple[int, ...] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Runs it here; as an ordinary user it must refuse, and that is all that can be seen."""

        def enter() -> None:
            os.chroot(self.folder)
            os.chdir("/home")
            os.umask(0)
            before()

        program = "/usr/bin/launcher" if AM_ROOT else str(self.folder / "usr/bin/launcher")
        return subprocess.run(
            [program, *arguments],
            preexec_fn=enter if AM_ROOT else None,
            env=environment or {},
            pass_fds=pass_fds,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    def facts(self, *arguments: str, **options: object) -> dict[str, list[str]]:
        """What the interpreter sees; nothing for an ordinary user, whom it refused."""
        done = self.run(*arguments, **options)  # type: ignore[arg-type]  # the options of run
        assert done.returncode == (0 if AM_ROOT else NOT_SETUID), done.stderr
        facts: dict[str, list[str]] = {}
        for line in done.stdout.splitlines():
            key, _, value = line.partition(" ")
            facts.setdefault(key, []).append(value)
        return facts


@pytest.fixture(scope="session")
def programs(compile_launcher: Compile, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    program = compile_launcher(
        interpreter="/usr/bin/python",
        script="/usr/lib/qvd-usbip/python/client_gui/helper/main.py",
        package="/usr/lib/qvd-usbip/python/client_gui/helper",
        flags=("-static",),
    )
    probe = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(["cc", "-static", "-o", probe, Path(__file__).with_name("probe.c")], check=True)
    return program, probe


@pytest.fixture
def cell(programs: tuple[Path, Path], tmp_path: Path) -> Cell:
    folder = tmp_path / "cell"
    folder.mkdir(mode=0o755)
    return Cell(folder, *programs)


@pytest.fixture(scope="session")
def misplaced(compile_launcher: Compile) -> Path:
    """A launcher whose interpreter does not exist: whatever it refuses, it refuses before it would start one."""
    return compile_launcher(interpreter=ELSEWHERE, script=ELSEWHERE, package=ELSEWHERE)


def refusal(program: Path, *arguments: str, pass_fds: tuple[int, ...] = ()) -> int:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, pass_fds=pass_fds, timeout=20
    )
    assert re.fullmatch(r"error: .+\n  .+\n", done.stderr), done.stderr
    assert done.stdout == ""
    return done.returncode


def test_its_exit_statuses_are_the_problems() -> None:
    source = SOURCE.read_text()
    assert f"NOT_SETUID = {errors.HELPER_NOT_SETUID.exit_status}," in source
    assert f"MALFORMED = {errors.HELPER_REQUEST_MALFORMED.exit_status}," in source
    assert f"UNSAFE = {errors.HELPER_UNSAFE.exit_status}," in source
    assert f"INTERNAL = {errors.INTERNAL.exit_status} " in source


def test_it_stays_short() -> None:
    assert len(SOURCE.read_text().splitlines()) <= 250


def test_the_compiler_of_the_install_takes_it(tmp_path: Path) -> None:
    """The same flags as the install: hardening on, warnings are errors."""
    code = (
        "import sys; sys.path.insert(0, 'resources/install'); from pathlib import Path; import launcher\n"
        f"Path({str(tmp_path / 'built')!r}).write_bytes("
        "launcher.compile_launcher(Path('resources/launcher/launcher.c'), interpreter=sys.executable, cc='cc'))"
    )
    subprocess.run(["/usr/bin/python3", "-c", code], cwd=ROOT, check=True)
    dump = subprocess.run(["readelf", "-dlW", tmp_path / "built"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"FLAGS_1.*\bNOW\b.*\bPIE\b", dump)
    assert "GNU_RELRO" in dump
    assert re.search(r"GNU_STACK .* RW ", dump)
    symbols = subprocess.run(["readelf", "-sW", tmp_path / "built"], capture_output=True, text=True, check=True).stdout
    assert "__stack_chk_fail" in symbols


@pytest.mark.parametrize("arguments", [(), ("bind", "1-4", "3", "4"), ("bind", "1" * 33), ("x" * 100_000,)])
def test_too_many_too_few_too_long(misplaced: Path, arguments: tuple[str, ...]) -> None:
    assert refusal(misplaced, *arguments) == MALFORMED


def test_an_ordinary_user_without_the_setuid_bit(misplaced: Path) -> None:
    """Root gets as far as the interpreter, which is not there."""
    assert refusal(misplaced, "lend") == (UNSAFE if AM_ROOT else NOT_SETUID)


def test_only_connect_takes_a_third_argument(cell: Cell) -> None:
    assert cell.run("bind", "1-4", "3").returncode == (MALFORMED if AM_ROOT else NOT_SETUID)


def test_what_the_interpreter_is_started_with(cell: Cell) -> None:
    hostile = {"PYTHONPATH": "/home", "LD_PRELOAD": "x.so", "PATH": "/home", "QVD_CALLER_UID": "0", "IFS": "/"}
    facts = cell.facts("bind", "1-4", environment=hostile)
    if facts:
        script = "/usr/lib/qvd-usbip/python/client_gui/helper/main.py"
        assert facts["argv"] == ["/usr/bin/python", "-I", "-S", "-B", script, "bind", "1-4"]
        assert facts["env"] == [
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
            f"QVD_CALLER_UID={os.getuid()}",
            f"QVD_CALLER_GID={os.getgid()}",
        ]
        assert facts["cwd"] == ["/"]
        assert facts["umask"] == ["77"]
        assert facts["nnp"] == ["1"]
        # loading a module is all that root's files do not already allow
        assert set(facts.get("capability", [])) <= {"16"}
        assert "group" not in facts


def test_descriptors_do_not_survive(cell: Cell) -> None:
    with open(os.devnull, "rb") as first, socket.socket() as second:
        os.dup2(first.fileno(), 200)
        facts = cell.facts("lend", pass_fds=(first.fileno(), second.fileno(), 200))
        os.close(200)
    if facts:
        assert [fd.split()[0] for fd in facts["fd"]] == ["0", "1", "2"]


def test_closed_standard_streams_are_filled(cell: Cell) -> None:
    def close() -> None:
        os.close(0)
        os.close(2)

    facts = cell.facts("lend", before=close)
    if facts:
        assert facts["fd"] == ["0 other", "1 other", "2 other"]


def test_limits_signals_timers_and_priority(cell: Cell) -> None:
    def spoil() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        resource.setrlimit(resource.RLIMIT_CPU, (5, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
        signal.setitimer(signal.ITIMER_REAL, 1000)
        os.nice(10)

    facts = cell.facts("lend", before=spoil)
    if facts:
        assert facts["limit"][0] == "0 0"
        assert facts["limit"][1:3] == ["1 -1", "2 -1"]
        assert "masked" not in facts
        assert facts["timer"] == ["0"]
        assert facts["nice"] == ["0"]
        ignored = {int(number) for number in facts["ignored"]}
        assert signal.SIGCHLD not in ignored
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP} <= ignored


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_the_socket_of_connect(cell: Cell, family: socket.AddressFamily) -> None:
    near, far = socket.socketpair() if family == socket.AF_UNIX else tcp_pair()
    with near, far, socket.socket() as other:
        facts = cell.facts("connect", "1-4", str(near.fileno()), pass_fds=(near.fileno(), other.fileno()))
    if facts:
        assert facts["argv"][-3:] == ["connect", "1-4", "3"]
        assert facts["fd"] == ["0 other", "1 other", "2 other", "3 socket"]


def test_the_socket_of_connect_as_standard_input(cell: Cell) -> None:
    """The Qt client passes it as 0; no copy of it is left where a message could go into it."""
    near, far = socket.socketpair()

    def place() -> None:
        os.dup2(near.fileno(), 0)
        os.dup2(near.fileno(), 2)

    with near, far:
        facts = cell.facts("connect", "1-4", "0", before=place, pass_fds=(near.fileno(),))
    if facts:
        assert facts["fd"] == ["0 other", "1 other", "2 other", "3 socket"]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return near, far


@pytest.mark.parametrize("text", ["", "-1", "+3", " 3", "3 ", "03", "0x3", "3\n", "9" * 11, "999", "2147483648", "٣"])
def test_a_descriptor_that_is_no_number_or_not_open(cell: Cell, text: str) -> None:
    assert cell.run("connect", "1-4", text).returncode == (MALFORMED if AM_ROOT else NOT_SETUID)


@pytest.mark.parametrize("kind", ["datagram", "seqpacket", "unconnected", "listening", "file", "netlink"])
def test_a_descriptor_that_is_no_connection(cell: Cell, kind: str) -> None:
    if kind == "file":
        fd = os.open(os.devnull, os.O_RDONLY)
    elif kind == "unconnected":
        fd = socket.socket().detach()
    elif kind == "listening":
        fd = socket.create_server(("127.0.0.1", 0)).detach()
    elif kind == "netlink":
        fd = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).detach()
    else:
        near, far = socket.socketpair(type=socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_SEQPACKET)
        fd = near.detach()
        far.close()
    try:
        done = cell.run("connect", "1-4", str(fd), pass_fds=(fd,))
    finally:
        os.close(fd)
    assert done.returncode == (MALFORMED if AM_ROOT else NOT_SETUID)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "usr",
        "usr/bin/python",
        f"{PYTHON}",
        f"{PYTHON}/client_gui",
        f"{PYTHON}/client_gui/__init__.py",
        f"{PYTHON}/client_gui/helper",
        f"{PYTHON}/client_gui/helper/main.py",
        f"{PYTHON}/qvd_usbip",
        f"{PYTHON}/qvd_usbip/system",
    ],
)
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_may_write_is_not_trusted(cell: Cell, path: str, mode: int) -> None:
    target = cell.folder / path
    target.chmod(target.stat().st_mode & 0o777 | mode)
    done = cell.run("lend")
    assert done.returncode == (UNSAFE if AM_ROOT else NOT_SETUID)


@pytest.mark.parametrize("path", ["client_gui/helper", "client_gui", "qvd_usbip", "qvd_usbip/system"])
def test_compiled_files_others_may_write_are_not_trusted(cell: Cell, path: str) -> None:
    cache = cell.folder / PYTHON / path / "__pycache__"
    cache.mkdir()
    cell.facts("lend")
    cache.chmod(0o777)
    assert cell.run("lend").returncode == (UNSAFE if AM_ROOT else NOT_SETUID)


@pytest.mark.parametrize("path", [f"{PYTHON}/client_gui/helper/main.py", f"{PYTHON}/qvd_usbip", "usr/bin/python"])
def test_a_link_is_not_trusted(cell: Cell, path: str) -> None:
    target = cell.folder / path
    target.rename(target.with_name("elsewhere"))
    target.symlink_to("elsewhere")
    assert cell.run("lend").returncode == (UNSAFE if AM_ROOT else NOT_SETUID)


@pytest.mark.parametrize("path", [f"{PYTHON}/client_gui/helper/main.py", "usr/bin/python", f"{PYTHON}/qvd_usbip"])
def test_a_file_of_another_account_is_not_trusted(cell: Cell, path: str) -> None:
    if AM_ROOT:
        os.chown(cell.folder / path, 1000, -1)
    assert cell.run("lend").returncode == (UNSAFE if AM_ROOT else NOT_SETUID)


def test_a_part_that_is_missing(cell: Cell) -> None:
    (cell.folder / PYTHON / "client_gui/helper/main.py").unlink()
    done = cell.run("lend")
    assert done.returncode == (UNSAFE if AM_ROOT else NOT_SETUID)
    assert not AM_ROOT or "main.py" in done.stderr
