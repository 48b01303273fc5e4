"""Score embeddings by verification: do two recordings share a label, such as the speaker?

  fairseq-ext score verification --embeddings EMB --data unseen=MANIFESTS/asr --label speaker \\
      --system encoder --scores RUN/scores --origin real
  fairseq-ext score verification --embeddings MFCC_TRAIN MFCC_VALID MFCC_TEST --data unseen=MANIFESTS/asr \\
      --label speaker --backend lda --system mfcc_lda --scores RUN/scores --origin real
writes RUN/scores/<partition>/<system>/seed<k>/metrics.json: equal error rate, DET curve, least detection costs,
recall@k, nearest centroid, silhouette, with intervals over speakers. EMB are folders of fairseq-ext embed by one
encoder, joined; recordings are matched by id.

Trials are all pairs of different recordings of the test split, or --trials N targets and as many others, drawn with
--seed; metrics.json holds the rule, the counts, and a digest of the list. For another label than speaker, pairs of one
speaker are left out and counted.
--pairs-by sentence scores pairs of the same sentence and pairs of different ones apart, too: embeddings of voices
that do not hear the words have the same error rate on both.
--backend cosine compares embeddings as they are; lda first fits a discriminant analysis on the training splits, whose
settings are chosen on folds of the training speakers. Systems that have their metrics.json are skipped unless --force
is given.
"""

import argparse
from pathlib import Path

from ._scored import add_origin, named_folders

SUMMARY = "Score embeddings by verification (EER, DET)"
PRELOAD = ("sklearn.linear_model", "fairseq_ext.scoring.verification_scoring")
# Written here and not read from `scoring`, whose import takes seconds; a test compares.
BACKENDS = ("cosine", "lda")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--embeddings", type=Path, nargs="+", required=True, metavar="EMB", help="folders by one encoder"
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--label", required=True, help="label stream, such as speaker or accent")
    parser.add_argument(
        "--backend", choices=BACKENDS, default="cosine", help="how vectors are compared (default: cosine)"
    )
    parser.add_argument("--system", required=True, help="name of the system")
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    add_origin(parser)
    parser.add_argument("--seed", type=int, default=1, help="seed of draws and folds (default: 1)")
    parser.add_argument(
        "--trials",
        type=int,
        default=0,
        metavar="N",
        help="targets, and as many others, to draw (default: 0 = all pairs)",
    )
    parser.add_argument(
        "--pairs-by",
        default="",
        metavar="STREAM",
        help="score pairs that share this label, such as sentence, and other pairs apart, too",
    )
    parser.add_argument("--layer", type=int, help="layer of the embeddings (default: the last)")
    parser.add_argument("--pooling", default="", help="pooling, such as mean+std (default: all side by side)")
    parser.add_argument(
        "--train-splits",
        nargs="+",
        default=["train", "valid"],
        metavar="NAME",
        help="splits that lda learns from, where they are there (default: train valid)",
    )
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    parser.add_argument("--force", action="store_true", help="score again what has its metrics.json")


def run(args: argparse.Namespace) -> int:
    """Score each partition and print a line for it."""
    partitions = named_folders(args.data)
    if args.trials < 0:
        raise argparse.ArgumentError(None, f"--trials: 0 or more expected, found {args.trials}")
    from ..scoring.embedding_files import read_embeddings
    from ..scoring.scored_system import ScoredSystem, is_scored
    from ..scoring.verification_scoring import Options, figures, joined, score

    options = Options(
        backend=args.backend,
        layer=args.layer,
        pooling=args.pooling,
        num_trials=args.trials,
        train_splits=args.train_splits,
        split=args.split,
        pairs_by=args.pairs_by,
    )
    file = joined([read_embeddings(folder) for folder in args.embeddings])
    for name, folder in partitions:
        system = ScoredSystem(args.system, name, args.seed, args.origin, args.command_line)
        out = system.folder(args.scores)
        if is_scored(out) and not args.force:
            print(f"{system.title}: already scored")
            continue
        result = score(file, folder, args.label, system, out, options)
        trials, missing = result["trials"], result["num_unreadable"]
        without = f"; {missing} recordings have no embedding" if missing else ""
        unlabelled = f"; {result['num_unlabelled']} have no label" if result["num_unlabelled"] else ""
        counts = f"{trials['num_targets']} targets and {trials['num_others']} others"
        left_out = trials["num_same_speaker_left_out"]
        same = f", {left_out} pairs of one speaker left out" if left_out else ""
        print(f"{system.title}: {figures(result)} ({counts}{same}){without}{unlabelled}")
    return 0
