"""Read lips: from any raw video of a face to text, word times or subtitles.

  fairseq-ext lipread checkpoint_best.pt interview.mp4
  fairseq-ext lipread checkpoint_best.pt --format srt --side-by-side --out READ FOLDER

A video may have any size, frame rate, rotation and length; of a folder all videos in it are read. Of several faces the
one that speaks is read, which is said, or each of them with --faces each. Stretches in which no mouth can be seen are
named, and the others are read. Writes to standard output, with the path first if there are several videos, or a file
per video into --out, each there whole or not at all: with --resume a command that was killed goes on with the next
video. Videos of which nothing can be read are named with the reason and counted; the exit status is 1 then.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ..decoding.joint import JointSearch
    from ..inference.lip_reader import LipReader, LipText

# Where a step starts and ends in a video's part of the progress bar: to find the mouth takes most of the time.
_STEPS = {"find the mouth": (0.0, 0.7), "look again": (0.7, 0.8), "read": (0.8, 1.0)}
SUMMARY = "Read lips of raw videos: text, times, subtitles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..inference.mouth_track import READING
    from ..media.mouth import settings

    parser.add_argument("checkpoint", type=Path, help="a checkpoint_*.pt of ext_av_ctc_attention")
    parser.add_argument(
        "videos", type=Path, nargs="+", help="videos that FFmpeg can read, or folders of them"
    )
    parser.add_argument(
        "--faces",
        choices=["speaker", "each"],
        default="speaker",
        help="of several faces, the one that speaks or each, named from left to right (default: speaker)",
    )
    parser.add_argument(
        "--format",
        choices=["text", "json", "srt"],
        default="text",
        help="json and srt have word times (default: text)",
    )
    parser.add_argument("--out", type=Path, help="folder of the outputs (default: standard output)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out videos whose output is in --out already; their number is said",
    )
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
    settings.add_arguments(parser, READING)


def run(args: argparse.Namespace) -> int:
    """Read the videos; return 0 if every one could be read and has words."""
    for name in ("side_by_side", "resume"):
        if getattr(args, name) and not args.out:
            raise argparse.ArgumentError(
                None, f"--{name.replace('_', '-')} needs the folder of the outputs, --out"
            )
    videos, names = _videos(args.videos)
    if len(videos) > 1 and args.format != "text" and not args.out:
        raise argparse.ArgumentError(None, f"--out is needed to write {args.format} of several videos")
    # Whatever the locale is; file names are bytes, which need not be text.
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="surrogateescape")
    num_failed, num_empty = _read(args, videos, names)
    problems = [f"{num_failed} of {len(videos)} videos could not be read"] if num_failed else []
    if num_empty:
        problems.append(f"no words were read in {num_empty} of {len(videos)}")
    if problems:
        raise ValueError(", ".join(problems))
    return 0


def _videos(given: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the videos of files and folders, and what each is called in --out.

    Raises:
        ValueError: a folder holds no video.
    """
    from ..media.media_files import media_files

    videos, names = list[Path](), list[Path]()
    for path in given:
        inside = [path.name]
        if path.is_dir():
            found = media_files(path, pictures=True)
            inside = found.paths
            for name, reason in found.passed_over:
                print(f"passed over: {path / name}: {reason}", file=sys.stderr)
            if not inside:
                raise ValueError(
                    f"{path}: a folder with videos expected, found none ({len(found.passed_over)} other files); give "
                    "the folder that holds them"
                )
        videos += [path / name for name in inside] if path.is_dir() else [path]
        names += map(Path, inside)
    return videos, names


def _read(args: argparse.Namespace, videos: Sequence[Path], names: Sequence[Path]) -> tuple[int, int]:
    """Return how many videos could not be read, and in how many there were no words."""
    from ..inference.lip_reader import load_lip_reader
    from ..inference.transcription import FORMATS, output_paths
    from ..media.mouth import settings
    from ..media.video import VideoError

    suffix, _ = FORMATS[args.format]
    outputs = output_paths(videos, args.out, suffix, names) if args.out else list(videos)
    todo = [pair for pair in zip(videos, outputs, strict=True) if not (args.resume and _is_done(pair[1]))]
    if len(todo) < len(videos):
        print(f"{len(videos) - len(todo)} of {len(videos)} videos are read already", file=sys.stderr)
    if not todo:
        return 0, 0
    reader = load_lip_reader(args.checkpoint, args.device).speaking(args.language)
    options: dict[str, Any] = {"settings": settings.from_args(args), "window_s": args.window_s}
    options |= {"each": args.faces == "each", "search": _search(args, reader)}
    num_failed = num_empty = 0
    with _bar(len(todo)) as start:
        for video, output in todo:
            if args.side_by_side:
                options["on_track"] = _drawn(output.parent, video)
            try:
                found = reader.read_faces(video, on_progress=start(), **options)
            except VideoError as error:
                num_failed += 1
                _say(f"skipped: {error}")
                continue
            for face in found:
                where = f"{video}, {face.face}" if face.face else str(video)
                for note in face.notes:
                    _say(f"{where}: {note}")
            num_empty += not any(face.words for face in found)
            _write(args, video, output, found, many=len(videos) > 1)
    return num_failed, num_empty


def _write(
    args: argparse.Namespace, video: Path, output: Path, found: "Sequence[LipText]", *, many: bool
) -> None:
    """Write what was read of a video, a file or a line per face."""
    from tqdm import tqdm

    from ..files import atomic_write
    from ..inference.transcription import FORMATS

    _, written = FORMATS[args.format]
    # The first face comes last: it stands for all of them where a command is resumed.
    for number, face in reversed(list(enumerate(found, 1))):
        if args.out:
            path = _of_face(output, number) if face.face else output
            with atomic_write(path) as file:
                file.write(written(face.words))
            if face.face:
                _say(f"{video}: the {face.face} is read in {path.name}")
    for face in found if not args.out else []:
        named = f"{video}\t" * many + f"{face.face}\t" * bool(face.face)
        tqdm.write(named + written(face.words), file=sys.stdout, end="")


def _of_face(output: Path, number: int) -> Path:
    return output.with_name(f"{output.stem}.face{number}{output.suffix}")


def _is_done(output: Path) -> bool:
    return output.is_file() or _of_face(output, 1).is_file()


def _say(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


@contextmanager
def _bar(num_videos: int) -> Iterator[Callable[[], Callable[[float, str], None]]]:
    """Show a progress bar; yield what returns, for the next video, the function that its reading reports to."""
    from tqdm import tqdm

    number = itertools.count()
    with tqdm(total=num_videos, unit="video", disable=None) as bar:

        def start() -> Callable[[float, str], None]:
            before = next(number)
            bar.n = before

            def show(share: float, doing: str) -> None:
                first, last = _STEPS[doing]
                done = before + first + share * (last - first)
                bar.set_postfix_str(doing, refresh=False)
                bar.update(max(0.0, round(done - bar.n, 3)))

            return show

        yield start
        bar.n = num_videos


def _search(args: argparse.Namespace, reader: "LipReader") -> "JointSearch | None":
    from ..decoding.arpa import read_arpa
    from ..decoding.joint import JointConfig, JointSearch

    if not args.beam and not args.lm:
        return None
    beam = args.beam or JointConfig().beam_size
    config = JointConfig(beam_size=beam, ctc_weight=args.ctc_weight, length_bonus=args.length_bonus)
    return JointSearch(reader.symbols, config, read_arpa(args.lm) if args.lm else None)


def _drawn(folder: Path, video: Path) -> Any:
    """Return a function that writes the videos to look at, `NAME.read.mp4`; with face and number of several."""
    from ..inference.side_by_side import write_side_by_side

    def draw(track: Any, words: Any) -> None:
        for clip, own in zip(track.clips, words, strict=True):
            # The ids of stretches: face1-00002 of each face, whole-00002 of the one that speaks.
            number = f".{clip.id}" if track.face or len(track.clips) > 1 else ""
            path = folder / f"{video.stem}.read{number}.mp4"
            write_side_by_side(path, video, clip, track.video(clip), own, track.sound(clip))

    return draw
