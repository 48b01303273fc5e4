"""Check manifest folders before training: rows, labels, splits, recordings. Exit with status 1 on errors."""

import argparse
from pathlib import Path

SUMMARY = "Check manifests before training"


def _decode_count(text: str) -> int | None:
    """Return the count of --decode; None = all."""
    return None if text == "all" else int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folder of {split}.tsv, {split}.{label} and dict.{label}.txt",
    )
    add("--splits", nargs="+", default=[], help="splits that must be there (default: those found)")
    add("--labels", nargs="+", default=[], help="label files that must be there (default: those found)")
    add(
        "--classes",
        nargs="+",
        help="label files with one class per row; of several, some may be empty (default: detected)",
    )
    add("--ctc", nargs="+", default=[], help="label files of a CTC model: check that there are enough frames")
    add("--ctc-stride-samples", type=int, default=320, help="audio samples per encoder frame (default: 320)")
    add(
        "--sample-rate-hz",
        type=int,
        help="expected sample rate of manifest and recordings, Hz (default: each file's own)",
    )
    add("--any-rate", action="store_true", help="allow recordings of other rates: training resamples them")
    add("--min-duration-s", type=float, default=0.0, help="shorter recordings are errors, s")
    add(
        "--max-duration-s",
        type=float,
        default=0.0,
        help="longer recordings are errors, s (default: no limit)",
    )
    add(
        "--decode",
        type=_decode_count,
        default=200,
        help="how many recordings to decode: a number or all (default: 200)",
    )
    add("--seed", type=int, default=1, help="seed of the choice of recordings to decode (default: 1)")
    add(
        "--allow-shared-speakers",
        action="store_true",
        help="warn of speakers in several splits instead of failing: a declared leaky control",
    )
    add("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Check each folder and print its report; return 1 if one has errors."""
    from .. import preflight

    names = "splits labels classes ctc sample_rate_hz any_rate min_duration_s max_duration_s seed"
    options = preflight.Options(
        **{name: getattr(args, name) for name in names.split()},
        ctc_limits=preflight.CtcLimits(args.ctc_stride_samples),
        num_decode=args.decode,
        allow_shared_speakers=args.allow_shared_speakers,
        progress=not args.quiet,
    )
    failed = False
    for folder in args.folders:
        report = preflight.check(folder, options)
        failed |= not report.ok
        print(report.text(), end="\n\n", flush=True)
    return int(failed)
