"""Score classifiers: write predictions.tsv, embeddings.npz and metrics.json for each checkpoint.

One checkpoint:
  fairseq-ext score classifier --checkpoint C --data MANIFESTS --system NAME --out DIR --origin real
A whole run, every RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt with RUN/manifests/<partition>,
into RUN/scores/<partition>/<system>/seed<k>:
  fairseq-ext score classifier --run RUN --origin real
Networks with several heads, each head into the scores of its own partition, beside the systems with one head.
Both must be scored on the same recordings:
  fairseq-ext score classifier --run RUN --origin real --partitions accent_gender --heads accent=accent gender=gender

Systems that have their metrics.json are skipped unless --force is given.
"""

import argparse
from functools import partial
from typing import Any

from ._scored import (
    add_checkpoint_or_run,
    add_groups,
    add_intervals_over,
    add_origin,
    check_checkpoint_or_run,
    find_trainings,
)

SUMMARY = "Score classifiers: accuracy, F1, embeddings"


def head(text: str) -> tuple[str, str]:
    """Parse STREAM=PARTITION, a value of --heads.

    Raises:
        argparse.ArgumentTypeError: if either is missing.
    """
    stream, _, partition = text.partition("=")
    if not stream or not partition:
        raise argparse.ArgumentTypeError(f"expected STREAM=PARTITION, found {text!r}")
    return stream, partition


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_checkpoint_or_run(parser)
    add_origin(parser)
    parser.add_argument(
        "--heads",
        type=head,
        nargs="+",
        default=[],
        metavar="STREAM=PARTITION",
        help="with --run: label streams of networks with several heads, and the partition each is scored in",
    )
    parser.add_argument("--label", default="", help="label stream (default: the one of the training)")
    add_intervals_over(parser)
    add_groups(parser)
    parser.add_argument(
        "--calibration",
        action="store_true",
        help="compare how sure predictions are with how often they are right",
    )


def load(path: str, *, device: str, label: str) -> Any:
    """Load a classifier; fairseq, which takes seconds to import, is needed only if there is one to score."""
    from ..checkpoints.load import load_model

    return load_model(path, device, label=label)


def run(args: argparse.Namespace) -> int:
    """Score the checkpoints and print a line for each."""
    check_checkpoint_or_run(args)
    if args.heads and (args.checkpoint or args.label):
        raise argparse.ArgumentError(None, "--heads goes with --run and without --label")
    from tqdm import tqdm

    from ..scoring.evaluation import evaluate_all
    from ..scoring.heads import per_head

    jobs = find_trainings(args)
    if args.heads:
        jobs = per_head(jobs, dict(args.heads), args.run, args.split)
    if not jobs:
        print("no finished training found, so nothing is scored")
    options = {"split": args.split, "label": args.label, "device": args.device, "over": args.intervals_over}
    details = {"groups": args.groups, "groups_data": args.groups_data, "has_calibration": args.calibration}
    for line in evaluate_all(jobs, partial(load, device=args.device), force=args.force, **options, **details):
        tqdm.write(line)
    return 0
