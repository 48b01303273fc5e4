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

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from .faces.look import draw_look
from .film_corpus import add_amount, write_as_asked, write_films
from .films import Film, Speaker, duration_s, take_turns, youtube_id

__all__ = ["Sizes", "plan", "write"]

SUMMARY = "AVSpeech: clips of larger pictures in five languages, one speaker each"
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
        """Return the sizes for clips of about so many minutes altogether."""
        clips = max(1, round(minutes * 60 / _CLIP_S))
        return cls(clips, max(1, clips // 6))


def write(root: str | Path, *, sizes: Sizes | None = None, seed: int = 1, **options: Any) -> dict[str, int]:
    """Write the corpus, `options` as of `write_films`; return the number of "clips", and of "lines" in the list."""
    root, sizes = Path(root), sizes or Sizes()
    films = plan(sizes, seed)
    write_films(root, films, {"corpus": "avspeech", "seed": seed, **asdict(sizes)}, **options)
    lines = sorted([*map(_line, films), *_deleted(sizes.deleted, seed)])
    with atomic_write(root / "avspeech_train.csv") as file:
        file.writelines(f"{line}\n" for line in lines)
    return {"clips": len(films), "lines": len(lines)}


add_arguments = partial(add_amount, of="all clips", has_speakers=False)
run = partial(write_as_asked, write=write, sizes=Sizes.of)


def plan(sizes: Sizes, seed: int) -> list[Film]:
    """Plan all clips; since a clip's name holds its duration, every sentence is synthesised once to measure it."""
    return [_name(film) for film in _plan_all(sizes, seed)]


def _plan_all(sizes: Sizes, seed: int) -> Iterator[Film]:
    speakers = take_turns("avspeech", sizes.clips, 1, seed=seed, texts_seed=seed + 70)
    for index, (speaker, spoken) in enumerate(speakers):
        film = _plan_clip(speaker, spoken, seed, index)
        if index == _NO_PICTURE:
            film = replace(film, is_sound_only=True, planted="no picture")
        elif index == _NO_SOUND:
            film = replace(film, is_muted=True, planted="no sound")
        yield film


def _plan_clip(speaker: Speaker, spoken: list[str], seed: int, index: int) -> Film:
    rng = np.random.default_rng([seed, *speaker.name.encode()])
    is_large = index % 4 == 0
    scale = 2.0 if is_large else 1.0
    film = Film(
        name="",
        split="train",
        speaker=speaker,
        sentences=tuple(spoken),
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
    x, planted = 0.24 if left else 0.76, "second, larger face"
    return replace(film, x=x, unit_px=76 * scale, bystanders=(beside,), planted=planted)


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
