"""Who trains and who is tested, for each question asked of Common Voice.

`asr`                    transcribed clips: streams `ltr` (characters, `|` after words) and `wrd` (normalised text).
`asr_10min`, `asr_1h`    the same with so much labelled speech, spread over speakers; `asr_1h` holds `asr_10min`.
`ssl`                    speech to pre-train on, without labels: all but invalidated clips and held-out speakers.
`accent`, `gender`       one class per clip, of speakers who state one, unseen ones held out; few clips of each speaker.
`accent_gender`          the clips of both, streams `accent` and `gender` side by side; an empty line = not stated. Its
                         lines with an accent are the clips of `accent`, split by split, those with a gender the clips
                         of `gender`: a network with two heads is scored on the clips of those with one.
`accent_leaky`, ...      the same clips divided at random, the speakers shared: a control that shows what leakage adds,
                         not a result. One division for all three, for the same comparison.

All of them hold out the speakers of one `Division`, so that none is seen in pre-training either.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..manifest import Utterance, write_dictionary, write_manifest
from ..text.languages import has_rules
from ..text.normalize import check_choice, is_spelled, normalize
from ..text.units import count_units, to_characters
from .common_voice import VALIDATED
from .common_voice_splits import (
    Division,
    agreed_accents,
    agreed_genders,
    few_minutes,
    few_per_speaker,
    overlap,
    random_rank,
    unlabelled,
    without_overlap,
)
from .fsdd_partitions import Partition

log = logging.getLogger(__name__)

SIDES = ("train", "valid", "test")
GENDERS = ("female", "male")  # others are too few to learn
SSL_VALID_MINUTES = 10.0

Label = Callable[[Utterance], str]
Note = Callable[[str], None]

# What speakers state of themselves: stream -> its line.
STATED: Mapping[str, Label] = {"accent": lambda u: u.accent or "", "gender": lambda u: u.gender or ""}


@dataclass(frozen=True)
class LabelledPartition(Partition):
    """A partition and its streams.

    Attributes:
        labels: stream -> line of an utterance.
        dictionaries: stream -> symbol -> count.
    """

    labels: Mapping[str, Label] = field(default_factory=dict)
    dictionaries: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What may differ from one preparation to the next.

    Attributes:
        language: whose rules normalise the transcripts; without rules letters are kept, see `text.plain`.
        case: of the normalised transcripts, "lower" or "upper".
        minutes: of labelled speech, one small set each.
        seed: of the small sets and the leaky divisions.
        sample_rate_hz: that `num_samples` counts at.
        max_per_speaker: clips of each speaker in `accent`, `gender` and `accent_gender`.
        keep_shared_sentences: train on sentences that are also in valid or test.
    """

    language: str
    case: str = "lower"
    minutes: tuple[float, ...] = (10, 60)
    seed: int = 1
    sample_rate_hz: int = 16000
    max_per_speaker: int = 50
    keep_shared_sentences: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for what nothing can be made of, before anything is read."""
        check_choice(self.language, self.case)
        for name in ("sample_rate_hz", "max_per_speaker"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}: a number from 1 on expected, found {getattr(self, name)}; change it"
                )
        if not all(minutes > 0 for minutes in self.minutes):
            raise ValueError(f"minutes: numbers above 0 expected, found {list(self.minutes)}; change them")


def check_language(language: str, stated: str | None, *, on_note: Note | None = None) -> None:
    """Tells a mistyped language from one without rules. The rules of another may be meant, which is noted.

    Args:
        language: whose rules are asked for.
        stated: locale of the recordings, `common_voice.stated_locale`; None where it is not known.
        on_note: receives a line when the rules are those of another language; by default it is logged.

    Raises:
        ValueError: there are no rules for it, and the recordings are of another.
    """
    if not stated or _language_of(language) == _language_of(stated):
        return
    if not has_rules(language):
        raise ValueError(
            f"language {language!r}: {stated!r} expected, as the rows say in their column locale, or a language with "
            f"rules, found neither; pass {stated}"
        )
    (on_note or log.warning)(
        f"the rows are of {stated!r}, their sentences are spelled by the rules of {language!r}"
    )


def _language_of(code: str) -> str:
    return code.replace("_", "-").split("-")[0].lower()


def partitions(
    utterances: Sequence[Utterance],
    division: Division,
    choices: Choices,
    *,
    on_note: Note | None = None,
    on_problem: Note | None = None,
) -> Iterator[LabelledPartition]:
    """All partitions over one reading of a locale.

    Args:
        utterances: all of `common_voice.read`.
        division: who is held out.
        choices: the settings.
        on_note: receives a line for whatever was left out, and why; by default it is logged.
        on_problem: receives a line for each clip whose sentence cannot be spelled; by default it is logged.

    Yields:
        The partitions of the module's list that the corpus can answer.

    Raises:
        ValueError: without a clip to train the recogniser on.
    """
    note = on_note or log.info
    if not has_rules(choices.language):
        note(
            f"no rules for {choices.language!r}: letters are kept as they are, sentences with digits are left out"
        )
    yield from _recognition(utterances, division, choices, note, on_problem or log.info)
    yield _pretraining(utterances, division, choices)
    yield from _classes([u for u in utterances if u.split in VALIDATED], division, choices, note)


class _Texts:
    """Normalised transcripts, each computed once."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._known: dict[str, str] = {}

    def __call__(self, utterance: Utterance) -> str:
        text = self._known.get(utterance.id)
        if text is None:
            text = normalize(utterance.transcript or "", self._choices.language, case=self._choices.case)
            self._known[utterance.id] = text
        return text

    def characters(self, utterance: Utterance) -> str:
        """The line of stream `ltr`."""
        return " ".join(to_characters(self(utterance)))


def _recognition(
    utterances: Iterable[Utterance], division: Division, choices: Choices, note: Note, problem: Note
) -> Iterator[LabelledPartition]:
    text = _Texts(choices)
    sides = _by_side(utterances, division.labelled_side)
    for side, found in sides.items():
        members = _spelled(found, choices.language, problem)
        if unspelled := len(found) - len(members):
            note(
                f"asr: {unspelled} clips of {side} have digits, which {choices.language!r} has no rules for, and are "
                "left out"
            )
        sides[side] = [u for u in members if text(u)]
        if missing := len(members) - len(sides[side]):
            note(f"asr: {missing} clips of {side} have no letter in their transcript and are left out")
    valid, test = sides["valid"], sides["test"]
    train = _without_overlap(sides["train"], [*valid, *test], text, choices, note)
    if not sides["train"]:
        raise ValueError(
            "asr: a clip to train on expected, found none that can be used; see what was left out, or draw another "
            "division (--division drawn)"
        )
    if not train:
        raise ValueError(
            "asr: a clip to train on expected, found none that shares no speaker and no sentence with valid and "
            "test; draw another division (--division drawn), or keep shared sentences (--keep-shared-sentences)"
        )
    labels: dict[str, Label] = {"ltr": text.characters, "wrd": text}
    dictionaries = {"ltr": count_units(to_characters(text(u)) for u in train)}
    yield LabelledPartition("asr", train, test, valid, labels=labels, dictionaries=dictionaries)
    total = sum(u.num_samples for u in train) / choices.sample_rate_hz / 60
    for minutes in sorted(choices.minutes):
        name = f"asr_{minutes / 60:g}h" if minutes % 60 == 0 else f"asr_{minutes:g}min"
        if minutes >= total:
            note(f"{name}: more than the {total:.1f} minutes of asr, so it is left out")
            continue
        few = few_minutes(train, minutes, seed=choices.seed, sample_rate_hz=choices.sample_rate_hz)
        yield LabelledPartition(name, few, test, valid, labels=labels, dictionaries=dictionaries)


def _spelled(clips: Iterable[Utterance], language: str, problem: Note) -> list[Utterance]:
    """The clips whose sentence the normaliser can spell."""
    kept = []
    for clip in clips:
        if is_spelled(clip.transcript or "", language):
            kept.append(clip)
        else:
            problem(
                f"{clip.id}: a sentence without digits expected, since {language!r} has no rules to spell them, found "
                f"{clip.transcript!r}; left out of asr"
            )
    return kept


def _by_side(
    utterances: Iterable[Utterance], side: Callable[[Utterance], str | None]
) -> dict[str, list[Utterance]]:
    sides: dict[str, list[Utterance]] = {name: [] for name in SIDES}
    for utterance in utterances:
        if (name := side(utterance)) is not None:
            sides[name].append(utterance)
    return sides


def _without_overlap(
    train: list[Utterance], held_out: list[Utterance], text: Label, choices: Choices, note: Note
) -> list[Utterance]:
    shared = overlap(train, held_out, text)
    # No two clips share an id, so that only speakers count then.
    kept = without_overlap(train, held_out, (lambda u: u.id) if choices.keep_shared_sentences else text)
    note(
        f"asr: train shares {shared.num_speakers} speakers and {shared.num_sentences} sentences with valid and test; "
        f"{len(train) - len(kept)} clips are left out"
    )
    return kept


def _pretraining(utterances: Sequence[Utterance], division: Division, choices: Choices) -> LabelledPartition:
    valid = [u for u in utterances if u.split in VALIDATED and division.side(u) == "valid"]
    few = few_minutes(valid, SSL_VALID_MINUTES, seed=choices.seed, sample_rate_hz=choices.sample_rate_hz)
    return LabelledPartition("ssl", unlabelled(utterances, division), [], few)


def _classes(
    validated: Sequence[Utterance], division: Division, choices: Choices, note: Note
) -> Iterator[LabelledPartition]:
    chosen = few_per_speaker(_stating(validated), choices.max_per_speaker, seed=choices.seed)
    sides = _by_side(chosen, division.side)
    names = [name for name in STATED if _can_be_asked(name, sides, note)]
    leaky = _leaky_sides(sides, names, choices.seed)
    both = [names] if len(names) > 1 else []
    for streams in [*([name] for name in names), *both]:
        held = _held_out(streams, sides)
        yield held
        control = _leaky(held, leaky)
        if unseen := _unseen_classes(control):
            note(
                f"{control.name}: clips of each class to train on expected, found none of {', '.join(unseen)}; left out"
            )
        else:
            yield control


def _stating(clips: Sequence[Utterance]) -> list[Utterance]:
    """The clips of speakers who state an accent or a gender, with both; None for what they do not state."""
    accents = {u.id: u.accent for u in agreed_accents(clips)}
    genders = {u.id: u.gender for u in agreed_genders(clips) if u.gender in GENDERS}
    known = (replace(u, accent=accents.get(u.id), gender=genders.get(u.id)) for u in clips)
    return [u for u in known if u.accent or u.gender]


def _can_be_asked(name: str, sides: dict[str, list[Utterance]], note: Note) -> bool:
    """Whether there is something to learn and to test; classes that nobody in training has become unknown."""
    label = STATED[name]
    classes = {label(u) for u in sides["train"]} - {""}
    for side in ("valid", "test"):
        if unseen := Counter(label(u) for u in sides[side] if label(u) not in {*classes, ""}):
            note(
                f"{name}: no training speaker of {', '.join(unseen)}; {unseen.total()} clips of {side} are left out"
            )
            sides[side] = [_without(u, name) if label(u) in unseen else u for u in sides[side]]
    num_test = sum(bool(label(u)) for u in sides["test"])
    if len(classes) < 2 or not num_test:
        note(f"{name}: two classes to train on and a clip to test on expected, found {len(classes)} classes and "
             f"{num_test} clips; left out")  # fmt: skip
        return False
    return True


def _without(utterance: Utterance, name: str) -> Utterance:
    return replace(utterance, accent=None) if name == "accent" else replace(utterance, gender=None)


def _labelled(clips: Iterable[Utterance], streams: Iterable[str]) -> list[Utterance]:
    """The clips with a class in one of the streams at least."""
    return [u for u in clips if any(STATED[name](u) for name in streams)]


def _held_out(streams: Sequence[str], sides: Mapping[str, Sequence[Utterance]]) -> LabelledPartition:
    train, valid, test = (_labelled(sides[side], streams) for side in SIDES)
    labels = {name: STATED[name] for name in streams}
    counts = {name: Counter(label(u) for u in train if label(u)) for name, label in labels.items()}
    dictionaries = {name: dict(sorted(count.items())) for name, count in counts.items()}
    return LabelledPartition("_".join(streams), train, test, valid, labels=labels, dictionaries=dictionaries)


def _leaky(partition: LabelledPartition, side_of: Mapping[str, str]) -> LabelledPartition:
    """The same clips, divided otherwise."""
    sides = _by_side([*partition.train, *partition.valid, *partition.test], lambda u: side_of[u.id])
    return replace(
        partition,
        name=f"{partition.name}_leaky",
        train=sides["train"],
        valid=sides["valid"],
        test=sides["test"],
        shares_speakers=True,
    )


def _unseen_classes(partition: LabelledPartition) -> list[str]:
    """Classes of which the training has no clip: chance may deal the few that there are to the other sides."""
    return [
        symbol
        for name, symbols in partition.dictionaries.items()
        for symbol in sorted(symbols.keys() - {partition.labels[name](u) for u in partition.train})
    ]


def _leaky_sides(
    sides: Mapping[str, Sequence[Utterance]], streams: Sequence[str], seed: int
) -> dict[str, str]:
    """Deals the clips out at random, whoever speaks; the test set is of much the same size.

    Those that state both come between those that state one, so that the clips of a stream are neighbours and every
    side gets its share of each stream.

    Args:
        sides: side -> clips.
        streams: one or both of `STATED`, or none.
        seed: another seed gives another division.

    Returns:
        Clip's id -> side.
    """
    own = {side: _labelled(clips, streams) for side, clips in sides.items()}
    clips = [u for members in own.values() for u in members]
    if not clips:
        return {}
    fewest = min(len(_labelled(clips, [name])) for name in streams)
    num_folds = min(max(3, round(len(clips) / len(own["test"]))), fewest)
    first, last = STATED[streams[0]], STATED[streams[-1]]
    dealt = sorted(clips, key=lambda u: (bool(last(u)) - bool(first(u)), random_rank(u.id, seed)))
    named = {0: "test", 1: "valid"}
    return {u.id: named.get(rank % num_folds, "train") for rank, u in enumerate(dealt)}


def describe(partition: LabelledPartition, sample_rate_hz: int) -> list[str]:
    """Sizes of a partition for people to read, the balance of its classes too.

    Args:
        partition: what to describe.
        sample_rate_hz: that `num_samples` counts at.

    Returns:
        A line for the partition; of one stream of classes, a line for each class; of several, a line for each stream,
        saying in how many clips it is not empty.
    """
    sizes = []
    for side in SIDES:
        own = getattr(partition, side)
        hours = sum(u.num_samples for u in own) / sample_rate_hz / 3600
        sizes.append(f"{side} {len(own)} clips {hours:.2f} h {len({u.speaker for u in own})} speakers")
    lines = [f"{partition.name:13} {', '.join(sizes)}"]
    for symbol, counts in balance(partition).items() if len(partition.labels) == 1 else ():
        cells = ", ".join(
            f"{side} {clips} clips {speakers} speakers" for side, (clips, speakers) in counts.items()
        )
        lines.append(f"  {symbol:17} {cells}")
    if partition.labels.keys() == partition.dictionaries.keys() and len(partition.labels) > 1:
        lines += [f"  {name:17} {_known(partition, label)}" for name, label in partition.labels.items()]
    return lines


def _known(partition: LabelledPartition, label: Label) -> str:
    """How many clips of each side have a line that is not empty."""
    counts = ((side, getattr(partition, side)) for side in SIDES)
    return ", ".join(f"{side} {sum(map(bool, map(label, own)))} of {len(own)} clips" for side, own in counts)


def balance(partition: LabelledPartition) -> dict[str, dict[str, tuple[int, int]]]:
    """Counts the classes of a partition with one stream of classes.

    Args:
        partition: `accent`, `gender` or one of their leaky controls.

    Returns:
        Class -> side -> (clips, speakers).
    """
    ((name, label),) = partition.labels.items()
    table: dict[str, dict[str, tuple[int, int]]] = {}
    for symbol in partition.dictionaries[name]:
        sides = {side: [u for u in getattr(partition, side) if label(u) == symbol] for side in SIDES}
        table[symbol] = {side: (len(own), len({u.speaker for u in own})) for side, own in sides.items()}
    return table


def write(partition: LabelledPartition, folder: Path, root: Path) -> None:
    """Manifests of one partition: {train,valid,test}.{tsv,meta.tsv}, its streams and their dictionaries.

    Args:
        partition: what to write.
        folder: where to; made when missing.
        root: folder of the recordings, first line of each tsv.
    """
    for side in SIDES:
        if members := getattr(partition, side):
            write_manifest(folder, side, members, root=root, labels=partition.labels)
    for name, counts in partition.dictionaries.items():
        write_dictionary(folder / f"dict.{name}.txt", counts)
