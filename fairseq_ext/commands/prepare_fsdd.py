"""Write the manifests of the Free Spoken Digit Dataset, a folder for each partition of the spoken-digits recipe.

With --download the recordings are fetched from their public home first, unless they are there; a download that was cut
off continues.
"""

import argparse
from pathlib import Path

from ._progress import progress_bar

SUMMARY = "Fetch Free Spoken Digits, write manifests"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds recordings/")
    parser.add_argument("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the label subsets and leaky folds (default: 1)"
    )
    parser.add_argument("--download", action="store_true", help="fetch the recordings into --corpus first")


def run(args: argparse.Namespace) -> int:
    """Read the corpus once, write every partition, and print their sizes."""
    from ..corpora import fsdd, fsdd_partitions
    from ..corpora.partitions import write

    if args.download:
        with progress_bar(unit="B", unit_scale=True, desc="download") as show:
            fsdd.download(args.corpus, progress=show)
    utterances = list(fsdd.read(args.corpus))
    for partition in fsdd_partitions.partitions(utterances, args.seed):
        write(partition, args.out / partition.name, fsdd.recordings_folder(args.corpus))
        sizes = f"{len(partition.train)} train, {len(partition.valid)} valid, {len(partition.test)} test"
        print(f"{partition.name:16} {sizes}")
    return 0
