"""Score the majority baseline, the most frequent class of the training split, on each manifest folder.

  fairseq-ext score majority --data accent=RUN/manifests/accent --label accent --scores RUN/scores --origin real
writes RUN/scores/<partition>/majority/seed1/{predictions.tsv,config.json,metrics.json} for each PARTITION=DIR.
"""

import argparse
from pathlib import Path

from ._scored import add_intervals_over, add_origin, named_folders

SUMMARY = "Score the majority-class baseline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--label", required=True, help="label stream, such as accent")
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    parser.add_argument("--system", default="majority", help="name of the system (default: majority)")
    add_origin(parser)
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    add_intervals_over(parser)


def run(args: argparse.Namespace) -> int:
    """Score each folder and print a line for it."""
    from ..scoring import classification
    from ..scoring.majority import majority
    from ..scoring.scored_system import ScoredSystem

    for partition, folder in named_folders(args.data):
        system = ScoredSystem(args.system, partition, 1, args.origin, args.command_line)
        options = {"label": args.label, "split": args.split, "over": args.intervals_over}
        result = majority(system, system.folder(args.scores), data=folder, **options)
        print(f"{partition}/{args.system}: {classification.figures(result)} of {result['n']} recordings")
    return 0
