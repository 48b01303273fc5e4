"""Join recordings of the Free Spoken Digit Dataset into connected digits, and write their manifests; resumable."""

import argparse
from pathlib import Path

from ._progress import progress_bar

SUMMARY = "Join spoken digits into connected digits"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds recordings/")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of audio/ and of a manifest folder per partition"
    )
    parser.add_argument(
        "--train-uses", type=int, default=2, help="utterances that reuse each training recording (default: 2)"
    )
    parser.add_argument(
        "--label-minutes",
        type=float,
        nargs="+",
        default=[1, 5],
        help="sizes of the label subsets, minutes (default: 1 5)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the sequences and pauses (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Join, write the manifests, and print their sizes."""
    from ..corpora import connected_digits, fsdd
    from ..media.join import join_files

    with progress_bar(unit="utterance", desc="connected digits") as show:
        partitions = connected_digits.write(
            args.out,
            fsdd.read(args.corpus),
            fsdd.recordings_folder(args.corpus),
            join_files,
            # A recording that is scored twice adds nothing about a speaker of valid or test.
            uses={"train": args.train_uses, "valid": 1, "test": 1},
            seed=args.seed,
            label_minutes=args.label_minutes,
            on_progress=show,
        )
    for partition, splits in partitions.items():
        minutes = {
            name: sum(u.num_samples for u in members) / connected_digits.SAMPLE_RATE_HZ / 60
            for name, members in splits.items()
        }
        sizes = ", ".join(f"{len(splits[name])} {name} ({minutes[name]:.1f} min)" for name in splits)
        print(f"{partition:10} {sizes}")
    return 0
