"""Draw splits and subsets of a corpus. The same input gives the same draw, in whatever order the utterances come."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from .manifest import Utterance

log = logging.getLogger(__name__)

# Utterances to train on and utterances to score, both in the order of the input.
Fold = tuple[list[Utterance], list[Utterance]]
Key = Callable[[Utterance], str]


def assert_disjoint(speakers: Mapping[str, Iterable[str | None]]) -> None:
    """Check that no speaker is in two splits; `speakers` maps a split's name to those of its utterances.

    Raises:
        ValueError: a speaker is in two splits (the message names all three), or an utterance has no speaker, so that
            the check is impossible.
    """
    split_of: dict[str, str] = {}
    for split, names in speakers.items():
        for name in sorted({name or "" for name in names}):
            if not name:
                raise ValueError(
                    f"split {split}: an utterance has no speaker; fill in the speaker of every utterance"
                )
            first = split_of.setdefault(name, split)
            if first != split:
                raise ValueError(
                    f"speaker {name} is in two splits, {first} and {split}; move all utterances of the speaker to one"
                )


def by_speaker(utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Group utterances by speaker: speakers sorted, utterances in the order of the input.

    Raises:
        ValueError: an utterance has no speaker.
    """
    return by_group(utterances, lambda u: u.speaker or "", "speaker")


def by_group(utterances: Iterable[Utterance], group: Key, name: str = "group") -> dict[str, list[Utterance]]:
    """Group utterances by any key: groups sorted, utterances in the order of the input.

    Args:
        utterances: the utterances.
        group: gives the group of an utterance.
        name: what a group is, for the message.

    Raises:
        ValueError: the group of an utterance is empty.
    """
    groups: dict[str, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if not (key := group(utterance)):
            raise ValueError(
                f"utterance {utterance.id!r} has no {name}; fill it in or leave the utterance out"
            )
        groups[key].append(utterance)
    return dict(sorted(groups.items()))


def random_folds(utterances: Iterable[Utterance], k: int, seed: int) -> Iterator[Fold]:
    """Split at random over all speakers. **Leaky: a control only, never a result.**

    Every test speaker is also a training speaker, so the score says how well a system recognises its speakers. It
    is reported beside a speaker-disjoint score to show by how much the random one flatters.

    Yields:
        `k` training and test sets; the test sets are disjoint, cover everything, and differ in size by one at
        most.

    Raises:
        ValueError: `k` is below 2 or above the number of utterances.
    """
    everyone = list(utterances)
    if not 2 <= k <= len(everyone):
        raise ValueError(
            f"{k} random folds of {len(everyone)} utterances are impossible; choose 2 to {len(everyone)}"
        )
    ranked = sorted(everyone, key=lambda u: random_rank(u.id, seed))
    fold_of = {u.id: rank % k for rank, u in enumerate(ranked)}
    for fold in range(k):
        test = [u for u in everyone if fold_of[u.id] == fold]
        yield [u for u in everyone if fold_of[u.id] != fold], test


def few_per_class_and_speaker(
    utterances: Iterable[Utterance], n: int, label: Key, seed: int
) -> list[Utterance]:
    """Draw `n` utterances of every class from every speaker: a small labelled set, in the order of the input.

    Nested: with the same seed, the draw for n = 2 contains the draw for n = 1. A speaker with fewer than `n` of a
    class gives all of them, which is logged.

    Raises:
        ValueError: `n` is below 1, or an utterance has no speaker.
    """
    if n < 1:
        raise ValueError(f"cannot draw {n} utterances per class and speaker; n must be 1 or more")
    everyone = list(utterances)
    chosen: set[str] = set()
    for speaker, spoken in by_speaker(everyone).items():
        for name, group in by_group(spoken, label, "class").items():
            if len(group) < n:
                log.warning(
                    "speaker %s, class %s: only %d of %d utterances found", speaker, name, len(group), n
                )
            chosen.update(u.id for u in sorted(group, key=lambda u: random_rank(u.id, seed))[:n])
    return [u for u in everyone if u.id in chosen]


def few_per_speaker(utterances: Iterable[Utterance], n: int, *, seed: int) -> list[Utterance]:
    """Draw at most `n` utterances of each speaker, where some have recorded thousands, in the order of the input."""
    everyone = list(utterances)
    chosen: set[str] = set()
    for spoken in by_speaker(everyone).values():
        chosen.update(u.id for u in sorted(spoken, key=lambda u: random_rank(u.id, seed))[:n])
    return [u for u in everyone if u.id in chosen]


def few_minutes(
    utterances: Iterable[Utterance], minutes: float, *, seed: int, sample_rate_hz: int = 16000
) -> list[Utterance]:
    """Draw a small labelled set, spread over speakers: one utterance of each, then a second of each, and so on.

    Nested: with one seed, more minutes contain fewer. The order is that of the input.

    Args:
        utterances: utterances with speakers.
        minutes: minutes of audio to draw; exceeded by less than one utterance. All are taken when there is less.
        seed: another seed gives another draw.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz.
    """
    everyone = list(utterances)
    order: list[tuple[int, bytes, str, int]] = []
    for speaker, spoken in by_speaker(everyone).items():
        ranked = sorted(spoken, key=lambda u: random_rank(u.id, seed))
        order += [(turn, random_rank(speaker, seed), u.id, u.num_samples) for turn, u in enumerate(ranked)]
    left = round(minutes * 60 * sample_rate_hz)
    chosen: set[str] = set()
    for _, _, utterance_id, num_samples in sorted(order):
        if left <= 0:
            break
        chosen.add(utterance_id)
        left -= num_samples
    return [u for u in everyone if u.id in chosen]


def draw_speakers(utterances: Iterable[Utterance], share: float, *, stratum: Key, seed: int) -> set[str]:
    """Draw a share of the speakers of each stratum, such as a gender, to hold out.

    Of three speakers or more at least one is drawn; a stratum of one or two is left whole.
    """
    strata: dict[str, list[str]] = defaultdict(list)
    for speaker, own in by_speaker(utterances).items():
        strata[stratum(own[0])].append(speaker)
    drawn: set[str] = set()
    for speakers in strata.values():
        count = round(share * len(speakers)) or int(len(speakers) > 2)
        drawn.update(sorted(speakers, key=lambda s: random_rank(s, seed))[:count])
    return drawn


def random_rank(name: str, seed: int) -> bytes:
    """Return a random rank, to sort by, that depends on nothing but the name and the seed.

    A hash instead of a generator: a corpus that grows or is read in another order keeps its draws.
    """
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
