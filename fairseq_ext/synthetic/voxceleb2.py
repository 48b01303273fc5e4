"""A synthetic VoxCeleb2 in the published layout: many languages, without labels of the language.

Layout (Chung, Nagrani and Zisserman, "VoxCeleb2: Deep Speaker Recognition", Interspeech 2018;
https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html), for dev and test:

    {dev,test}/mp4/{speaker}/{video}/{number}.mp4   224 x 224 pixels around the face, 25 frames/s
    {dev,test}/aac/{speaker}/{video}/{number}.m4a   the sound of the same clip
    vox2_meta.csv                                   "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ", with these spaces

Speakers are named id00012 and so on, videos by YouTube id, clips by five digits from 00001. Video and audio are two
downloads; we could not check whether the published mp4 hold sound as well, and tools that read
the corpus take the m4a: here the mp4 are silent. Left out: the txt files with the faces' boxes. Real clips
last 4 s or more (8 s on average), these clips one sentence, about 3 s.

Only `SYNTHETIC_truth.tsv` holds language and words of each clip. One mp4 is truncated, and one m4a is missing.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from .film_corpus import add_amount, write_as_asked, write_films
from .films import Film, Speaker, take_turns, youtube_id

__all__ = ["Sizes", "plan", "write"]

SUMMARY = "VoxCeleb2: short clips of faces in five languages, without labels of the language"
_CLIP_S = 3.0  # average duration of a clip
_CUT_OFF, _NO_SOUND = 3, 8  # indices of the damaged clips of dev


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many speakers and clips."""

    dev_speakers: int = 10  # speakers of dev; languages take turns
    test_speakers: int = 2  # speakers of test, all of them different from those of dev
    videos: int = 1  # videos of each speaker
    clips: int = 2  # clips of each video

    def __post_init__(self) -> None:
        """Raise ValueError when a number is below 1."""
        if min(self.dev_speakers, self.test_speakers, self.videos, self.clips) < 1:
            raise ValueError(f"synthetic VoxCeleb2: 1 or more expected of everything, found {self}")

    @classmethod
    def of(cls, speakers: int, minutes: float) -> "Sizes":
        """Return the sizes for so many speakers and about so many minutes of dev; test has a tenth of the speakers."""
        per_speaker = max(1, round(minutes * 60 / _CLIP_S / max(speakers, 1)))
        videos = max(1, round(per_speaker / 6))
        return cls(speakers, max(1, speakers // 10), videos, max(1, round(per_speaker / videos)))


def write(root: str | Path, *, sizes: Sizes | None = None, seed: int = 1, **options: Any) -> dict[str, int]:
    """Write the corpus, `options` as of `write_films`; return the number of "speakers" and "clips"."""
    root, sizes = Path(root), sizes or Sizes()
    films = plan(sizes, seed)
    write_films(root, films, {"corpus": "voxceleb2", "seed": seed, **asdict(sizes)}, **options)
    speakers = {Path(film.name).parts[2]: film for film in films}
    with atomic_write(root / "vox2_meta.csv") as file:
        file.write("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n")
        for name, film in speakers.items():
            gender = film.speaker.voice.gender[0]
            file.write(f"{name} ,n{name[2:].zfill(6)} ,{gender} ,{film.split} \n")
    return {"speakers": len(speakers), "clips": len(films)}


add_arguments = partial(add_amount, of="dev")
run = partial(write_as_asked, write=write, sizes=Sizes.of)


def plan(sizes: Sizes, seed: int) -> list[Film]:
    """Plan all clips, by speaker; some are damaged."""
    films = list(_plan_all(sizes, seed))
    if len(films) > _CUT_OFF:
        films[_CUT_OFF] = replace(films[_CUT_OFF], keep=0.5, planted="mp4 cut off, unreadable")
    if len(films) > _NO_SOUND:
        films[_NO_SOUND] = replace(films[_NO_SOUND], audio=None, planted="m4a missing")
    return films


def _plan_all(sizes: Sizes, seed: int) -> Iterator[Film]:
    num_speakers, num_clips = sizes.dev_speakers + sizes.test_speakers, sizes.videos * sizes.clips
    speakers = take_turns("voxceleb2", num_speakers, num_clips, seed=seed, texts_seed=seed + 50)
    for index, (speaker, spoken) in enumerate(speakers):
        split = "dev" if index < sizes.dev_speakers else "test"
        name = f"id{12 + 3 * index:05d}"  # as in the real corpus, numbers have gaps
        yield from _plan_speaker(name, split, speaker, spoken, sizes.clips, seed)


def _plan_speaker(
    name: str, split: str, speaker: Speaker, spoken: list[str], num_clips: int, seed: int
) -> Iterator[Film]:
    """Plan the clips of a speaker; within a video, size and place of the face are about the same."""
    rng = np.random.default_rng([seed, *speaker.name.encode()])
    for number, text in enumerate(spoken):
        video, clip = youtube_id("voxceleb2", speaker.name, number // num_clips), number % num_clips + 1
        if clip == 1:
            unit_px = float(rng.uniform(88, 118))
        where = f"{name}/{video}/{clip:05d}"
        yield Film(
            name=f"{split}/mp4/{where}.mp4",
            split=split,
            speaker=speaker,
            sentences=(text,),
            seed=int(rng.integers(2**31)),
            video=f"{split}/mp4/{where}.mp4",
            audio=f"{split}/aac/{where}.m4a",
            is_sound_in_video=False,
            sample_rate_hz=16_000,
            x=float(rng.uniform(0.46, 0.54)),
            y=float(rng.uniform(0.42, 0.47)),
            unit_px=unit_px,
            pauses_s=(0.2, 0.9),
        )
