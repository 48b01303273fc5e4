"""Name the nearest accents of recordings, with their distances: files of any format, rate and length, or a stream.

  fairseq-ext accent CLASSIFIER unknown.wav *.mp3
  arecord -f S16_LE -r 16000 -c 1 | fairseq-ext accent CLASSIFIER --stream

CLASSIFIER is a folder of fairseq-ext score embeddings --classifier centroid --save, over the embeddings of an accent
encoder, or of any other. A line per recording: nearest accent, distance from the centroid of each, margin between the
first two, and the calibrated probability of the nearest; with --json an object per line. Distances are 1 - cosine, or
Euclidean over standardised values where training preferred them; stderr says which. The probability is that among the
accents of the training: a voice of none of them is far from all, and still nearest to one.

--stream reads raw samples from standard input (16 bits, little-endian, one channel, at --rate) and prints a line every
--every-s seconds about the last --window-s, and one at the end; "no voice yet" where nobody speaks. The exit status is
1 if a recording could not be named, or a stream had no voice at all. Clipped samples, and a band that the recording
lacks, are named on stderr.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ._classified import print_doubts, print_each, print_speed

if TYPE_CHECKING:
    from ..inference.nearest_accent import Heard, Nearest, NearestAccents

SUMMARY = "Name the nearest accents of files or a stream"
NO_VOICE = "no voice yet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("classifier", help="folder of a saved centroid classifier")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="recordings that soundfile or FFmpeg can read"
    )
    parser.add_argument(
        "--json", action="store_true", help="print an object per line, with all probabilities"
    )
    parser.add_argument("--top", type=int, default=6, help="accents in a line of the table (default: 6)")
    parser.add_argument("--encoder", default="", help="where its encoder is (default: where it was)")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    stream = parser.add_argument_group("stream")
    stream.add_argument("--stream", action="store_true", help="listen to standard input instead of files")
    stream.add_argument(
        "--rate", type=int, default=16000, metavar="HZ", help="its sample rate, Hz (default: 16000)"
    )
    stream.add_argument("--every-s", type=float, default=1.0, help="time between lines, s (default: 1)")
    stream.add_argument(
        "--window-s", type=float, default=10.0, help="last seconds to listen to (default: 10)"
    )


def run(args: argparse.Namespace) -> int:
    """Name the accents; return 0 if there was one of every recording."""
    _check(args)
    from ..inference.nearest_accent import load_accents

    accents = load_accents(args.classifier, encoder=args.encoder, device=args.device)
    print(f"distances: {accents.metric}", file=sys.stderr)
    if args.stream:
        _listen(args, accents)
    else:
        print_each(args.files, accents, lambda path, found: _line({"file": path}, found, args))
    return 0


def _check(args: argparse.Namespace) -> None:
    if bool(args.files) == args.stream:
        raise argparse.ArgumentError(None, "give either FILE or --stream")
    for name, value in (("--top", args.top), ("--rate", args.rate)):
        if value < 1:
            raise argparse.ArgumentError(None, f"{name}: 1 or more expected, found {value}")
    for name, seconds in (("--every-s", args.every_s), ("--window-s", args.window_s)):
        if not seconds > 0:
            raise argparse.ArgumentError(None, f"{name}: more than 0 s expected, found {seconds:g}")


def _listen(args: argparse.Namespace, accents: "NearestAccents") -> None:
    """Print a line for every result of the stream; the speed counts the time spent on it, not that of waiting.

    Raises:
        ValueError: there was no voice in it, or it ends within a sample.
    """
    from ..inference.doubts import ClippedShare, clipping, missing_band
    from ..media.pcm import pcm_samples, read_chunks

    waited_s, voices, end_s, began = 0.0, 0, 0.0, time.perf_counter()

    def chunks() -> Iterator[bytes]:
        nonlocal waited_s
        source = read_chunks(sys.stdin.buffer)
        while True:
            asked = time.perf_counter()
            chunk = next(source, b"")
            waited_s += time.perf_counter() - asked
            if not chunk:
                return
            yield chunk

    print_doubts("standard input", missing_band(args.rate, accents.sample_rate_hz))
    samples = ClippedShare(pcm_samples(chunks()))
    found = accents.stream(samples, args.rate, every_s=args.every_s, window_s=args.window_s)
    for heard in found:
        print(_heard(heard, args), flush=True)
        voices, end_s = voices + (heard.nearest is not None), heard.end_s
    print_doubts("standard input", clipping(samples.percent))
    print_speed(end_s, time.perf_counter() - began - waited_s)
    if not voices:
        raise ValueError(f"standard input: no voice in {end_s:.2f} s; check the microphone and --rate")


def _heard(heard: "Heard", args: argparse.Namespace) -> str:
    place: dict[str, Any] = {"start_s": round(heard.start_s, 3), "end_s": round(heard.end_s, 3)}
    if heard.nearest is not None:
        return _line(place, heard.nearest, args)
    return json.dumps({**place, "nearest": None}) if args.json else f"{heard.end_s:.2f} s\t{NO_VOICE}"


def _line(place: dict[str, Any], found: "Nearest", args: argparse.Namespace) -> str:
    """Return the line of a result; `place` is the file, or the times of a stream."""
    if args.json:
        values = {
            **place,
            "duration_s": round(found.duration_s, 3),
            "nearest": found.nearest,
            "distances": found.distances,
            "margin": found.margin,
            "probabilities": found.probabilities,
        }
        return json.dumps(values, ensure_ascii=False)
    shown = list(found.distances.items())[: args.top]
    more = len(found.distances) - len(shown)
    distances = ", ".join(f"{name} {value:.4f}" for name, value in shown) + (f", {more} more" if more else "")
    first = place["file"] if "file" in place else f"{place['end_s']:.2f} s"
    share = 100 * found.probabilities[found.nearest]
    return "\t".join([first, found.nearest, distances, f"margin {found.margin:.4f}", f"{share:.1f} %"])
