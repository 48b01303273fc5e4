"""Write manifests of emotional speech: RAVDESS, or anybody's recordings in a folder per emotion or with a table.

    fairseq-ext prepare emotion --corpus ravdess --out MANIFESTS
    fairseq-ext prepare emotion --corpus DIR --speaker 2 --out MANIFESTS                 DIR/EMOTION/SPEAKER/x.wav
    fairseq-ext prepare emotion --corpus DIR --table T.csv --class emotion --out MANIFESTS

The corpus is told by its content. OUT/all/test.tsv lists every usable recording once, with the label files emotion,
gender, speaker and what else the corpus states (intensity, sentence, take); a folder per partition of
corpora/emotion_partitions.py lies beside it. OUT/problems.txt has a line for each file that was left out (damaged,
silent, a copy of another, not speech) and for each count that is not the published one, OUT/speakers.tsv the speakers,
OUT/classes.tsv the classes with their counts. No speaker is in training and in a test, except in partitions leaky/*.
"""

import argparse
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ._classes import (
    add_layout_options,
    check_layout_options,
    print_problems,
    recordings,
    refuse_earlier_folds,
)

if TYPE_CHECKING:
    from ..corpora.emotion_corpora import EmotionCorpus
    from ..corpora.partitions import Partition

SUMMARY = "Write manifests of emotional speech"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..corpora.emotion_corpora import OTHER, READERS
    from ..corpora.emotion_partitions import CHOICES

    add = parser.add_argument
    add("--corpus", type=Path, nargs=1, required=True, metavar="DIR", help="folder of the corpus")
    add("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    add(
        "--kind",
        choices=("auto", *READERS, OTHER),
        default="auto",
        help="layout of the corpus; other: a folder per class, or a table (default: told by the content)",
    )
    add_layout_options(parser)
    add("--classes", nargs="+", metavar="CLASS", help="emotions to keep (default: all)")
    add(
        "--partitions",
        nargs="+",
        choices=CHOICES,
        metavar="NAME",
        help=f"partitions to write, of {', '.join(CHOICES)} (default: those that the corpus allows)",
    )
    add("--folds", type=int, help="folds of speakers (default: 6 of RAVDESS, else 5)")
    add("--sample-rate-hz", type=int, default=16000, help="sample rate of the lengths, Hz (default: 16000)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Read the corpus, write its partitions, and print what was found and left out."""
    from ..corpora.emotion_partitions import absent, everything, partitions, usual
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..files import atomic_write

    check_layout_options(args)
    if args.folds is not None and args.folds < 2:
        raise ValueError(f"--folds {args.folds}: 2 folds are the fewest")
    problems: list[str] = []
    is_done = False
    try:
        corpus = _corpus(args, problems)
        chosen = args.partitions or usual(corpus)
        made = [everything(corpus), *partitions(corpus, chosen, num_folds=args.folds, seed=args.seed)]
        refuse_earlier_folds(args.out, [partition.name for partition in made])
        is_done = True
    finally:
        if problems or is_done:
            print_problems(args.out, problems)
    for partition in made:
        write(partition, args.out / partition.name, corpus.root, sample_rate_hz=args.sample_rate_hz)
        print(describe(partition, args.sample_rate_hz)[0])
        if partition.train:
            print("".join(f"  {line}\n" for line in absent(partition)), end="")
    with atomic_write(args.out / "sample_rate_hz.txt") as file:
        file.write(f"{args.sample_rate_hz}\n")
    _write_speakers(args.out / "speakers.tsv", corpus, made)
    _write_classes(args.out / "classes.tsv", corpus)
    print((args.out / "classes.tsv").read_text(encoding="utf-8"), end="")
    return 0


def _corpus(args: argparse.Namespace, problems: list[str]) -> "EmotionCorpus":
    """Read the corpus in its layout."""
    from ..corpora import emotion_corpora
    from ..media.content import content_of

    (root,) = args.corpus
    kind = args.kind
    if kind == "auto":
        kind = emotion_corpora.OTHER if args.table else emotion_corpora.find_kind(root)
    if kind == emotion_corpora.OTHER:
        corpus = _other(args, 0, problems)
    else:
        corpus = emotion_corpora.read_known(
            kind, root, measure=content_of, sample_rate_hz=args.sample_rate_hz, on_problem=problems.append
        )
    print(f"{root}: {corpus.name}, {len(corpus.utterances)} recordings")
    return emotion_corpora.of_classes(corpus, args.classes, problems.append) if args.classes else corpus


def _other(args: argparse.Namespace, number: int, problems: list[str]) -> "EmotionCorpus":
    """Read a folder per class or a table; copies of a recording are left out there too."""
    from dataclasses import replace

    from ..corpora.emotion_corpora import of_labelled
    from ..corpora.labelled_corpus import collect
    from ..corpora.measured import without_copies
    from ..media.content import Content, content_of

    root = args.corpus[number]
    fingerprints: dict[Path, str] = {}

    def probe(path: Path) -> Content:
        content = content_of(path)
        fingerprints[path] = content.fingerprint
        return content

    labelled = collect(
        root,
        list(recordings(args, number, problems)),
        probe,
        stream="emotion",
        sample_rate_hz=args.sample_rate_hz,
        needs_speaker=not args.no_speakers,
        on_problem=problems.append,
    )
    # Segments of one file are no copies of each other.
    found = [(u, fingerprints[root / u.path] if u.start_s is None else u.id) for u in labelled.utterances]
    utterances = without_copies(root, found, problems.append)
    name = root.resolve().name
    return of_labelled(
        name, root, replace(labelled, utterances=utterances), speakers_known=not args.no_speakers
    )


def _write_speakers(path: Path, corpus: "EmotionCorpus", made: "Iterable[Partition]") -> None:
    """Write a row per speaker: gender, recordings, and the fold of `unseen_speakers` or `sessions` that tests them."""
    from ..files import atomic_write

    fold = {
        u.speaker: partition.name.rpartition("/")[2]
        for partition in made
        if partition.name.startswith(("unseen_speakers/", "sessions/"))
        for u in partition.test
    }
    genders = {u.speaker: u.gender or "" for u in corpus.utterances}
    counts = Counter(u.speaker for u in corpus.utterances)
    with atomic_write(path) as file:
        file.write("speaker\tgender\trecordings\tfold\n")
        file.writelines(
            f"{s}\t{genders[s]}\t{counts[s]}\t{fold.get(s, '')}\n" for s in sorted(counts, key=str)
        )


def _write_classes(path: Path, corpus: "EmotionCorpus") -> None:
    """Write a row per class: recordings, speakers, minutes, and recordings of women and of men."""
    from ..files import atomic_write

    with atomic_write(path) as file:
        file.write("class\trecordings\tspeakers\tminutes\tfemale\tmale\n")
        for name in corpus.classes:
            own = [u for u in corpus.utterances if u.emotion == name]
            minutes = sum(u.num_samples for u in own) / corpus.sample_rate_hz / 60
            genders = Counter(u.gender for u in own)
            file.write(
                f"{name}\t{len(own)}\t{len({u.speaker for u in own})}\t{minutes:.1f}\t{genders['female']}\t"
                f"{genders['male']}\n"
            )
