"""Films of synthetic speakers, of which the video corpora consist: a voice with a drawn face before a camera.

Shapes: N samples; T frames.

A `Film` is a plan, small and picklable: equal films give equal files. `make_film` writes its files, each whole or not
at all, and returns what is said when.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from ..files import atomic_path
from .faces.canvas import Image
from .faces.look import Look, draw_look
from .faces.scene import Actor, Shot, render, render_slide
from .faces.video import write_media
from .faces.visemes import mouth_track
from .phrases import draw
from .speech import Phoneme
from .voices import Channel, Samples, Voice, record, speak, voice_pool

__all__ = [
    *("TRUTH_COLUMNS", "Film", "Speaker", "TruthRow", "cast", "duration_s", "make_film", "sentences"),
    *("take_turns", "words_of", "youtube_id"),
]

TRUTH_COLUMNS = (
    *("path", "number", "split", "language", "speaker", "planted", "start_s", "end_s", "text"),
    *("words", "phonemes"),
)
TruthRow = tuple[str, ...]
LANGUAGES = ("fr", "it", "es", "pt", "en")

# Each sentence is spoken into a clean channel; microphone and room are applied to the whole film, so that pauses sound
# like the rest.
_CLEAN = Channel(peak_dbfs=-3.0, noise_db=-120.0, noise_tilt_db=0.0, tilt_db=0.0, low_cut_hz=0.0)
_BEFORE_S, _AFTER_S = 0.15, 0.20  # silence of a segment before and after its sentence
_ROUND = 400  # phrases drawn at once, without repetition; a side has at least 1,000
_WIDE = 0.5  # size of a face in a wide shot, relative to the usual shot


@dataclass(frozen=True, slots=True)
class Speaker:
    """A voice and the face that goes with it."""

    name: str
    voice: Voice
    look: Look


@dataclass(frozen=True, slots=True)
class Film:
    """The plan of one film."""

    name: str  # name in the table of truth: path of the video, whether or not there is one
    split: str  # split of the corpus
    speaker: Speaker  # the speaker
    sentences: tuple[str, ...]  # spoken sentences, with pauses between them
    seed: int  # random seed of pauses, light, movements and background
    video: str | None  # path of the mp4, relative to the root; None: no video is written
    # path of a separate audio file (.flac or .m4a); None: the audio is in the video only
    audio: str | None = None
    is_sound_in_video: bool = True  # whether the video has an audio track
    width: int = 224  # width of the picture, pixels
    height: int = 224  # height of the picture, pixels
    fps: Fraction = Fraction(25)  # frames per second
    sample_rate_hz: int = 44_100  # sample rate of the audio
    x: float = 0.5  # horizontal place of the face (bridge of the nose), share of the width
    y: float = 0.46  # vertical place of the face, share of the height
    unit_px: float = 112.0  # pixels per head unit; a face is about 0.94 wide and 1.5 high
    # view of each sentence, "close", "wide" (a small face) or "slide" (no face); empty: all close
    views: tuple[str, ...] = ()
    # shortest and longest pause between sentences; half of it stands at either end
    pauses_s: tuple[float, float] = (0.4, 1.0)
    # silent people: look, x, y and unit_px of each
    bystanders: tuple[tuple[Look, float, float, float], ...] = ()
    planted: str = ""  # description of what is wrong with the film, for the table of truth; "": nothing
    keep: float = 1.0  # share of the video's bytes that is written; below 1 it is truncated
    # put the video's index in front, so that what is left of a truncated video can be read
    is_fast_start: bool = False
    is_muted: bool = False  # write an audio track of digital silence
    is_sound_only: bool = False  # write an mp4 without pictures

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files, relative to the root."""
        return tuple(path for path in (self.video, self.audio) if path is not None)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A spoken sentence, all times relative to the film."""

    text: str
    start_s: float
    end_s: float
    words: tuple[tuple[str, float, float], ...]
    phonemes: tuple[Phoneme, ...]


def cast(corpus: str, language: str, num_speakers: int, *, seed: int) -> list[Speaker]:
    """Draw the speakers of a corpus in a language, whom no other corpus has; fewer speakers are the first of many."""
    own = int.from_bytes(hashlib.sha256(f"{corpus} {language} {seed}".encode()).digest()[:4], "big")
    voices = voice_pool(language, num_speakers, seed=own)
    # Takes are drawn from the name, so it must hold the seed.
    return [
        Speaker(name, replace(voice, speaker=name), draw_look(own + index, voice.gender))
        for index, voice in enumerate(voices)
        for name in [f"{corpus}{seed}_{voice.speaker}"]
    ]


def take_turns(
    corpus: str, num_speakers: int, num_sentences: int, *, seed: int, texts_seed: int
) -> Iterator[tuple[Speaker, list[str]]]:
    """Yield speakers, `LANGUAGES` in turn, each with as many sentences of the training side that nobody else has."""
    each = -(-num_speakers // len(LANGUAGES))
    casts = {language: cast(corpus, language, each, seed=seed) for language in LANGUAGES}
    texts = {code: sentences(code, "train", each * num_sentences, seed=texts_seed) for code in LANGUAGES}
    for index in range(num_speakers):
        language, turn = LANGUAGES[index % len(LANGUAGES)], index // len(LANGUAGES)
        yield casts[language][turn], texts[language][turn * num_sentences : (turn + 1) * num_sentences]


def youtube_id(*what: object) -> str:
    """Return an id like YouTube's, equal for equal arguments: 11 letters, digits, "-" and "_", also as the first."""
    digest = hashlib.sha256(" ".join(map(str, what)).encode()).digest()
    return base64.urlsafe_b64encode(digest)[:11].decode()


def sentences(language: str, side: str, num_sentences: int, *, seed: int) -> list[str]:
    """Draw phrases of a language as `phrases.draw` does; after some hundred they may repeat."""
    rounds = range(math.ceil(num_sentences / _ROUND))
    drawn = (draw(language, side, _ROUND, seed=seed * 1000 + turn) for turn in rounds)
    return [phrase.text for phrases in drawn for phrase in phrases][:num_sentences]


def duration_s(film: Film) -> float:
    """Return the duration of a film's audio in seconds, found by synthesising it."""
    return len(_perform(film)[0]) / film.sample_rate_hz


def make_film(root: Path, film: Film) -> list[TruthRow]:
    """Write the files of a film below `root`; return one row per sentence, columns as in `TRUTH_COLUMNS`.

    `words` and `phonemes` are JSON lists of [text, start_s, end_s]. All times are relative to the film.
    """
    samples, spoken = _perform(film)
    if film.is_muted:
        samples = np.zeros_like(samples)
    if film.audio is not None:
        with atomic_path(root / film.audio) as scratch:
            _write_sound(scratch, film, samples)
    if film.video is not None:
        with atomic_path(root / film.video) as scratch:
            _write_video(scratch, film, samples, spoken)
    return [_truth_row(film, number, sentence) for number, sentence in enumerate(spoken)]


def _perform(film: Film) -> tuple[Samples, list[_Spoken]]:
    """Speak all sentences into one recording; return its samples, and text and times of the sentences."""
    rng, rate = np.random.default_rng([film.seed, 11]), film.sample_rate_hz
    clean = replace(film.speaker.voice, channel=_CLEAN)
    pieces: list[Samples] = []
    spoken: list[_Spoken] = []
    pauses_s = rng.uniform(*film.pauses_s, len(film.sentences) + 1)
    pauses_s[[0, -1]] /= 2
    at = _silence(pieces, 0, pauses_s[0], rate)
    for number, text in enumerate(film.sentences):
        speech = speak(clean, text, take=film.seed % 100_003 * 64 + number, sample_rate_hz=rate)
        pieces.append(speech.samples)
        spoken.append(_place(text, speech.words, speech.phonemes, at / rate, speech.duration_s))
        at = _silence(pieces, at + len(speech.samples), pauses_s[number + 1], rate)
    return record(np.concatenate(pieces), rate, film.speaker.voice.channel, rng), spoken


def _silence(pieces: list[Samples], at: int, duration_s: float, rate: int) -> int:
    pieces.append(np.zeros(round(duration_s * rate), np.float32))
    return at + len(pieces[-1])


def _place(
    text: str,
    words: tuple[tuple[float, float, int], ...],
    phonemes: tuple[Phoneme, ...],
    at_s: float,
    duration_s: float,
) -> _Spoken:
    """Shift a sentence to its place in the film; its start and end, those of a segment, are rounded to 10 ms."""
    tokens = text.split()
    start_s = max(at_s + phonemes[0].start_s - _BEFORE_S, 0.0)
    end_s = at_s + min(phonemes[-1].end_s + _AFTER_S, duration_s)
    return _Spoken(
        text,
        math.ceil(start_s * 100) / 100,
        math.floor(end_s * 100) / 100,
        tuple((tokens[number], at_s + a, at_s + b) for a, b, number in words),
        tuple(Phoneme(at_s + a, at_s + b, ipa) for a, b, ipa in phonemes),
    )


def _truth_row(film: Film, number: int, spoken: _Spoken) -> TruthRow:
    words = [[word, round(a, 3), round(b, 3)] for word, a, b in spoken.words]
    phonemes = [[ipa, round(a, 3), round(b, 3)] for a, b, ipa in spoken.phonemes]
    who = (film.split, film.speaker.voice.language, film.speaker.name, film.planted)
    when = (f"{spoken.start_s:.2f}", f"{spoken.end_s:.2f}", spoken.text)
    spans = (json.dumps(found, ensure_ascii=False) for found in (words, phonemes))
    return (film.name, str(number), *who, *when, *spans)


def words_of(row: TruthRow) -> list[tuple[str, float, float]]:
    """Return text, start and end in s of each word of a row."""
    return [(str(word), float(start_s), float(end_s)) for word, start_s, end_s in json.loads(row[9])]


def _write_sound(path: Path, film: Film, samples: Samples) -> None:
    if str(film.audio).endswith(".flac"):
        with open(path, "wb") as file:
            soundfile.write(file, samples, film.sample_rate_hz, format="FLAC", subtype="PCM_16")
    else:
        write_media(path, None, samples=samples, sample_rate_hz=film.sample_rate_hz)


def _write_video(path: Path, film: Film, samples: Samples, spoken: list[_Spoken]) -> None:
    num_frames = math.floor(len(samples) / film.sample_rate_hz * film.fps)
    write_media(
        path,
        None if film.is_sound_only else _frames(film, spoken, num_frames),
        size=(film.height, film.width),
        fps=film.fps,
        samples=samples if film.is_sound_in_video else None,
        sample_rate_hz=film.sample_rate_hz,
        is_fast_start=film.is_fast_start,
    )
    if film.keep < 1.0:
        with open(path, "r+b") as file:
            file.truncate(int(path.stat().st_size * film.keep))


def _frames(film: Film, spoken: list[_Spoken], num_frames: int) -> Iterator[Image]:
    """Yield the frames of a film, shot after shot."""
    fps = float(film.fps)
    mouth = mouth_track([phoneme for sentence in spoken for phoneme in sentence.phonemes], num_frames, fps)
    for start, stop, view in _shots(film, spoken, num_frames):
        size = _WIDE if view == "wide" else 1.0
        x, y = (0.5 + (film.x - 0.5) * 0.8, film.y - 0.06) if view == "wide" else (film.x, film.y)
        actors = [Actor(look, at_x, at_y, unit_px * size) for look, at_x, at_y, unit_px in film.bystanders]
        actors.append(Actor(film.speaker.look, x, y, film.unit_px * size, mouth[start:stop]))
        shot = Shot(film.width, film.height, fps, stop - start, tuple(actors), film.seed * 97 + len(view))
        yield from render_slide(shot) if view == "slide" else render(shot)


def _shots(film: Film, spoken: list[_Spoken], num_frames: int) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, frame after the last, and view of each shot; cuts are in the middle of pauses."""
    views = film.views or ("close",) * len(spoken)
    cuts = [0]
    for one, other in pairwise(spoken):
        cuts.append(round((one.end_s + other.start_s) / 2 * float(film.fps)))
    cuts.append(num_frames)
    start = 0
    for index, view in enumerate(views):
        if index + 1 == len(views) or views[index + 1] != view:
            yield start, cuts[index + 1], view
            start = cuts[index + 1]
