#!/usr/bin/env python3
"""How a run of many items is getting on, over all its shards and jobs: cropping, labelling, features, clusters.

    python tools/jobs.py status FOLDER    the counts of what is finished, and what became of the rest
    python tools/jobs.py watch FOLDER     a progress bar, until every item has its outcome

FOLDER is the folder of a run or one that holds runs: of clips, of labels. The problems.tsv of each lists the items that
are not done: id, state, reason, detail.
"""

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["status", "watch"], help="look once, or until the end")
    parser.add_argument("folder", type=Path, help="of the run")
    return parser.parse_args()


def main() -> None:
    """Look, then say what there is."""
    from fairseq_ext.jobs import status, watch

    args = parse_args()
    runs = sorted(path.parent for path in args.folder.glob("**/plan.json")) or [args.folder]
    try:
        for folder in runs:
            summary = watch(folder) if args.what == "watch" else status(folder)
            rest = "" if summary.states["done"] == summary.num_items else f"; see {folder / 'problems.tsv'}"
            print(f"{folder}: {summary}{rest}")
    except ValueError as error:
        sys.exit(f"jobs.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
