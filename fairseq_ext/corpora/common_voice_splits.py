"""Who is held out of a Common Voice corpus, and what the sides share.

A `Division` gives every speaker to one side, for recognition, accents, genders and pre-training alike: a test speaker
of one is then unseen by the others too. `official` follows train.tsv, dev.tsv and test.tsv, `drawn` holds out
speakers of every accent at random.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..manifest import Utterance
from ..splits import Key, by_speaker, random_rank
from .common_voice import VALIDATED

TRAIN, VALID, TEST = "train", "valid", "test"
_OFFICIAL = {"train": TRAIN, "dev": VALID, "test": TEST}


@dataclass(frozen=True)
class Division:
    """A division of the speakers into training, validation and test.

    Attributes:
        sides: speaker -> "train", "valid" or "test".
        is_official: whether recognition uses the clips of train.tsv, dev.tsv and test.tsv alone, or all validated.
    """

    sides: Mapping[str, str]
    is_official: bool = False

    def side(self, utterance: Utterance) -> str:
        """Return the side of an utterance that the division was made from: "train", "valid" or "test"."""
        return self.sides[utterance.speaker or ""]

    def labelled_side(self, utterance: Utterance) -> str | None:
        """Return the side of a transcribed clip, "train", "valid" or "test".

        None for a clip that is not validated or, in the official division, in none of the three lists.
        """
        if self.is_official:
            return _OFFICIAL.get(utterance.split or "")
        return self.side(utterance) if utterance.split in VALIDATED else None


def official(utterances: Iterable[Utterance]) -> Division:
    """Follow the official lists: speakers of test.tsv, then of dev.tsv, are held out everywhere, with all their clips.

    `utterances` are all of `common_voice.read`; all other speakers train.
    """
    sides: dict[str, str] = {}
    rank = {TRAIN: 0, VALID: 1, TEST: 2}
    for utterance in utterances:
        speaker, side = utterance.speaker or "", _OFFICIAL.get(utterance.split or "", TRAIN)
        sides[speaker] = max(sides.get(speaker, TRAIN), side, key=rank.__getitem__)
    return Division(sides, is_official=True)


def drawn(
    utterances: Iterable[Utterance], *, seed: int, valid_share: float = 0.1, test_share: float = 0.1
) -> Division:
    """Draw speakers to hold out, separately for every accent and gender, so that the test has the rarest class too.

    A speaker who would overfill a side is skipped. Three speakers or more of one accent and gender are on all
    sides; of two, one is in the test; one alone trains. Shares are of the validated clips; accent and gender of a
    speaker are the most frequent of the clips'.
    """
    speakers = by_speaker(utterances)
    groups: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for speaker, own in speakers.items():
        group = _most_frequent(u.accent for u in own), _most_frequent(u.gender for u in own)
        groups[group][speaker] = sum(u.split in VALIDATED for u in own)
    sides = dict.fromkeys(speakers, TRAIN)
    for sizes in groups.values():
        # Speakers without a validated clip would hold out nothing to score: they stay in the training.
        left = sorted((s for s in sizes if sizes[s]), key=lambda s: random_rank(s, seed))
        total = sum(sizes.values())
        for side, share in ((TEST, test_share), (VALID, valid_share)):
            chosen = _fill(left, sizes, share * total) if len(left) > 1 and share > 0 else []
            sides |= dict.fromkeys(chosen, side)
            left = [s for s in left if s not in chosen]
    return Division(sides)


def _most_frequent(values: Iterable[str | None]) -> str:
    """Return the most frequent of what is stated; of several, the first by code point."""
    counts = Counter(value for value in values if value)
    return min(counts, key=lambda value: (-counts[value], value), default="")


def _fill(speakers: Sequence[str], sizes: Mapping[str, int], target: float) -> list[str]:
    """Return the first speakers that fit; the smallest, when none does."""
    chosen: list[str] = []
    filled = 0
    for speaker in speakers:
        if filled + sizes[speaker] <= target:
            chosen.append(speaker)
            filled += sizes[speaker]
    return chosen or [min(speakers, key=lambda s: sizes[s])]


def unlabelled(utterances: Iterable[Utterance], division: Division) -> list[Utterance]:
    """Return speech to pre-train on, in its order: everything but invalidated clips and held-out speakers."""
    return [u for u in utterances if u.split != "invalidated" and division.side(u) == TRAIN]


def agreed(utterances: Iterable[Utterance], value: Key) -> dict[str | None, str]:
    """Return speaker -> what some of the speaker's clips state; speakers who state nothing or several are left out.

    `value` gives what a clip states, "" for nothing: many clips state none.
    """
    values: dict[str | None, set[str]] = defaultdict(set)
    for utterance in utterances:
        if stated := value(utterance):
            values[utterance.speaker].add(stated)
    return {speaker: min(found) for speaker, found in values.items() if len(found) == 1}
