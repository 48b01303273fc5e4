"""Plan a synthetic Common Voice: speakers, sentences, votes and file names, before anything is synthesised.

The plan depends on the arguments only, on every machine.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, cycle, islice
from typing import NamedTuple

import numpy as np

from .sentences import STYLES, Sentence, draw, restyle
from .voices import Voice, voice_pool

__all__ = ["ACCENTS", "Clip", "Sizes", "Speaker", "plan_clips"]

# Voice of espeak-ng -> accent in a speaker's profile, spelled as the platform offers it (common-voice
# repository, server/src/lib/model/db/migrations/20211110104012-accent-tables-in-db.ts). Catalan has a fifth,
# "septentrional": espeak-ng has no such voice, and no other one should bear its name.
ACCENTS = {
    "ca": {"ca": "central", "ca-ba": "balear", "ca-nw": "nord-occidental", "ca-va": "valencià"},
    "en": {"en-us": "United States English", "en": "England English", "en-gb-scotland": "Scottish English"},
    # es-419 is Latin American in general.
    "es": {"es": "España: Centro-Sur peninsular (Madrid, Toledo, Castilla-La Mancha)", "es-419": "México"},
}
# Names of variants (common-voice repository, server/src/lib/model/db/import-locales.ts).
_VARIANTS = {"ca": "Central", "ca-ba": "Balear", "ca-nw": "Nord-Occidental", "ca-va": "Valencià central"}
_GENDERS = {"female": "female_feminine", "male": "male_masculine"}

# Duration of 799, 490 and 382 recordings by their number of characters, at 160 words per minute.
_SECONDS_PER_CHARACTER = {"ca": 0.064, "en": 0.062, "es": 0.071}
_FIRST_NUMBER = 40_000_000  # number of the first clip; real ones have eight digits
_NUM_INVALIDATED = 4
_STYLE_EVERY = 12
_WHERE_POSSIBLE = (("digits", 3), ("one-character l·l", 5))  # one of so many sentences that hold it
_DOMAIN_EVERY = 20  # most real sentences have no domain


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much speech of how many speakers."""

    train_speakers: int = 16  # speakers of `train`; multiples of 8 balance accents and genders (Catalan)
    dev_speakers: int = 8  # speakers of `dev`, different from all others
    test_speakers: int = 8  # speakers of `test`, likewise
    other_speakers: int = 8  # speakers of `other`, likewise: speech that nobody has validated
    train_minutes: float = 10.0  # duration of `train`, estimated from the texts (within some percent)
    dev_minutes: float = 3.5  # duration of `dev`
    test_minutes: float = 3.5  # duration of `test`
    other_minutes: float = 25.0  # duration of `other`
    num_unread: int = 1000  # sentences in `validated_sentences.tsv` that nobody has read yet

    def __post_init__(self) -> None:
        """Raise ValueError for a split without a speaker or without speech."""
        speakers = (self.train_speakers, self.dev_speakers, self.test_speakers, self.other_speakers)
        minutes = (self.train_minutes, self.dev_minutes, self.test_minutes, self.other_minutes)
        if min(speakers) < 1 or min(minutes) <= 0 or self.num_unread < 0:
            raise ValueError(
                "synthetic Common Voice: 1 speaker or more and more than 0 minutes expected in each split, and no "
                f"negative number of sentences; found {speakers}, {minutes} and {self.num_unread}"
            )


class Speaker(NamedTuple):
    """A voice and the columns that describe it."""

    client_id: str
    gender: str
    accents: str
    variant: str
    voice: Voice


class Clip(NamedTuple):
    """One recording."""

    # "train", "dev", "test", "other", "invalidated", or "validated" for a clip that is in no split
    bucket: str
    name: str  # name of the mp3 file
    take: int  # number of the voice's recording
    speaker: Speaker
    spoken: Sentence  # spoken sentence; in an invalidated clip it may differ from the text
    text: str  # the column `sentence`
    domain: str
    up_votes: int
    down_votes: int
    is_cut: bool = False  # the recording stops in the middle


def plan_clips(locale: str, sizes: Sizes, seed: int) -> tuple[list[Clip], list[str]]:
    """Plan all recordings; return the clips, and the sentences that nobody reads.

    The splits share no speaker and no sentence. `validated.tsv` holds more than the three splits, as in the real
    corpus: sentences read a second time, here by speakers of dev and test. A training on it must leave
    those speakers out.

    Raises:
        ValueError: for a locale that has no grammar or voice here.
    """
    if locale not in ACCENTS:
        raise ValueError(f"synthetic Common Voice: a locale of {tuple(ACCENTS)} expected, found {locale!r}")
    test, dev, train, other = _speakers(locale, sizes, seed)
    seconds = 60 * (sizes.train_minutes + sizes.other_minutes)
    # A clip has 1.2 s or more, so that these suffice.
    texts = iter(draw(locale, "train", round(seconds / 1.2) + 50 + sizes.num_unread, seed=seed))
    dev_texts = iter(draw(locale, "dev", round(50 * sizes.dev_minutes) + 50, seed=seed))
    test_texts = iter(draw(locale, "test", round(50 * sizes.test_minutes) + 50, seed=seed))
    clips: list[Clip] = []
    for bucket, speakers, minutes, source in (
        ("train", train, sizes.train_minutes, texts),
        ("dev", dev, sizes.dev_minutes, dev_texts),
        ("test", test, sizes.test_minutes, test_texts),
        ("other", other, sizes.other_minutes, texts),
    ):
        clips += _read(bucket, speakers, _fill(locale, speakers, minutes, source), locale, len(clips))
    again = [clip.spoken for clip in clips[: len(dev) + len(test)]]
    clips += _read("validated", [*dev, *test], again, locale, len(clips))
    clips += _invalidated(train, list(islice(texts, _NUM_INVALIDATED)), locale, len(clips))
    return clips, [sentence.text for sentence in islice(texts, sizes.num_unread)]


def _speakers(locale: str, sizes: Sizes, seed: int) -> Iterator[list[Speaker]]:
    """Yield the speakers of test, dev, train and other; accents take turns, so that each has all of them."""
    languages = list(ACCENTS[locale])
    counts = (sizes.test_speakers, sizes.dev_speakers, sizes.train_speakers, sizes.other_speakers)
    per_language = -(-sum(counts) // len(languages))
    # A pool for each language: within one, voices of a turn would share a variant.
    pools = [voice_pool(name, per_language, seed=seed * 100 + i) for i, name in enumerate(languages)]
    everyone = iter([voice for turn in zip(*pools, strict=True) for voice in turn])
    for number in counts[:3]:
        yield [_speaker(locale, voice, seed) for voice in islice(everyone, number)]
    others = [_speaker(locale, voice, seed) for voice in islice(everyone, counts[3])]
    yield [_as_people_do(speaker, i) for i, speaker in enumerate(others)]


def _speaker(locale: str, voice: Voice, seed: int) -> Speaker:
    """Describe a voice in columns; as in the real corpus, client_id has 128 hexadecimal digits."""
    client_id = hashlib.sha512(f"synthetic {locale} {seed} {voice.speaker}".encode()).hexdigest()
    variant = _VARIANTS.get(voice.language, "") if int(client_id[0], 16) % 2 else ""
    return Speaker(client_id, _GENDERS[voice.gender], ACCENTS[locale][voice.language], variant, voice)


def _as_people_do(speaker: Speaker, number: int) -> Speaker:
    """Change a profile as people do: some fill in nothing, some add words (joined with a comma in the column)."""
    if number % 8 == 3:
        return speaker._replace(gender="", accents="", variant="")
    if speaker.accents == "central":
        return speaker._replace(accents="central,Barcelona")
    return speaker


def _fill(
    locale: str, speakers: Sequence[Speaker], minutes: float, source: Iterator[Sentence]
) -> Iterator[Sentence]:
    """Yield sentences until they last that long; of n speakers, speaker k reads sentences k, k + n, ..."""
    left_s = 60 * minutes
    for speaker in cycle(speakers):
        sentence = next(source)
        yield sentence
        left_s -= len(sentence.text) * _SECONDS_PER_CHARACTER[locale] * 160 / speaker.voice.rate_wpm
        if left_s <= 0:
            return


def _read(
    bucket: str,
    speakers: Sequence[Speaker],
    texts: Iterator[Sentence] | list[Sentence],
    locale: str,
    first: int,
) -> Iterator[Clip]:
    """Yield the clips of a bucket, numbered from `first` on, with votes that put them there."""
    for number, speaker, sentence in zip(count(first), cycle(speakers), texts, strict=False):
        rng = np.random.default_rng(number)
        validated = bucket != "other"
        yield Clip(
            bucket,
            f"common_voice_{locale}_{_FIRST_NUMBER + number}.mp3",
            number,
            speaker,
            sentence,
            _printed(sentence, locale, number),
            "general" if number % _DOMAIN_EVERY == 0 else "",
            int(rng.integers(2, 4)) if validated else int(rng.integers(0, 2)),
            int(rng.integers(0, 2)) if validated else 0,
        )


def _printed(sentence: Sentence, locale: str, number: int) -> str:
    """Return the text of a sentence: mostly plain, sometimes as people type it."""
    for style, every in _WHERE_POSSIBLE:
        text = restyle(sentence, style, locale)
        if number % every == 0 and text != sentence.text:
            return text
    if number % _STYLE_EVERY != 4:
        return sentence.text
    first = number // _STYLE_EVERY % len(STYLES)
    texts = (restyle(sentence, style, locale) for style in (*STYLES[first:], *STYLES[:first]))
    return next(text for text in texts if text != sentence.text)


def _invalidated(
    speakers: Sequence[Speaker], texts: list[Sentence], locale: str, first: int
) -> Iterator[Clip]:
    """Yield invalid clips: in turn, another sentence than the text, and a recording that stops too early."""
    shifted = [*texts[1:], *texts[:1]]
    for i, clip in enumerate(_read("invalidated", speakers, texts, locale, first)):
        heard = clip.spoken if i % 2 else shifted[i]
        yield clip._replace(spoken=heard, is_cut=i % 2 == 1, up_votes=i % 2, down_votes=2 + i % 2)
