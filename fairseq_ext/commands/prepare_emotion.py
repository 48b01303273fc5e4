"""Write manifests of emotional speech: RAVDESS, CREMA-D, IEMOCAP, or anybody's recordings.

    fairseq-ext prepare emotion --corpus ravdess --out MANIFESTS
    fairseq-ext prepare emotion --corpus DIR --speaker 2 --out MANIFESTS                 DIR/EMOTION/SPEAKER/x.wav
    fairseq-ext prepare emotion --corpus DIR --table T.csv --class emotion --out MANIFESTS
    fairseq-ext prepare emotion --corpus ravdess CREMA-D --out MANIFESTS                 train on one, test on the other

A corpus is told by its content. OUT/all/test.tsv lists every usable recording once, with the label files emotion,
gender, speaker and what else the corpus states (intensity, sentence, take, session); a folder per partition of
corpora/emotion_partitions.py lies beside it. OUT/problems.txt has a line for each file that was left out (damaged,
silent, a copy of another, not speech) and for each count that is not the published one, OUT/speakers.tsv the speakers,
OUT/classes.tsv the classes with their counts. No speaker is in training and in a test, except in partitions leaky/*.

Of several corpora ids and speakers begin with the corpus, such as ravdess/03-01-01-01-01-01-01; cross_corpus/A-B is
trained on A and tested on B, on common classes by the label map, a tsv of class, common and perhaps corpus.
OUT/cross_corpus.tsv says what became of each class, and of how many recordings. Other partitions of several corpora
lie in a folder per corpus.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ._classes import add_layout_options, check_layout_options, refuse_earlier_folds
from ._emotion import read_corpora, write_mapped
from ._speech_corpora import (
    add_partition_options,
    check_partition_options,
    reported_problems,
    write_partitions,
)

if TYPE_CHECKING:
    from ..corpora.emotion_across import MappedClass
    from ..corpora.partitions import Partition
    from ..corpora.speech_corpora import SpeechCorpus

SUMMARY = "Write manifests of emotional speech"

_CROSS = "cross_corpus"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..corpora.emotion_corpora import EMOTIONS
    from ..corpora.emotion_partitions import CHOICES
    from ..corpora.speech_corpora import OTHER

    choices = (*CHOICES, _CROSS)
    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folder of a corpus; one or several",
    )
    add("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    add(
        "--kind",
        nargs="+",
        choices=("auto", *EMOTIONS.readers, OTHER),
        default=["auto"],
        help="layout of the corpora, one for all or one for each; other: a folder per class, or a table (default: told "
        "by the content)",
    )
    add_layout_options(parser)
    add("--classes", nargs="+", metavar="CLASS", help="emotions to keep (default: all)")
    add("--label-map", type=Path, metavar="FILE", help="tsv of class and common class, for several corpora (default: "
        "corpora/emotion_labels.tsv)")  # fmt: skip
    add(
        "--partitions",
        nargs="+",
        choices=choices,
        metavar="NAME",
        help=f"partitions to write, of {', '.join(choices)} (default: those that the corpus allows; of several "
        f"{_CROSS})",
    )
    add("--folds", type=int, help="folds of speakers (default: 6 of RAVDESS, else 5)")
    add_partition_options(parser)


def run(args: argparse.Namespace) -> int:
    """Read the corpora, write the partitions, and print what was found and left out."""
    _check(args)
    with reported_problems(args.out) as problems:
        corpora = read_corpora(args, problems)
        whole, made, mapped = _made(args, corpora, problems)
        refuse_earlier_folds(args.out, [partition.name for partition in made])
    if mapped:
        write_mapped(args.out / "cross_corpus.tsv", mapped)
    write_partitions(args, whole, made, corpora)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that cannot be met, or would have no effect, before anything is read."""
    check_layout_options(args)
    check_partition_options(args, without_speakers=frozenset({"leaky", _CROSS}))
    is_single = len(args.corpus) == 1
    if is_single and args.label_map:
        raise argparse.ArgumentError(
            None, "--label-map: it is for several corpora; give two --corpus folders"
        )
    if is_single and _CROSS in (args.partitions or ()):
        raise argparse.ArgumentError(None, f"{_CROSS}: it needs several corpora; give two --corpus folders")


def _made(
    args: argparse.Namespace, corpora: "list[SpeechCorpus]", problems: list[str]
) -> "tuple[SpeechCorpus, list[Partition], dict[str, list[MappedClass]]]":
    """Return all utterances as one corpus, the partitions to write, and what became of the classes of each pair."""
    from ..corpora import emotion_across
    from ..corpora.class_partitions import read_label_map
    from ..corpora.emotion_partitions import partitions, usual
    from ..corpora.speech_corpora import everything

    chosen = args.partitions or [_CROSS]
    if len(corpora) == 1:
        (whole,) = corpora
        own = partitions(whole, args.partitions or usual(whole), num_folds=args.folds, seed=args.seed)
        return whole, [everything(whole), *own], {}
    table = read_label_map(args.label_map or emotion_across.LABEL_MAP, [corpus.name for corpus in corpora])
    placed = emotion_across.on_one_root(corpora)
    whole = emotion_across.joined([emotion_across.renamed(corpus) for corpus in placed], table)
    made, mapped = [everything(whole), *_of_each(args, placed)], {}
    if _CROSS in chosen:
        for partition, rows in emotion_across.across(
            placed, table, seed=args.seed, on_problem=problems.append
        ):
            made.append(partition)
            mapped[partition.name] = rows
    return whole, made, mapped


def _of_each(args: argparse.Namespace, corpora: "list[SpeechCorpus]") -> "Iterator[Partition]":
    """Yield the chosen partitions of each of several corpora, in folders of their own; the folds are those of one."""
    from ..corpora.emotion_across import renamed
    from ..corpora.emotion_partitions import partitions

    chosen = [name for name in args.partitions or () if name != _CROSS]
    for corpus in corpora:
        named = {u.id: new for u, new in zip(corpus.utterances, renamed(corpus).utterances, strict=True)}
        for partition in partitions(corpus, chosen, num_folds=args.folds, seed=args.seed):
            train, valid, test = ([named[u.id] for u in side] for side in partition.sides.values())
            yield replace(
                partition, name=f"{corpus.name}/{partition.name}", train=train, valid=valid, test=test
            )
