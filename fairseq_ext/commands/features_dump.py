"""Dump features of every frame of a manifest: MFCC with differences, or a layer of a checkpoint's encoder.

An AV-HuBERT (`ext_av_hubert`, or a public one) takes pictures, sound, or both, of a manifest of mouth clips.
A block of rows is one file, OUT/SPLIT/START.npz; recordings that cannot be read are listed in OUT/unreadable.txt.
"""

import argparse
from pathlib import Path

SUMMARY = "Dump MFCC or encoder features of a manifest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs

    parser.add_argument("--manifest", type=Path, required=True, help="folder of SPLIT.tsv")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="splits to dump (default: train valid)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the features")
    parser.add_argument(
        "--checkpoint", type=Path, help="checkpoint of an encoder, ours or fairseq's (default: MFCC)"
    )
    parser.add_argument(
        "--modality",
        choices=("video", "audio", "both"),
        default="both",
        help="what an AV-HuBERT is given of a clip (default: both)",
    )
    parser.add_argument(
        "--layer", type=int, default=6, help="layer of the encoder; 0: input of the transformer (default: 6)"
    )
    parser.add_argument("--device", default="cpu", help="torch device of the encoder (default: cpu)")
    parser.add_argument(
        "--sample-rate-hz", type=int, default=16000, help="sample rate of MFCC, Hz (default: 16000)"
    )
    parser.add_argument("--rows-per-file", type=int, default=256, help="recordings per file (default: 256)")
    jobs.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Dump the blocks, and print how many recordings could not be read."""
    from functools import partial
    from typing import Any

    from .. import jobs
    from ..features import dump
    from ..files import atomic_write

    open_rows: Any = None
    make_frames: partial[Any] = partial(dump.MfccFrames, args.sample_rate_hz)
    settings: dict[str, Any] = {"features": "mfcc", "sample_rate_hz": args.sample_rate_hz}
    if args.checkpoint is not None:
        from ..inference.av_frames import AvFrames, clip_rows, is_av_hubert
        from ..inference.frames import EncoderFrames

        checkpoint = args.checkpoint.resolve()
        settings = {"features": str(checkpoint), "layer": args.layer}
        make_frames = partial(EncoderFrames, checkpoint, args.layer, args.device)
        if is_av_hubert(checkpoint):
            make_frames = partial(AvFrames, checkpoint, args.layer, args.device, args.modality)
            settings, open_rows = {**settings, "modality": args.modality}, clip_rows
    manifest, out = args.manifest.resolve(), args.out.resolve()
    summary = jobs.run(
        out / dump.JOBS,
        dump.blocks(manifest, args.splits, args.rows_per_file),
        partial(dump.dump_work, manifest, out, make_frames, open_rows),
        settings={"manifest": str(manifest), **settings},
        execution=jobs.Execution.from_args(args),
    )
    print(summary)
    if not summary.complete:
        return 0
    problems = [p for found in jobs.outcomes(out / dump.JOBS) for p in found.result.get("problems", [])]
    with atomic_write(out / "unreadable.txt") as file:
        file.writelines(f"{problem}\n" for problem in problems)
    print(f"{len(problems)} recordings could not be read ({out / 'unreadable.txt'})")
    if not summary.states["done"]:
        raise ValueError(f"{manifest}: none of the recordings can be read; see {out / 'unreadable.txt'}")
    return 0
