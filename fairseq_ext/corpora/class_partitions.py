"""The partitions of anybody's data set of classes, chosen by name.

`published`                        the split that the data set states, or lists of speakers or recordings
`leave_one_speaker_out/SPEAKER`    each speaker is tested once; `.../foldNN` where several are tested together
`leave_one_group_out/GROUP`        the same by session, place or microphone
`few_labels`                       1, 2, 5, 10 recordings per class and speaker: `labels/N` of the published split, or
                                   `labels_N/SPEAKER` of each fold
`leaky/FOLD`                       random folds that share speakers: a control, not a result; all that can be made where
                                   no speakers are known
`cross_corpus/FIRST-OTHER`         train on one data set, test on another, see `across`
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from ..manifest import Utterance
from ..text.published import Report, table_rows
from .labelled_corpus import LabelledCorpus
from .partitions import (
    Partition,
    cross_corpus,
    few_labels,
    leaky_control,
    leave_one_out,
    map_labels,
    published,
    side_by_lists,
    with_classes,
)

log = logging.getLogger(__name__)

CHOICES = ("published", "leave_one_speaker_out", "leave_one_group_out", "few_labels", "leaky")
LABELS_PER_CLASS = (1, 2, 5, 10)
NUM_LEAKY_FOLDS = 5


def partitions(
    corpus: LabelledCorpus,
    chosen: Sequence[str],
    *,
    stream: str,
    max_folds: int = 10,
    lists: Mapping[str, Iterable[str]] | None = None,
    seed: int = 1,
    on_problem: Report | None = None,
) -> Iterator[Partition]:
    """Make the chosen partitions, with the label stream; each dictionary has all classes, so that folds can be pooled.

    Args:
        chosen: names in `CHOICES`.
        max_folds: most folds; where there are more speakers or groups, several are left out together.
        lists: side -> speakers or utterance ids of the published split; None takes what the utterances state.
        on_problem: receives a line for each recording or list entry that a published split leaves out; by default it is
            logged.

    Raises:
        ValueError: the corpus lacks what a partition needs.
    """
    report = on_problem or log.warning
    makers: Mapping[str, Callable[[], Iterable[Partition]]] = {
        "published": lambda: [_published(corpus, lists, report)],
        "leave_one_speaker_out": lambda: _speakers_out(corpus, max_folds),
        "leave_one_group_out": lambda: _groups_out(corpus, max_folds),
        "few_labels": lambda: _few_labels(corpus, lists, max_folds, seed, report),
        "leaky": lambda: leaky_control("leaky", corpus.utterances, NUM_LEAKY_FOLDS, seed=seed),
    }
    classes = sorted(set(corpus.classes.values()))
    for partition in chain.from_iterable(makers[name]() for name in chosen):
        yield with_classes(partition, stream, corpus.label, classes)


def _published(
    corpus: LabelledCorpus, lists: Mapping[str, Iterable[str]] | None, report: Report
) -> Partition:
    partition = published(corpus.utterances, side_by_lists(lists) if lists else lambda u: u.split)
    if not partition.train or not partition.test:
        raise ValueError(
            f"published: {len(partition.train)} utterances to train on and {len(partition.test)} to test on; give a "
            "column of train, valid, test (--split), or lists (--lists train=FILE test=FILE)"
        )
    used = {u.id for side in partition.sides.values() for u in side}
    for utterance in corpus.utterances:
        if utterance.id not in used:
            report(
                f"{utterance.id}: no list names it, or its split is not train, valid or test; not in published"
            )
    known = {name for u in corpus.utterances for name in (u.id, u.speaker)}
    for side, names in (lists or {}).items():
        for name in names:
            if name not in known:
                report(f"list {side}: {name!r} is no speaker and no recording; skipped")
    return partition


def _speakers_out(corpus: LabelledCorpus, max_folds: int) -> Iterator[Partition]:
    return leave_one_out("leave_one_speaker_out", corpus.utterances, max_folds=max_folds, with_valid=True)


def _groups_out(corpus: LabelledCorpus, max_folds: int) -> Iterator[Partition]:
    def group(utterance: Utterance) -> str:
        return corpus.groups.get(utterance.id, "")

    family = "leave_one_group_out"
    return leave_one_out(family, corpus.utterances, group=group, max_folds=max_folds, with_valid=True)


def _few_labels(
    corpus: LabelledCorpus,
    lists: Mapping[str, Iterable[str]] | None,
    max_folds: int,
    seed: int,
    report: Report,
) -> Iterator[Partition]:
    is_published = bool(lists) or any(u.split for u in corpus.utterances)
    folds = [_published(corpus, lists, report)] if is_published else [*_speakers_out(corpus, max_folds)]
    largest = max(Counter((corpus.label(u), u.speaker) for u in corpus.utterances).values())
    for count in LABELS_PER_CLASS:
        if count > largest:
            log.warning("labels %d: no speaker has so many recordings of a class; not written", count)
            continue
        for fold in folds:
            (partition,) = few_labels("", fold, [count], corpus.label, seed=seed)
            name = f"labels/{count}" if is_published else f"labels_{count}/{fold.name.partition('/')[2]}"
            yield Partition(name, partition.train, partition.valid if is_published else [], partition.test)


def read_label_map(path: Path, corpora: Collection[str]) -> dict[tuple[str, str], str]:
    """Return (corpus, class) -> common class of a table with tabs of `class`, `common` and perhaps `corpus`; "" drops.

    Raises:
        ValueError: a column is missing, a row is damaged, names no corpus that is given, or repeats another.
    """
    problems: list[str] = []
    found: dict[tuple[str, str], str] = {}
    for number, row in table_rows(path, ("class", "common"), problems.append):
        corpus, label, common = row.get("corpus", ""), row["class"].strip(), "_".join(row["common"].split())
        if corpus and corpus not in corpora:
            problems.append(f"{path}:{number}: the corpus {corpus!r} is none of {list(corpora)}")
        for name in [corpus] if corpus else corpora:
            if found.setdefault((name, label), common) != common:
                problems.append(
                    f"{path}:{number}: the class {label!r} of {name} becomes {found[name, label]!r} and {common!r}"
                )
    if problems:
        raise ValueError(f"{problems[0]}; correct the label map ({len(problems)} faults)")
    return found


def across(
    corpora: Sequence[tuple[str, LabelledCorpus]],
    table: Mapping[tuple[str, str], str] | None,
    *,
    stream: str,
    seed: int = 1,
    on_problem: Report | None = None,
) -> Iterator[Partition]:
    """Train on the first data set and test on each other one: the partitions `cross_corpus/FIRST-OTHER`.

    Args:
        corpora: name and content of two data sets or more.
        table: result of `read_label_map`; None = all have the same classes.
        seed: seed of the speakers that are held out for validation.
        on_problem: receives a line for each class that is left out, with its number of recordings.

    Raises:
        ValueError: a data set is tested on classes that the first one lacks.
    """
    report, mapped = on_problem or log.warning, []
    for name, corpus in corpora:
        own = set(corpus.classes.values())
        common = {label: label if table is None else table.get((name, label), "") for label in own}
        classes, dropped = map_labels(corpus.utterances, corpus.label, common)
        for label, count in sorted(dropped.items()):
            report(f"{name}: {label}: no common class in the label map; its {count} recordings are left out")
        mapped.append((name, corpus.utterances, classes))
    for other in mapped[1:]:
        name = f"cross_corpus/{mapped[0][0]}-{other[0]}"
        yield cross_corpus(name, mapped[0], other, stream=stream, seed=seed)


def unlearnable(partition: Partition, stream: str) -> list[str]:
    """Return the classes that a partition tests without a training utterance, in the order of the dictionary."""
    tested = {partition.labels[stream](u) for u in partition.test}
    return [name for name, count in partition.dictionaries[stream].items() if not count and name in tested]
