"""Decide which automatic labels to trust, from labels.tsv alone: other limits need no second decoding.

Defaults are Whisper's thresholds (Radford et al. 2022, section 4.5) where it has one; the others accept the sentences
of mTEDx in four languages and reject loops and hallucinations.

A new filter is a field of `FilterSettings`, a line of `REASONS`, and a line of `_on_language`, `_on_audio` or
`_on_text`.
"""

import math
import re
from dataclasses import dataclass, field, fields

from ..text.normalize import normalize
from .second_look import UNSURE
from .signals import characters_per_second, foreign_letters, language_change
from .table import LABELLED, ClipLabel
from .vote import SURE, Vote, is_other

# Whisper hallucinates these on music and silence: credits of the subtitles that it was trained on.
_CREDITS = re.compile(
    r"amara\.org|sous-titrag|sous-titres? (?:réalisé|fait|par)|sottotitoli (?:creati|e revisione|a cura)"
    r"|subt[íi]tulos (?:realizados|creados|por)|legend(?:as|ado) (?:pel[ao]|por)|radio-canada",
    re.IGNORECASE,
)

# Reason of a rejection -> explanation, or what to change.
REASONS = {
    "no_speech": "nobody speaks, by the detector or by Whisper",
    "no_text": "the detector found speech, but the recogniser wrote nothing",
    "damaged": "its file is cut off or damaged, see clips.tsv: copy it again, or --keep-damaged",
    "other_language": "its language is none of the requested ones",
    "unreadable": "its audio cannot be read: prepare the clip again",
    "failed": "labelling failed: run fairseq-ext label auto --retry-failed",
    "language_of_video": "its language is not that of its video",
    "languages_differ": "a part of it is in another language: raise --max-language-change",
    "language_unsure": "lower --min-language-probability, if its video agrees",
    "credits": "credits of subtitles, which Whisper writes on music",
    "unlikely": "lower --min-avg-logprob",
    "compressible": "a loop: raise --max-compression-ratio",
    "loop": "a repeated phrase: raise --max-loop-score",
    "script": "letters of another script: raise --max-foreign-letters",
    "too_slow": "too little text for the speech: lower --min-characters-per-second",
    "too_fast": "too much text for the speech: raise --max-characters-per-second",
    "little_speech": "lower --min-speech-share",
    "too_few_words": "lower --min-words",
    "held_out": "it, its speaker or its video is in valid or test",
    "other_times": "its label or transcript is of other times than the clip: label it again, or give its list",
    "unread": "signs or numbers that the normaliser cannot read, in a label or a published transcript",
    "no_label": "it is not in labels.tsv: label all clips",
    "empty_transcript": "its published transcript has no letters",
}


_SHARES = (
    "min_language_probability",
    "max_no_speech_prob",
    "max_loop_score",
    "max_foreign_letters",
    "min_speech_share",
    "sure_of_language",
)
_RANGES = {
    **dict.fromkeys(_SHARES, (0.0, 1.0)),
    "min_avg_logprob": (-math.inf, 0.0),
    "max_compression_ratio": (1.0, math.inf),
    "min_characters_per_second": (0.0, math.inf),
    "max_language_change": (0.0, math.inf),
    "max_repeated_per_second": (0.0, math.inf),
}


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class FilterSettings:
    """Limits within which a label is trusted."""

    min_language_probability: float = field(
        default=UNSURE,
        metadata={
            "help": "probability of the text's language, or the share of its video's clips that voted for it"
        },
    )
    min_avg_logprob: float = field(default=-1.0, metadata={"help": "ln p per token of the text"})
    # Whisper's own limit of 0.6 counts for unlikely texts only. Here the detector has found speech, and Whisper base
    # gives word-perfect digits of FSDD up to 0.91.
    max_no_speech_prob: float = field(default=0.95, metadata={"help": "probability of silence"})
    max_compression_ratio: float = field(
        default=2.4, metadata={"help": "bytes of the text by bytes compressed"}
    )
    max_loop_score: float = field(
        default=0.5, metadata={"help": "share of words that repeat those before them"}
    )
    max_foreign_letters: float = field(default=0.1, metadata={"help": "share of letters of other scripts"})
    min_characters_per_second: float = field(
        default=3.0, metadata={"help": "letters and digits per second of speech"}
    )
    max_characters_per_second: float = field(
        default=30.0, metadata={"help": "letters and digits per second of speech"}
    )
    # See `repetition`.
    max_repeated_per_second: float = field(
        default=20.0,
        metadata={
            "help": "letters and digits per second of speech above which a text that is a phrase of 3 words or more, "
            "repeated as a whole, is kept once"
        },
    )
    min_speech_share: float = field(default=0.2, metadata={"help": "share of the clip that is speech"})
    min_words: int = field(default=1, metadata={"help": "words of the normalised text"})
    sure_of_language: float = field(
        default=SURE,
        metadata={"help": "probability from which a clip's own language counts more than its video's"},
    )

    # Whisper base, FLEURS fr, es, pt: 15 recordings and 12 joined ones of one language stay below 2.4, 24 of 28 that
    # change their language are above 2.5.
    max_language_change: float = field(
        default=2.4,
        metadata={"help": "evidence that a part is in another language, ln of a likelihood ratio"},
    )

    def __post_init__(self) -> None:
        """Raise ValueError for limits that no label can meet, and for shares given as percentages."""
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f"{_option(name)}: {least:g} to {most:g} expected, found {getattr(self, name)}; change it"
                )
        if not self.min_characters_per_second < self.max_characters_per_second or self.min_words < 1:
            raise ValueError(
                "filters: --min-characters-per-second below the max and --min-words of 1 or more expected, found "
                f"{self.min_characters_per_second}, {self.max_characters_per_second}, {self.min_words}; change them"
            )


def names() -> tuple[str, ...]:
    """Return the names of the settings, for command lines."""
    return tuple(item.name for item in fields(FilterSettings))


def judge(label: ClipLabel, of_video: Vote | None, settings: FilterSettings) -> str | None:
    """Decide whether to trust a label: None, or the first reason of `REASONS` against it.

    `of_video` is the vote of its video; None: no clip of it has speech.
    """
    if label.state != LABELLED:
        return label.state
    return _on_language(label, of_video, settings) or _on_audio(label, settings) or _on_text(label, settings)


def _on_language(label: ClipLabel, of_video: Vote | None, settings: FilterSettings) -> str | None:
    if of_video is not None and (
        label.language != of_video.language or is_other(label, of_video, sure=settings.sure_of_language)
    ):
        return "language_of_video"
    voted = of_video.share if of_video is not None and of_video.num_clips > 1 else 0.0
    if max(label.language_probability, voted) < settings.min_language_probability:
        return "language_unsure"
    if language_change(label.part_languages(), label.language) > settings.max_language_change:
        return "languages_differ"
    return None


def _on_audio(label: ClipLabel, settings: FilterSettings) -> str | None:
    if label.no_speech_prob is not None and label.no_speech_prob > settings.max_no_speech_prob:
        return "no_speech"
    if label.speech_s < settings.min_speech_share * label.duration_s:
        return "little_speech"
    if label.avg_logprob is not None and label.avg_logprob < settings.min_avg_logprob:
        return "unlikely"
    return None


def _on_text(label: ClipLabel, settings: FilterSettings) -> str | None:
    # Not the column: tables of earlier versions counted digits, not what is spoken.
    rate = characters_per_second(label.text, label.speech_s, label.language)
    checks = {
        "credits": _CREDITS.search(label.text) is not None,
        "compressible": (label.compression_ratio or 0.0) > settings.max_compression_ratio,
        "loop": (label.loop_score or 0.0) > settings.max_loop_score,
        "script": foreign_letters(label.text, label.language) > settings.max_foreign_letters,
        "too_few_words": len(normalize(label.text, label.language).split()) < settings.min_words,
        "too_slow": rate < settings.min_characters_per_second,
        "too_fast": rate > settings.max_characters_per_second,
    }
    return next((reason for reason, applies in checks.items() if applies), None)
