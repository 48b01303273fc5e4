#!/usr/bin/env python3
"""Features of every frame of a manifest's recordings: MFCC with differences, or a layer of a checkpoint's encoder.

A block of rows is one file, OUT/SPLIT/START.npz; recordings that cannot be read are listed in OUT/unreadable.txt.
"""

import argparse
import sys
from functools import partial
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    from fairseq_ext import jobs

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="folder of SPLIT.tsv")
    parser.add_argument("--splits", nargs="+", default=["train", "valid"], help="default: train valid")
    parser.add_argument("--out", type=Path, required=True, help="folder of the features")
    parser.add_argument("--checkpoint", type=Path, help="an encoder, ours or fairseq's (default: MFCC)")
    parser.add_argument(
        "--layer", type=int, default=6, help="of it: 0 = input of the transformer (default: 6)"
    )
    parser.add_argument("--device", default="cpu", help="of the encoder (default: cpu)")
    parser.add_argument("--sample-rate-hz", type=int, default=16000, help="for MFCC (default: 16000)")
    parser.add_argument("--rows-per-file", type=int, default=256, help="recordings per file (default: 256)")
    jobs.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Dump the blocks, say what could not be read."""
    from fairseq_ext import jobs
    from fairseq_ext.features import dump
    from fairseq_ext.files import atomic_write

    args = parse_args()
    make_frames: partial[dump.Frames] = partial(dump.MfccFrames, args.sample_rate_hz)
    settings = {"features": "mfcc", "sample_rate_hz": args.sample_rate_hz}
    if args.checkpoint is not None:
        from fairseq_ext.inference.frames import EncoderFrames

        make_frames = partial(EncoderFrames, args.checkpoint.resolve(), args.layer, args.device)
        settings = {"features": str(args.checkpoint.resolve()), "layer": args.layer}
    manifest, out = args.manifest.resolve(), args.out.resolve()
    try:
        summary = jobs.run(
            out / dump.JOBS,
            dump.blocks(manifest, args.splits, args.rows_per_file),
            partial(dump.dump_work, manifest, out, make_frames),
            settings={"manifest": str(manifest), **settings},
            execution=jobs.Execution.from_args(args),
        )
        print(summary)
        if not summary.complete:
            return
        problems = [p for found in jobs.outcomes(out / dump.JOBS) for p in found.result.get("problems", [])]
    except (ValueError, FileNotFoundError, jobs.WorkerError) as error:
        sys.exit(f"dump_features.py: {error}")
    with atomic_write(out / "unreadable.txt") as file:
        file.writelines(f"{problem}\n" for problem in problems)
    print(f"{len(problems)} recordings could not be read ({out / 'unreadable.txt'})")
    if not summary.states["done"]:
        sys.exit(f"dump_features.py: {manifest}: recordings that can be read expected, found none")


if __name__ == "__main__":
    main()
