"""The partitions of Common Voice.

`asr`                    transcribed clips: streams `ltr` (characters, `|` after words) and `wrd` (normalised text).
`asr_10min`, `asr_1h`    the same with so much labelled speech, spread over speakers; `asr_1h` contains `asr_10min`.
`ssl`                    speech to pre-train on, without labels: all but invalidated clips and held-out speakers.
`accent`, `gender`, ...  classes that speakers state, see `common_voice_classes`.

All of them hold out the speakers of one `Division`, so that none is seen in pre-training either.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..manifest import Utterance
from ..splits import few_minutes
from ..text.languages import has_rules
from ..text.published import Report
from ..text.spelling import Spelling
from .common_voice import VALIDATED
from .common_voice_classes import class_partitions
from .common_voice_splits import Division, unlabelled
from .partitions import Partition, divide
from .recognition_partitions import recognition, with_few_labels

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
    yield from with_few_labels(
        recognition(
            divide(utterances, division.labelled_side),
            choices.spelling,
            keep_shared_sentences=choices.keep_shared_sentences,
            advice="draw another division (--division drawn)",
            note=note,
            problem=on_problem or log.info,
        ),
        choices.minutes,
        sample_rate_hz=choices.sample_rate_hz,
        seed=choices.seed,
        note=note,
    )
    yield _pretraining(utterances, division, choices)
    validated = [u for u in utterances if u.split in VALIDATED]
    yield from class_partitions(validated, division, choices.max_per_speaker, choices.seed, note)


def _pretraining(utterances: Sequence[Utterance], division: Division, choices: Choices) -> Partition:
    valid = [u for u in utterances if u.split in VALIDATED and division.side(u) == "valid"]
    few = few_minutes(valid, SSL_VALID_MINUTES, seed=choices.seed, sample_rate_hz=choices.sample_rate_hz)
    return Partition("ssl", unlabelled(utterances, division), valid=few)
