"""Convert a folder of recordings of any format to 16-bit mono FLAC at one sample rate; resumable.

Recordings that cannot be read are skipped, counted, and listed in OUT/problems.tsv.
"""

import argparse
from pathlib import Path

from ._progress import progress_bar

SUMMARY = "Convert recordings of any format to mono FLAC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--source", type=Path, required=True, help="folder of recordings; it is not changed")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the FLAC files, with the same subfolders"
    )
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="sample rate of the FLAC files, Hz (default: 16000)"
    )
    parser.add_argument("--workers", type=int, default=1, help="number of processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Convert, then print what became of the recordings."""
    from ..media.convert import convert_folder

    with progress_bar(unit="file", desc="convert") as show:
        result = convert_folder(
            args.source,
            args.out,
            sample_rate_hz=args.sample_rate_hz,
            num_workers=args.workers,
            on_progress=show,
        )
    print(f"{result.num_converted} converted, {result.num_kept} kept, {len(result.problems)} skipped")
    if result.problems:
        print(f"skipped recordings: {args.out / 'problems.tsv'}")
    if not result.num_converted + result.num_kept:
        raise ValueError(f"{args.source}: none of the recordings can be read")
    return 0
