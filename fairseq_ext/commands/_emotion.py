"""Corpora of emotional speech as the command line names them, and the tables about them."""

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ._classes import recordings

if TYPE_CHECKING:
    from ..corpora.emotion_across import MappedClass
    from ..corpora.emotion_corpora import EmotionCorpus
    from ..corpora.partitions import Partition
    from ..media.content import Content


def read_corpora(args: argparse.Namespace, problems: list[str]) -> "list[EmotionCorpus]":
    """Read each --corpus in its layout; of several of one kind each is named after its folder."""
    from ..corpora.emotion_across import with_unique_names
    from ..corpora.emotion_corpora import of_classes

    kinds = _kinds(args)
    found = []
    for (kind, table), root in zip(kinds, args.corpus, strict=True):
        corpus = _read(args, kind, root, table, problems)
        print(f"{root}: {corpus.name}, {len(corpus.utterances)} recordings")
        found.append(of_classes(corpus, args.classes, problems.append) if args.classes else corpus)
    return with_unique_names(found)


def _kinds(args: argparse.Namespace) -> list[tuple[str, Path | None]]:
    """Return the layout of each corpus, and its table; tables are for those in no known layout, or for all.

    Raises:
        argparse.ArgumentError: another number of layouts or tables than of corpora.
    """
    from ..corpora.emotion_corpora import OTHER, find_kind

    if len(args.kind) not in (1, len(args.corpus)):
        raise argparse.ArgumentError(
            None, f"--kind: {len(args.corpus)} expected, one for each --corpus, or one for all"
        )
    given = args.kind * len(args.corpus) if len(args.kind) == 1 else args.kind
    tables = list(args.table or [])
    if len(tables) == len(args.corpus):
        return [(OTHER, table) for table in tables]
    kinds = [
        find_kind(root) if kind == "auto" else kind for kind, root in zip(given, args.corpus, strict=True)
    ]
    if tables and len(tables) != kinds.count(OTHER):
        raise argparse.ArgumentError(
            None,
            f"--table: {kinds.count(OTHER)} expected, one for each --corpus in no known layout ({kinds})",
        )
    return [(kind, tables.pop(0) if kind == OTHER and tables else None) for kind in kinds]


def _read(
    args: argparse.Namespace, kind: str, root: Path, table: Path | None, problems: list[str]
) -> "EmotionCorpus":
    from tqdm import tqdm

    from ..corpora.emotion_corpora import OTHER, read_known
    from ..media.content import Content, content_of

    with tqdm(desc=root.name, unit="recording", disable=None) as bar:

        def measure(path: Path) -> Content:
            bar.update()
            return content_of(path)

        if kind == OTHER:
            return _read_other(args, root, table, measure, problems)
        rate_hz = args.sample_rate_hz
        return read_known(kind, root, measure=measure, sample_rate_hz=rate_hz, on_problem=problems.append)


def _read_other(
    args: argparse.Namespace,
    root: Path,
    table: Path | None,
    measure: "Callable[[Path], Content]",
    problems: list[str],
) -> "EmotionCorpus":
    """Read a folder per class or a table; copies of a recording are left out there too."""
    from ..corpora.emotion_corpora import of_labelled
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
        stream="emotion",
        sample_rate_hz=args.sample_rate_hz,
        needs_speaker=not args.no_speakers,
        on_problem=problems.append,
    )
    # Segments of one file are no copies of each other.
    found = [(u, contents[root / u.path] if u.start_s is None else None) for u in labelled.utterances]
    labelled = replace(labelled, utterances=without_copies(root, found, problems.append))
    report_long(root, labelled.utterances, labelled.sample_rate_hz, problems.append)
    return of_labelled(root.resolve().name, root, labelled, speakers_known=not args.no_speakers)


def write_speakers(path: Path, corpus: "EmotionCorpus", made: "Iterable[Partition]") -> None:
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


def write_classes(path: Path, corpora: "Sequence[EmotionCorpus]") -> None:
    """Write a row per corpus and class: recordings, speakers, minutes, and recordings of women and of men."""
    from ..files import atomic_write

    with atomic_write(path) as file:
        file.write("corpus\tclass\trecordings\tspeakers\tminutes\tfemale\tmale\n")
        for corpus in corpora:
            for name in corpus.classes:
                own = [u for u in corpus.utterances if u.emotion == name]
                minutes = sum(u.num_samples for u in own) / corpus.sample_rate_hz / 60
                genders = Counter(u.gender for u in own)
                file.write(
                    f"{corpus.name}\t{name}\t{len(own)}\t{len({u.speaker for u in own})}\t{minutes:.1f}\t"
                    f"{genders['female']}\t{genders['male']}\n"
                )


def write_mapped(path: Path, mapped: "Mapping[str, Iterable[MappedClass]]") -> None:
    """Write what became of each class in each partition `cross_corpus/A-B`; an empty common class was dropped."""
    from ..files import atomic_write

    with atomic_write(path) as file:
        file.write("partition\tcorpus\tclass\tcommon\trecordings\n")
        for name, rows in mapped.items():
            file.writelines(f"{name}\t{r.corpus}\t{r.label}\t{r.common}\t{r.num_recordings}\n" for r in rows)
