"""Folds of speakers in equal shares of each gender, and folds that are unseen in a second respect: the sentence.

All are speaker-independent `Partition`s. What decides the folds is the seed and the names of the speakers alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ..manifest import Utterance
from ..splits import Key, by_group, by_speaker, draw_speakers, random_rank
from .partitions import Partition

VALID_SHARE = 0.1


def balanced_folds(
    family: str, utterances: Sequence[Utterance], num_folds: int, *, strata: Sequence[Key], seed: int = 1
) -> Iterator[Partition]:
    """Test each speaker once, in folds with about as many speakers of each value of each stratum.

    Yields a partition per fold, named `family/foldNN`, without validation; fewer folds where there are fewer speakers.

    Args:
        strata: each gives what is to be balanced of an utterance's speaker, such as the gender; the first comes first.

    Raises:
        ValueError: there is one speaker only, or an utterance has none.
    """
    speakers = by_speaker(utterances)
    if len(speakers) < 2:
        raise ValueError(
            f"{family}: 2 speakers or more are needed to test unseen ones, found {list(speakers)}; record another one, "
            "or write only the leaky control (--partitions leaky), which says nothing about other speakers"
        )
    folds = _dealt(speakers, min(num_folds, len(speakers)), strata, seed)
    for number, members in enumerate(folds, 1):
        yield Partition(
            f"{family}/fold{number:02d}",
            train=[u for u in utterances if u.speaker not in members],
            test=[u for u in utterances if u.speaker in members],
        )


def _dealt(
    speakers: dict[str, list[Utterance]], num_folds: int, strata: Sequence[Key], seed: int
) -> list[dict[str, tuple[str, ...]]]:
    """Return folds, each speaker -> strata; a speaker goes where fewest of the first are, of the next, then in all."""
    folds: list[dict[str, tuple[str, ...]]] = [{} for _ in range(num_folds)]
    values = {name: tuple(key(own[0]) for key in strata) for name, own in speakers.items()}
    for speaker in sorted(speakers, key=lambda s: (values[s], random_rank(s, seed))):
        own = values[speaker]
        fold = min(folds, key=lambda f: (*_counts(f.values(), own), len(f)))
        fold[speaker] = own
    return folds


def _counts(members: Iterable[tuple[str, ...]], own: tuple[str, ...]) -> tuple[int, ...]:
    """Return how many members share each of the strata with a speaker."""
    rows = list(members)
    return tuple(sum(row[i] == value for row in rows) for i, value in enumerate(own))


def with_valid_speakers(
    partition: Partition, *, stratum: Key | None = None, share: float = VALID_SHARE, seed: int = 1
) -> Partition:
    """Hold out some of the training speakers for validation: a share of each stratum, see `splits.draw_speakers`."""
    held_out = draw_speakers(partition.train, share, stratum=stratum or (lambda _: ""), seed=seed)
    return replace(
        partition,
        train=[u for u in partition.train if u.speaker not in held_out],
        valid=[u for u in partition.train if u.speaker in held_out],
    )


def unseen_too(partition: Partition, key: Key, parts: Sequence[frozenset[str]]) -> Iterator[Partition]:
    """Make, for each part of the values of a key, a partition that tests it and trains on the others.

    With the sentence as key, a system that only knows how a sentence sounds has nothing to go by. Validation has the
    values of the training: choices made by it have not met those of the test either. Together the partitions, named
    `NAME_part1` and so on, test every utterance of the base once.

    Args:
        partition: the partition to restrict.
        key: gives the value of an utterance, such as its sentence.
        parts: disjoint sets of values, which hold all of them; see `parts_of`.
    """
    for number, tested in enumerate(parts, 1):
        yield replace(
            partition,
            name=f"{partition.name}_part{number}",
            train=[u for u in partition.train if key(u) not in tested],
            valid=[u for u in partition.valid if key(u) not in tested],
            test=[u for u in partition.test if key(u) in tested],
        )


def parts_of(utterances: Sequence[Utterance], key: Key, num_parts: int = 2) -> list[frozenset[str]]:
    """Divide the values of a key into parts with about as many utterances, the most frequent values first.

    Raises:
        ValueError: there are fewer values than parts, or an utterance has none.
    """
    groups = by_group(utterances, key, "value")
    if len(groups) < num_parts:
        raise ValueError(f"{num_parts} values or more are needed, found {list(groups)}")
    parts: list[list[str]] = [[] for _ in range(num_parts)]
    for value in sorted(groups, key=lambda v: -len(groups[v])):
        min(parts, key=lambda part: sum(len(groups[v]) for v in part)).append(value)
    return [frozenset(part) for part in parts]
