"""What the commands share that prepare corpora of one class per recording: reading them, and the tables about them."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ._classes import print_problems, recordings

if TYPE_CHECKING:
    from ..corpora.partitions import Partition
    from ..corpora.speech_corpora import Family, SpeechCorpus
    from ..media.content import Content


def add_partition_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every family of corpora has last."""
    add = parser.add_argument
    add("--sample-rate-hz", type=int, default=16000, help="sample rate of the lengths, Hz (default: 16000)")
    add("--seed", type=int, default=1, help="seed of all draws (default: 1)")


def check_partition_options(args: argparse.Namespace, *, without_speakers: frozenset[str]) -> None:
    """Refuse values that cannot be met; `without_speakers` are the partitions that need no speakers.

    Raises:
        ValueError: a value out of range.
        argparse.ArgumentError: partitions by speaker together with --no-speakers.
    """
    if args.folds is not None and args.folds < 2:
        raise ValueError(f"--folds {args.folds}: 2 folds are the fewest")
    if args.sample_rate_hz < 1:
        raise ValueError(f"--sample-rate-hz {args.sample_rate_hz}: 1 or more expected")
    if args.no_speakers and not without_speakers.issuperset(args.partitions or ()):
        raise argparse.ArgumentError(
            None, "--no-speakers: without speakers no partition by speaker can be written"
        )


@contextmanager
def reported_problems(out: Path) -> Iterator[list[str]]:
    """Give a list for the problems of a reading, and report them, also where it ends with an error."""
    problems: list[str] = []
    is_done = False
    try:
        yield problems
        is_done = True
    finally:
        if problems or is_done:
            print_problems(out, problems, "problems with files and counts")


def write_partitions(
    args: argparse.Namespace,
    whole: "SpeechCorpus",
    made: "Sequence[Partition]",
    corpora: "Sequence[SpeechCorpus]",
) -> None:
    """Write and print partitions of a corpus, which may be several corpora joined, and the tables about them."""
    from ..corpora.partitions import write
    from ..files import atomic_write

    for partition in made:
        write(partition, args.out / partition.name, whole.root, sample_rate_hz=args.sample_rate_hz)
        print("\n".join(describe_partition(partition, whole.stream, args.sample_rate_hz)))
    with atomic_write(args.out / "sample_rate_hz.txt") as file:
        file.write(f"{args.sample_rate_hz}\n")
    write_speakers(args.out / "speakers.tsv", whole, made)
    write_classes(args.out / "classes.tsv", corpora)
    print((args.out / "classes.tsv").read_text(encoding="utf-8"), end="")
    if args.no_speakers:
        print(
            "WARNING: the speakers are not known. Test speakers may be training speakers: the scores are NOT "
            "speaker-independent and say little about new speakers."
        )


def read_corpus(
    args: argparse.Namespace, family: "Family", kind: str, root: Path, table: Path | None, problems: list[str]
) -> "SpeechCorpus":
    """Read a corpus in a layout that its family knows, or a folder per class or a table."""
    from tqdm import tqdm

    from ..corpora.speech_corpora import OTHER
    from ..media.content import Content, content_of

    with tqdm(desc=root.name, unit="recording", disable=None) as bar:

        def measure(path: Path) -> Content:
            bar.update()
            return content_of(path)

        if kind == OTHER:
            return _read_other(args, family, root, table, measure, problems)
        rate_hz = args.sample_rate_hz
        return family.read(kind, root, measure=measure, sample_rate_hz=rate_hz, on_problem=problems.append)


def _read_other(
    args: argparse.Namespace,
    family: "Family",
    root: Path,
    table: Path | None,
    measure: "Callable[[Path], Content]",
    problems: list[str],
) -> "SpeechCorpus":
    """Read a folder per class or a table; copies of a recording are left out there too."""
    from ..corpora.labelled_corpus import collect
    from ..corpora.measured import report_long, without_copies
    from ..media.content import Content

    contents: dict[Path, Content] = {}

    def probe(path: Path) -> Content:
        contents[path] = measure(path)
        return contents[path]

    labelled = collect(
        root,
        list(recordings(args, root, table, problems)),
        probe,
        stream=family.stream,
        sample_rate_hz=args.sample_rate_hz,
        needs_speaker=not args.no_speakers,
        on_problem=problems.append,
    )
    # Segments of one file are no copies of each other.
    found = [(u, contents[root / u.path] if u.start_s is None else None) for u in labelled.utterances]
    labelled = replace(labelled, utterances=without_copies(root, found, problems.append))
    report_long(root, labelled.utterances, labelled.sample_rate_hz, problems.append)
    return family.of_labelled(root.resolve().name, root, labelled, speakers_known=not args.no_speakers)


def write_speakers(path: Path, corpus: "SpeechCorpus", made: "Iterable[Partition]") -> None:
    """Write a row per speaker: gender, recordings, and the fold of `unseen_speakers` or `sessions` that tests them."""
    from ..files import atomic_write

    fold = {
        u.speaker: partition.name.rpartition("/")[2]
        for partition in made
        if {"unseen_speakers", "sessions"} & set(partition.name.split("/")[:-1])
        for u in partition.test
    }
    genders = {u.speaker: u.gender or "" for u in corpus.utterances}
    counts = Counter(u.speaker for u in corpus.utterances)
    with atomic_write(path) as file:
        file.write("speaker\tgender\trecordings\tfold\n")
        file.writelines(
            f"{s}\t{genders[s]}\t{counts[s]}\t{fold.get(s, '')}\n" for s in sorted(counts, key=str)
        )


def write_classes(path: Path, corpora: "Sequence[SpeechCorpus]") -> None:
    """Write a row per corpus and class: recordings, speakers, minutes; of women, of men, of others or unknown."""
    from ..files import atomic_write

    with atomic_write(path) as file:
        file.write("corpus\tclass\trecordings\tspeakers\tminutes\tfemale\tmale\tunknown\n")
        for corpus in corpora:
            for name in corpus.classes:
                own = [u for u in corpus.utterances if corpus.label(u) == name]
                minutes = sum(u.num_samples for u in own) / corpus.sample_rate_hz / 60
                genders = Counter(u.gender for u in own)
                file.write(
                    f"{corpus.name}\t{name}\t{len(own)}\t{len({u.speaker for u in own})}\t{minutes:.1f}\t"
                    f"{genders['female']}\t{genders['male']}\t"
                    f"{len(own) - genders['female'] - genders['male']}\n"
                )


def describe_partition(partition: "Partition", stream: str, sample_rate_hz: int) -> list[str]:
    """Describe a partition: its sizes, and the classes that its training or its test lacks."""
    from ..corpora.partition_sizes import describe
    from ..corpora.speech_corpora import absent

    lines = absent(partition, stream) if partition.train else []
    return [describe(partition, sample_rate_hz)[0], *(f"  {line}" for line in lines)]
