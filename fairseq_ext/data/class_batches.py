"""Batches of P classes x K recordings, of different speakers where a class has them, drawn anew at each epoch.

Metric learning compares the recordings of a batch, so a batch needs several of the same class, and of speakers that
differ within it: else the network learns the voice and not the class. Where the speaker is the class, a batch holds P
speakers x K recordings.

Every recording is in a batch of an epoch once, as far as the classes allow. Those with more recordings than others, or
with a number that K does not divide, leave places empty: they are filled with recordings that the epoch already has,
and counted. A class with one recording has nothing to be compared with and is left out, counted too.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.random import Generator

T = TypeVar("T")


def deal(stacks: Sequence[Sequence[T]], width: int, rng: Generator) -> tuple[list[list[T]], int]:
    """Deal the cards of stacks into hands of `width` cards from as many stacks, until all stacks are used up.

    The fullest stacks are dealt from first, which makes the fewest hands. Where fewer than `width` stacks have cards
    left, others give again what they have given.

    Args:
        stacks: cards, the last one dealt first; there are `width` stacks or more, none of them empty.
        width: cards in a hand.
        rng: decides between stacks that are equally full, and what is given again.

    Returns:
        The hands, and how many of their cards were given again.
    """
    left = np.array([len(stack) for stack in stacks])
    hands, repeated = [], 0
    while left.any():
        # Ties at random; stacks that are used up come last.
        chosen = np.lexsort((rng.random(len(left)), -left))[:width]
        hand = []
        for number in chosen.tolist():
            if left[number]:
                left[number] -= 1
                hand.append(stacks[number][left[number]])
            else:
                hand.append(stacks[number][int(rng.integers(len(stacks[number])))])
                repeated += 1
        hands.append(hand)
    return hands, repeated


@dataclass(frozen=True)
class Epoch:
    """The batches of an epoch.

    Attributes:
        batches: rows of each batch; those of a class stand together.
        num_rows: number of different rows in them.
        num_repeated: number of places taken by a row that is in the epoch already.
        num_same_speaker: number of rows that share class and speaker with another in their batch.
    """

    batches: list[list[int]]
    num_rows: int
    num_repeated: int
    num_same_speaker: int

    def describe(self) -> str:
        """Return a line for the log."""
        places = sum(map(len, self.batches))
        text = f"{len(self.batches)} batches of {self.num_rows} recordings, each once"
        if self.num_repeated:
            share = 100 * self.num_repeated / places
            text += f", and {self.num_repeated} repeated to fill batches ({share:.1f} % of {places} places)"
        if self.num_same_speaker:
            text += f"; {self.num_same_speaker} share class and speaker with another recording of their batch"
        return text


class ClassBatches:
    """Batches by class and speaker; the same for a seed and an epoch in any process.

    Args:
        labels: class of each row.
        speakers: speaker of each row.
        rows: rows to use.
        classes: P.
        per_class: K.

    Attributes:
        left_out: rows of the classes that have one recording only.

    Raises:
        ValueError: P or K below 2, or fewer than P classes with two recordings.
    """

    def __init__(
        self,
        labels: Sequence[str],
        speakers: Sequence[str],
        rows: Sequence[int],
        classes: int,
        per_class: int,
    ) -> None:
        if classes < 2 or per_class < 2:
            raise ValueError(
                f"task.classes_per_batch and task.per_class: 2 or more expected, found {classes} and {per_class}; a "
                "triplet needs two recordings of a class and one of another"
            )
        self.labels, self.speakers = labels, speakers
        self.classes, self.per_class = classes, per_class
        by_class: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            by_class[labels[row]][speakers[row]].append(int(row))
        sizes = {name: sum(map(len, of.values())) for name, of in by_class.items()}
        self.left_out = [
            row for name, size in sizes.items() if size < 2 for of in by_class[name].values() for row in of
        ]
        self._by_class = {name: by_class[name] for name, size in sorted(sizes.items()) if size > 1}
        if len(self._by_class) < classes:
            raise ValueError(
                f"task.classes_per_batch: {classes} classes expected in a batch, found {len(self._by_class)} with two "
                f"recordings or more; set it to {len(self._by_class)} or less"
            )

    @property
    def batch_size(self) -> int:
        """Number of recordings in a batch, P x K; a class with fewer than K recordings gives fewer."""
        return self.classes * self.per_class

    def epoch(self, seed: int, epoch: int) -> Epoch:
        """Draw the batches of an epoch."""
        rng = np.random.default_rng([seed, epoch, 2])
        groups, repeated = [], 0
        for of_speakers in self._by_class.values():
            found, again = self._groups(list(of_speakers.values()), rng)
            groups.append([found[i] for i in rng.permutation(len(found))])
            repeated += again
        hands, _ = deal(groups, self.classes, rng)
        batches = [[row for group in hand for row in group] for hand in hands]
        batches = [batches[i] for i in rng.permutation(len(batches))]
        num_rows = len({row for batch in batches for row in batch})
        return Epoch(batches, num_rows, sum(map(len, batches)) - num_rows, self._same_speaker(batches))

    def _groups(self, of_speakers: list[list[int]], rng: Generator) -> tuple[list[list[int]], int]:
        """Divide the recordings of a class into groups of K, of as many speakers as it has, at most K."""
        shuffled = [[rows[i] for i in rng.permutation(len(rows))] for rows in of_speakers]
        width = min(self.per_class, sum(map(len, shuffled)))
        # Of fewer than K speakers each gives several recordings: its stack becomes several.
        parts = -(-width // len(shuffled))
        stacks = [rows[i::parts] for rows in shuffled for i in range(parts)]
        stacks = [stack for stack in stacks if stack]
        while (
            len(stacks) < width
        ):  # some speakers have fewer recordings than parts: divide the fullest further
            fullest = max(range(len(stacks)), key=lambda i: len(stacks[i]))
            stack = stacks.pop(fullest)
            stacks += [stack[::2], stack[1::2]]
        return deal(stacks, width, rng)

    def _same_speaker(self, batches: list[list[int]]) -> int:
        """Count rows that share class and speaker with another; none are counted where the speaker is the class."""
        if all(self.labels[row] == self.speakers[row] for batch in batches for row in batch):
            return 0
        found = 0
        for batch in batches:
            counts: dict[tuple[str, str], int] = defaultdict(int)
            for row in batch:
                counts[self.labels[row], self.speakers[row]] += 1
            found += sum(count for count in counts.values() if count > 1)
        return found
