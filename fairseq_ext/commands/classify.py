"""Classify recordings of any format, rate and length: the probability of each class.

  fairseq-ext classify FOLDER unknown.wav                    FOLDER of fairseq-ext score embeddings --save
  fairseq-ext classify checkpoint_best.pt *.mp3 --json       a fine-tuned ext_speech_classifier, or another classifier

Prints a table, a line per recording, the likeliest classes first; with --json an object per line with all of them. At
the end the seconds of audio that were classified per second. Recordings that cannot be classified are named and
counted; the exit status is 1 then.
"""

import argparse
import json
from typing import TYPE_CHECKING

from ._classified import print_each

if TYPE_CHECKING:
    from ..inference.file_classifier import Classified

SUMMARY = "Classify recordings: the probability of each class"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("classifier", help="folder of a saved classifier, or a checkpoint_*.pt")
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="recordings that soundfile or FFmpeg can read"
    )
    parser.add_argument("--json", action="store_true", help="print an object per recording")
    parser.add_argument(
        "--class", dest="of_class", metavar="NAME", help="print the probability of this class alone"
    )
    parser.add_argument("--top", type=int, default=3, help="classes in a line of the table (default: 3)")
    parser.add_argument(
        "--encoder", default="", help="where the encoder of a saved classifier is (default: where it was)"
    )
    parser.add_argument("--label", default="", help="label stream of a checkpoint that has several")
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")


def run(args: argparse.Namespace) -> int:
    """Classify; return 0 if every recording could be."""
    if args.top < 1:
        raise argparse.ArgumentError(None, f"--top: 1 or more expected, found {args.top}")
    from ..inference.file_classifier import load_file_classifier

    classify = load_file_classifier(
        args.classifier, encoder=args.encoder, device=args.device, label=args.label
    )
    if args.of_class is not None and args.of_class not in classify.labels:
        raise ValueError(
            f"{args.classifier}: no class {args.of_class!r}; it has {', '.join(classify.labels)}"
        )
    print_each(args.files, classify, lambda path, found: _line(path, found, args))
    return 0


def _line(path: str, found: "Classified", args: argparse.Namespace) -> str:
    shown = found.probabilities
    if args.of_class is not None:
        shown = {args.of_class: shown[args.of_class]}
    if args.json:
        values = {"file": path, "duration_s": round(found.duration_s, 3), "probabilities": shown}
        return json.dumps(values, ensure_ascii=False)
    best = list(shown.items())[: args.top]
    return "\t".join([path, *(f"{name} {100 * value:.1f} %" for name, value in best)])
