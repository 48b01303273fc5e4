"""Write manifests of any data set of classes: a folder per class, or a table of recordings.

    fairseq-ext prepare classes --corpus DIR --speaker 2 --out MANIFESTS            DIR/CLASS/SPEAKER/x.wav
    fairseq-ext prepare classes --corpus DIR --speaker '(?P<speaker>[a-z]+)_' ...   DIR/CLASS/anna_01.wav
    fairseq-ext prepare classes --corpus DIR --table T.csv --class emotion ...      a row per recording

The paths of a table are relative to DIR.

A folder per partition is written below MANIFESTS. There `problems.txt` has a line for each file or row that was left
out, and `sample_rate_hz.txt` the sample rate. No speaker is in training and in a test, except in partitions leaky/*.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..corpora.labelled_corpus import LabelledCorpus, Recording

SUMMARY = "Write manifests of a folder per class or a table"

DEFAULT = "leave_one_speaker_out"
_MOST_PROBLEMS_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from ..corpora.class_partitions import CHOICES

    add = parser.add_argument
    add(
        "--corpus",
        type=Path,
        required=True,
        help="folder of the class folders, or that paths are relative to",
    )
    add("--out", type=Path, required=True, help="folder of a manifest folder per partition")
    add("--table", type=Path, help="csv or tsv with a header, a row per recording")
    add(
        "--speaker",
        metavar="PATTERN",
        help="folder of the path that names the speaker (1 is the first), or a regular expression with a group "
        "(?P<speaker>...); of a table also a column (default: column speaker)",
    )
    add("--group", metavar="PATTERN", help="where the group is, for leave_one_group_out, likewise")
    for column in ("path", "class", "text", "split", "start", "end"):
        add(f"--{column}", metavar="NAME", help=f"column of the table (default: {column})")
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
    add("--no-speakers", action="store_true", help="accept a random split, since no speakers are known")
    add("--sample-rate-hz", type=int, help="sample rate of training, Hz (default: that of the files)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Read the data set, write its partitions, and print what was found and left out."""
    from ..corpora.class_partitions import partitions, unlearnable
    from ..corpora.labelled_corpus import collect
    from ..corpora.partition_sizes import describe
    from ..corpora.partitions import write
    from ..files import atomic_write
    from ..media.audio import probe

    if args.max_folds < 2:
        raise ValueError(f"--max-folds {args.max_folds}: 2 folds are the fewest")
    chosen = _chosen(args)
    problems: list[str] = []
    is_done = False
    try:
        corpus = collect(
            args.corpus,
            list(_recordings(args, problems)),
            probe,
            stream=args.label,
            sample_rate_hz=args.sample_rate_hz,
            needs_speaker=not args.no_speakers,
            on_problem=problems.append,
        )
        print("\n".join(_found(corpus, speakers_known=not args.no_speakers)))
        options = {
            "stream": args.label,
            "max_folds": args.max_folds,
            "lists": _lists(args.lists),
            "seed": args.seed,
            "on_problem": problems.append,
        }
        made = list(partitions(corpus, chosen, **options))
        _refuse_earlier_folds(args.out, [partition.name for partition in made])
        is_done = True
    finally:
        if problems or is_done:
            _print_problems(args.out, problems)
    for partition in made:
        write(partition, args.out / partition.name, args.corpus, sample_rate_hz=corpus.sample_rate_hz)
        print(describe(partition, corpus.sample_rate_hz)[0])
        if classes := unlearnable(partition, args.label):
            print(
                f"  no training recording of {', '.join(classes)}: its test recordings cannot be recognised; leave the "
                "class out, or add recordings of more speakers"
            )
    with atomic_write(args.out / "sample_rate_hz.txt") as file:
        file.write(f"{corpus.sample_rate_hz}\n")
    if args.no_speakers:
        print(
            "WARNING: the speakers are not known. Test speakers may be training speakers: the scores are NOT "
            "speaker-independent and say little about new speakers."
        )
    return 0


def _recordings(args: argparse.Namespace, problems: list[str]) -> "Iterator[Recording]":
    from ..corpora import folder_per_class, table
    from ..media.media_files import SUFFIXES

    if args.table is None:
        return folder_per_class.read(
            args.corpus, suffixes=SUFFIXES, speaker=args.speaker, group=args.group, on_problem=problems.append
        )
    named = {column: getattr(args, column) for column in table.COLUMNS if getattr(args, column)}
    return table.read(args.table, columns=named, on_problem=problems.append)


def _chosen(args: argparse.Namespace) -> list[str]:
    """Return the partitions to write; raise argparse.ArgumentError for options that would have no effect."""
    chosen: list[str] = args.partitions or [DEFAULT]
    if args.no_speakers and args.partitions not in (None, ["leaky"]):
        raise argparse.ArgumentError(None, "--no-speakers: without speakers only leaky can be written")
    if args.lists and not {"published", "few_labels"} & set(chosen):
        raise argparse.ArgumentError(None, "--lists: they are for the partitions published and few_labels")
    from ..corpora.table import COLUMNS

    named = [c for c in COLUMNS if c not in ("speaker", "group") and getattr(args, c)]
    if named and args.table is None:
        raise argparse.ArgumentError(None, f"--{named[0]}: it names a column of --table, which is not given")
    return ["leaky"] if args.no_speakers else chosen


def _refuse_earlier_folds(out: Path, names: list[str]) -> None:
    """Raise ValueError for folds of another choice below `out`: they would be checked and trained with the new ones."""
    for family in {name.partition("/")[0] for name in names if "/" in name}:
        earlier = {path.relative_to(out).as_posix() for path in (out / family).glob("*") if path.is_dir()}
        if old := sorted(earlier - set(names)):
            raise ValueError(
                f"{out / old[0]}: this fold is of an earlier choice; delete {out / family}, or choose another --out"
            )


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


def _print_problems(out: Path, problems: list[str]) -> None:
    from ..files import atomic_write

    with atomic_write(out / "problems.txt") as file:
        file.writelines(f"{line}\n" for line in problems)
    for line in problems[:_MOST_PROBLEMS_SHOWN]:
        print(line)
    print(f"{len(problems)} files or rows left out ({out / 'problems.txt'})")
