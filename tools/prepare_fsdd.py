#!/usr/bin/env python3
"""Manifests of the Free Spoken Digit Dataset, a folder for each partition of the spoken-digits recipe."""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds recordings/")
    parser.add_argument("--out", type=Path, required=True, help="a folder per partition is written below it")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the label subsets and leaky folds (default: 1)"
    )
    return parser.parse_args()


def main() -> None:
    """Read the corpus once, write every partition."""
    from fairseq_ext.corpora import fsdd, fsdd_partitions
    from fairseq_ext.corpora.partitions import write

    args = parse_args()
    utterances = list(fsdd.read(args.corpus))
    for partition in fsdd_partitions.partitions(utterances, args.seed):
        write(partition, args.out / partition.name, fsdd.recordings_folder(args.corpus))
        sizes = f"{len(partition.train)} train, {len(partition.valid)} valid, {len(partition.test)} test"
        print(f"{partition.name:16} {sizes}")


if __name__ == "__main__":
    main()
