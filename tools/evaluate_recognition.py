#!/usr/bin/env python3
"""Score recognisers: predictions.<decoder>.tsv and metrics.json with WER and CER for each.

One checkpoint:  tools/evaluate_recognition.py --checkpoint C --data MANIFESTS --system NAME --out DIR --origin real
A whole run:     tools/evaluate_recognition.py --run RUN --partitions 'labels/*' --origin real [--lm ARPA]
                 every RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt, with RUN/manifests/<partition>,
                 into RUN/scores/<partition>/<system>/seed<k>

Decodes greedily and, with --lm, by beam search, whose weights (alpha, beta, unk_score) are chosen on the development
split.
With --run the weights are also kept beside the checkpoint, in lm_weights.json, for tools/transcribe.py. Rows that have
their metrics.json are skipped unless --force is given, whatever else is asked.
"""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=Path, help="one trained checkpoint")
    what.add_argument("--run", type=Path, help="a run folder: score its recognisers")
    parser.add_argument("--origin", choices=["real", "synthetic"], required=True, help="of the recordings")
    parser.add_argument("--partitions", nargs="+", default=["*"], metavar="PATTERN", help="with --run: which")
    parser.add_argument("--data", type=Path, help="manifest folder (with --checkpoint)")
    parser.add_argument("--system", help="name of the system (with --checkpoint)")
    parser.add_argument("--partition", default="published", help="trained on and tested on whom")
    parser.add_argument("--seed", type=int, default=1, help="seed of the training (with --checkpoint)")
    parser.add_argument("--out", type=Path, help="folder of the result (with --checkpoint)")
    parser.add_argument("--split", default="test", help="split to score")
    parser.add_argument(
        "--dev-split", default="valid", help="split that chooses the language model's weights"
    )
    parser.add_argument("--language", default="", help="of the normalised spelling; default: the sidecar's")
    parser.add_argument("--lm", type=Path, metavar="ARPA", help="n-gram language model, gzip or not")
    parser.add_argument("--beam", type=int, default=32, help="hypotheses kept per utterance")
    weights = {"type": float, "nargs": "+", "metavar": "X"}
    parser.add_argument("--alphas", **weights, help="weights of the language model to be tried")
    parser.add_argument("--betas", **weights, help="rewards per word to be tried")
    parser.add_argument("--unk-scores", **weights, help="additions per unknown word to be tried, 0 or less")
    parser.add_argument(
        "--max-dev", type=int, default=300, help="utterances that choose the weights, at most"
    )
    parser.add_argument("--batch-size", type=int, default=16, help="recordings at a time")
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--force", action="store_true", help="score again what was scored")
    args = parser.parse_args()
    if not args.lm and (args.alphas or args.betas or args.unk_scores):
        parser.error("--alphas, --betas and --unk-scores weigh a language model, found none; give --lm too")
    if args.checkpoint and not (args.data and args.system and args.out):
        parser.error("--checkpoint needs --data, --system and --out")
    return args


def load(path: str, device: str) -> Any:
    from fairseq_ext.inference.recognizer import load_recognizer  # fairseq takes seconds to import

    return load_recognizer(path, device)


def score(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from fairseq_ext.decoding.tuning import Grid
    from fairseq_ext.scoring.recognition.decoders import read_language_model
    from fairseq_ext.scoring.recognition.evaluation import Options, recognise_all
    from fairseq_ext.scoring.scored_system import ScoredSystem
    from fairseq_ext.scoring.trainings import FinishedTraining, check_partitions, finished_trainings

    command = shlex.join(["tools/evaluate_recognition.py", *sys.argv[1:]])
    if args.run:
        check_partitions(args.run, args.partitions)
        jobs = finished_trainings(args.run, args.origin, command, args.partitions)
    else:
        system = ScoredSystem(args.system, args.partition, args.seed, args.origin, command)
        jobs = [FinishedTraining(args.checkpoint, args.data, system, args.out)]
    if not jobs:
        print("no finished training found, so nothing is scored")
    names = ("alphas", "betas", "unk_scores")
    grid = Grid(**{name: getattr(args, name) for name in names if getattr(args, name)})
    lm = read_language_model(args.lm, beam_size=args.beam, grid=grid) if args.lm else None
    named = ("split", "dev_split", "language", "max_dev", "batch_size", "device")
    options = Options(lm=lm, keep_weights=bool(args.run), **{name: getattr(args, name) for name in named})
    for line in recognise_all(jobs, partial(load, device=args.device), options, force=args.force):
        tqdm.write(line)


def main() -> None:
    args = parse()
    try:
        score(args)
    except (ValueError, OSError) as error:
        sys.exit(f"evaluate_recognition.py: {error}")


if __name__ == "__main__":
    main()
