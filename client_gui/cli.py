"""EFFECT: the command `qvd-usb`: lists USB devices, ticks them, shares the ticked ones with a session."""

from __future__ import annotations

import errno
import io
import os
import sys

from qvd_usbip.errors import OUTPUT_FAILED, USAGE, QvdUsbError, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

EXAMPLES = """examples:
  qvd-usb list                      what is plugged in, and what is shared
  qvd-usb share 1-4.2               share the device at port 1-4.2
  qvd-usb share 0bda:58c2@1234      share it wherever, and whenever, it is plugged in
  qvd-usb unshare 1-4.2             take it back
  qvd-usb connect --session -       share with the session described on standard input, until that is closed
  qvd-usb pair server.example       be paired with a host: both show a code that is compared
  qvd-usb connect desk1@server      share with the session that came of it, until Ctrl-C
  qvd-usb share --agree 1-5         the same for a keyboard or a mounted stick: unlocks, unmounts
  qvd-usb status --json             what the running session does
  qvd-usb watch                     each change as it happens
  qvd-usb explain 1-5               which rule decides about a device, and where it is written
  qvd-usb mode 1-4.2 ask            from now on, ask before it is shared
  qvd-usb name 1-4.2 "the scale"    call it that, here and in the picker
  qvd-usb follow 1-4.2 30           what comes to its port within 30 s counts as it (a boot loader)
  qvd-usb policy                    all rules
  qvd-usb doctor                    what this computer lacks, and the command that repairs it

exit status: 0 done; 1 from doctor alone: devices can be shared, but something is not as it should be; 10 and more, one
for each problem, which is explained on standard error."""


_OUTPUT_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns the exit status of what went wrong, or 0."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # None, where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")  # a device's name may hold what the terminal does not know
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except QvdUsbError as error:
        if "--json" in arguments:
            _say_as_json(error)
        return _failed(error)
    except BrokenPipeError:
        _discard_output()
        return 0
    except OSError as error:
        if error.errno not in _OUTPUT_FULL:
            raise
        _discard_output()
        return _failed(QvdUsbError(OUTPUT_FAILED, reason=os.strerror(error.errno)))
    except KeyboardInterrupt:
        return 130
    return status


def _failed(error: QvdUsbError) -> int:
    print(report(error), file=sys.stderr)
    return error.problem.exit_status


def _say_as_json(error: QvdUsbError) -> None:
    """Names the problem to a program on standard output, where it listens; people are told on standard error."""
    import json

    said = {"code": error.problem.code, "text": str(error), "remedy": error.remedy()}
    try:
        print(json.dumps({"v": 1, "event": "error", "error": said}), flush=True)
    except OSError:
        _discard_output()  # nobody listens there


def _discard_output() -> None:
    """Lets what is still buffered go, or Python complains about it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    if arguments in (["list"], ["list", "--json"]):  # the one command that has to be quick: without argparse
        from client_gui.list_devices import show_list

        return show_list(as_json=len(arguments) == 2)
    _find_packages()
    parsed = parser().parse_args(arguments)
    return _dispatch(parsed)


def _find_packages() -> None:
    """Lets everything but the list find the system's packages: it is started without them (python3 -S)."""
    if "site" not in sys.modules:
        import site

        site.main()


def _dispatch(parsed: argparse.Namespace) -> int:
    if parsed.command == "connect":
        from client_gui.connect import connect

        return connect(parsed.name, parsed.session, parsed.session_fd, as_json=parsed.json)
    if parsed.command == "list":
        return _run(["list", "--json"] if parsed.json else ["list"])
    if parsed.command in {"mode", "name", "follow"}:
        return _remember(parsed)
    if parsed.command in {"pair", "sessions", "forget"}:
        return _about_hosts(parsed)
    return _change(parsed) if parsed.command in {"share", "unshare", "status"} else _inquire(parsed)


def _about_hosts(parsed: argparse.Namespace) -> int:
    from client_gui import sessions

    match parsed.command:
        case "sessions":
            return sessions.show(as_json=parsed.json)
        case "forget":
            return sessions.forget(parsed.name, as_json=parsed.json)
        case _:
            from client_gui.pair import pair

            return pair(parsed.host, parsed.name, as_json=parsed.json)


def _remember(parsed: argparse.Namespace) -> int:
    from client_gui import remembering

    if parsed.command == "mode":
        return remembering.mode(parsed.device, parsed.mode, as_json=parsed.json)
    if parsed.command == "follow":
        return remembering.follow(parsed.device, parsed.seconds, as_json=parsed.json)
    return remembering.name(parsed.device, parsed.nickname, as_json=parsed.json)


def _inquire(parsed: argparse.Namespace) -> int:
    from client_gui import inquiries

    match parsed.command:
        case "explain":
            return inquiries.explain(parsed.device, as_json=parsed.json)
        case "policy":
            return inquiries.show_policy(as_json=parsed.json)
        case "watch":
            return inquiries.watch(as_json=parsed.json)
        case _:
            return inquiries.doctor(as_json=parsed.json)


def _change(parsed: argparse.Namespace) -> int:
    from client_gui import commands

    match parsed.command:
        case "share":
            return commands.share(parsed.device, agree=parsed.agree, as_json=parsed.json)
        case "unshare":
            return commands.unshare(parsed.device, as_json=parsed.json)
        case _:
            return commands.show_status(as_json=parsed.json)


def parser() -> argparse.ArgumentParser:
    """What the command takes, and what it says of it: --help and the manual page are made of it."""
    import argparse

    from client_gui.state import Mode
    from qvd_usbip.system.command_line import Parser

    raw = argparse.RawDescriptionHelpFormatter
    made = Parser(
        prog="qvd-usb",
        description="Lends USB devices of this computer to a remote desktop.",
        epilog=EXAMPLES,
        formatter_class=raw,
        allow_abbrev=False,
    )
    made.tell_version()
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)

    def command(name: str, text: str, *examples: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=text.capitalize() + ".",
            epilog="\n  ".join(("example:" if len(examples) == 1 else "examples:", *examples)),
            formatter_class=raw,
            allow_abbrev=False,
        )
        added.add_argument("--json", action="store_true", help="print JSON for programs")
        return added

    command("list", "show the devices that are plugged in or remembered", "qvd-usb list --json")
    device_help = "BUSID (1-4.2), or VID:PID or VID:PID@SERIAL (0bda:58c2@1234)"
    share = command("share", "tick devices: they are shared with each session", "qvd-usb share 1-4.2 0bda:58c2@1234")
    share.add_argument("--agree", action="store_true", help="say yes to what would be asked: unlock, unmount, changed")
    share.add_argument("device", nargs="+", help=device_help)
    unshare = command("unshare", "untick devices: they come back", "qvd-usb unshare 1-4.2")
    unshare.add_argument("device", nargs="+", help=device_help)
    mode = command(
        "mode",
        "show or choose when a ticked device is shared",
        "qvd-usb mode 1-4.2",
        "qvd-usb mode 0bda:58c2@1234 ask",
    )
    mode.add_argument("device", help=device_help)
    mode.add_argument(
        "mode",
        nargs="?",
        choices=[str(each) for each in Mode],
        help="manual: by hand only; ask: after a question at each plugging and session; automatic: at once",
    )
    name = command(
        "name", "show or give a device's nickname", 'qvd-usb name 1-4.2 "the scale"', 'qvd-usb name 1-4.2 ""'
    )
    name.add_argument("device", help=device_help)
    name.add_argument("nickname", nargs="?", help='what to call it, one line; "" for its own name again')
    follow = command(
        "follow",
        "show or choose for how long what comes to a device's port counts as it: boot loader, other mode of a phone",
        "qvd-usb follow 1-4.2 30",
        "qvd-usb follow 1-4.2 0",
    )
    follow.add_argument("device", help=device_help)
    follow.add_argument("seconds", nargs="?", help="after it goes, 600 at most; 0: not at all")
    connect = command(
        "connect",
        "share the ticked devices with a session, until it ends",
        "qvd-usb connect desk1@server",
        "qvd-usb connect --session - < session.json",
    )
    connect.add_argument("name", nargs="?", help="a stored session, from: qvd-usb sessions; it lasts until Ctrl-C")
    source = connect.add_mutually_exclusive_group()
    source.add_argument("--session", choices=["-"], help="read the session's JSON from standard input")
    source.add_argument("--session-fd", type=_descriptor, metavar="N", help="read it from this open file descriptor")
    _add_pairing(command)
    command("status", "show what the running session does", "qvd-usb status")
    command("watch", "print each change as it happens, until interrupted", "qvd-usb watch --json")
    explain = command(
        "explain", "tell which rule decides about a device, and where it is written", "qvd-usb explain 1-4"
    )
    explain.add_argument("device", help=device_help)
    command("policy", "show all rules of which devices may be shared, in order", "qvd-usb policy")
    command("doctor", "look for what this computer lacks, and tell the command that repairs it", "qvd-usb doctor")
    return made


def _add_pairing(command: Callable[..., argparse.ArgumentParser]) -> None:
    pair = command(
        "pair",
        "let this computer share devices with a container of a host, encrypted, from now on",
        "qvd-usb pair server.example",
        "qvd-usb pair --name work 192.0.2.7:9020",
    )
    pair.add_argument("host", metavar="HOST[:PORT]", help="where the host's agent listens; port 9020 if none is given")
    pair.add_argument("--name", help="what to call the session (default: CONTAINER@HOST)")
    command("sessions", "show the stored sessions, and their hosts' certificates", "qvd-usb sessions --json")
    forget = command("forget", "remove a stored session", "qvd-usb forget desk1@server")
    forget.add_argument("name", help="the session, from: qvd-usb sessions")


def _descriptor(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        raise QvdUsbError(USAGE, reason=f"--session-fd takes the number of an open descriptor, not '{text}'")
    return int(text)
