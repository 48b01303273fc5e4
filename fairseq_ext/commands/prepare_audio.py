"""Convert a folder of recordings of any format to 16-bit mono FLAC at one sample rate.

A recording is told by its content where its suffix is not a usual one. Those that cannot be read are skipped and listed
in OUT/problems.tsv, files that are no recordings in OUT/passed_over.tsv. What was chosen, filled in or changed (a track
of several, one of two channels in opposite phase, silence where nothing was recorded, samples beyond full scale) is in
OUT/notes.tsv; the numbers of all are printed. Killed at any moment, the same command continues; run again later, it
converts what was added or replaced and tries again what was skipped. With
--shards and --shard-id several machines share the work; the last one to finish writes these tables.
"""

import argparse
from pathlib import Path

SUMMARY = "Convert recordings of any format to mono FLAC"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs

    parser.add_argument("--source", type=Path, required=True, help="folder of recordings; it is not changed")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the FLAC files, with the same subfolders"
    )
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="sample rate of the FLAC files, Hz (default: 16000)"
    )
    jobs.add_arguments(parser, reruns=False)


def run(args: argparse.Namespace) -> int:
    """Convert, then print what became of the recordings."""
    import logging

    from ..jobs import Execution
    from ..media.convert import JOB, NOTES, convert_folder

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    execution = Execution.from_args(args)
    result = convert_folder(args.source, args.out, sample_rate_hz=args.sample_rate_hz, execution=execution)
    if result.num_missing:
        print(f"{result.num_missing} recordings are left to other shards")
        return 0
    print(
        f"{result.num_converted} converted, {result.num_kept} kept, {len(result.problems)} skipped, "
        f"{result.num_passed_over} files passed over"
    )
    if result.num_passed_over:
        print(f"files passed over: {args.out / 'passed_over.tsv'}")
    if result.notes:
        counts = ", ".join(
            f"{name} {num}" for name in NOTES if (num := sum(name in values for _, values in result.notes))
        )
        print(f"recordings with something chosen or changed: {counts} ({args.out / 'notes.tsv'})")
    if result.problems:
        print(f"skipped recordings: {args.out / 'problems.tsv'}")
    if result.num_failed:
        problems = args.out / JOB / "problems.tsv"
        raise ValueError(f"{result.num_failed} conversions failed: see {problems}, then run again")
    if not result.num_converted + result.num_kept:
        raise ValueError(f"{args.source}: none of the recordings can be read")
    return 0
