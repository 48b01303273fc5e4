#!/usr/bin/env python3
"""Convert a folder of recordings of any format to 16-bit mono FLAC at one rate; resumable.

Recordings that cannot be read are skipped, counted, and listed in OUT/problems.tsv.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of recordings; it is not changed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the FLAC files, in the same tree")
    parser.add_argument("--sample-rate-hz", type=int, default=16000, help="their rate (default: 16000)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    return parser.parse_args()


def main() -> None:
    """Convert, then say what became of the recordings."""
    from fairseq_ext.media.convert import convert_folder

    args = parse_args()
    with tqdm(unit="file", desc="convert") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        try:
            result = convert_folder(
                args.source,
                args.out,
                sample_rate_hz=args.sample_rate_hz,
                num_workers=args.workers,
                on_progress=show,
            )
        except (ValueError, OSError) as error:
            sys.exit(f"prepare_audio.py: {error}")
    print(f"{result.num_converted} converted, {result.num_kept} kept, {len(result.problems)} skipped")
    if result.problems:
        print(f"skipped recordings: {args.out / 'problems.tsv'}")
    if not result.num_converted + result.num_kept:
        sys.exit(f"prepare_audio.py: {args.source}: recordings that can be read expected, found none")


if __name__ == "__main__":
    main()
