#!/usr/bin/env python3
"""Run many commands of fairseq-ext, several side by side, in forks of one process that has imported what they need.

  tools/batch.py --jobs 2 < LINES
  printf '%s\\n' 'embed --encoder mfcc --folder A --out EMB/a' 'embed --encoder x.pt --folder A --out EMB/b' |
    tools/batch.py

LINES holds the arguments of one fairseq-ext command a line, quoted as for a shell; lines begin in their order.
Importing torch and fairseq takes 3 to 7 s of a core, longer than many a command: here they are imported once. What the
commands print and record is the same as of one by one. After a failure those under way end, and no other begins.
"""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fairseq_ext.commands.main import find_commands, load_command, main, run_tool, split_command

SUMMARY = "Run many commands, with one import for all"


@dataclass(frozen=True)
class Line:
    """A command of the batch: its number in the input, from 1, its arguments and its module."""

    number: int
    arguments: tuple[str, ...]
    module: str

    def __str__(self) -> str:
        """Return the line in short, for messages."""
        text = shlex.join(self.arguments)
        return f"line {self.number} ({text if len(text) <= 100 else text[:97] + '...'})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--jobs", type=int, default=1, help="commands side by side (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Run the lines of standard input, and return 1 if one of them fails."""
    if args.jobs < 1:
        raise argparse.ArgumentError(None, f"--jobs: 1 or more expected, found {args.jobs}")
    lines = _read(sys.stdin.read().splitlines())
    _preload(lines)
    failed = _run(lines, args.jobs)
    for line, status in failed:
        print(f"tools/batch.py: {line} failed with status {status}", file=sys.stderr)
    return int(bool(failed))


def _read(texts: Sequence[str]) -> list[Line]:
    """Parse every line before the first begins.

    Raises:
        ValueError: a quote is not closed, or there is no such command.
    """
    commands, lines = find_commands(), []
    for number, text in enumerate(texts, 1):
        try:
            arguments = shlex.split(text)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}; quote it as for a shell: {text[:100]!r}") from None
        if not arguments:
            continue
        name, _ = split_command(arguments, commands)
        if name not in commands:
            raise ValueError(
                f"line {number}: the arguments of a command of fairseq-ext expected, found {text[:100]!r}"
            )
        lines.append(Line(number, tuple(arguments), commands[name]))
    return lines


def _preload(lines: Sequence[Line]) -> None:
    """Import what the commands name in their PRELOAD; a package that is missing is theirs to report."""
    for module in dict.fromkeys(line.module for line in lines):
        for name in getattr(load_command(module), "PRELOAD", ()):
            try:
                importlib.import_module(name)
            except ImportError:
                continue


def _run(lines: Sequence[Line], num_jobs: int) -> list[tuple[Line, int]]:
    """Run lines side by side, and return those that failed, with their exit statuses."""
    from fairseq_ext.jobs.forks import start_fork

    waiting, running, failed = list(lines), dict[int, Line](), list[tuple[Line, int]]()
    while running or (waiting and not failed):
        while waiting and not failed and len(running) < num_jobs:
            line = waiting.pop(0)
            running[start_fork(partial(main, line.arguments))] = line
        pid, status = os.wait()
        line = running.pop(pid)
        if code := os.waitstatus_to_exitcode(status):
            failed.append((line, code))
    return failed


if __name__ == "__main__":
    run_tool(__file__)
