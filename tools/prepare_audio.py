#!/usr/bin/env python3
"""Convert a folder of recordings of any format to 16-bit mono FLAC at one rate.

Recordings that cannot be read are skipped, counted, and listed in OUT/problems.tsv. Killed at any moment, the same
command continues; run again later, it converts what was added or replaced and tries again what was skipped. With
--shards and --shard-id several machines share the work; the last one to finish writes problems.tsv.
"""

import argparse
import logging
import sys
from pathlib import Path

from fairseq_ext.jobs import Execution, WorkerError, add_arguments


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of recordings; it is not changed")
    parser.add_argument("--out", type=Path, required=True, help="folder of the FLAC files, in the same tree")
    parser.add_argument("--sample-rate-hz", type=int, default=16000, help="their rate (default: 16000)")
    add_arguments(parser, reruns=False)
    return parser.parse_args()


def main() -> None:
    """Convert, then say what became of the recordings."""
    from fairseq_ext.media.convert import JOB, convert_folder

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = parse_args()
    try:
        execution = Execution.from_args(args)
        result = convert_folder(
            args.source, args.out, sample_rate_hz=args.sample_rate_hz, execution=execution
        )
    except KeyboardInterrupt:
        sys.exit("prepare_audio.py: interrupted; the same command continues")
    except (ValueError, OSError, WorkerError) as error:
        sys.exit(f"prepare_audio.py: {error}")
    if result.num_missing:
        print(f"{result.num_missing} recordings are left to other shards")
        return
    print(f"{result.num_converted} converted, {result.num_kept} kept, {len(result.problems)} skipped")
    if result.problems:
        print(f"skipped recordings: {args.out / 'problems.tsv'}")
    if result.num_failed:
        problems = args.out / JOB / "problems.tsv"
        sys.exit(f"prepare_audio.py: {result.num_failed} conversions failed: see {problems}, then run again")
    if not result.num_converted + result.num_kept:
        sys.exit(f"prepare_audio.py: {args.source}: recordings that can be read expected, found none")


if __name__ == "__main__":
    main()
