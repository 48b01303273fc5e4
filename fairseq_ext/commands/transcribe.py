"""Transcribe recordings of any format and length with a CTC checkpoint, ours or stock fairseq's.

  fairseq-ext transcribe checkpoint_best.pt interview.mp3
  fairseq-ext transcribe checkpoint_best.pt --format srt --out subtitles *.mp4

Writes to standard output, with the path first if there are several recordings, or a file per recording into --out.
Recordings that cannot be read, and those in which no word is recognised, are named and counted; the exit status is 1
then. The output of the latter is written, without words.
"""

import argparse
import sys
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any, cast

SUMMARY = "Transcribe recordings: text, word times, subtitles"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "checkpoint", type=Path, help="a checkpoint_*.pt; nothing else of its training is needed"
    )
    parser.add_argument("files", type=Path, nargs="+", help="recordings that soundfile or FFmpeg can read")
    parser.add_argument(
        "--format",
        choices=["text", "json", "srt"],
        default="text",
        help="json and srt have word times (default: text)",
    )
    parser.add_argument("--out", type=Path, help="folder of the outputs (default: standard output)")
    parser.add_argument("--lm", type=Path, help="n-gram model of words, an ARPA file; implies a beam search")
    parser.add_argument("--beam", type=int, default=0, help="hypotheses of the beam search (default: greedy)")
    parser.add_argument(
        "--alpha",
        type=float,
        help="weight of --lm (default: what scoring chose, see lm_weights.json beside the checkpoint, else 0.5)",
    )
    parser.add_argument("--beta", type=float, help="reward per word, with --lm (default: as chosen, else 1)")
    parser.add_argument(
        "--unk-score",
        type=float,
        help="log-score per word that is not in --lm, 0 or less (default: as chosen, else -10)",
    )
    parser.add_argument(
        "--window-s",
        type=float,
        help="length of the windows in which longer recordings are processed, s (default: the longest recording of "
        "the training, at most 20, also when the checkpoint does not say)",
    )
    parser.add_argument(
        "--overlap-s", type=float, help="overlap of windows, s (default: a third of a window, at most 4)"
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--dictionary", type=Path, help="dict.ltr.txt, for a checkpoint of fairseq that lacks it"
    )


def run(args: argparse.Namespace) -> int:
    """Transcribe; return 0 if every recording could be read and has words."""
    if len(args.files) > 1 and args.format != "text" and not args.out:
        raise argparse.ArgumentError(None, f"--out is needed to write {args.format} of several recordings")
    weights = (args.alpha, args.beta, args.unk_score)
    if args.lm is None and any(weight is not None for weight in weights):
        raise argparse.ArgumentError(
            None, "--alpha, --beta and --unk-score weigh a language model; give --lm too"
        )
    # Whatever the locale is; file names are bytes, which need not be text.
    cast(TextIOWrapper, sys.stdout).reconfigure(encoding="utf-8", errors="surrogateescape")
    num_failed, num_empty = _transcribe(args)
    problems = [f"{num_failed} of {len(args.files)} recordings could not be read"] if num_failed else []
    if num_empty:
        problems.append(f"{num_empty} of {len(args.files)} have no words; see above what they hold")
    if problems:
        raise ValueError(", ".join(problems))
    return 0


def _transcribe(args: argparse.Namespace) -> tuple[int, int]:
    """Return how many recordings could not be read, and how many have no words."""
    from tqdm import tqdm

    from ..files import atomic_write
    from ..inference import transcription
    from ..inference.recognizer import load_recognizer

    suffix, written = transcription.FORMATS[args.format]
    outputs = transcription.output_paths(args.files, args.out, suffix) if args.out else args.files
    recognizer = load_recognizer(args.checkpoint, args.device, dictionary=args.dictionary)
    options: dict[str, Any] = {"beam_size": args.beam, "lm": args.lm}
    if args.lm:
        given = (args.alpha, args.beta, args.unk_score)
        options["weights"] = transcription.choose_weights(args.checkpoint, args.lm, *given)
        weights = asdict(options["weights"])
        del weights["log_prior"]  # a value per symbol
        shown = ", ".join(f"{name} {value:g}" for name, value in weights.items())
    search = transcription.make_search(recognizer, **options)
    if args.lm:
        print(f"{args.lm} with {shown}", file=sys.stderr)
    num_failed = num_empty = 0
    windows = {"window_s": args.window_s, "overlap_s": args.overlap_s}
    with tqdm(total=len(outputs), unit="file") as bar:

        def show(done: float) -> None:
            bar.n = round(done, 2)
            bar.refresh()

        results = transcription.transcribe_files(recognizer, args.files, search, on_progress=show, **windows)
        for found, output in zip(results, outputs, strict=True):
            if found.words is None:
                num_failed += 1
                tqdm.write(f"skipped: {found.problem}", file=sys.stderr)
                continue
            if not found.words:
                num_empty += 1
                tqdm.write(found.problem, file=sys.stderr)
            if args.out:
                with atomic_write(output) as file:
                    file.write(written(found.words))
            else:
                name = f"{found.path}\t" if len(args.files) > 1 else ""
                tqdm.write(name + written(found.words), file=sys.stdout, end="")
    return num_failed, num_empty
