"""Splits of a corpus. The same input gives the same split, in whatever order the utterances come."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from .manifest import Utterance

log = logging.getLogger(__name__)


# Utterances to train on and utterances to score, both in the order of the input.
Fold = tuple[list[Utterance], list[Utterance]]


def assert_disjoint(speakers: Mapping[str, Iterable[str | None]]) -> None:
    """Checks that no speaker is in two splits.

    Args:
        speakers: split name -> the speakers of its utterances (repetitions allowed).

    Raises:
        ValueError: naming the speaker and both splits; also for an utterance whose speaker is not known,
            because nothing can be said of it.
    """
    split_of: dict[str, str] = {}
    for split, names in speakers.items():
        for name in sorted({name or "" for name in names}):
            if not name:
                raise ValueError(
                    f"split {split}: a speaker for every utterance expected, found none; fill it in"
                )
            first = split_of.setdefault(name, split)
            if first != split:
                raise ValueError(
                    f"speaker {name}: one split expected, found {first} and {split}; give the speaker to one"
                )


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Groups utterances by speaker.

    Args:
        utterances: each with its speaker.

    Returns:
        Speaker -> utterances, speakers sorted, utterances in the order of the input.

    Raises:
        ValueError: for an utterance whose speaker is not known.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if not utterance.speaker:
            raise ValueError(
                f"utterance {utterance.id!r}: a speaker expected, found none; fill it in or leave it out"
            )
        groups[utterance.speaker].append(utterance)
    return dict(sorted(groups.items()))


def leave_one_speaker_out(
    utterances: Iterable[Utterance],
) -> Iterator[tuple[str, list[Utterance], list[Utterance]]]:
    """Holds out each speaker once.

    Args:
        utterances: each with its speaker; two speakers or more.

    Yields:
        Speaker, training set and test set, in the order of the names.

    Raises:
        ValueError: for fewer than two speakers or an utterance whose speaker is not known.
    """
    everyone = list(utterances)
    speakers = by_speaker(everyone)
    if len(speakers) < 2:
        raise ValueError(f"2 speakers or more expected, found {list(speakers)}; one cannot be held out")
    for speaker, test in speakers.items():
        yield speaker, [u for u in everyone if u.speaker != speaker], test


def random_folds(utterances: Iterable[Utterance], k: int, seed: int) -> Iterator[Fold]:
    """Splits at random over all speakers. **Leaky: a control only, never a result.**

    Every test speaker is also a training speaker, so the score says how well a system knows its speakers. It
    is reported beside a speaker-disjoint score to show by how much the random one flatters.

    Args:
        utterances: at least `k`.
        k: number of folds, 2 or more.
        seed: another seed gives another split.

    Yields:
        `k` training and test sets; the test sets are disjoint, cover everything, and differ in size by one at
        most.

    Raises:
        ValueError: for `k` below 2 or above the number of utterances.
    """
    everyone = list(utterances)
    if not 2 <= k <= len(everyone):
        raise ValueError(f"2 to {len(everyone)} folds expected, found {k}; change k")
    fold_of = {u.id: rank % k for rank, u in enumerate(sorted(everyone, key=lambda u: _draw(u.id, seed)))}
    for fold in range(k):
        test = [u for u in everyone if fold_of[u.id] == fold]
        yield [u for u in everyone if fold_of[u.id] != fold], test


def few_per_class_and_speaker(
    utterances: Iterable[Utterance], n: int, label: Callable[[Utterance], str], seed: int
) -> list[Utterance]:
    """Draws `n` utterances of every class from every speaker: a small labelled set.

    Nested: with the same seed, the draw for n = 2 contains the draw for n = 1. A speaker with fewer than `n`
        of a
    class gives all of them, which is logged.

    Args:
        utterances: each with its speaker.
        n: how many per class and speaker, 1 or more.
        label: gives the class of an utterance.
        seed: another seed gives another draw.

    Returns:
        The chosen utterances in the order of the input.

    Raises:
        ValueError: for `n` below 1 or an utterance whose speaker is not known.
    """
    if n < 1:
        raise ValueError(f"n >= 1 expected, found {n}; draw one utterance or more")
    everyone = list(utterances)
    chosen: set[str] = set()
    for speaker, own in by_speaker(everyone).items():
        for name, group in sorted(_by_class(own, label).items()):
            if len(group) < n:
                log.warning(
                    "speaker %s, class %s: %d utterances asked for, only %d found",
                    speaker,
                    name,
                    n,
                    len(group),
                )
            chosen.update(u.id for u in sorted(group, key=lambda u: _draw(u.id, seed))[:n])
    return [u for u in everyone if u.id in chosen]


def _by_class(
    utterances: Sequence[Utterance], label: Callable[[Utterance], str]
) -> dict[str, list[Utterance]]:
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[label(utterance)].append(utterance)
    return groups


def _draw(utterance_id: str, seed: int) -> bytes:
    """A random rank that depends on nothing but the utterance and the seed."""
    return hashlib.sha256(f"{seed}:{utterance_id}".encode()).digest()
