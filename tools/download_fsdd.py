#!/usr/bin/env python3
"""Fetch the Free Spoken Digit Dataset from its public home; continues a download that was cut off."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that will hold recordings/")
    return parser.parse_args()


def main() -> None:
    """Download, check and unpack."""
    from fairseq_ext.corpora import fsdd

    args = parse_args()
    with tqdm(unit="B", unit_scale=True, desc="download") as bar:

        def show(num_bytes: int, total: int | None) -> None:
            bar.total = total
            bar.update(num_bytes - bar.n)

        try:
            fsdd.download(args.out, progress=show)
        except (ConnectionError, ValueError) as error:
            sys.exit(f"download_fsdd.py: {error}")
    print(f"recordings in {args.out}")


if __name__ == "__main__":
    main()
