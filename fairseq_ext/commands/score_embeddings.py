"""Fit classifiers on embeddings and score them, one for each partition.

  fairseq-ext score embeddings --embeddings EMB --data unseen/fold01=RUN/manifests/unseen/fold01 ... \\
      --label emotion --classifier logistic svm --system 'whisper_{classifier}' --scores RUN/scores --origin real
writes RUN/scores/<partition>/<system>/seed<k>/{predictions.tsv,embeddings.npz,groups.tsv,metrics.json} for each
PARTITION=DIR. EMB is a folder of fairseq-ext embed; recordings are matched by id.

Layer, pooling and settings are chosen by macro recall (UAR) on folds of the training speakers. ensemble averages
classifiers and layers that are chosen the same way. centroid is the nearest class mean, by cosine or by the distance of
standardised values, whichever these folds say; fairseq-ext accent names its classes by distance.
Controls: --control shuffled permutes the training labels, --control duration knows nothing but the length of a
recording; --leaky-control is for partitions that share speakers.
What an embedding says of the speaker, learnt from some sentences and asked of another:
  ... --label speaker --data speaker=RUN/manifests/all --folds-by sentence
Systems that have their metrics.json are skipped unless --force is given.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ._scored import add_groups, add_intervals_over, add_origin, named_folders

if TYPE_CHECKING:
    from ..scoring.embedding_files import EmbeddingFile
    from ..scoring.embedding_partitions import Partition

SUMMARY = "Fit and score classifiers on embeddings"
PRELOAD = ("sklearn.linear_model", "fairseq_ext.scoring.embedding_scoring")
PLACE, FOLDER = "{classifier}", "{embeddings}"
# Written here and not read from `scoring`, whose import takes seconds; a test compares.
CLASSIFIERS = ("logistic", "svm", "mlp", "xgboost", "knn", "centroid", "ensemble")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--embeddings",
        type=Path,
        nargs="+",
        required=True,
        metavar="EMB",
        help=f"folders of embeddings; for several --system needs {FOLDER} in it, the name of the folder",
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="PARTITION=DIR", help="manifest folders")
    parser.add_argument("--label", required=True, help="label stream, such as emotion, or speaker")
    parser.add_argument("--classifier", nargs="+", required=True, choices=CLASSIFIERS, help="one or several")
    parser.add_argument(
        "--system",
        required=True,
        help=f"name of the system; with several classifiers {PLACE} stands for theirs",
    )
    parser.add_argument("--scores", type=Path, required=True, help="folder of all scored systems")
    add_origin(parser)
    add_intervals_over(parser)
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of inner folds and classifiers (default: 1)"
    )
    parser.add_argument(
        "--layers", type=_numbers, default=(), metavar="N,N,...", help="layers to choose among (default: all)"
    )
    parser.add_argument(
        "--poolings",
        type=lambda text: tuple(text.split(",")),
        default=(),
        metavar="NAME,...",
        help="poolings to choose among, such as mean,std,mean+std (default: all of EMB side by side)",
    )
    parser.add_argument("--control", choices=["shuffled", "duration"], default="", help="score a control")
    parser.add_argument(
        "--centred",
        action="store_true",
        help="take the mean of its speaker's off each embedding; uses no label",
    )
    parser.add_argument(
        "--leaky-control", action="store_true", help="for partitions that share speakers; not a result"
    )
    add_groups(parser)
    parser.add_argument(
        "--train-splits",
        nargs="+",
        default=["train", "valid"],
        metavar="NAME",
        help="splits to train on, where they are there (default: train valid; nothing is chosen by valid alone)",
    )
    parser.add_argument("--split", default="test", help="split to score (default: test)")
    parser.add_argument(
        "--folds-by",
        metavar="STREAM",
        help="make folds of --split: each group of a label stream is tested once",
    )
    parser.add_argument(
        "--save", type=Path, metavar="FOLDER", help="save the classifiers, in FOLDER/<partition>/<system>"
    )
    parser.add_argument("--force", action="store_true", help="fit again what has its metrics.json")


def _numbers(text: str) -> tuple[int, ...]:
    if not all(part.isascii() and part.isdigit() for part in text.split(",")):
        raise argparse.ArgumentTypeError(f"whole numbers such as 0,3,6 expected, found {text!r}")
    return tuple(int(part) for part in text.split(","))


def run(args: argparse.Namespace) -> int:
    """Fit and score the classifiers and print a line for each."""
    _check(args)
    from tqdm import tqdm

    from ..scoring.embedding_files import read_embeddings
    from ..scoring.embedding_scoring import Options, score_partitions
    from ..scoring.scored_system import ScoredSystem

    options = Options(
        layers=args.layers,
        poolings=args.poolings,
        control=args.control,
        centred=args.centred,
        over=args.intervals_over,
        leaky=args.leaky_control,
    )
    fitted = {"seed": args.seed, "save": args.save, "force": args.force}
    for folder in args.embeddings:
        file, system = read_embeddings(folder), args.system.replace(FOLDER, folder.name)

        def system_of(partition: str, classifier: str, name: str = system) -> ScoredSystem:
            name = name.replace(PLACE, classifier)
            return ScoredSystem(name, partition, args.seed, args.origin, args.command_line)

        partitions = _partitions(args, file)
        scored = score_partitions(
            file, partitions, system_of, args.scores, args.classifier, options, **fitted
        )
        for line in scored:
            tqdm.write(line)
    return 0


def _check(args: argparse.Namespace) -> None:
    if len(args.classifier) > 1 and PLACE not in args.system:
        raise argparse.ArgumentError(None, f"several classifiers need a --system with {PLACE} in it")
    if len(args.embeddings) > 1 and FOLDER not in args.system:
        raise argparse.ArgumentError(None, f"several --embeddings need a --system with {FOLDER} in it")
    if args.save and (args.centred or args.control):
        raise argparse.ArgumentError(
            None, "--save is for classifiers of unknown recordings, without --centred and --control"
        )
    if args.folds_by and args.leaky_control:
        raise argparse.ArgumentError(None, "--folds-by makes folds, for which there is no --leaky-control")
    named_folders(args.data)  # before anything is read


def _partitions(args: argparse.Namespace, file: "EmbeddingFile") -> "Iterator[Partition]":
    """Read one partition after another."""
    from ..scoring.embedding_partitions import read_folds, read_partition

    options = {"label": args.label, "split": args.split, "groups": args.groups}
    for partition, folder in named_folders(args.data):
        if args.folds_by:
            yield from read_folds(partition, folder, file, by=args.folds_by, **options)
        else:
            options |= {
                "groups_folder": args.groups_data,
                "train_splits": args.train_splits,
                "leaky_control": args.leaky_control,
            }
            yield read_partition(partition, folder, file, **options)
