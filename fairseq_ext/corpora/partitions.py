"""Partitions of a corpus: who trains, who validates and who is tested. No corpus owns them.

published             the split that a corpus was published with, or lists of speakers or of utterances
leave_one_out         each speaker (or group: session, microphone, place) is tested once; validation inside the others
few_labels            a partition with little labelled training data, by class and speaker or by minutes
leaky_control         random folds that share speakers: they show what leakage adds and are never a result
cross_corpus          train on one corpus, test on another, whose classes are mapped onto common ones

A `Partition` refuses a speaker on both sides of the training, unless it is a leaky control. `write` makes manifests,
label files and dictionaries of it. What is particular about a corpus (which split was published, which classes it has)
stays in `<corpus>_partitions.py`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..dictionary import write_dictionary
from ..manifest import Utterance, write_manifest
from ..splits import (
    Key,
    assert_disjoint,
    by_group,
    few_minutes,
    few_per_class_and_speaker,
    random_folds,
    random_rank,
)
from ..text.spelling import Spelling, write_spelling

SIDES = ("train", "valid", "test")


@dataclass(frozen=True)
class Partition:
    """A division of utterances into training, validation and test.

    Attributes:
        name: name, and folder below the manifests, such as "published" or "loso/george".
        train: utterances to train on.
        valid: utterances to draw learning curves with, or to choose by.
        test: utterances to score.
        shares_speakers: whether it is a leaky control, whose speakers may be on both sides.
        labels: label stream -> function that gives the utterance's line of it.
        dictionaries: label stream -> symbol -> count in the training utterances.
        spelling: how the stream `wrd` is spelled; None = there is none.
    """

    name: str
    train: list[Utterance]
    valid: list[Utterance] = field(default_factory=list)
    test: list[Utterance] = field(default_factory=list)
    shares_speakers: bool = False
    labels: Mapping[str, Key] = field(default_factory=dict)
    dictionaries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    spelling: Spelling | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a speaker on both sides, unless the partition is a leaky control."""
        if not self.shares_speakers:
            held_out = {u.speaker for u in [*self.valid, *self.test]}
            assert_disjoint({"train": {u.speaker for u in self.train}, "valid and test": held_out})

    @property
    def sides(self) -> dict[str, list[Utterance]]:
        """Return the utterances by side, in the order train, valid, test."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


def write(
    partition: Partition,
    folder: Path,
    root: Path | Mapping[str, Path],
    *,
    sample_rate_hz: int | None = None,
) -> None:
    """Write the manifests, label files and dictionaries of a partition; an empty side has no files.

    Args:
        folder: folder of the files, created when missing.
        root: folder of the recordings, first line of each tsv; side -> folder where they differ (cross-corpus).
        sample_rate_hz: sample rate that `num_samples` counts at, Hz; only needed when there are segments.
    """
    if partition.spelling is not None:
        write_spelling(folder, partition.spelling)
    for side, members in partition.sides.items():
        if members:
            recordings = root[side] if isinstance(root, Mapping) else root
            write_manifest(
                folder, side, members, root=recordings, labels=partition.labels, sample_rate_hz=sample_rate_hz
            )
    for stream, counts in partition.dictionaries.items():
        write_dictionary(folder / f"dict.{stream}.txt", counts)


def with_classes(partition: Partition, stream: str, label: Key, classes: Iterable[str]) -> Partition:
    """Return the partition with a label stream of one class per utterance, and its dictionary.

    Args:
        stream: name of the stream, the suffix of its files.
        label: gives the class of an utterance.
        classes: all classes, in the order of the dictionary. Folds whose results are pooled need the same ones, even
            where a fold has no training utterance of a class.
    """
    counts = Counter(map(label, partition.train))
    return replace(
        partition,
        labels={**partition.labels, stream: label},
        dictionaries={**partition.dictionaries, stream: {name: counts[name] for name in classes}},
    )


def divide(
    utterances: Iterable[Utterance], side: Callable[[Utterance], str | None]
) -> dict[str, list[Utterance]]:
    """Return side -> utterances in the order of the input; all three sides, some may be empty.

    `side` gives "train", "valid", "test", or None to leave the utterance out.
    """
    sides: dict[str, list[Utterance]] = {name: [] for name in SIDES}
    for utterance in utterances:
        if (name := side(utterance)) is not None:
            sides[name].append(utterance)
    return sides


def published(
    utterances: Iterable[Utterance], side: Callable[[Utterance], str | None], name: str = "published"
) -> Partition:
    """Follow the split that a corpus was published with; `side` gives the side or None, such as `side_by_lists`."""
    sides = divide(utterances, side)
    return Partition(name, sides["train"], sides["valid"], sides["test"])


def side_by_lists(lists: Mapping[str, Iterable[str]]) -> Callable[[Utterance], str | None]:
    """Return a function that gives the side of an utterance by published lists, or None where no list names it.

    Args:
        lists: side -> speakers or utterance ids, mixed as they were published; an id counts before its speaker.

    Raises:
        ValueError: a name is in two lists, or a side is none of train, valid, test.
    """
    side_of: dict[str, str] = {}
    for side, names in lists.items():
        if side not in SIDES:
            raise ValueError(f"list {side!r}: there is no such side; name it {', '.join(SIDES)}")
        for name in names:
            if side_of.setdefault(name, side) != side:
                raise ValueError(
                    f"{name!r} is in the lists {side_of[name]} and {side}; delete it from one of them"
                )
    return lambda u: side_of.get(u.id, side_of.get(u.speaker or ""))


def leave_one_out(
    family: str,
    utterances: Sequence[Utterance],
    *,
    group: Key | None = None,
    max_folds: int = 0,
    with_valid: bool = False,
) -> Iterator[Partition]:
    """Test each group once on a system trained on all the others.

    Yields a partition per fold, named `family/GROUP`, or `family/foldNN` where folds hold several groups.

    Args:
        group: gives the group of an utterance; by default its speaker. No speaker may be in two groups.
        max_folds: most folds; where there are more groups, several are tested together, dealt out so that the folds are
            about equally large. 0 is no limit.
        with_valid: hold out the next fold too, for validation, where three folds or more leave one to train on. Choices
            made by it are made inside the training speakers of the test fold.

    Raises:
        ValueError: there is one group only, an utterance has none, or two groups share a speaker.
    """
    kind = "group" if group else "speaker"
    groups = by_group(utterances, group or (lambda u: u.speaker or ""), kind)
    if len(groups) < 2:
        raise ValueError(
            f"2 {kind}s or more are needed to leave one out, found {list(groups)}; record another one"
        )
    group_of: dict[str | None, str] = {}
    for name, members in groups.items():
        for utterance in members:
            if (first := group_of.setdefault(utterance.speaker, name)) != name:
                raise ValueError(
                    f"speaker {utterance.speaker} is in the groups {first} and {name}, so that leaving one out would "
                    "train on a test speaker; join the groups that share speakers"
                )
    folds = _dealt_out(groups, max_folds) if 0 < max_folds < len(groups) else _named(groups)
    fold_of = {u.id: number for number, members in enumerate(folds.values()) for u in members}
    for number, (name, test) in enumerate(folds.items()):
        # Without validation this is the test fold itself, so that no other fold is taken from the training.
        following = (number + 1) % len(folds) if with_valid and len(folds) > 2 else number
        yield Partition(
            f"{family}/{name}",
            train=[u for u in utterances if fold_of[u.id] not in {number, following}],
            valid=[u for u in utterances if fold_of[u.id] == following != number],
            test=test,
        )


def _dealt_out(groups: Mapping[str, list[Utterance]], num_folds: int) -> dict[str, list[Utterance]]:
    """Put each group into the smallest fold so far, the largest groups first, so that the folds end about equal."""
    folds: list[list[Utterance]] = [[] for _ in range(num_folds)]
    for members in sorted(groups.values(), key=len, reverse=True):
        min(folds, key=len).extend(members)
    return {f"fold{number:02d}": members for number, members in enumerate(folds, 1)}


def _named(groups: Mapping[str, list[Utterance]]) -> dict[str, list[Utterance]]:
    """Name folds after their groups, in characters that every file system and shell takes."""
    named = {re.sub(r"[^\w.-]+", "_", name).lstrip("."): members for name, members in groups.items()}
    if len(named) != len(groups) or "" in named:
        raise ValueError(
            f"the names {list(groups)} are not different in letters, digits, '-', '_' and '.'; rename some of them"
        )
    return named


def few_labels(
    family: str, base: Partition, counts: Iterable[int], label: Key, *, seed: int = 1
) -> Iterator[Partition]:
    """Keep few labelled training utterances per class and speaker; larger sets contain the smaller ones.

    Yields a partition per count, named `family/COUNT`, with the test of `base` and without validation.
    """
    for count in counts:
        few = few_per_class_and_speaker(base.train, count, label, seed)
        yield replace(base, name=f"{family}/{count}", train=few, valid=[])


def few_labelled_minutes(
    base: Partition, minutes: float, *, sample_rate_hz: int, seed: int = 1
) -> Partition | None:
    """Keep few minutes of labelled training speech, spread over speakers; more minutes contain fewer.

    Returns the partition, named `BASE_10min` or `BASE_1h`; None where the base has no more speech than that.
    `num_samples` counts at `sample_rate_hz`.
    """
    if minutes >= sum(u.num_samples for u in base.train) / sample_rate_hz / 60:
        return None
    few = few_minutes(base.train, minutes, seed=seed, sample_rate_hz=sample_rate_hz)
    return replace(base, name=f"{base.name}_{short_duration(minutes)}", train=few)


def short_duration(minutes: float) -> str:
    """Return a duration as in the names of partitions, such as "10min" or "1h"."""
    return f"{minutes / 60:g}h" if minutes % 60 == 0 else f"{minutes:g}min"


def leaky_control(
    family: str, utterances: Sequence[Utterance], num_folds: int, *, seed: int = 1
) -> Iterator[Partition]:
    """Divide utterances at random, so that speakers are shared. **A control, never a result.**

    Yields a partition per fold, named `family/NUMBER` from 0, marked as sharing speakers.
    """
    for fold, (train, test) in enumerate(random_folds(utterances, num_folds, seed)):
        yield Partition(f"{family}/{fold}", train, test=test, shares_speakers=True)


def map_labels(
    utterances: Iterable[Utterance], label: Key, table: Mapping[str, str]
) -> tuple[dict[str, str], Counter[str]]:
    """Translate classes of a corpus into those of another; one that `table` lacks or maps to "" is dropped.

    Returns utterance id -> common class, without the dropped ones; dropped class -> number of utterances.
    """
    classes: dict[str, str] = {}
    dropped: Counter[str] = Counter()
    for utterance in utterances:
        if common := table.get(label(utterance), ""):
            classes[utterance.id] = common
        else:
            dropped[label(utterance)] += 1
    return classes, dropped


def cross_corpus(
    name: str,
    train: tuple[str, Sequence[Utterance], Mapping[str, str]],
    test: tuple[str, Sequence[Utterance], Mapping[str, str]],
    *,
    stream: str,
    valid_share: float = 0.1,
    seed: int = 1,
) -> Partition:
    """Train on one corpus and test on another.

    Speakers and ids carry the name of their corpus: two corpora may both have a speaker "01".

    Args:
        train: name of the corpus, its utterances, and their classes by id (`map_labels`); others are left out.
        test: the same of the corpus to test on.
        valid_share: share of the training speakers that is held out for validation.

    Raises:
        ValueError: the test corpus has a class that the training corpus lacks.
    """
    classes: dict[str, str] = {}
    members: list[list[Utterance]] = []
    for corpus, utterances, class_of in (train, test):
        kept = [u for u in utterances if u.id in class_of]
        members.append(
            [replace(u, id=f"{corpus}/{u.id}", speaker=u.speaker and f"{corpus}/{u.speaker}") for u in kept]
        )
        classes |= {f"{corpus}/{u.id}": class_of[u.id] for u in kept}
    known, tested = ({classes[u.id] for u in side} for side in members)
    if unseen := tested - known:
        raise ValueError(
            f"{name}: the classes {sorted(unseen)} of {test[0]} do not occur in {train[0]}; map them to "
            'classes that do, or to "" to drop them'
        )
    speakers = sorted({u.speaker or "" for u in members[0]}, key=lambda s: random_rank(s, seed))
    held_out = set(speakers[: int(valid_share * len(speakers))])
    partition = Partition(
        name,
        train=[u for u in members[0] if u.speaker not in held_out],
        valid=[u for u in members[0] if u.speaker in held_out],
        test=members[1],
    )
    return with_classes(partition, stream, lambda u: classes[u.id], sorted(known))
