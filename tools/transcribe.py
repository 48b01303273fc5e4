#!/usr/bin/env python3
"""Transcribe recordings of any format and length with a CTC checkpoint, ours or stock fairseq's.

    tools/transcribe.py checkpoint_best.pt interview.mp3
    tools/transcribe.py checkpoint_best.pt --format srt --out subtitles *.mp4

To the standard output, of several recordings with the path first; or a file per recording into --out. Recordings that
cannot be read are named and counted; the exit status is 1 then.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a checkpoint_*.pt; nothing else of its training is needed"
    )
    parser.add_argument("files", type=Path, nargs="+", help="recordings: whatever soundfile or FFmpeg reads")
    parser.add_argument(
        "--format", choices=["text", "json", "srt"], default="text", help="json, srt: with word times"
    )
    parser.add_argument("--out", type=Path, help="folder of the outputs (default: the standard output)")
    parser.add_argument("--lm", type=Path, help="n-gram model of words, an ARPA file; implies a beam search")
    parser.add_argument("--beam", type=int, default=0, help="hypotheses of the beam search (default: greedy)")
    parser.add_argument(
        "--alpha",
        type=float,
        help="weight of the language model (default: what evaluation chose for it, see lm_weights.json beside the "
        "checkpoint, else 0.5)",
    )
    parser.add_argument("--beta", type=float, help="reward per word, with --lm (default: likewise, else 1)")
    parser.add_argument(
        "--unk-score",
        type=float,
        help="added per word that --lm does not know, 0 or less (default: likewise, else -10)",
    )
    parser.add_argument(
        "--window-s",
        type=float,
        help="longer recordings are heard in windows of this length, s (default: that of the longest in training, "
        "20 at most, also when the checkpoint does not say)",
    )
    parser.add_argument(
        "--overlap-s", type=float, help="of neighbouring windows, s (default: a third, 4 at most)"
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")
    parser.add_argument(
        "--dictionary", type=Path, help="dict.ltr.txt, for a checkpoint of fairseq that lacks it"
    )
    args = parser.parse_args()
    if len(args.files) > 1 and args.format != "text" and not args.out:
        parser.error(f"--out is needed to write {args.format} of several recordings")
    weights = (args.alpha, args.beta, args.unk_score)
    if args.lm is None and any(weight is not None for weight in weights):
        parser.error("--alpha, --beta and --unk-score weigh a language model, found none; give --lm too")
    return args


def transcribe(args: argparse.Namespace) -> int:
    """Load, transcribe, write; name what cannot be read and count it."""
    from fairseq_ext.files import atomic_write
    from fairseq_ext.inference import transcription  # fairseq takes seconds to import
    from fairseq_ext.inference.recognizer import load_recognizer

    suffix, written = transcription.FORMATS[args.format]
    outputs = transcription.output_paths(args.files, args.out, suffix) if args.out else args.files
    recognizer = load_recognizer(args.checkpoint, args.device, dictionary=args.dictionary)
    options = {"beam_size": args.beam, "lm": args.lm}
    if args.lm:
        asked = (args.alpha, args.beta, args.unk_score)
        options["weights"] = transcription.choose_weights(args.checkpoint, args.lm, *asked)
    search = transcription.make_search(recognizer, **options)
    if args.lm:
        shown = ", ".join(f"{name} {value:g}" for name, value in asdict(options["weights"]).items())
        print(f"transcribe.py: {args.lm} with {shown}", file=sys.stderr)
    num_failed = 0
    windows = {"window_s": args.window_s, "overlap_s": args.overlap_s}
    with tqdm(total=len(outputs), unit="file") as bar:

        def show(done: float) -> None:
            bar.n = round(done, 2)
            bar.refresh()

        results = transcription.transcribe_files(recognizer, args.files, search, on_progress=show, **windows)
        for found, output in zip(results, outputs, strict=True):
            if found.words is None:
                num_failed += 1
                tqdm.write(f"transcribe.py: left out: {found.problem}", file=sys.stderr)
            elif args.out:
                with atomic_write(output) as file:
                    file.write(written(found.words))
            else:
                name = f"{found.path}\t" if len(args.files) > 1 else ""
                tqdm.write(name + written(found.words), file=sys.stdout, end="")
    return num_failed


def main() -> None:
    """Transcribe; the exit status says whether everything could be read."""
    args = parse_args()
    # whatever the locale; names of files are bytes, which need not be text
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        num_failed = transcribe(args)
    except (ValueError, OSError) as error:
        sys.exit(f"transcribe.py: {error}")
    if num_failed:
        sys.exit(f"transcribe.py: {num_failed} of {len(args.files)} recordings could not be read")


if __name__ == "__main__":
    main()
