"""Measure voices: pitch, formants, voice quality, prosody, spectra, every 10 ms, and medians of each recording.

  fairseq-ext features a.wav --picture a.png                         a table, and a picture
  fairseq-ext features --manifest MANIFESTS/all --split test --out FEATS [--groups mel,prosody]
  fairseq-ext features --folder RECORDINGS --out FEATS

`features` alone is short for `features voice`. Pitch, formants, jitter, shimmer and HNR are Praat's. FEATS gets
GROUP.npy, the frames of all recordings, index.tsv, features.json (columns, units, settings), summary.tsv (medians of
each recording), and skipped.tsv: id and reason of recordings that are unreadable, silent or shorter than a frame. The
same command continues after a kill.

First silence at both ends is trimmed and the loudness brought to -23 LUFS; --keep-silence, --keep-loudness and --band
change that, and summary.tsv tells the effect on each recording.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ._recordings import WORKERS, add_recordings, continued, read_recordings, remove_blocks, run_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..features.preparation import Preparation

SUMMARY = "Measure voices: a table, a picture, cached features"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs
    from ..features.preparation import LOUDNESS_LUFS
    from ..features.voice_groups import GROUPS

    add_recordings(parser, "rate that the manifest counts at, Hz (default: 16000)")
    parser.add_argument(
        "--out", type=Path, metavar="FEATS", help="folder of the features; without it, a table"
    )
    parser.add_argument("--groups", default="all", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument(
        "--picture", type=Path, metavar="PNG", help="spectrogram with pitch and formants of FILE"
    )
    steps = parser.add_argument_group("preparation")
    steps.add_argument("--keep-silence", action="store_true", help="do not trim silence at both ends")
    steps.add_argument(
        "--loudness-lufs",
        type=float,
        default=LOUDNESS_LUFS,
        help="loudness to reach, LUFS (default: %(default)g)",
    )
    steps.add_argument("--keep-loudness", action="store_true", help="do not change the loudness")
    steps.add_argument(
        "--band",
        type=float,
        nargs=2,
        metavar="HZ",
        help="lowest and highest frequency to keep, Hz (default: all)",
    )
    jobs.add_arguments(parser, reruns=False, workers=f"{WORKERS}; Slurm: 1)")


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table, or what became of the recordings."""
    from ..features.preparation import Preparation
    from ..features.voice_groups import parse_groups

    groups = parse_groups(args.groups)
    loudness = None if args.keep_loudness else args.loudness_lufs
    band = tuple(args.band) if args.band else None
    preparation = Preparation(trim=not args.keep_silence, band_hz=band, loudness_lufs=loudness)
    if args.out is None:
        return _show(args, groups, preparation)
    if args.picture is not None:
        raise argparse.ArgumentError(None, "--picture shows one FILE; leave --out out")
    return _cache(args, groups, preparation)


def _show(args: argparse.Namespace, groups: "Sequence[str]", preparation: "Preparation") -> int:
    """Print a table for each file; every file is tried, and those that cannot be measured make the status 1."""
    from ..features.voice_recording import measure_recording
    from ..features.voice_table import table
    from ..file_errors import FileError
    from ..files import write_bytes
    from ..report.voice_picture import PICTURED, picture

    if not args.files:
        raise argparse.ArgumentError(None, "give FILE, or --out with --manifest or --folder")
    if args.picture is not None and len(args.files) > 1:
        raise argparse.ArgumentError(None, f"--picture shows one FILE, {len(args.files)} are given")
    num_skipped = 0
    more = [group for group in PICTURED if group not in groups] if args.picture is not None else []
    for path in args.files:
        try:
            found = measure_recording(path, (*groups, *more), preparation)
        except FileError as error:
            num_skipped += 1
            print(f"skipped: {error}", file=sys.stderr)
            continue
        print(table(str(path), found, groups))
        if args.picture is not None:
            write_bytes(args.picture, picture(found, path.name))
            print(f"picture: {args.picture}")
    if num_skipped:
        raise ValueError(f"{num_skipped} of {len(args.files)} recordings could not be measured; see above")
    return 0


def _cache(args: argparse.Namespace, groups: "Sequence[str]", preparation: "Preparation") -> int:
    from functools import partial

    from ..features import voice_corpus as corpus
    from ..features.voice_groups import RATE_HZ
    from ..media.recordings import blocks

    out = args.out.resolve()
    recordings = read_recordings(args, RATE_HZ)
    about = corpus.about_features(groups, preparation, recordings)
    if corpus.is_finished(out, about):
        print(f"{args.out}: measured already")
        return 0
    execution = continued(args)
    settings = {"groups": list(groups), "preparation": preparation.settings()}
    work = partial(corpus.voice_work, out, groups, preparation)
    items = blocks(recordings, corpus.ROWS_PER_BLOCK)
    outcomes = run_blocks(args, items, corpus.JOBS, work, settings, execution)
    if outcomes is None:
        return 0
    counts = corpus.assemble(out, recordings, outcomes, about)
    remove_blocks(args, corpus.JOBS, execution)
    notes = ", ".join(
        f"{num} {name.replace('_', ' ')}" for name, num in counts.items() if num and name != "measured"
    )
    print(
        f"{counts['measured']} of {len(recordings.rows)} recordings measured: {args.out}{notes and f' ({notes})'}"
    )
    return 0
