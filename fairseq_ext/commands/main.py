"""The entry point of `fairseq-ext`: find the command, parse its options, run it, print what went wrong in one line."""

import argparse
import difflib
import importlib
import os
import pkgutil
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, Protocol, TextIO, cast

from .. import __version__
from ..files import printable
from ..optional import describe

PROGRAM = "fairseq-ext"
USAGE = f"{PROGRAM} [--help] [--version] [--traceback] COMMAND ..."
# The order of the help, that of the work; groups that are not named here follow.
ORDER = (
    "prepare", "check", "label", "features", "embed", "train", "score", "explain", "report", "transcribe", "lipread",
    "classify", "accent", "convert", "jobs",
)  # fmt: skip
# The command of a group that is meant where none of its names follows: `fairseq-ext features a.wav`.
DEFAULT_OF_GROUP = {"features": "features voice"}
# What a user can put right: wrong values and files, a missing package, a worker process that died. Anything else
# is a defect of ours, and its traceback is shown.
EXPECTED = (ValueError, OSError, ImportError)
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
BROKEN_PIPE = 141  # 128 + SIGPIPE


class Command(Protocol):
    """A module of a command; SUMMARY is its line of the help."""

    SUMMARY: str
    __doc__: str | None

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options to a parser."""

    def run(self, args: argparse.Namespace) -> int:
        """Run the command and return its exit status."""


def find_commands() -> dict[str, str]:
    """Find the commands in this folder, such as "score recognition": "score_recognition", in the order of the help."""
    modules = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    names = {
        name.replace("_", " ", 1).replace("_", "-"): name
        for name in modules
        if name != "main" and not name.startswith("_")
    }

    def position(name: str) -> tuple[int, str]:
        group = name.partition(" ")[0]
        return (ORDER.index(group) if group in ORDER else len(ORDER), name)

    return {name: names[name] for name in sorted(names, key=position)}


def load_command(module: str) -> Command:
    """Import the module of a command by its name in this folder."""
    return cast(Command, importlib.import_module(f"{__package__}.{module}"))


def _list_commands(commands: dict[str, str]) -> str:
    """List commands, in order, with their summaries, a line each; the name of a group is written once."""
    width = max(len(name.partition(" ")[2]) for name in commands)
    lines, previous = [], ""
    for name, module in commands.items():
        group, _, rest = name.partition(" ")
        shown = "" if group == previous else group
        lines.append(f"  {shown:<10} {rest:<{width}}  {load_command(module).SUMMARY}")
        previous = group
    return "\n".join(lines)


def refuse(name: str, commands: dict[str, str]) -> NoReturn:
    """End with status 2 because there is no such command, and suggest the nearest."""
    # "recognition" alone finds "score recognition".
    known = {word: command for command in commands for word in (command.partition(" ")[2], command) if word}
    known |= {command.partition(" ")[0]: command.partition(" ")[0] for command in commands}
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{PROGRAM} {known[near[0]]}'?" if near else f"see '{PROGRAM} --help'"
    print(f"{PROGRAM}: there is no command '{name}'; {hint}", file=sys.stderr)
    sys.exit(2)


def _show_help(commands: dict[str, str], group: str = "") -> None:
    """Print the help of a group of commands; of the whole program when the name of the group is empty."""
    if group:
        own = f"{PROGRAM} {group} COMMAND --help"
        print(f"usage: {PROGRAM} {group} COMMAND ...\n'{own}' describes a command and its options.")
        if default := DEFAULT_OF_GROUP.get(group):
            print(f"'{PROGRAM} {group} FILE' is short for '{PROGRAM} {default} FILE'.")
    else:
        # One line, so that the commands, a line each, fit one screen with it.
        print(f"usage: {PROGRAM} [--version] [--traceback] COMMAND [--help] ...")
    print(_list_commands(commands))


def run_command(
    command: Command, prog: str, called: str, arguments: Sequence[str], *, show_traceback: bool = False
) -> int:
    """Parse the options of a command, run it, and return its exit status.

    The only place where the errors of commands are caught. `prog` is its name in usage and messages, `called` that in
    the command line that results record, `args.command_line`. `show_traceback` raises errors instead of printing them.

    Raises:
        SystemExit: with a line to print, for errors that the user can put right; with 2 for wrong options.
    """
    parser = argparse.ArgumentParser(
        prog=prog, description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    try:
        command.add_arguments(parser)
        parser.set_defaults(command_line=f"{called} {shlex.join(arguments)}".rstrip())
        return command.run(parser.parse_args(arguments))
    except argparse.ArgumentError as error:
        parser.error(str(error))
    except BrokenPipeError:
        raise
    except EXPECTED as error:
        if show_traceback:
            raise
        sys.exit(f"{prog}: {' '.join(printable(describe(error)).splitlines())}")


class _EscapedOutput:
    """An output in which control characters are escaped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _quiet_ends() -> Iterator[None]:
    """End without a traceback when the user interrupts, or when the reader of standard output is gone.

    What is printed meanwhile cannot steer the terminal: names and texts come from data.
    """
    try:
        try:
            with redirect_stdout(cast(TextIO, _EscapedOutput(sys.stdout))):
                yield
        finally:
            sys.stdout.flush()  # where a reader that is gone is noticed
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(BROKEN_PIPE)


def run_tool(file: str, name: str = "") -> None:
    """Run a command under the name of a tool's `__file__`; return if its status is 0.

    Without a name, such as "score recognition", the tool is the module of the command itself.

    Raises:
        SystemExit: as `run_command`, or with another status than 0.
    """
    command = load_command(find_commands()[name]) if name else cast(Command, sys.modules["__main__"])
    tool = Path(file).name
    with _quiet_ends():
        status = run_command(command, tool, f"tools/{tool}", sys.argv[1:])
    if status:
        sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `fairseq-ext` with arguments, those of the process by default, and return the exit status."""
    with _quiet_ends():
        return _dispatch(argv)


def _dispatch(argv: Sequence[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=USAGE,
        add_help=False,
    )
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("--traceback", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    commands = find_commands()
    if args.help or not args.command:
        _show_help(commands)
        return 0 if args.help else 2
    first, *rest = args.command
    group = {name: module for name, module in commands.items() if name.startswith(f"{first} ")}
    if first not in commands and group and (not rest or rest[0] in ("-h", "--help")):
        _show_help(group, first)
        return 0 if rest else 2
    name, rest = split_command(args.command, commands)
    if name not in commands:
        refuse(name, commands)
    prog = f"{PROGRAM} {name}"
    return run_command(load_command(commands[name]), prog, prog, rest, show_traceback=args.traceback)


def split_command(arguments: Sequence[str], commands: dict[str, str]) -> tuple[str, list[str]]:
    """Split arguments into the name of a command, such as "score recognition", which there may not be, and the rest."""
    first, *rest = arguments
    if first in commands or not rest or not any(name.startswith(f"{first} ") for name in commands):
        return first, rest
    if first in DEFAULT_OF_GROUP and f"{first} {rest[0]}" not in commands:
        return DEFAULT_OF_GROUP[first], rest
    return f"{first} {rest[0]}", rest[1:]


if __name__ == "__main__":
    sys.exit(main())
