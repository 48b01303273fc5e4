"""A synthetic GRID: drawn speakers of English, each saying sentences of six words by the corpus's grammar.

Layout (Cooke et al. 2006, "An audio-visual corpus for speech perception and automatic speech recognition";
https://zenodo.org/records/3625687):

    s1/video/bbaf2n.mp4      360 x 288 pixels, 25 frames/s, sound in it; published as .mpg
    s1/align/bbaf2n.align    lines of start, end and word, in thousandths of a video frame; `sil` is silence

The name spells the sentence by the first letter of each word: command, colour, preposition, letter (not w), digit (z
is zero), adverb. Speakers have the published numbers and genders; s21, of whom there is no video, is left out.
Published clips last 3 s; these as long as the voice takes. One video is cut off.
"""

import argparse
import itertools
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from .corpus_folder import describe
from .film_corpus import write_films
from .films import Film, Speaker, TruthRow, cast, words_of

__all__ = ["Sizes", "plan", "write"]

SUMMARY = "GRID: sentences of six words, with word times, by speakers filmed from the front"
_SLOTS = (
    "bin lay place set",
    "blue green red white",
    "at by in with",
    "a b c d e f g h i j k l m n o p q r s t u v x y z",
    "zero one two three four five six seven eight nine",
    "again now please soon",
)
_WOMEN = frozenset({4, 7, 11, 15, 16, 18, 20, 22, 23, 24, 25, 29, 31, 33, 34})
_NUMBERS = tuple(number for number in range(1, 35) if number != 21)
_UNITS_PER_S = 25_000
_CUT_OFF = 3  # index of the damaged video


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many speakers and sentences."""

    speakers: int = 1  # number of speakers, the first ones
    sentences: int = 100  # sentences of each

    def __post_init__(self) -> None:
        """Raise ValueError for more speakers or sentences than there are, or none."""
        if not 1 <= self.speakers <= len(_NUMBERS) or not 1 <= self.sentences <= 1000:
            raise ValueError(
                f"synthetic GRID: 1 to {len(_NUMBERS)} speakers and 1 to 1000 sentences expected, found {self}"
            )


def write(root: str | Path, *, sizes: Sizes | None = None, seed: int = 1, **options: Any) -> dict[str, int]:
    """Write the corpus, `options` as of `write_films`; return the number of "speakers" and "clips"."""
    root, sizes = Path(root), sizes or Sizes()
    films = plan(sizes, seed)
    for row in write_films(root, films, {"corpus": "grid", "seed": seed, **asdict(sizes)}, **options):
        _write_times(root, row)
    return {"speakers": sizes.speakers, "clips": len(films)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the amount."""
    default = Sizes()
    for name in ("speakers", "sentences"):
        number = getattr(default, name)
        text = f"{name}{' of each' if name == 'sentences' else ''} (default: {number})"
        parser.add_argument(f"--{name}", type=int, default=number, metavar="N", help=text)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    sizes = Sizes(args.speakers, args.sentences)
    return describe(write(args.out, sizes=sizes, seed=args.seed, num_workers=args.workers), args.out)


def plan(sizes: Sizes, seed: int) -> list[Film]:
    """Plan all videos, by speaker; one is damaged."""
    numbers = _NUMBERS[: sizes.speakers]
    films = [film for number, who in zip(numbers, _speakers(numbers, seed), strict=True)
             for film in _plan_speaker(number, who, sizes.sentences, seed)]  # fmt: skip
    if len(films) > _CUT_OFF:
        films[_CUT_OFF] = replace(films[_CUT_OFF], keep=0.5, planted="mp4 cut off, unreadable")
    return films


def _speakers(numbers: Sequence[int], seed: int) -> Iterator[Speaker]:
    """Yield a voice and a face for each number, of the published gender."""
    waiting = defaultdict[str, list[Speaker]](list)
    for speaker in cast("grid", "en", 2 * len(numbers), seed=seed):  # half of them are women
        waiting[speaker.voice.gender].append(speaker)
    for number in numbers:
        yield waiting["female" if number in _WOMEN else "male"].pop(0)


def _plan_speaker(number: int, speaker: Speaker, num_sentences: int, seed: int) -> Iterator[Film]:
    rng = np.random.default_rng([seed, number])
    unit_px, x, y = float(rng.uniform(95, 115)), float(rng.uniform(0.47, 0.53)), float(rng.uniform(0.4, 0.45))
    for name, text in _sentences(num_sentences, f"{seed} {number}"):
        path = f"s{number}/video/{name}.mp4"
        yield Film(
            name=path,
            split="train",
            speaker=speaker,
            sentences=(text,),
            seed=int(rng.integers(2**31)),
            video=path,
            width=360,
            height=288,
            x=x + float(rng.normal(0, 0.004)),
            y=y + float(rng.normal(0, 0.004)),
            unit_px=unit_px,
            pauses_s=(0.5, 0.9),
        )


def _sentences(count: int, seed: str) -> list[tuple[str, str]]:
    """Draw distinct sentences: the name that spells each, and its words."""
    slots = [slot.split() for slot in _SLOTS]
    drawn = random.Random(seed).sample(list(itertools.product(*slots)), count)
    return [("".join(map(_letter, words)), " ".join(words)) for words in drawn]


_DIGITS = {word: str(number) for number, word in enumerate(_SLOTS[4].split())} | {"zero": "z"}


def _letter(word: str) -> str:
    return _DIGITS.get(word, word[0])


def _write_times(root: Path, row: TruthRow) -> None:
    """Write the word times of a video, silence around and between included."""
    video = Path(row[0])
    words = words_of(row)
    lines, before = list[tuple[float, float, str]](), 0.0
    for word, start_s, end_s in words:
        if round(start_s * _UNITS_PER_S) > round(before * _UNITS_PER_S):
            lines.append((before, start_s, "sp" if lines else "sil"))
        lines.append((start_s, end_s, word))
        before = end_s
    lines.append((before, before + 0.2, "sil"))
    with atomic_write(root / video.parents[1] / "align" / f"{video.stem}.align") as file:
        for start_s, end_s, word in lines:
            file.write(f"{round(start_s * _UNITS_PER_S)} {round(end_s * _UNITS_PER_S)} {word}\n")
