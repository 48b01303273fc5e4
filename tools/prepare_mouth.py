#!/usr/bin/env python3
"""Make mouth clips of a folder of videos: 96x96 grey pictures at 25 per second, 16 kHz sound, landmarks, a table.

OUT then holds video/ID.mp4, audio/ID.wav, landmarks/ID.npz, rejected/ID.jpg (a source frame of each rejected clip),
clips.tsv (what was measured of every clip) and rejections.tsv (why clips were rejected, and what to do). Killed at any
moment, the same command goes on where it was; --update takes up videos that were added, mended or removed. With
--shards and --shard-id several machines share the work; the last one to finish writes the tables.
"""

import argparse
import logging
import sys
from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from fairseq_ext.files import read_lines
from fairseq_ext.jobs import Execution, WorkerError, add_arguments, outcomes, run
from fairseq_ext.media import clip_sources
from fairseq_ext.media.clips import VideoFile, videos_in, whole_files, with_sound_beside
from fairseq_ext.media.mouth import settings as mouth_settings
from fairseq_ext.media.mouth.audit import write_audit
from fairseq_ext.media.mouth.prepare import items, make_work, merge
from fairseq_ext.media.mouth.table import count_damaged, read_clips


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="folder of videos; it is not changed")
    parser.add_argument(
        "--corpus",
        choices=["mtedx", "voxceleb2", "avspeech", "all"],
        help="its layout; all: --source holds folders of these names; without it every video becomes one clip",
    )
    parser.add_argument("--list", type=Path, help="file with one path per line, relative to --source")
    parser.add_argument("--out", type=Path, required=True, help="folder of the clips")
    parser.add_argument(
        "--audit", action="store_true", help="write OUT/audit/index.html: every clip, worst first"
    )
    parser.add_argument("--audit-clips", type=int, metavar="N", help="--audit with the N worst clips only")
    mouth_settings.add_arguments(parser)
    add_arguments(parser)
    return parser.parse_args()


def find_videos(args: argparse.Namespace) -> tuple[Path, Iterable[VideoFile]]:
    """The root of the videos, and the videos."""
    if args.corpus == "all":
        return args.source, clip_sources.all_videos(args.source)
    if args.corpus:
        corpus = import_module(f"fairseq_ext.corpora.{args.corpus}")
        return corpus.recordings_folder(args.source), clip_sources.videos(args.corpus, args.source)
    if args.list:
        return args.source, whole_files(args.source, filter(None, read_lines(args.list)))
    return args.source, videos_in(args.source)


def main() -> None:
    """Make the clips, then say what became of them."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    args = parse_args()
    try:
        settings, execution = mouth_settings.from_args(args), Execution.from_args(args)
        if args.out.resolve().is_relative_to(args.source.resolve()):
            raise ValueError(f"--out {args.out}: a folder outside of {args.source} expected; choose another")
        root, videos = find_videos(args)
        work = partial(make_work, str(root.resolve()), str(args.out.resolve()), settings)
        if settings.input == "mouth":
            videos = (with_sound_beside(root, video) for video in videos)
        books = args.out / "jobs" / "crop"
        summary = run(books, items(root, videos), work, settings=asdict(settings), execution=execution)
        if not summary.complete:
            (args.out / "clips.tsv").unlink(missing_ok=True)  # of before --update
            print(f"{summary}; the tables are written when the other shards have done theirs")
            return
        counts = merge(args.out, outcomes(books))
        print(f"{counts['']} clips, {counts.total() - counts['']} rejected: {args.out / 'clips.tsv'}")
        for reason, count in counts.most_common():
            if reason:
                print(f"  {count} {reason}")
        if num_silent := sum(row.audio == "none" for row in read_clips(args.out)):
            print(f"{num_silent} clips kept have no sound: column audio of clips.tsv")
        if damaged := count_damaged(args.out):
            print(f"{damaged} clips kept are of files that are cut off or damaged:")
            print(
                "  columns missing_s and num_bad_packets of clips.tsv say which; mend them and add --update"
            )
        if args.audit or args.audit_clips:
            num_shown = min(counts.total(), args.audit_clips or counts.total())
            with tqdm(total=num_shown, unit="clip", desc="audit") as bar:
                page = write_audit(args.out, limit=args.audit_clips, on_progress=lambda *_: bar.update())
            print(f"to leaf through: {page}")
    except KeyboardInterrupt:
        sys.exit("prepare_mouth.py: interrupted; the same command goes on where it was")
    except (ValueError, OSError, ImportError, WorkerError) as error:
        sys.exit(f"prepare_mouth.py: {error}")


if __name__ == "__main__":
    main()
