"""What the commands that score networks share: options for one checkpoint or for everything a run has trained."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..scoring.trainings import FinishedTraining


def add_checkpoint_or_run(
    parser: argparse.ArgumentParser, *, partitions: str = "*", partition: str = "published"
) -> None:
    """Add the options that say what to score, where the result goes and on which device."""
    what = parser.add_argument_group("what to score")
    what.add_argument("--checkpoint", type=Path, help="score one checkpoint")
    what.add_argument("--run", type=Path, help="score everything that a run folder has trained")
    what.add_argument(
        "--partitions",
        nargs="+",
        default=[partitions],
        metavar="PATTERN",
        help=f"with --run: partitions to score (default: {partitions})",
    )
    what.add_argument("--data", type=Path, help="with --checkpoint: manifest folder")
    what.add_argument("--system", help="with --checkpoint: name of the system")
    what.add_argument("--partition", default=partition, help="with --checkpoint: name of the partition")
    what.add_argument("--seed", type=int, default=1, help="seed of the training (default: 1)")
    what.add_argument("--out", type=Path, help="with --checkpoint: folder of the result")
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument("--force", action="store_true", help="do again what is already scored or explained")


def add_origin(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add --origin."""
    parser.add_argument(
        "--origin", choices=["real", "synthetic"], required=required, help="origin of the recordings"
    )


def add_intervals_over(parser: argparse.ArgumentParser) -> None:
    """Add --intervals-over."""
    parser.add_argument(
        "--intervals-over",
        choices=["recordings", "speakers"],
        default="recordings",
        help="what the bootstrap resamples; speakers where many are tested (default: recordings)",
    )


def add_groups(parser: argparse.ArgumentParser) -> None:
    """Add --groups and --groups-data."""
    parser.add_argument(
        "--groups",
        nargs="+",
        default=[],
        metavar="STREAM",
        help="groups to score apart, such as gender intensity",
    )
    parser.add_argument(
        "--groups-data",
        type=Path,
        metavar="DIR",
        help="manifest folder that holds the groups of all recordings (default: those of the partitions)",
    )


def named_folders(texts: Sequence[str]) -> list[tuple[str, Path]]:
    """Return partition and manifest folder of each PARTITION=DIR of --data.

    Raises:
        argparse.ArgumentError: one is written otherwise.
    """
    found = []
    for text in texts:
        partition, _, folder = text.partition("=")
        if not partition or not folder:
            raise argparse.ArgumentError(None, f"--data: PARTITION=DIR expected, found {text!r}")
        found.append((partition, Path(folder)))
    return found


def check_checkpoint_or_run(args: argparse.Namespace) -> None:
    """Check that the options of `add_checkpoint_or_run` name one checkpoint completely, or a run.

    Raises:
        argparse.ArgumentError: if they do not.
    """
    if bool(args.checkpoint) == bool(args.run):
        raise argparse.ArgumentError(None, "give either --checkpoint or --run")
    if args.checkpoint and not (args.data and args.system and args.out):
        raise argparse.ArgumentError(None, "--checkpoint needs --data, --system and --out")


def find_trainings(
    args: argparse.Namespace, find: "Callable[..., list[FinishedTraining]] | None" = None
) -> "list[FinishedTraining]":
    """Find the trainings to score by the options of `add_checkpoint_or_run` and `add_origin`.

    `find` finds those of a run; None = `scoring.trainings.finished_trainings`.

    Raises:
        FileNotFoundError: if there is no such run folder.
        ValueError: if it holds no partition of a given name.
    """
    from ..scoring.scored_system import ScoredSystem
    from ..scoring.trainings import FinishedTraining, check_partitions, finished_trainings

    if args.run:
        check_partitions(args.run, args.partitions)
        return (find or finished_trainings)(args.run, args.origin, args.command_line, args.partitions)
    system = ScoredSystem(args.system, args.partition, args.seed, args.origin, args.command_line)
    return [FinishedTraining(args.checkpoint, args.data, system, args.out)]
