#!/usr/bin/env python3
"""Join recordings of the Free Spoken Digit Dataset into connected digits, with manifests; resumable."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds recordings/")
    parser.add_argument(
        "--out", type=Path, required=True, help="audio/ and a folder per partition are written below it"
    )
    parser.add_argument(
        "--train-uses", type=int, default=2, help="utterances that each training recording is in (default: 2)"
    )
    parser.add_argument(
        "--label-minutes",
        type=float,
        nargs="+",
        default=[1, 5],
        help="sizes of the label subsets (default: 1 5)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the sequences and pauses (default: 1)")
    return parser.parse_args()


def main() -> None:
    """Join, write the manifests, and say how much there is."""
    from fairseq_ext.corpora import connected_digits, fsdd
    from fairseq_ext.media.join import join_files

    args = parse_args()
    with tqdm(unit="utterance", desc="connected digits") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            partitions = connected_digits.write(
                args.out,
                fsdd.read(args.corpus),
                fsdd.recordings_folder(args.corpus),
                join_files,
                # A recording heard twice says nothing new of a speaker who is tested.
                uses={"train": args.train_uses, "valid": 1, "test": 1},
                seed=args.seed,
                label_minutes=args.label_minutes,
                on_progress=show,
            )
        except (ValueError, FileNotFoundError) as error:
            sys.exit(f"join_digits.py: {error}")
    for partition, splits in partitions.items():
        minutes = {
            name: sum(u.num_samples for u in members) / connected_digits.SAMPLE_RATE_HZ / 60
            for name, members in splits.items()
        }
        sizes = ", ".join(f"{len(splits[name])} {name} ({minutes[name]:.1f} min)" for name in splits)
        print(f"{partition:10} {sizes}")


if __name__ == "__main__":
    main()
