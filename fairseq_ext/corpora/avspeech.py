"""AVSpeech: 3 to 10 seconds long pieces of YouTube videos in which the one visible speaker is the one heard.

Layout: `avspeech_train.csv` and `avspeech_test.csv` without header, lines `{video},{start_s},{end_s},{x},{y}`: YouTube
id, times, and the centre of the speaker's face in the first frame as fractions of width and height (0 0: upper left).
The corpus is these two lists; whoever wants the media fetches them. Downloaders cut out the pieces and name them
`{video}_{start_s}_{end_s}.mp4` with six decimals, for example `enSzPLXxw8I_115.715600_119.986533.mp4`; they are looked
for in `CLIP_FOLDERS`, and so are whole videos, `{video}.mp4`. Pieces that are not there (many have been deleted) are
counted, not named.

Size (Ephrat et al. 2018): about 4,700 hours of about 290,000 videos, 150,000 speakers, many languages, no transcripts.
The speakers are not published; a video counts as a speaker.

Source: https://looking-to-listen.github.io/avspeech, Ephrat et al. 2018 (arXiv:1804.03619). The lists are Google's;
what is known of their terms is in manifests/avspeech/README.md. The copyright of the videos remains with their owners.
"""

import logging
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..manifest import Utterance
from ..text.published import Report, published_lines

log = logging.getLogger(__name__)

LISTS = {"train": "avspeech_train.csv", "test": "avspeech_test.csv"}
CLIP_FOLDERS = ("{split}", "clips/{split}", "clips", "video/{split}", "video", ".")
SUFFIXES = (".mp4", ".mkv", ".webm")
SAMPLE_RATE_HZ = 16_000  # what `num_samples` counts at

_VIDEO = re.compile(r"[\w-]+", re.ASCII)
_CLIP = re.compile(r"([\w-]+)_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)", re.ASCII)

# Centre of a face as fractions of width and height.
Face = tuple[float, float]


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to, `root`; raise FileNotFoundError without it."""
    if not Path(root).is_dir():
        raise FileNotFoundError(
            f"{root}: no such folder; give the one that holds avspeech_train.csv and the clips"
        )
    return Path(root)


def clip_id(video: str, start_s: float, end_s: float) -> str:
    """Return the id of a clip, the name of its file: for example `enSzPLXxw8I_115.715600_119.986533`."""
    return f"{video}_{start_s:.6f}_{end_s:.6f}"


def read(root: str | os.PathLike[str], *, on_problem: Report | None = None) -> Iterator[Utterance]:
    """Read what is there of the corpus (see `corpora/__init__.py` for the contract).

    Utterances come by list and row, then clips that no list names; `num_samples` is what the times promise at 16 kHz,
    not measured. start and end are of pieces of whole videos only. The language is not known.
    `on_problem` receives one line per row or file that was skipped; by default it is logged as a warning.
    """
    return (utterance for utterance, _ in clips(root, on_problem=on_problem))


def clips(
    root: str | os.PathLike[str], *, on_problem: Report | None = None
) -> Iterator[tuple[Utterance, Face | None]]:
    """Read what is there of the corpus, with the place of the speaker's face; opens no media file.

    Yields an utterance of `read` and its face, None where the list gives none.
    """
    folder, report = recordings_folder(root), on_problem or log.warning
    files = {split: _files(folder, split) for split in LISTS}
    named: set[str] = set()
    if not any((folder / name).is_file() for name in LISTS.values()):
        report(f"{folder}: neither {' nor '.join(LISTS.values())} is there; faces are not known then")
    for split, name in LISTS.items():
        if (folder / name).is_file():
            yield from _listed(folder / name, split, files[split], named, report)
    every = {name: file for split in reversed(LISTS) for name, file in files[split].items()}
    for utterance in _unlisted(folder, every, named, report):
        yield utterance, None


def _listed(
    path: Path, split: str, files: dict[str, str], named: set[str], report: Report
) -> Iterator[tuple[Utterance, Face | None]]:
    num_rows = num_missing = 0
    for number, line in published_lines(path, report):
        if not line.strip():
            continue
        num_rows += 1
        try:
            video, start_s, end_s, face = _row(line)
            name = clip_id(video, start_s, end_s)
            if name in named:
                raise ValueError(f"{name} is listed twice")
        except ValueError as error:
            report(f"{path}:{number}: {error}; skipped")
            continue
        named.add(name)
        whole = name not in files
        file = files.get(video if whole else name)
        if file is None:
            named.discard(name)
            num_missing += 1
        else:
            yield _utterance(name, file, split, start_s, end_s, whole=whole), face
    if num_missing:
        report(f"{path}: {num_missing} of {num_rows} clips are missing (deleted, or not downloaded)")


def _row(line: str) -> tuple[str, float, float, Face | None]:
    cells = [cell.strip() for cell in line.split(",")]
    try:
        start_s, end_s, x, y = (float(cell) for cell in cells[1:])
    except ValueError:
        start_s = end_s = x = y = math.nan
    if not _VIDEO.fullmatch(cells[0]) or not 0 <= start_s < math.inf or not end_s < math.inf:
        raise ValueError(f"{line!r} is not of the form `video,start,end,x,y`")
    if end_s <= start_s:
        raise ValueError(f"the end {end_s} is not after the start {start_s}")
    return cells[0], start_s, end_s, (x, y) if 0 <= x <= 1 and 0 <= y <= 1 else None


def _unlisted(root: Path, files: dict[str, str], named: set[str], report: Report) -> Iterator[Utterance]:
    """Yield the clips that no list names, by name; for a whole video it is not known who speaks when."""
    videos = {name.rsplit("_", 2)[0] for name in named}
    for name, file in sorted(files.items()):
        match = _CLIP.fullmatch(name)
        start_s, end_s = (float(match[2]), float(match[3])) if match else (0.0, 0.0)
        if name in named or name in videos:
            continue
        if start_s < end_s:
            split = next((split for split in LISTS if split in file.split("/")[:-1]), None)
            yield _utterance(name, file, split, start_s, end_s, whole=False)
        else:
            report(f"{root / file}: neither {{video}}_{{start_s}}_{{end_s}} nor a listed video; skipped")


def _utterance(
    name: str, file: str, split: str | None, start_s: float, end_s: float, *, whole: bool
) -> Utterance:
    return Utterance(
        id=name,
        path=file,
        num_samples=round((end_s - start_s) * SAMPLE_RATE_HZ),
        speaker=name.rsplit("_", 2)[0],
        split=split,
        start_s=start_s if whole else None,
        end_s=end_s if whole else None,
    )


def _files(root: Path, split: str) -> dict[str, str]:
    """Return clip id or video -> path relative to the root; the first folder and suffix win."""
    found: dict[str, str] = {}
    for pattern in reversed(CLIP_FOLDERS):
        folder = pattern.format(split=split)
        names = sorted(os.listdir(root / folder)) if (root / folder).is_dir() else []
        for suffix in reversed(SUFFIXES):
            for name in names:
                if name.endswith(suffix) and name[0] != ".":
                    stem = name.removesuffix(suffix)
                    match = _CLIP.fullmatch(stem)
                    key = clip_id(match[1], float(match[2]), float(match[3])) if match else stem
                    found[key] = name if folder == "." else f"{folder}/{name}"
    return found
