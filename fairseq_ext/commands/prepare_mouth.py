"""Cut mouth clips from a folder of videos: 96x96 grey pictures at 25 per second, 16 kHz sound, landmarks, a table.

OUT then holds video/ID.mp4, audio/ID.wav, landmarks/ID.npz, rejected/ID.jpg (a source frame of each rejected clip),
clips.tsv (the measurements of every clip), rejections.tsv (why clips were rejected, and what to do) and, for a folder
without --corpus and --list, passed_over.tsv (files that are no videos: told by their content). If it is
killed, the same command continues where it was; --update processes videos that were added, fixed or removed. With
--shards and --shard-id several machines share the work; the last one to finish writes the tables.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ._options import add_check

if TYPE_CHECKING:
    from ..media.media_files import Found

SUMMARY = "Cut mouth clips from videos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from .. import jobs
    from ..media.mouth import settings

    parser.add_argument("--source", type=Path, required=True, help="folder of videos; it is not changed")
    parser.add_argument(
        "--corpus",
        choices=["mtedx", "voxceleb2", "avspeech", "all"],
        help="layout of --source; all: it holds folders of these names (default: every video becomes one clip)",
    )
    parser.add_argument("--list", type=Path, help="file with a path per line, relative to --source")
    parser.add_argument("--out", type=Path, required=True, help="folder of the clips")
    parser.add_argument(
        "--audit", action="store_true", help="write OUT/audit/index.html: every clip, worst first"
    )
    parser.add_argument("--audit-clips", type=int, metavar="N", help="--audit with the N worst clips only")
    add_check(parser)
    settings.add_arguments(parser)
    jobs.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Cut the clips, then print what became of them."""
    import logging
    from dataclasses import asdict
    from functools import partial

    from ..jobs import Execution, outcomes
    from ..jobs import run as run_jobs
    from ..media.clip_sources import find_videos
    from ..media.clips import with_sound_beside
    from ..media.mouth import settings as mouth_settings
    from ..media.mouth.prepare import UNLISTED, items, make_work, merge

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings, execution = mouth_settings.from_args(args), Execution.from_args(args)
    if args.out.resolve().is_relative_to(args.source.resolve()):
        raise ValueError(f"--out {args.out} is inside of {args.source}; choose a folder outside")
    if args.check:
        return 0
    root, videos = find_videos(
        args.source, corpus=args.corpus, listed=args.list, on_passed_over=partial(_name_passed_over, args.out)
    )
    if settings.input == "mouth":
        videos = (with_sound_beside(root, video) for video in videos)
    work = partial(make_work, str(root.resolve()), str(args.out.resolve()), settings)
    folder = args.out / "jobs" / "crop"
    summary = run_jobs(folder, items(root, videos), work, settings=asdict(settings), execution=execution)
    if not summary.complete:
        (args.out / "clips.tsv").unlink(missing_ok=True)  # left from before --update
        print(f"{summary}; the last shard to finish writes the tables")
        return 0
    counts, num_unlisted = merge(args.out, outcomes(folder))
    print(f"{counts['']} clips, {counts.total() - counts['']} rejected: {args.out / 'clips.tsv'}")
    for reason, count in counts.most_common():
        if reason:
            print(f"  {count} {reason}")
    if num_unlisted:
        print(f"{num_unlisted} files belong to clips that are not listed any more: {args.out / UNLISTED}")
    _warn(args.out)
    if args.audit or args.audit_clips:
        _audit(args.out, counts.total(), args.audit_clips)
    return 0


def _name_passed_over(out: Path, found: "Found") -> None:
    from ..media.media_files import write_passed_over

    write_passed_over(out / "passed_over.tsv", found)
    if found.passed_over:
        print(f"{len(found.passed_over)} files are no videos: {out / 'passed_over.tsv'}")


def _warn(out: Path) -> None:
    from ..media.mouth.table import count_damaged, read_clips

    if num_silent := sum(row.audio == "none" for row in read_clips(out)):
        print(f"{num_silent} accepted clips have no sound: column audio of clips.tsv")
    if damaged := count_damaged(out):
        print(f"{damaged} accepted clips are from files that are cut off or damaged:")
        print("  see columns missing_s and num_bad_packets of clips.tsv; fix the files and add --update")


def _audit(out: Path, num_clips: int, limit: int | None) -> None:
    from tqdm import tqdm

    from ..media.mouth.audit import write_audit

    with tqdm(total=min(num_clips, limit or num_clips), unit="clip", desc="audit") as bar:
        page = write_audit(out, limit=limit, on_progress=lambda *_: bar.update())
    print(f"audit page: {page}")
