#!/usr/bin/env python3
"""Check manifest folders before training: rows, labels, splits, recordings. Exit code 1 on errors."""

import argparse
import sys
from pathlib import Path


def decode_count(text: str) -> int | None:
    """Value of --decode: a count, or None for all."""
    return None if text == "all" else int(text)


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="holds {split}.tsv, {split}.{label}, dict.{label}.txt",
    )
    add("--splits", nargs="+", default=[], help="splits that must be there (default: those found)")
    add("--labels", nargs="+", default=[], help="label files that must be there (default: those found)")
    add(
        "--classes",
        nargs="+",
        help="label files with one class per row; of several, some may be empty (default: found out)",
    )
    add("--ctc", nargs="+", default=[], help="label files a CTC model learns: check that frames suffice")
    add("--ctc-stride-samples", type=int, default=320, help="audio samples per encoder frame (default: 320)")
    add(
        "--sample-rate-hz",
        type=int,
        help="expected rate of manifest and recordings (default: each file's own)",
    )
    add(
        "--any-rate",
        action="store_true",
        help="recordings may have other rates: they are resampled on reading",
    )
    add("--min-duration-s", type=float, default=0.0, help="shorter recordings are errors")
    add("--max-duration-s", type=float, default=0.0, help="longer recordings are errors")
    add(
        "--decode",
        type=decode_count,
        default=200,
        help="recordings to decode: a number or all (default: 200)",
    )
    add("--seed", type=int, default=1, help="of the choice of recordings to decode (default: 1)")
    add("--allow-shared-speakers", action="store_true", help="a declared leaky control: warn, do not fail")
    add("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args()


def main() -> None:
    """Check each folder, print its report, fail when one has errors."""
    from fairseq_ext import preflight

    args = parse_args()
    names = "splits labels classes ctc sample_rate_hz any_rate min_duration_s max_duration_s seed"
    try:
        options = preflight.Options(
            **{name: getattr(args, name) for name in names.split()},
            ctc_limits=preflight.CtcLimits(args.ctc_stride_samples),
            num_decode=args.decode,
            allow_shared_speakers=args.allow_shared_speakers,
            progress=not args.quiet,
        )
    except ValueError as error:
        sys.exit(f"check_data.py: {error}")
    failed = 0
    for folder in args.folders:
        report = preflight.check(folder, options)
        failed += not report.ok
        print(report.text(), end="\n\n", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
