"""A synthetic Multilingual TEDx (mTEDx) with videos, in the published layout of the real one.

Layout (Salesky et al., "The Multilingual TEDx Corpus for Speech Recognition and Translation", Interspeech 2021;
https://www.openslr.org/100), for each language `l`, with splits train, valid and test:

    {l}-{l}/data/{split}/wav/{talk}.flac       one file per talk; {talk} is its YouTube id
    {l}-{l}/data/{split}/txt/segments          {talk}_0000 {talk} {start_s} {end_s}, separated by spaces
    {l}-{l}/data/{split}/txt/{split}.yaml      - {duration: 2.35, offset: 42.91, speaker_id: .., wav: {talk}.wav}
    {l}-{l}/data/{split}/txt/{split}.{l}       transcripts; line n of the three files is the same segment

The corpus has audio only. For lip reading the talks are downloaded from YouTube; MuAViC (Anwar et al., Interspeech
2023) stores them as `video/{l}/{split}/{talk}.mp4`, and so does this writer. Left out: vtt/ and the translations.

As among real downloads, one talk's video is missing (deleted from YouTube), one is truncated, some show a second
face, a slide for a while, or the speaker from afar; `SYNTHETIC_truth.tsv` lists which. Unlike real talks these are
short, and no split shares a speaker.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..files import atomic_write
from ..text.language_codes import check_known
from .faces.look import draw_look
from .film_corpus import add_amount, write_as_asked, write_films
from .films import TRUTH_COLUMNS, Film, Speaker, TruthRow, cast, sentences, youtube_id

__all__ = ["LANGUAGES", "Sizes", "plan", "write"]

SUMMARY = "mTEDx: talks with transcripts in French, Italian, Spanish, Portuguese, and their videos"
LANGUAGES = ("fr", "it", "es", "pt")
_SIDES = {"train": "train", "valid": "dev", "test": "test"}
_SEGMENT_S = 3.3  # average duration of a sentence and the pause after it
_RATES_HZ = (Fraction(25), Fraction(30000, 1001), Fraction(25), Fraction(24))
_MISSING, _CUT_OFF = "pt", "it"  # languages whose last talk of train has no video, or a truncated one


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many talks of each language."""

    train_talks: int = 2  # talks of train, each by another speaker
    valid_talks: int = 1  # talks of valid
    test_talks: int = 1  # talks of test
    segments: int = 4  # sentences per talk

    def __post_init__(self) -> None:
        """Raise ValueError for a split without a talk or a talk without a sentence."""
        if min(self.train_talks, self.valid_talks, self.test_talks, self.segments) < 1:
            raise ValueError(
                f"synthetic mTEDx: 1 talk and 1 segment or more expected in each split, found {self}"
            )

    @classmethod
    def of(cls, speakers: int, minutes: float) -> "Sizes":
        """Return the sizes for an amount of speech.

        Args:
            speakers: speakers of train, per language; valid and test have a quarter as many each.
            minutes: duration of train, per language, about.
        """
        others = max(1, speakers // 4)
        return cls(speakers, others, others, max(1, round(minutes * 60 / _SEGMENT_S / max(speakers, 1))))


def write(
    root: str | Path,
    *,
    languages: Sequence[str] = LANGUAGES,
    sizes: Sizes | None = None,
    seed: int = 1,
    **options: Any,
) -> dict[str, int]:
    """Write the corpus, or what is missing of it; return the numbers of "talks", existing "videos" and "segments".

    Args:
        root: folder of the corpus, created when missing.
        languages: some of `LANGUAGES`.
        sizes: talks and segments; default: enough for a demo.
        seed: random seed of speakers, sentences and pictures.
        **options: those of `write_films`.
    """
    root, sizes = Path(root), sizes or Sizes()
    films = plan(languages, sizes, seed)
    settings = {"corpus": "mtedx", "languages": list(languages), "seed": seed, **asdict(sizes)}
    rows = write_films(root, films, settings, **options)
    for language in languages:
        for split in _SIDES:
            _write_texts(root / f"{language}-{language}" / "data" / split / "txt", language, split, rows)
    num_videos = sum(film.video is not None for film in films)
    return {"talks": len(films), "videos": num_videos, "segments": len(rows)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this corpus to a parser."""
    add_amount(parser, "train, per language")
    about = f"default: {' '.join(LANGUAGES)}"
    parser.add_argument("--languages", nargs="+", metavar="CODE", default=LANGUAGES, help=about)


def run(args: argparse.Namespace) -> str:
    """Write the corpus as the command line asks; return a line that says what there is now."""
    return write_as_asked(args, write, Sizes.of, languages=args.languages)


def plan(languages: Sequence[str], sizes: Sizes, seed: int) -> list[Film]:
    """Plan all talks, by language and split; raise ValueError for an unknown language."""
    check_known(languages, LANGUAGES)
    return [film for language in languages for film in _plan_language(language, sizes, seed)]


def _plan_language(language: str, sizes: Sizes, seed: int) -> Iterator[Film]:
    counts = {"train": sizes.train_talks, "valid": sizes.valid_talks, "test": sizes.test_talks}
    speakers = iter(cast("mtedx", language, sum(counts.values()), seed=seed))
    order = LANGUAGES.index(language)
    for split, num_talks in counts.items():
        texts = sentences(language, _SIDES[split], num_talks * sizes.segments, seed=seed)
        for talk in range(num_talks):
            spoken = tuple(texts[talk * sizes.segments : (talk + 1) * sizes.segments])
            film = _plan_talk(language, split, next(speakers), spoken, seed, turn=order + talk)
            yield _plant(film, language) if split == "train" and talk + 1 == num_talks else film


def _plan_talk(
    language: str, split: str, speaker: Speaker, spoken: tuple[str, ...], seed: int, turn: int
) -> Film:
    """Plan a talk; three of four show a second face, a slide for a while, or the speaker from afar."""
    talk = youtube_id("mtedx", speaker.name)
    rng = np.random.default_rng([seed, *talk.encode()])
    is_large = turn % 5 == 4
    unit_px = float(rng.uniform(88, 118)) * (1.9 if is_large else 1.0)
    film = Film(
        name=f"video/{language}/{split}/{talk}.mp4",
        split=split,
        speaker=speaker,
        sentences=spoken,
        seed=int(rng.integers(2**31)),
        video=f"video/{language}/{split}/{talk}.mp4",
        audio=f"{language}-{language}/data/{split}/wav/{talk}.flac",
        width=1280 if is_large else 640,
        height=720 if is_large else 360,
        fps=_RATES_HZ[turn % len(_RATES_HZ)],
        x=float(rng.uniform(0.42, 0.58)),
        y=float(rng.uniform(0.38, 0.44)),
        unit_px=unit_px,
    )
    middle = len(spoken) // 2
    if turn % 4 == 1:
        other = draw_look(film.seed, "female" if rng.uniform() < 0.5 else "male")
        return replace(film, x=0.66, bystanders=((other, 0.22, 0.46, 0.72 * unit_px),), planted="second face")
    if turn % 4 == 2 and split == "train" and len(spoken) > 1:
        views = tuple("slide" if number == middle else "close" for number in range(len(spoken)))
        return replace(film, views=views, planted=f"slide in sentence {middle}")
    if turn % 4 == 3:
        views = tuple("wide" if number == len(spoken) - 1 else "close" for number in range(len(spoken)))
        return replace(film, views=views, planted=f"wide shot in sentence {len(spoken) - 1}")
    return film


def _plant(film: Film, language: str) -> Film:
    """Damage a film as downloads are: its video missing or truncated."""
    if language == _MISSING:
        return replace(film, video=None, planted="video missing")
    if language == _CUT_OFF:
        both = "; ".join(filter(None, (film.planted, "video cut off after 60% of its bytes")))
        return replace(film, keep=0.6, is_fast_start=True, planted=both)
    return film


def _write_texts(folder: Path, language: str, split: str, rows: list[TruthRow]) -> None:
    """Write the three files whose lines describe the same segments."""
    prefix = f"video/{language}/{split}/"
    files: dict[str, list[str]] = {"segments": [], f"{split}.yaml": [], f"{split}.{language}": []}
    for row in (dict(zip(TRUTH_COLUMNS, row, strict=True)) for row in rows if row[0].startswith(prefix)):
        talk, start_s, end_s = Path(row["path"]).stem, row["start_s"], row["end_s"]
        times = f"duration: {float(end_s) - float(start_s):.2f}, offset: {start_s}"
        files["segments"].append(f"{talk}_{int(row['number']):04d} {talk} {start_s} {end_s}\n")
        files[f"{split}.yaml"].append(f"- {{{times}, speaker_id: {row['speaker']}, wav: {talk}.wav}}\n")
        files[f"{split}.{language}"].append(f"{row['text']}\n")
    for name, lines in files.items():
        with atomic_write(folder / name) as file:
            file.writelines(lines)
