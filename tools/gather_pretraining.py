#!/usr/bin/env python3
"""Write a row for each self-supervised training of a run: what its log says at the end.

tools/gather_pretraining.py RUN --partitions ssl 'ssl/*' --origin real
reads RUN/train/<partition>/<system>/seed<k>/{checkpoint_last.pt,train.log}, writes RUN/scores/.../metrics.json.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder")
    parser.add_argument("--partitions", nargs="+", required=True, metavar="PATTERN", help="of pre-trainings")
    parser.add_argument("--origin", choices=["real", "synthetic"], required=True, help="of the recordings")
    parser.add_argument("--force", action="store_true", help="write again what was written")
    return parser.parse_args()


def read(path: str) -> Any:
    from fairseq_ext import compat  # noqa: F401 - lets torch read the file
    from fairseq_ext.modules.checkpoint_file import read_checkpoint

    return read_checkpoint(path)


def gather(args: argparse.Namespace) -> None:
    from fairseq_ext.scoring.pretraining import gather_all
    from fairseq_ext.scoring.trainings import check_partitions, finished_trainings

    check_partitions(args.run, args.partitions)
    command = shlex.join(["tools/gather_pretraining.py", *sys.argv[1:]])
    jobs = finished_trainings(args.run, args.origin, command, args.partitions)
    if not jobs:
        print("no finished training found, so nothing is gathered")
    for line in gather_all(jobs, read, force=args.force):
        print(line)


def main() -> None:
    args = parse()
    try:
        gather(args)
    except (ValueError, OSError) as error:
        sys.exit(f"gather_pretraining.py: {error}")


if __name__ == "__main__":
    main()
