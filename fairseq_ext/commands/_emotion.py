"""Corpora of emotional speech as the command line names them, and the tables about them."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ._speech_corpora import read_corpus

if TYPE_CHECKING:
    from ..corpora.emotion_across import MappedClass
    from ..corpora.speech_corpora import SpeechCorpus


def read_corpora(args: argparse.Namespace, problems: list[str]) -> "list[SpeechCorpus]":
    """Read each --corpus in its layout; of several of one kind each is named after its folder."""
    from ..corpora.emotion_across import with_unique_names
    from ..corpora.emotion_corpora import EMOTIONS
    from ..corpora.speech_corpora import of_classes

    kinds = _kinds(args)
    found = []
    for (kind, table), root in zip(kinds, args.corpus, strict=True):
        corpus = read_corpus(args, EMOTIONS, kind, root, table, problems)
        print(f"{root}: {corpus.name}, {len(corpus.utterances)} recordings")
        found.append(of_classes(corpus, args.classes, problems.append) if args.classes else corpus)
    return with_unique_names(found)


def _kinds(args: argparse.Namespace) -> list[tuple[str, Path | None]]:
    """Return the layout of each corpus, and its table; tables are for those in no known layout, or for all.

    Raises:
        argparse.ArgumentError: another number of layouts or tables than of corpora.
    """
    from ..corpora.emotion_corpora import EMOTIONS
    from ..corpora.speech_corpora import OTHER

    if len(args.kind) not in (1, len(args.corpus)):
        raise argparse.ArgumentError(
            None, f"--kind: {len(args.corpus)} expected, one for each --corpus, or one for all"
        )
    given = args.kind * len(args.corpus) if len(args.kind) == 1 else args.kind
    tables = list(args.table or [])
    if len(tables) == len(args.corpus):
        return [(OTHER, table) for table in tables]
    kinds = [
        EMOTIONS.find_kind(root) if kind == "auto" else kind
        for kind, root in zip(given, args.corpus, strict=True)
    ]
    if tables and len(tables) != kinds.count(OTHER):
        raise argparse.ArgumentError(
            None,
            f"--table: {kinds.count(OTHER)} expected, one for each --corpus in no known layout ({kinds})",
        )
    return [(kind, tables.pop(0) if kind == OTHER and tables else None) for kind in kinds]


def write_mapped(path: Path, mapped: "Mapping[str, Iterable[MappedClass]]") -> None:
    """Write what became of each class in each partition `cross_corpus/A-B`; an empty common class was dropped."""
    from ..files import atomic_write

    with atomic_write(path) as file:
        file.write("partition\tcorpus\tclass\tcommon\trecordings\n")
        for name, rows in mapped.items():
            file.writelines(f"{name}\t{r.corpus}\t{r.label}\t{r.common}\t{r.num_recordings}\n" for r in rows)
