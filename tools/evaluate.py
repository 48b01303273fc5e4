#!/usr/bin/env python3
"""Score trained checkpoints: predictions.tsv, embeddings.npz and metrics.json for each.

One checkpoint:  tools/evaluate.py --checkpoint C --data MANIFESTS --system NAME --out DIR --origin real
A whole run:     tools/evaluate.py --run RUN --origin real
                 every RUN/train/<partition>/<system>/seed<k>/checkpoint_last.pt, with RUN/manifests/<partition>,
                 into RUN/scores/<partition>/<system>/seed<k>
Several heads:
                 tools/evaluate.py --run RUN --origin real --partitions accent_gender --heads accent=accent gender=gender
                 each head of RUN/train/accent_gender/<system>/seed<k> into RUN/scores/{accent,gender}/<system>/seed<k>,
                 beside the systems with one head; both are scored on the same clips, or this stops

Rows that have their metrics.json are skipped unless --force is given.
"""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import Any


def head(text: str) -> tuple[str, str]:
    """A value of --heads: label stream and partition."""
    stream, _, partition = text.partition("=")
    if not stream or not partition:
        raise argparse.ArgumentTypeError(f"STREAM=PROTOCOL expected, found {text!r}")
    return stream, partition


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--checkpoint", type=Path, help="one trained checkpoint")
    what.add_argument("--run", type=Path, help="a run folder: score everything that it trained")
    parser.add_argument("--origin", choices=["real", "synthetic"], required=True, help="of the recordings")
    parser.add_argument("--partitions", nargs="+", default=["*"], metavar="PATTERN", help="with --run: which")
    parser.add_argument(
        "--heads",
        type=head,
        nargs="+",
        default=[],
        metavar="STREAM=PROTOCOL",
        help="with --run: label streams of networks with several, and the partition that each is scored in",
    )
    parser.add_argument("--data", type=Path, help="manifest folder (with --checkpoint)")
    parser.add_argument("--system", help="name of the system (with --checkpoint)")
    parser.add_argument("--partition", default="published", help="trained on and tested on whom")
    parser.add_argument("--seed", type=int, default=1, help="seed of the training (with --checkpoint)")
    parser.add_argument("--out", type=Path, help="folder of the result (with --checkpoint)")
    parser.add_argument("--split", default="test", help="split to score")
    parser.add_argument("--label", default="", help="label stream; default: the one that was trained on")
    over = "what the intervals draw: say speakers where many are tested"
    parser.add_argument(
        "--intervals-over", choices=["recordings", "speakers"], default="recordings", help=over
    )
    parser.add_argument("--device", default="cpu", help="torch device")
    parser.add_argument("--force", action="store_true", help="score again what was scored")
    args = parser.parse_args()
    if args.checkpoint and not (args.data and args.system and args.out):
        parser.error("--checkpoint needs --data, --system and --out")
    if args.heads and (args.checkpoint or args.label):
        parser.error("--heads goes with --run and without --label")
    return args


def load(path: str, *, device: str, label: str) -> Any:
    from fairseq_ext.checkpoints.load import load_model  # fairseq takes seconds to import

    return load_model(path, device, label=label)


def score(args: argparse.Namespace) -> None:
    from tqdm import tqdm

    from fairseq_ext.scoring.evaluation import evaluate_all
    from fairseq_ext.scoring.heads import per_head
    from fairseq_ext.scoring.scored_system import ScoredSystem
    from fairseq_ext.scoring.trainings import FinishedTraining, check_partitions, finished_trainings

    command = shlex.join(["tools/evaluate.py", *sys.argv[1:]])
    if args.run:
        check_partitions(args.run, args.partitions)
        jobs = finished_trainings(args.run, args.origin, command, args.partitions)
        if args.heads:
            jobs = per_head(jobs, dict(args.heads), args.run, args.split)
    else:
        system = ScoredSystem(args.system, args.partition, args.seed, args.origin, command)
        jobs = [FinishedTraining(args.checkpoint, args.data, system, args.out)]
    if not jobs:
        print("no finished training found, so nothing is scored")
    options = {"split": args.split, "label": args.label, "device": args.device, "over": args.intervals_over}
    for line in evaluate_all(jobs, partial(load, device=args.device), force=args.force, **options):
        tqdm.write(line)


def main() -> None:
    args = parse()
    try:
        score(args)
    except (ValueError, OSError) as error:
        sys.exit(f"evaluate.py: {error}")


if __name__ == "__main__":
    main()
