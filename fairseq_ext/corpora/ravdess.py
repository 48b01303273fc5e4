"""RAVDESS, the Ryerson Audio-Visual Database of Emotional Speech and Song: 24 actors speak two sentences, acted.

Layout, as unpacked: `Actor_NN/MM-CC-EE-II-SS-TT-NN.wav`, 48 kHz, 16 bit, about 3.7 s each, or any other audio format
under the same names. The numbers of a name are

    MM  modality: 01 audio and video, 02 video, 03 audio
    CC  channel: 01 speech, 02 song
    EE  emotion: 01 neutral, 02 calm, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgust, 08 surprised
    II  intensity: 01 normal, 02 strong, which neutral lacks
    SS  statement: 01 "Kids are talking by the door", 02 "Dogs are sitting by the door"
    TT  take: 01, 02
    NN  actor: 01 to 24; odd numbers are men, even ones women

Read are audio and speech: 1,440 recordings, 60 of each actor: 4 neutral and 8 of each other emotion. Songs (1,012;
actor 18 has none) and videos are named and left out. Some copies hold the whole corpus a second time in a folder
`audio_speech_actors_01-24`, some a take under two names: copies are found by their content.

Source: https://zenodo.org/records/1188976, Livingstone and Russo 2018 (doi 10.1371/journal.pone.0196391). Licence:
Creative Commons Attribution-NonCommercial-ShareAlike 4.0.
"""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..file_errors import MissingFileError
from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report
from .folder_per_class import files_below
from .measured import Measure, measured

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 48_000
EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful", "07": "disgust",
    "08": "surprised",
}  # fmt: skip
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
TAKES = ("01", "02")
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))
RECORDINGS_PER_ACTOR = 60

_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)", re.ASCII)
_ACTOR_FOLDER = re.compile(r"Actor_(\d\d)", re.ASCII)


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to.

    It is `root` where that holds recordings or `Actor_NN`, or several folders with `Actor_NN` (speech and songs); where
    it is one folder in `root` that does, that folder.

    Raises:
        FileNotFoundError: there is no recording with a name of RAVDESS.
    """
    root = Path(root)
    if _holds_recordings(root):
        return root
    below = [folder for folder in sorted(root.glob("*")) if folder.is_dir() and _holds_recordings(folder)]
    if below:
        return below[0] if len(below) == 1 else root
    raise MissingFileError(
        f"{root}: there is no Actor_NN/03-01-EE-II-SS-TT-NN.wav; pass the folder that holds Actor_01 to Actor_24"
    )


def _holds_recordings(folder: Path) -> bool:
    """Return whether a folder holds recordings, or `Actor_NN` with recordings."""
    folders = [folder, *folder.glob("Actor_*")]
    return any(place.is_dir() and any(map(_numbers, os.listdir(place))) for place in folders)


def read(
    root: str | os.PathLike[str],
    *,
    measure: Measure,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the corpus as `speech_corpora.CorpusReader`, by actor, emotion, intensity, statement and take.

    Reported is each file that is skipped, and each actor without the published number of recordings.
    """
    report, folder = on_problem or log.warning, recordings_folder(root)
    utterances = measured(
        folder, _listed(folder, report), measure, sample_rate_hz=sample_rate_hz, report=report
    )
    yield from sorted(utterances, key=lambda u: (u.speaker or "", u.id))
    for line in _count_problems(utterances):
        report(f"{folder}: {line}")


def _listed(folder: Path, report: Report) -> Iterator[Utterance]:
    for path in files_below(folder):
        try:
            yield _utterance(path)
        except ValueError as error:
            report(f"{folder / path}: {error}; skipped")


def _numbers(name: str) -> tuple[str, ...]:
    """Return the seven numbers of a file name; () for other names."""
    match = _NAME.fullmatch(Path(name).stem)
    return match.groups() if match else ()


def _utterance(path: str) -> Utterance:
    """Return the utterance of a path; raise ValueError where it is none of the speech recordings."""
    if not (numbers := _numbers(path)):
        raise ValueError("its name is not of the form 03-01-EE-II-SS-TT-NN.wav")
    modality, channel, emotion, intensity, statement, take, actor = numbers
    if modality in ("01", "02"):
        raise ValueError("it is a video")
    if channel == "02":
        raise ValueError("it is a song")
    known: Mapping[str, tuple[str, Iterable[str]]] = {
        "modality": (modality, ("03",)),
        "channel": (channel, ("01",)),
        "emotion": (emotion, EMOTIONS),
        "intensity": (intensity, ("01",) if EMOTIONS.get(emotion) == "neutral" else INTENSITIES),
        "statement": (statement, STATEMENTS),
        "take": (take, TAKES),
        "actor": (actor, ACTORS),
    }
    for part, (number, numbers_known) in known.items():
        if number not in numbers_known:
            raise ValueError(f"the {part} {' or '.join(numbers_known)} expected, found {number}")
    folder = _ACTOR_FOLDER.fullmatch(Path(path).parent.name)
    if folder and folder[1] != actor:
        raise ValueError(f"actor {actor} by its name and {folder[1]} by its folder")
    return Utterance(
        id=Path(path).stem,
        path=path,
        num_samples=0,
        transcript=STATEMENTS[statement],
        speaker=f"Actor_{actor}",
        language="en",
        gender="male" if int(actor) % 2 else "female",
        emotion=EMOTIONS[emotion],
    )


def intensity(utterance: Utterance) -> str:
    """Return the intensity of an utterance of `read`: normal or strong."""
    return INTENSITIES[_numbers(utterance.id)[3]]


def sentence(utterance: Utterance) -> str:
    """Return the number of the sentence: 1 or 2."""
    return str(int(_numbers(utterance.id)[4]))


def take(utterance: Utterance) -> str:
    """Return the number of the take: 1 or 2."""
    return str(int(_numbers(utterance.id)[5]))


def streams(root: str | os.PathLike[str]) -> Mapping[str, Key]:
    """Return the label streams beside emotion, gender and speaker."""
    recordings_folder(root)
    return {"intensity": intensity, "sentence": sentence, "take": take}


def published_ids(actor: str) -> list[str]:
    """Return the ids of the recordings of an actor, "01" to "24", as published."""
    return [
        f"03-01-{emotion}-{strength}-{statement}-{number}-{actor}"
        for emotion, name in EMOTIONS.items()
        for strength in INTENSITIES
        if (name, strength) != ("neutral", "02")
        for statement in STATEMENTS
        for number in TAKES
    ]


def _count_problems(utterances: Iterable[Utterance]) -> Iterator[str]:
    """Yield a line for the actors who are missing, and one for each actor of whom recordings are missing."""
    found: dict[str, set[str]] = defaultdict(set)
    for utterance in utterances:
        found[_numbers(utterance.id)[6]].add(utterance.id)
    if missing := [actor for actor in ACTORS if actor not in found]:
        yield f"{len(ACTORS)} actors expected, found {len(found)}; without {', '.join(missing)}"
    for actor in sorted(found):
        lacking = sorted(set(published_ids(actor)) - found[actor])
        if lacking:
            yield (
                f"actor {actor}: {RECORDINGS_PER_ACTOR} recordings expected, found {len(found[actor])}; without "
                f"{', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}"
            )
