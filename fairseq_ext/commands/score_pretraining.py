"""Record what the log of each self-supervised training of a run says at its end, as a scored system.

  fairseq-ext score pretraining RUN --partitions ssl 'ssl/*' --origin real
reads RUN/train/<partition>/<system>/seed<k>/{checkpoint_last.pt,train.log} and writes RUN/scores/.../metrics.json.
"""

import argparse
from pathlib import Path
from typing import Any

from ._scored import add_origin, find_trainings

SUMMARY = "Record final losses of self-supervised trainings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument(
        "--partitions", nargs="+", required=True, metavar="PATTERN", help="partitions of the pre-trainings"
    )
    add_origin(parser)
    parser.add_argument("--force", action="store_true", help="write again what has its metrics.json")


def read(path: str) -> Any:
    """Read what a checkpoint file holds."""
    from .. import compat  # noqa: F401 - lets torch read the file
    from ..modules.checkpoint_file import read_checkpoint

    return read_checkpoint(path)


def run(args: argparse.Namespace) -> int:
    """Write the results and print a line for each."""
    from ..scoring.pretraining import gather_all

    jobs = find_trainings(args)
    if not jobs:
        print("no finished training found, so nothing is gathered")
    for line in gather_all(jobs, read, force=args.force):
        print(line)
    return 0
