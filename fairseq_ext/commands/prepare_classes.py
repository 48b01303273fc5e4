"""Write manifests of any data set of classes: a folder per class, or a table of recordings.

    fairseq-ext prepare classes --corpus DIR --speaker 2 --out MANIFESTS            DIR/CLASS/SPEAKER/x.wav
    fairseq-ext prepare classes --corpus DIR --speaker '(?P<speaker>[a-z]+)_' ...   DIR/CLASS/anna_01.wav
    fairseq-ext prepare classes --corpus DIR --table T.csv --class emotion ...      a row per recording

The paths of a table are relative to DIR. Of several data sets the first is trained on and each other one tested:

    fairseq-ext prepare classes --corpus EMODB RAVDESS --label-map MAP.tsv --speaker 1 --out MANIFESTS

writes cross_corpus/EMODB-RAVDESS. MAP.tsv has the columns class, common and, where a name means two things, corpus;
recordings of a class without a common one are left out and counted. Without it the names of the classes are common.

A folder per partition is written below MANIFESTS. There `problems.txt` has a line for each file or row that was left
out, and `sample_rate_hz.txt` the sample rate. No speaker is in training and in a test, except in partitions leaky/*.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
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
    from ..corpora.labelled_corpus import LabelledCorpus
    from ..corpora.partitions import Partition

SUMMARY = "Write manifests of a folder per class or a table"

DEFAULT = "leave_one_speaker_out"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..corpora.class_partitions import CHOICES

    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folder of the class folders, or that paths are relative to; of several the first is for training",
    )
    add("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    add_layout_options(parser)
    add("--label-map", type=Path, metavar="FILE", help="tsv of class and common class, for several data sets")
    add("--label", default="class", help="name of the label files and dictionary (default: class)")
    add(
        "--partitions",
        nargs="+",
        choices=CHOICES,
        metavar="NAME",
        help=f"partitions to write, of {', '.join(CHOICES)} (default: {DEFAULT})",
    )
    add("--max-folds", type=int, default=10, help="most folds; where there are more speakers, several are left out "
        "together (default: 10)")  # fmt: skip
    add(
        "--lists",
        nargs="+",
        metavar="SIDE=FILE",
        help="published lists: a speaker or a path without suffix per line",
    )
    add("--sample-rate-hz", type=int, help="sample rate of training, Hz (default: that of the files)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Read the data sets, write their partitions, and print what was found and left out."""
    from ..corpora.class_partitions import unlearnable
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..files import atomic_write

    if args.max_folds < 2:
        raise ValueError(f"--max-folds {args.max_folds}: 2 folds are the fewest")
    chosen = _chosen(args)
    problems: list[str] = []
    is_done = False
    try:
        corpora = [_collect(args, number, problems) for number in range(len(args.corpus))]
        rate_hz = corpora[0].sample_rate_hz
        for root, corpus in zip(args.corpus, corpora, strict=True):
            if corpus.sample_rate_hz != rate_hz:
                raise ValueError(
                    f"{root}: {corpus.sample_rate_hz} Hz, and {args.corpus[0]} {rate_hz} Hz; choose one rate "
                    "(--sample-rate-hz)"
                )
        made = list(_partitions(args, chosen, corpora, problems))
        refuse_earlier_folds(args.out, [partition.name for partition, _ in made])
        is_done = True
    finally:
        if problems or is_done:
            print_problems(args.out, problems)
    for partition, roots in made:
        write(partition, args.out / partition.name, roots, sample_rate_hz=rate_hz)
        print(describe(partition, rate_hz)[0])
        if classes := unlearnable(partition, args.label):
            print(
                f"  no training recording of {', '.join(classes)}: its test recordings cannot be recognised; leave the "
                "class out, or add recordings of more speakers"
            )
    with atomic_write(args.out / "sample_rate_hz.txt") as file:
        file.write(f"{rate_hz}\n")
    if args.no_speakers:
        print(
            "WARNING: the speakers are not known. Test speakers may be training speakers: the scores are NOT "
            "speaker-independent and say little about new speakers."
        )
    return 0


def _collect(args: argparse.Namespace, number: int, problems: list[str]) -> "LabelledCorpus":
    """Read a data set and print what it holds."""
    from ..corpora.labelled_corpus import collect
    from ..media.audio import probe

    corpus = collect(
        args.corpus[number],
        list(recordings(args, args.corpus[number], args.table and args.table[number], problems)),
        probe,
        stream=args.label,
        sample_rate_hz=args.sample_rate_hz,
        needs_speaker=not args.no_speakers,
        on_problem=problems.append,
    )
    print("\n".join(_found(corpus, speakers_known=not args.no_speakers)))
    return corpus


def _partitions(
    args: argparse.Namespace, chosen: list[str], corpora: "list[LabelledCorpus]", problems: list[str]
) -> "Iterator[tuple[Partition, Path | dict[str, Path]]]":
    """Yield the partitions of one data set, or those across several, and the folders of their recordings."""
    from ..corpora.class_partitions import across, partitions, read_label_map

    if len(corpora) == 1:
        options = {"max_folds": args.max_folds, "lists": _lists(args.lists), "on_problem": problems.append}
        for partition in partitions(corpora[0], chosen, stream=args.label, seed=args.seed, **options):
            yield partition, args.corpus[0]
        return
    names = [root.resolve().name for root in args.corpus]
    if len(set(names)) != len(names):
        raise ValueError(f"--corpus: the folders {names} need different names; rename one")
    table = read_label_map(args.label_map, names) if args.label_map else None
    given = list(zip(names, corpora, strict=True))
    made = across(given, table, stream=args.label, seed=args.seed, on_problem=problems.append)
    for partition, root in zip(made, args.corpus[1:], strict=True):
        yield partition, {"train": args.corpus[0], "valid": args.corpus[0], "test": root}


def _chosen(args: argparse.Namespace) -> list[str]:
    """Return the partitions to write; raise argparse.ArgumentError for options that would have no effect."""
    chosen: list[str] = args.partitions or [DEFAULT]
    if args.no_speakers and args.partitions not in (None, ["leaky"]):
        raise argparse.ArgumentError(None, "--no-speakers: without speakers only leaky can be written")
    if args.lists and not {"published", "few_labels"} & set(chosen):
        raise argparse.ArgumentError(None, "--lists: they are for the partitions published and few_labels")
    if len(args.corpus) > 1 and (args.partitions or args.no_speakers):
        name = "--partitions" if args.partitions else "--no-speakers"
        raise argparse.ArgumentError(None, f"{name}: of several data sets only cross_corpus is written")
    if args.label_map and len(args.corpus) == 1:
        raise argparse.ArgumentError(
            None, "--label-map: it is for several data sets; give two --corpus folders"
        )
    if args.table and len(args.table) != len(args.corpus):
        raise argparse.ArgumentError(None, f"--table: {len(args.corpus)} expected, one for each --corpus")
    check_layout_options(args)
    return ["leaky"] if args.no_speakers else chosen


def _lists(options: list[str] | None) -> dict[str, list[str]] | None:
    from ..files import read_lines

    if not options:
        return None
    found = {}
    for option in options:
        side, _, path = option.partition("=")
        if not path:
            raise ValueError(f"--lists {option}: it is not SIDE=FILE, such as train=train.txt")
        found[side] = [line.strip() for line in read_lines(path) if line.strip()]
    return found


def _found(corpus: "LabelledCorpus", *, speakers_known: bool) -> list[str]:
    """Describe the data set: its size, and its classes with their recordings and speakers."""
    speakers = {u.speaker for u in corpus.utterances}
    minutes = sum(u.num_samples for u in corpus.utterances) / corpus.sample_rate_hz / 60
    num_speakers = f"{len(speakers)} speakers" if speakers_known else "unknown speakers"
    counts = Counter(corpus.classes.values())
    lines = [
        f"{len(corpus.utterances)} recordings, {minutes:.1f} min at {corpus.sample_rate_hz} Hz, {len(counts)} classes, "
        f"{num_speakers}"
    ]
    for name, count in sorted(counts.items()):
        own = {u.speaker for u in corpus.utterances if corpus.label(u) == name}
        lines.append(f"  {name:20} {count} recordings" + (f", {len(own)} speakers" if speakers_known else ""))
    return lines
