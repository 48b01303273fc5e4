"""Show the progress of a run of many items over all its shards and jobs: clips, labels, features, clusters.

  fairseq-ext jobs status FOLDER    count what is finished, and what became of the rest
  fairseq-ext jobs watch FOLDER     show a progress bar until every item has its outcome

FOLDER is the folder of a run or one that holds runs. The problems.tsv of each run lists the items that are not done:
id, state, reason, detail.
"""

import argparse
from pathlib import Path

SUMMARY = "Show the progress of clips, labels, features"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("what", choices=["status", "watch"], help="count once, or wait for the end")
    parser.add_argument("folder", type=Path, help="folder of a run, or of several")


def run(args: argparse.Namespace) -> int:
    """Print a line for each run."""
    from ..jobs import status, watch

    runs = sorted(path.parent for path in args.folder.glob("**/plan.json")) or [args.folder]
    for folder in runs:
        summary = watch(folder) if args.what == "watch" else status(folder)
        rest = "" if summary.states["done"] == summary.num_items else f"; see {folder / 'problems.tsv'}"
        print(f"{folder}: {summary}{rest}")
    return 0
