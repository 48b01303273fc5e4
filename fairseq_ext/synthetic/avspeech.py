"""A synthetic AVSpeech: the published list of clips, and the clips as they are usually stored after download.

Layout (Ephrat et al., "Looking to Listen at the Cocktail Party", SIGGRAPH 2018;
https://looking-to-listen.github.io/avspeech): `avspeech_train.csv` without a header, lines
`{YouTube id},{start_s},{end_s},{x},{y}`, where x and y are the centre of the speaker's face in the first frame, as
shares of width and height from the upper left. Google publishes no video; people download the videos, cut the pieces
out and name them `{id}_{start_s}_{end_s}.mp4`, here in the folder `train`. Pieces last 3 to 10 s, in any language,
size and frame rate, with the voice of one speaker.

As in the real world, some clips show a second, larger face that is silent, one has no picture, one no sound, and some
lines of the list have no clip (deleted from YouTube); `SYNTHETIC_truth.tsv` lists which. Left out: avspeech_test.csv.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..files import atomic_write
from .corpus_folder import describe
from .faces.look import draw_look
from .film_corpus import add_amount, sizes_of, write_films
from .films import Film, Speaker, cast, duration_s, sentences, youtube_id

__all__ = ["LANGUAGES", "Sizes", "plan", "write"]

SUMMARY = "AVSpeech: clips of larger pictures in five languages, one speaker each"
LANGUAGES = ("fr", "it", "es", "pt", "en")
_CLIP_S = 3.3  # average duration of a clip
_RATES_HZ = (Fraction(25), Fraction(30000, 1001), Fraction(24), Fraction(30), Fraction(60))
_FACE_CENTRE = 0.15  # from the bridge of the nose down to the centre of the face's box, head units
_NO_PICTURE, _NO_SOUND = 3, 7  # indices of the damaged clips


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many clips."""

    clips: int = 12  # number of clips, each by another speaker; languages take turns
    deleted: int = 2  # number of further lines of the list that have no clip

    def __post_init__(self) -> None:
        """Raise ValueError when there is no clip."""
        if self.clips < 1 or self.deleted < 0:
            raise ValueError(f"synthetic AVSpeech: 1 clip or more expected, found {self}")

    @classmethod
    def of(cls, minutes: float) -> "Sizes":
        """Return the sizes for an amount of speech.

        Args:
            minutes: total duration of the clips, about.

        Returns:
            The sizes.
        """
        clips = max(1, round(minutes * 60 / _CLIP_S))
        return cls(clips, max(1, clips // 6))


def write(
    root: str | Path,
    *,
    sizes: Sizes | None = None,
    seed: int = 1,
    num_workers: int = 1,
    progress: bool = True,
) -> dict[str, int]:
    """Write the corpus, or what is missing of it; equal arguments give equal files.

    Args:
        root: folder of the corpus, created when missing.
        sizes: number of clips; default: enough for a demo.
        seed: random seed of speakers, sentences and pictures.
        num_workers: number of processes.
        progress: show a progress bar.

    Returns:
        Number of "clips", and of "lines" in the list.

    Raises:
        ValueError: when an argument is out of range, or the folder holds anything other than this corpus.
        SpeechError: when the package espeakng-loader is missing.
        ModuleNotFoundError: when OpenCV is missing.
    """
    root, sizes = Path(root), sizes or Sizes()
    films, settings = plan(sizes, seed), {"corpus": "avspeech", "seed": seed, **asdict(sizes)}
    write_films(root, films, settings, num_workers=num_workers, progress=progress)
    lines = sorted([*map(_line, films), *_deleted(sizes.deleted, seed)])
    with atomic_write(root / "avspeech_train.csv") as file:
        file.writelines(f"{line}\n" for line in lines)
    return {"clips": len(films), "lines": len(lines)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    add_amount(parser, "all clips", has_speakers=False)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    sizes = sizes_of(args, Sizes.of)
    return describe(write(args.out, sizes=sizes, seed=args.seed, num_workers=args.workers), args.out)


def plan(sizes: Sizes, seed: int) -> list[Film]:
    """Plan all clips; since a clip's name holds its duration, every sentence is synthesised once to measure it.

    Args:
        sizes: number of clips.
        seed: random seed of the clips.

    Returns:
        The films.
    """
    return [_name(film) for film in _plan_all(sizes, seed)]


def _plan_all(sizes: Sizes, seed: int) -> Iterator[Film]:
    each = -(-sizes.clips // len(LANGUAGES))
    casts = {language: cast("avspeech", language, each, seed=seed) for language in LANGUAGES}
    texts = {language: sentences(language, "train", each, seed=seed + 70) for language in LANGUAGES}
    for index in range(sizes.clips):
        language, turn = LANGUAGES[index % len(LANGUAGES)], index // len(LANGUAGES)
        film = _plan_clip(casts[language][turn], texts[language][turn], seed, index)
        if index == _NO_PICTURE:
            film = replace(film, is_sound_only=True, planted="no picture")
        elif index == _NO_SOUND:
            film = replace(film, is_muted=True, planted="no sound")
        yield film


def _plan_clip(speaker: Speaker, text: str, seed: int, index: int) -> Film:
    rng = np.random.default_rng([seed, *speaker.name.encode()])
    is_large = index % 4 == 0
    scale = 2.0 if is_large else 1.0
    film = Film(
        name="",
        split="train",
        speaker=speaker,
        sentences=(text,),
        seed=int(rng.integers(2**31)),
        video="",
        width=round(640 * scale),
        height=round(360 * scale),
        fps=_RATES_HZ[index // 2 % len(_RATES_HZ)],
        x=float(rng.uniform(0.3, 0.7)),
        y=float(rng.uniform(0.36, 0.45)),
        unit_px=float(rng.uniform(62, 105)) * scale,
        pauses_s=(0.3, 1.0),
    )
    if index % 5 != 2:
        return film
    left = rng.uniform() < 0.5
    other = draw_look(film.seed, "female" if rng.uniform() < 0.5 else "male")
    beside = (other, 0.74 if left else 0.26, 0.47, 108 * scale)
    return replace(
        film,
        x=0.24 if left else 0.76,
        unit_px=76 * scale,
        bystanders=(beside,),
        planted="second, larger face",
    )


def _name(film: Film) -> Film:
    """Name a film by YouTube id and times."""
    rng = np.random.default_rng([film.seed, 13])
    start_s = round(float(rng.uniform(5, 600)), 2)
    identity = youtube_id("avspeech", film.speaker.name)
    path = f"train/{identity}_{start_s:.6f}_{start_s + duration_s(film):.6f}.mp4"
    return replace(film, name=path, video=path)


def _line(film: Film) -> str:
    identity, start_s, end_s = Path(film.name).stem.rsplit("_", 2)
    y = film.y + _FACE_CENTRE * film.unit_px / film.height
    return f"{identity},{start_s},{end_s},{film.x:.6f},{y:.6f}"


def _deleted(num_lines: int, seed: int) -> Iterator[str]:
    """Yield lines of the list whose videos no longer exist."""
    rng = np.random.default_rng([seed, 15])
    for number in range(num_lines):
        start_s, length_s = rng.uniform(5, 600), rng.uniform(3, 10)
        times = f"{start_s:.6f},{start_s + length_s:.6f}"
        yield f"{youtube_id('deleted', seed, number)},{times},{rng.uniform(0.3, 0.7):.6f},{rng.uniform(0.3, 0.6):.6f}"
