"""The partitions of Common Voice.

`asr`                    transcribed clips: streams `ltr` (characters, `|` after words) and `wrd` (normalised text).
`asr_10min`, `asr_1h`    the same with so much labelled speech, spread over speakers; `asr_1h` contains `asr_10min`.
`ssl`                    speech to pre-train on, without labels: all but invalidated clips and held-out speakers.
`accent`, `gender`, ...  classes that speakers state, see `common_voice_classes`.

All of them hold out the speakers of one `Division`, so that none is seen in pre-training either.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..manifest import Utterance
from ..splits import Key, few_minutes
from ..text.languages import has_rules
from ..text.normalize import unread
from ..text.published import Report
from ..text.spelling import Spelling
from ..text.units import count_units, to_characters
from .common_voice import VALIDATED
from .common_voice_classes import class_partitions
from .common_voice_splits import Division, overlap, unlabelled, without_overlap
from .partitions import Partition, divide, few_labelled_minutes, short_duration

log = logging.getLogger(__name__)

SSL_VALID_MINUTES = 10.0


@dataclass(frozen=True)
class Choices:
    """The settings of a preparation.

    Attributes:
        language: language whose rules normalise the transcripts; without rules letters are kept, see `text.plain`.
        case: case of the normalised transcripts, "lower" or "upper".
        minutes: minutes of labelled speech, one small set each.
        seed: seed of the small sets and the leaky controls.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz.
        max_per_speaker: most clips of a speaker in `accent`, `gender` and `accent_gender`.
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
        """Raise ValueError for an unusable value before anything is read."""
        _ = self.spelling
        for name in ("sample_rate_hz", "max_per_speaker"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is too small; choose 1 or more")
        if not all(minutes > 0 for minutes in self.minutes):
            raise ValueError(f"minutes: {list(self.minutes)} are not all above 0; change them")

    @property
    def spelling(self) -> Spelling:
        """Return how transcripts are spelled."""
        return Spelling(self.language, self.case)


def check_language(language: str, stated: str | None, *, on_note: Report | None = None) -> None:
    """Refuse a mistyped language. One with rules may be meant although the recordings are of another: that is noted.

    Args:
        stated: locale of the recordings (`common_voice.stated_locale`); None where it is not known.
        on_note: receives a line when the rules are those of another language; by default it is logged.

    Raises:
        ValueError: there are no rules for the language, and the recordings are of another.
    """
    if not stated or _language_of(language) == _language_of(stated):
        return
    if not has_rules(language):
        raise ValueError(
            f"language {language!r} has no rules and is not {stated!r}, which the rows state in their column locale; "
            f"pass {stated}, or a language with rules"
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
    on_note: Report | None = None,
    on_problem: Report | None = None,
) -> Iterator[Partition]:
    """Make the partitions of the module's list for which there are enough clips, from one reading of a locale.

    Args:
        utterances: all utterances of `common_voice.read`.
        on_note: receives a line for whatever was left out, and why; by default it is logged.
        on_problem: receives a line for each clip whose sentence cannot be spelled; by default it is logged.

    Raises:
        ValueError: there is no clip to train the recogniser on.
    """
    note = on_note or log.info
    if not has_rules(choices.language):
        note(
            f"no rules for {choices.language!r}: letters are kept as they are, sentences with digits or signs are left "
            "out"
        )
    base = _recognition(utterances, division, choices, note, on_problem or log.info)
    yield base
    for minutes in sorted(choices.minutes):
        few = few_labelled_minutes(base, minutes, sample_rate_hz=choices.sample_rate_hz, seed=choices.seed)
        if few:
            yield few
        else:
            total = sum(u.num_samples for u in base.train) / choices.sample_rate_hz / 60
            note(f"asr_{short_duration(minutes)}: asr has only {total:.1f} minutes, so it is left out")
    yield _pretraining(utterances, division, choices)
    validated = [u for u in utterances if u.split in VALIDATED]
    yield from class_partitions(validated, division, choices.max_per_speaker, choices.seed, note)


class _Texts:
    """Normalised transcripts, each computed once."""

    def __init__(self, spelling: Spelling) -> None:
        self._spelling = spelling
        self._known: dict[str, str] = {}

    def __call__(self, utterance: Utterance) -> str:
        text = self._known.get(utterance.id)
        if text is None:
            text = self._known[utterance.id] = self._spelling(utterance.transcript or "")
        return text

    def characters(self, utterance: Utterance) -> str:
        """Return the line of stream `ltr`."""
        return " ".join(to_characters(self(utterance)))


def _recognition(
    utterances: Iterable[Utterance], division: Division, choices: Choices, note: Report, problem: Report
) -> Partition:
    text = _Texts(choices.spelling)
    sides = divide(utterances, division.labelled_side)
    for side, found in sides.items():
        members = _spelled(found, choices.language, problem)
        if unspelled := len(found) - len(members):
            note(
                f"asr: {unspelled} clips of {side} have digits, signs or letters that the rules of "
                f"{choices.language!r} cannot read, and are left out"
            )
        sides[side] = [u for u in members if text(u)]
        if missing := len(members) - len(sides[side]):
            note(f"asr: {missing} clips of {side} have no letter in their transcript and are left out")
    if not sides["train"]:
        raise ValueError(
            "asr: no clip to train on; see above what was left out, or draw another division (--division drawn)"
        )
    valid, test = sides["valid"], sides["test"]
    train = _without_overlap(sides["train"], [*valid, *test], text, choices, note)
    if not train:
        raise ValueError(
            "asr: every clip to train on shares its speaker or sentence with valid and test; draw another division "
            "(--division drawn), or keep shared sentences (--keep-shared-sentences)"
        )
    dictionary = count_units(to_characters(text(u)) for u in train)
    labels: dict[str, Key] = {"ltr": text.characters, "wrd": text}
    return Partition(
        "asr", train, valid, test, labels=labels, dictionaries={"ltr": dictionary}, spelling=choices.spelling
    )


def _spelled(clips: Iterable[Utterance], language: str, problem: Report) -> list[Utterance]:
    """Return the clips whose sentence the normaliser can spell."""
    kept = []
    for clip in clips:
        if signs := unread(clip.transcript or "", language):
            problem(
                f"{clip.id}: the rules of {language!r} cannot read {' '.join(signs)} in {clip.transcript!r}; left out "
                "of asr"
            )
        else:
            kept.append(clip)
    return kept


def _without_overlap(
    train: list[Utterance], held_out: list[Utterance], text: _Texts, choices: Choices, note: Report
) -> list[Utterance]:
    shared = overlap(train, held_out, text)
    # No two clips share an id, so that with ids as texts only speakers count.
    kept = without_overlap(train, held_out, (lambda u: u.id) if choices.keep_shared_sentences else text)
    note(
        f"asr: train shares {shared.num_speakers} speakers and {shared.num_sentences} sentences with valid and test; "
        f"{len(train) - len(kept)} clips are left out"
    )
    return kept


def _pretraining(utterances: Sequence[Utterance], division: Division, choices: Choices) -> Partition:
    valid = [u for u in utterances if u.split in VALIDATED and division.side(u) == "valid"]
    few = few_minutes(valid, SSL_VALID_MINUTES, seed=choices.seed, sample_rate_hz=choices.sample_rate_hz)
    return Partition("ssl", unlabelled(utterances, division), valid=few)
