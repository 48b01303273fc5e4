"""VoxCeleb2: interviews on YouTube, cut into utterances of one known person whose face is in the picture.

Layout: `{dev,test}/mp4/{speaker}/{video}/{number}.mp4` (224x224 pixels around the face, 25 frames/s) and
`{dev,test}/aac/{speaker}/{video}/{number}.m4a` (the sound of the same clips), for example
`dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4`; `vox2_meta.csv` with the header `VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set ` and
rows such as `id00012 ,n000012 ,m ,dev`, with these spaces.

Size (the corpus's page): dev 5,994 speakers, 145,569 videos, 1,092,009 utterances; test 118, 4,911, 36,237; 2,442 h
together, of many languages, without transcripts.

dev and test are those of speaker verification. The published label lists of visual speech (`label_lists`) train on
both, since nothing is scored on automatic labels.

Source: https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox2.html, Chung et al. 2018 (arXiv:1806.05622). Licence: its
pages differ (CC BY 4.0, CC BY-SA 4.0 for the metadata, research only), see manifests/voxceleb2/README.md; the copyright
of the videos remains with their owners.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..manifest import Utterance
from ..text.published import Report, published_lines

log = logging.getLogger(__name__)

SETS = ("dev", "test")
SUFFIXES: Mapping[str, str] = {"mp4": ".mp4", "aac": ".m4a"}
METADATA = "vox2_meta.csv"
GENDERS: Mapping[str, str] = {"m": "male", "f": "female"}

_SPEAKER = re.compile(r"id\d{5}", re.ASCII)
_VIDEO = re.compile(r"[\w-]+", re.ASCII)
_NUMBER = re.compile(r"\d{5}", re.ASCII)


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to: `root`, which holds `dev/` or `test/`.

    Raises:
        FileNotFoundError: when it holds neither tree of either.
    """
    root = Path(root)
    if not any((root / name / tree).is_dir() for name in SETS for tree in SUFFIXES):
        raise FileNotFoundError(
            f"{root}: none of dev/mp4/, dev/aac/, test/mp4/, test/aac/ is there; unpack the corpus there"
        )
    return root


def read(
    root: str | os.PathLike[str],
    *,
    tree: str = "mp4",
    measure: Callable[[Path], int] | None = None,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read one of the two trees, "mp4" or "aac" (see `corpora/__init__.py` for the contract, but for `num_samples`).

    Utterances come by set, speaker, video and number, with ids such as `id08977/3ap0QSyN6Vc/00008`; `split` is dev or
    test, the language is not known.

    Args:
        measure: gives the length of a file in samples, or raises ValueError. Without it `num_samples` is 0, which no
            manifest takes: a million headers would be opened for what cropping measures anyway.
        on_problem: receives one line per file that was skipped; by default it is logged as a warning.

    Raises:
        ValueError: for an unknown tree.
    """
    report = on_problem or log.warning
    for utterance in _utterances(recordings_folder(root), tree, report):
        if measure is None:
            yield utterance
            continue
        try:
            num_samples = measure(Path(root) / utterance.path)
            if num_samples < 1:
                raise ValueError(f"{utterance.path}: there is no audio, its length is {num_samples}")
        except ValueError as error:
            report(f"{error}; skipped")
        else:
            yield replace(utterance, num_samples=num_samples)


def clips(
    root: str | os.PathLike[str], *, on_problem: Report | None = None
) -> Iterator[tuple[Utterance, str | None]]:
    """Read the videos, each with its sound; opens no media file.

    Yields an utterance of `read` and the path of its m4a file relative to the root; None where there is none, since
    the mp4 may hold the sound itself.
    """
    folder = recordings_folder(root)
    last, names = "", frozenset[str]()
    for utterance in _utterances(folder, "mp4", on_problem or log.warning):
        sound = _sound_path(utterance.path)
        parent, _, name = sound.rpartition("/")
        if parent != last:
            last, names = parent, frozenset(_names(folder / parent))
        yield utterance, sound if name in names else None


def _sound_path(path: str) -> str:
    name, _, rest = path.split("/", 2)
    return f"{name}/aac/{rest.removesuffix(SUFFIXES['mp4'])}{SUFFIXES['aac']}"


def _utterances(root: Path, tree: str, report: Report) -> Iterator[Utterance]:
    if tree not in SUFFIXES:
        raise ValueError(f"tree {tree!r}: no such tree; choose one of {sorted(SUFFIXES)}")
    genders = _genders(root / METADATA, report)
    dev_speakers: frozenset[str] = frozenset()
    for name in SETS:
        speakers = _folders(root / name / tree, _SPEAKER, report)
        shared = dev_speakers.intersection(speakers)
        for speaker in speakers:
            for path in _files(root, f"{name}/{tree}/{speaker}", SUFFIXES[tree], report):
                if speaker in shared and (root / path.replace(name, SETS[0], 1)).is_file():
                    report(f"{root / path}: the clip is in dev too; skipped")
                    continue
                utterance_id = path.removeprefix(f"{name}/{tree}/").removesuffix(SUFFIXES[tree])
                yield Utterance(
                    utterance_id, path, 0, speaker=speaker, gender=genders.get(speaker), split=name
                )
        dev_speakers = frozenset(speakers)


def _files(root: Path, folder: str, suffix: str, report: Report) -> Iterator[str]:
    """Yield the clips of a speaker as paths relative to the root."""
    for video in _folders(root / folder, _VIDEO, report):
        for name in _names(root / folder / video):
            if name.endswith(suffix) and _NUMBER.fullmatch(name.removesuffix(suffix)):
                yield f"{folder}/{video}/{name}"
            else:
                report(f"{root / folder / video / name}: the name is not of the form 00001{suffix}; skipped")


def _folders(folder: Path, pattern: re.Pattern[str], report: Report) -> list[str]:
    found = []
    for name in _names(folder):
        if pattern.fullmatch(name) and (folder / name).is_dir():
            found.append(name)
        else:
            report(
                f"{folder / name}: not a folder {{speaker}}/{{video}} such as id00012/21Uxsk56VDQ; skipped"
            )
    return found


def _names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none for a missing folder. Hidden files are leftovers of copying."""
    return sorted(name for name in os.listdir(folder) if name[0] != ".") if folder.is_dir() else []


def _genders(path: Path, report: Report) -> dict[str, str]:
    """Return speaker -> gender; empty where the file is missing."""
    genders: dict[str, str] = {}
    if not path.is_file():
        report(f"{path}: the file is missing; genders are not known then")
        return genders
    for number, line in published_lines(path, report):
        cells = [cell.strip() for cell in line.split(",")]
        if len(cells) >= 4 and _SPEAKER.fullmatch(cells[0]) and cells[2] in GENDERS:
            genders[cells[0]] = GENDERS[cells[2]]
        elif number > 1 and line.strip():
            report(f"{path}:{number}: {line!r} is not of the form `id00012 ,n000012 ,m ,dev`; skipped")
    return genders
