"""PURE: what a command says of itself, to argparse or in its --help -> the sections of its manual page."""

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass

from plain_text import blocks_of, part_of
from roff import Block, Heading, Listed, Paragraph, Section, Synopsis, Verbatim, bold, italic, plain


def sections_of_parser(parser: argparse.ArgumentParser) -> tuple[Section, ...]:
    """The sections of a command whose arguments argparse reads."""
    rest, examples = part_of(parser.epilog or "", "example")
    _, status = part_of(rest, "exit status")
    commands = _subcommands(parser)
    synopses = [_synopsis(parser.prog, each) for each in commands] or [_synopsis(parser.prog, parser)]
    return (
        Section(title="SYNOPSIS", blocks=tuple(synopses)),
        Section(title="DESCRIPTION", blocks=blocks_of(parser.description or "")),
        Section(title="OPTIONS", blocks=tuple(_options(parser))),
        Section(title="COMMANDS", blocks=tuple(block for each in commands for block in _command(parser.prog, each))),
        Section(title="EXAMPLES", blocks=blocks_of(examples)),
        _exit_status(status),
    )


def sections_of_help(text: str) -> tuple[Section, ...]:
    """The sections of a command whose --help is this text: "usage: …", paragraphs, options, "examples:"."""
    rest, usage = part_of(text, "usage")
    rest, examples = part_of(rest, "example")
    lines = rest.splitlines()
    options = "\n".join(line for line in lines if line.startswith("  -"))
    about = "\n".join(line for line in lines if not line.startswith("  -"))
    return (
        Section(title="SYNOPSIS", blocks=tuple(_called(line.split()) for line in usage.splitlines())),
        Section(title="DESCRIPTION", blocks=blocks_of(about)),
        Section(title="OPTIONS", blocks=blocks_of(options)),
        Section(title="EXAMPLES", blocks=blocks_of(examples)),
        _exit_status(""),
    )


def _exit_status(told: str) -> Section:
    text = told or "0 done; another number for each problem, which is explained on standard error."
    blocks = (Paragraph(roff=plain(text[:1].upper() + text[1:])), Paragraph(roff=_PROBLEMS))
    return Section(title="EXIT STATUS", blocks=blocks)


_PROBLEMS = f"The numbers are listed in {bold('qvd-usbip-problems')}(7)."


def _called(usage: list[str]) -> Synopsis:
    """A line of usage: capitals stand for something, all else is typed as it is."""
    return Synopsis(command=usage[0], words=tuple(italic(word) if word.isupper() else bold(word) for word in usage[1:]))


# What argparse keeps of a parser has no public names; they have been the same since it came into Python.


def _subparsers(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[argparse.ArgumentParser] | None":
    return next((each for each in parser._actions if isinstance(each, argparse._SubParsersAction)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """A subcommand: the words that call it, its parser, and what is said of it in one line."""

    words: str
    parser: argparse.ArgumentParser
    told: str


def _subcommands(parser: argparse.ArgumentParser, before: str = "") -> list[_Command]:
    """Every command, those of commands that have commands themselves included."""
    action = _subparsers(parser)
    if action is None:
        return []
    told = {each.dest: each.help or "" for each in action._choices_actions}
    found: list[_Command] = []
    for name, below in action.choices.items():
        words = f"{before}{name}"
        found += _subcommands(below, f"{words} ") or [_Command(words=words, parser=below, told=told.get(name, ""))]
    return found


def _synopsis(program: str, command: _Command | argparse.ArgumentParser) -> Synopsis:
    if isinstance(command, _Command):
        return Synopsis(command=f"{program} {command.words}", words=tuple(_usage(command.parser)))
    return Synopsis(command=program, words=tuple(_usage(command)))


def _usage(parser: argparse.ArgumentParser) -> Iterator[str]:
    exclusive = {id(action): group for group in parser._mutually_exclusive_groups for action in group._group_actions}
    told = set()
    for action in _shown(parser):
        group = exclusive.get(id(action))
        if group is None:
            yield _in_usage(action)
        elif id(group) not in told:
            told.add(id(group))
            yield "[" + " | ".join(_flag(each) for each in group._group_actions) + "]"


def _shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Options before arguments, as they are typed; --help goes without saying."""
    not_shown = (argparse._HelpAction, argparse._SubParsersAction)
    actions = [each for each in parser._actions if not isinstance(each, not_shown)]
    return sorted(actions, key=lambda each: not each.option_strings)


def _in_usage(action: argparse.Action) -> str:
    if action.option_strings:
        return _flag(action) if action.required else f"[{_flag(action)}]"
    value = _value(action)
    match action.nargs:
        case "?":
            return f"[{value}]"
        case "*":
            return f"[{value} ...]"
        case "+":
            return f"{value} ..."
        case _:
            return value


def _flag(action: argparse.Action) -> str:
    flag = bold(action.option_strings[-1])
    return flag if action.nargs == 0 else f"{flag} {_value(action)}"


def _value(action: argparse.Action) -> str:
    """What stands for an argument's value: one of several words, or a name in capitals."""
    if action.choices is not None and action.metavar in {None, *map(str, action.choices)}:
        return "|".join(bold(str(choice)) for choice in action.choices)
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return _capitals(name)


def _capitals(name: str) -> str:
    return "".join(italic(piece) if piece.isupper() else bold(piece) for piece in re.findall(r"[A-Z]+|[^A-Z]+", name))


def _options(parser: argparse.ArgumentParser) -> Iterator[Block]:
    for action in _shown(parser):
        if action.help:
            tag = ", ".join(bold(each) for each in action.option_strings[:-1])
            last = _flag(action) if action.option_strings else _value(action)
            yield Listed(tags=(f"{tag}, {last}" if tag else last,), told=(plain(action.help),))


def _command(program: str, command: _Command) -> Iterator[Block]:
    yield Heading(roff=bold(f"{program} {command.words}"))
    told = command.parser.description or command.told
    yield Paragraph(roff=plain(told[:1].upper() + told[1:].rstrip(".") + "."))
    yield from _options(command.parser)
    _, examples = part_of(command.parser.epilog or "", "example")
    if examples:
        yield Paragraph(roff=plain("For example:"))
        yield Verbatim(lines=tuple(bold(line.strip()) for line in examples.splitlines()))
