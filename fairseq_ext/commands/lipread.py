"""Read lips: from any raw video of a face to text, word times or subtitles.

  fairseq-ext lipread checkpoint_best.pt interview.mp4
  fairseq-ext lipread checkpoint_best.pt --format srt --side-by-side --out READ *.mp4

The video may have any size, frame rate, rotation and length. Of several faces the one that speaks is read, and that
there are several is said; stretches in which no mouth can be seen are named. Writes to standard output, with the path
first if there are several videos, or a file per video into --out. Videos of which nothing can be read are named with
the reason and counted; the exit status is 1 then.
"""

import argparse
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ..decoding.joint import JointSearch
    from ..inference.lip_reader import LipReader

SUMMARY = "Read lips of raw videos: text, times, subtitles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..media.mouth import settings

    parser.add_argument("checkpoint", type=Path, help="a checkpoint_*.pt of ext_av_ctc_attention")
    parser.add_argument("videos", type=Path, nargs="+", help="videos that FFmpeg can read")
    parser.add_argument(
        "--format",
        choices=["text", "json", "srt"],
        default="text",
        help="json and srt have word times (default: text)",
    )
    parser.add_argument("--out", type=Path, help="folder of the outputs (default: standard output)")
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help="also write a video of face, mouth and text into --out, one per stretch that was read",
    )
    parser.add_argument("--beam", type=int, default=0, help="hypotheses of the beam search (default: greedy)")
    parser.add_argument(
        "--ctc-weight",
        type=float,
        default=0.1,
        help="share of CTC beside the decoder, with --beam (default: 0.1)",
    )
    parser.add_argument(
        "--length-bonus", type=float, default=0.0, help="score per token, with --beam (default: 0)"
    )
    parser.add_argument("--lm", type=Path, help="n-gram model of words, an ARPA file; implies a beam search")
    parser.add_argument(
        "--language", default="", help="language that is spoken, for a reader of several with language tokens"
    )
    parser.add_argument("--window-s", type=float, help="length of the windows of longer videos, s")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    settings.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Read the videos; return 0 if every one could be read and has words."""
    if args.side_by_side and not args.out:
        raise argparse.ArgumentError(None, "--side-by-side writes videos; give their folder with --out")
    if len(args.videos) > 1 and args.format != "text" and not args.out:
        raise argparse.ArgumentError(None, f"--out is needed to write {args.format} of several videos")
    # Whatever the locale is; file names are bytes, which need not be text.
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="surrogateescape")
    num_failed, num_empty = _read(args)
    problems = [f"{num_failed} of {len(args.videos)} videos could not be read"] if num_failed else []
    if num_empty:
        problems.append(f"no words were read in {num_empty} of {len(args.videos)}")
    if problems:
        raise ValueError(", ".join(problems))
    return 0


def _read(args: argparse.Namespace) -> tuple[int, int]:
    """Return how many videos could not be read, and in how many there were no words."""
    from ..files import atomic_write
    from ..inference.lip_reader import load_lip_reader
    from ..inference.transcription import FORMATS, output_paths
    from ..media.mouth import settings
    from ..media.video import VideoError

    suffix, written = FORMATS[args.format]
    outputs = output_paths(args.videos, args.out, suffix) if args.out else args.videos
    reader = load_lip_reader(args.checkpoint, args.device).speaking(args.language)
    search = _search(args, reader)
    num_failed = num_empty = 0
    for video, output in zip(args.videos, outputs, strict=True):
        options: dict[str, Any] = {"settings": settings.from_args(args), "window_s": args.window_s}
        if args.side_by_side:
            options["on_track"] = _drawn(args.out, video)
        try:
            found = reader.read(video, search, **options)
        except VideoError as error:
            num_failed += 1
            print(f"skipped: {error}", file=sys.stderr)
            continue
        for note in found.notes:
            print(f"{video}: {note}", file=sys.stderr)
        num_empty += not found.words
        if args.out:
            with atomic_write(output) as file:
                file.write(written(found.words))
        else:
            print(f"{video}\t" if len(args.videos) > 1 else "", written(found.words), sep="", end="")
    return num_failed, num_empty


def _search(args: argparse.Namespace, reader: "LipReader") -> "JointSearch | None":
    from ..decoding.arpa import read_arpa
    from ..decoding.joint import JointConfig, JointSearch

    if not args.beam and not args.lm:
        return None
    beam = args.beam or JointConfig().beam_size
    config = JointConfig(beam_size=beam, ctc_weight=args.ctc_weight, length_bonus=args.length_bonus)
    return JointSearch(reader.symbols, config, read_arpa(args.lm) if args.lm else None)


def _drawn(folder: Path, video: Path) -> Any:
    """Return a function that writes the videos to look at, `NAME.read.mp4`; with a number where there are several."""
    from ..inference.side_by_side import write_side_by_side

    def draw(track: Any, words: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for clip, own in zip(track.clips, words, strict=True):
            number = f".{clip.id}" if len(track.clips) > 1 else ""
            write_side_by_side(folder / f"{video.stem}.read{number}.mp4", video, clip, track.video(clip), own)

    return draw
