"""What the commands share that read anybody's data set: where class and speaker are, and what was left out."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..corpora.labelled_corpus import Recording

_MOST_REASONS_SHOWN = 10


def add_layout_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where path, class, speaker and so on are."""
    add = parser.add_argument
    add("--table", type=Path, nargs="+", metavar="FILE", help="csv or tsv with a header, a row per recording; one for "
        "each --corpus")  # fmt: skip
    add(
        "--speaker",
        metavar="PATTERN",
        help="folder of the path that names the speaker (1 is the first), or a regular expression with a group "
        "(?P<speaker>...); of a table also a column (default: column speaker)",
    )
    add("--group", metavar="PATTERN", help="where the group (session, place, microphone) is, likewise")
    for column in ("path", "class", "gender", "text", "split", "start", "end"):
        add(f"--{column}", metavar="NAME", help=f"column of the table (default: {column})")
    add("--no-speakers", action="store_true", help="accept a random split, since no speakers are known")


def check_layout_options(args: argparse.Namespace) -> None:
    """Raise argparse.ArgumentError for options that would have no effect."""
    from ..corpora.table import COLUMNS

    named = [c for c in COLUMNS if c not in ("speaker", "group") and getattr(args, c)]
    if named and args.table is None:
        raise argparse.ArgumentError(None, f"--{named[0]}: it names a column of --table, which is not given")


def recordings(
    args: argparse.Namespace, root: Path, table_file: Path | None, problems: list[str]
) -> "Iterator[Recording]":
    """List the recordings of a data set: those of a table, or by their folders where there is none."""
    from ..corpora import folder_per_class, table
    from ..media.media_files import SUFFIXES

    where = {"speaker": args.speaker, "group": args.group}
    if table_file is None:
        return folder_per_class.read(root, suffixes=SUFFIXES, **where, on_problem=problems.append)
    named = {column: getattr(args, column) for column in table.COLUMNS if getattr(args, column)}
    return table.read(table_file, columns=named, on_problem=problems.append)


def refuse_earlier_folds(out: Path, names: list[str]) -> None:
    """Raise ValueError for folds of another choice below `out`: they would be checked and trained with the new ones."""
    for family in {name.rpartition("/")[0] for name in names if "/" in name}:
        earlier = {path.relative_to(out).as_posix() for path in (out / family).glob("*") if path.is_dir()}
        if old := sorted(earlier - set(names)):
            raise ValueError(
                f"{out / old[0]}: this fold is of an earlier choice; delete {out / family}, or choose another --out"
            )


def print_problems(out: Path, problems: list[str], what: str = "files or rows left out") -> None:
    """Write OUT/problems.txt; print how often each reason occurs, with its line where it is one, and their number."""
    from ..files import atomic_write

    with atomic_write(out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    reasons: dict[str, list[str]] = {}
    for line in problems:
        reasons.setdefault(_reason(line), []).append(line)
    for lines in list(reasons.values())[:_MOST_REASONS_SHOWN]:
        print(lines[0] if len(lines) == 1 else f"{lines[0]} (and {len(lines) - 1} more like it)")
    print(f"{len(problems)} {what} ({out / 'problems.txt'})")


def _reason(line: str) -> str:
    """Return a problem without its place, and without numbers and names: words with digits, "/" or "_"."""
    return re.sub(r"\S*[\d/_]\S*", "", line.partition(": ")[2])
