"""Write manifests of accented speech: L2-ARCTIC, anybody's recordings in its layout, in folders, or in a table.

    fairseq-ext prepare accent --corpus L2-ARCTIC --out MANIFESTS                       DIR/SPEAKER/wav/arctic_a0001.wav
    fairseq-ext prepare accent --corpus DIR --speaker 2 --out MANIFESTS                 DIR/ACCENT/SPEAKER/x.wav
    fairseq-ext prepare accent --corpus DIR --table T.csv --class accent --out MANIFESTS

A corpus is told by its content. In the layout of L2-ARCTIC a speakers.tsv (speaker, accent, gender) in its root names
speakers who are not those of L2-ARCTIC. OUT/all/test.tsv lists every usable recording once, with the label files
accent, gender, speaker and sentence; a folder per partition of corpora/accent_partitions.py lies beside it.
OUT/problems.txt has a line for each file that was left out (damaged, silent, a copy of another, of an unknown speaker)
and for each count that is not the published one, OUT/speakers.tsv the speakers, OUT/classes.tsv the accents with their
counts. No speaker is in training and in a test, except in partitions leaky/*.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ._classes import add_layout_options, check_layout_options, refuse_earlier_folds
from ._speech_corpora import (
    add_partition_options,
    check_partition_options,
    read_corpus,
    reported_problems,
    write_partitions,
)

if TYPE_CHECKING:
    from ..corpora.speech_corpora import SpeechCorpus

SUMMARY = "Write manifests of accented speech"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..corpora.accent_corpora import ACCENTS
    from ..corpora.accent_partitions import CHOICES, MOST_FOLDS
    from ..corpora.speech_corpora import OTHER

    add = parser.add_argument
    add("--corpus", type=Path, required=True, metavar="DIR", help="folder of the corpus")
    add("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    add(
        "--kind",
        choices=("auto", *ACCENTS.readers, OTHER),
        default="auto",
        help="layout of the corpus; other: a folder per accent, or a table (default: told by the content)",
    )
    add_layout_options(parser)
    add("--classes", nargs="+", metavar="ACCENT", help="accents to keep (default: all)")
    add(
        "--partitions",
        nargs="+",
        choices=CHOICES,
        metavar="NAME",
        help=f"partitions to write, of {', '.join(CHOICES)} (default: those that the corpus allows)",
    )
    add(
        "--folds",
        type=int,
        help=f"folds of speakers (default: as many as an accent has speakers, at most {MOST_FOLDS})",
    )
    add_partition_options(parser)


def run(args: argparse.Namespace) -> int:
    """Read the corpus, write the partitions, and print what was found and left out."""
    from ..corpora.accent_partitions import partitions, usual
    from ..corpora.speech_corpora import everything

    _check(args)
    with reported_problems(args.out) as problems:
        corpus = _read(args, problems)
        chosen = args.partitions or usual(corpus)
        folds = {"num_folds": args.folds, "seed": args.seed}
        made = [everything(corpus), *partitions(corpus, chosen, **folds, on_problem=problems.append)]
        refuse_earlier_folds(args.out, [partition.name for partition in made])
    write_partitions(args, corpus, made, [corpus])
    if not args.partitions and corpus.speakers_known and "unseen_speakers_and_sentence" not in chosen:
        print(
            "no unseen_speakers_and_sentence: the corpus does not tell which recordings are of one sentence"
        )
    without = [p.name for p in made if p.name.startswith("unseen_speakers") and not p.valid]
    if without:
        print(
            f"{len(without)} folds have no validation, such as {without[0]}: of no accent two speakers would be left "
            "to train on; the last checkpoint of a training counts there, not the best"
        )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that cannot be met, or would have no effect, before anything is read."""
    check_layout_options(args)
    if args.table and len(args.table) > 1:
        raise argparse.ArgumentError(None, f"--table: one expected, found {len(args.table)}")
    check_partition_options(args, without_speakers=frozenset({"leaky"}))


def _read(args: argparse.Namespace, problems: list[str]) -> "SpeechCorpus":
    from ..corpora.accent_corpora import ACCENTS, with_sentences
    from ..corpora.speech_corpora import OTHER, of_classes

    table = args.table[0] if args.table else None
    kind = args.kind if args.kind != "auto" else OTHER if table else ACCENTS.find_kind(args.corpus)
    if table and kind != OTHER:
        raise argparse.ArgumentError(None, f"--table: the layout {kind} has none; leave --kind out")
    stated = [name for name in ("speaker", "group", "no_speakers") if getattr(args, name)]
    if stated and kind != OTHER:
        option = stated[0].replace("_", "-")
        raise argparse.ArgumentError(
            None, f"--{option}: the layout {kind} states its speakers; leave it out, or give --kind {OTHER}"
        )
    corpus = with_sentences(read_corpus(args, ACCENTS, kind, args.corpus, table, problems))
    print(f"{args.corpus}: {corpus.name}, {len(corpus.utterances)} recordings")
    return of_classes(corpus, args.classes, problems.append) if args.classes else corpus
