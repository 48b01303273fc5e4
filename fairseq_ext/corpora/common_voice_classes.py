"""Partitions of Common Voice by what its speakers state about themselves.

`accent`, `gender`       one class per clip, of speakers who state one; unseen test speakers, few clips of each.
`accent_gender`          the clips of both, streams `accent` and `gender` side by side; an empty line = not stated. Its
                         lines with an accent are the clips of `accent`, split by split, those with a gender the clips
                         of `gender`: a network with two heads is scored on the clips of those with one.
`accent_leaky`, ...      the same clips divided at random, the speakers shared: a control that shows what leakage adds,
                         not a result. One division for all three, for the same comparison.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from ..manifest import Utterance
from ..splits import Key, few_per_speaker, random_rank
from ..text.published import Report
from .common_voice_splits import Division, agreed
from .partitions import SIDES, Partition, divide, with_classes

GENDERS = ("female", "male")  # others are too few to learn

# What speakers state: stream -> its line.
STATED: Mapping[str, Key] = {"accent": lambda u: u.accent or "", "gender": lambda u: u.gender or ""}

Sides = dict[str, list[Utterance]]


def class_partitions(
    validated: Sequence[Utterance],
    division: Division,
    max_per_speaker: int,
    seed: int,
    note: Report,
) -> Iterator[Partition]:
    """Make the partitions of the module's list for which the corpus has enough clips.

    Args:
        seed: seed of the choice of clips and of the leaky controls.
        note: receives a line for whatever was left out, and why.
    """
    chosen = few_per_speaker(_stating(validated), max_per_speaker, seed=seed)
    sides = divide(chosen, division.side)
    streams = [stream for stream in STATED if _can_be_learnt(stream, sides, note)]
    leaky = _leaky_sides(sides, streams, seed)
    both = [streams] if len(streams) > 1 else []
    for together in [*([stream] for stream in streams), *both]:
        held_out = _held_out(together, sides)
        yield held_out
        dealt = divide(chain(*held_out.sides.values()), lambda u: leaky[u.id])
        control = replace(
            held_out,
            name=f"{held_out.name}_leaky",
            train=dealt["train"],
            valid=dealt["valid"],
            test=dealt["test"],
            shares_speakers=True,
        )
        if unseen := _unseen_classes(control):
            note(f"{control.name}: no clip to train on of {', '.join(unseen)}; left out")
        else:
            yield control


def _stating(clips: Sequence[Utterance]) -> list[Utterance]:
    """Return the clips of speakers who state an accent or a gender, with both; None for what they do not state."""
    accents, genders = (agreed(clips, STATED[stream]) for stream in ("accent", "gender"))
    genders = {speaker: gender for speaker, gender in genders.items() if gender in GENDERS}
    known = (replace(u, accent=accents.get(u.speaker), gender=genders.get(u.speaker)) for u in clips)
    return [u for u in known if u.accent or u.gender]


def _can_be_learnt(stream: str, sides: Sides, note: Report) -> bool:
    """Return whether there is something to learn and to test; classes without training speakers become unknown."""
    label = STATED[stream]
    classes = {label(u) for u in sides["train"]} - {""}
    for side in ("valid", "test"):
        if unseen := Counter(label(u) for u in sides[side] if label(u) not in {*classes, ""}):
            note(
                f"{stream}: no training speaker of {', '.join(unseen)}; {unseen.total()} clips of {side} are left out"
            )
            sides[side] = [_without(u, stream) if label(u) in unseen else u for u in sides[side]]
    num_test = sum(bool(label(u)) for u in sides["test"])
    if len(classes) < 2 or not num_test:
        note(
            f"{stream}: {len(classes)} classes to train on and {num_test} clips to test on are too few (2 and 1 are "
            "needed); left out"
        )
        return False
    return True


def _without(utterance: Utterance, stream: str) -> Utterance:
    return replace(utterance, accent=None) if stream == "accent" else replace(utterance, gender=None)


def _labelled(clips: Iterable[Utterance], streams: Iterable[str]) -> list[Utterance]:
    """Return the clips with a class in one of the streams at least."""
    return [u for u in clips if any(STATED[stream](u) for stream in streams)]


def _held_out(streams: Sequence[str], sides: Sides) -> Partition:
    train, valid, test = (_labelled(sides[side], streams) for side in SIDES)
    partition = Partition("_".join(streams), train, valid, test)
    for stream in streams:
        label = STATED[stream]
        partition = with_classes(partition, stream, label, sorted({label(u) for u in train} - {""}))
    return partition


def _unseen_classes(partition: Partition) -> list[str]:
    """Return the classes without a training clip: chance may deal the few that there are to the other sides."""
    return [
        symbol
        for stream, symbols in partition.dictionaries.items()
        for symbol in sorted(symbols.keys() - {partition.labels[stream](u) for u in partition.train})
    ]


def _leaky_sides(sides: Sides, streams: Sequence[str], seed: int) -> dict[str, str]:
    """Deal the clips out at random, whoever speaks: id -> side; the test set is about as large as that of `sides`.

    Clips with both classes are ranked between those with one of them, so that the clips of a stream (of `STATED`) are
    neighbours and every side gets its share of each stream.
    """
    labelled = {side: _labelled(clips, streams) for side, clips in sides.items()}
    clips = [u for members in labelled.values() for u in members]
    if not clips:
        return {}
    fewest = min(len(_labelled(clips, [stream])) for stream in streams)
    num_folds = min(max(3, round(len(clips) / len(labelled["test"]))), fewest)
    first, last = STATED[streams[0]], STATED[streams[-1]]
    dealt = sorted(clips, key=lambda u: (bool(last(u)) - bool(first(u)), random_rank(u.id, seed)))
    side_of_fold = {0: "test", 1: "valid"}
    return {u.id: side_of_fold.get(rank % num_folds, "train") for rank, u in enumerate(dealt)}
