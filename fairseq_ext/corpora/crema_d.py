"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset: 91 actors speak twelve sentences, acted.

Layout, as cloned (the recordings are in Git LFS):

    AudioWAV/AAAA_SSS_EEE_LL.wav        16 kHz, 16 bit, mono, 2.5 s: actor 1001 to 1091, sentence, emotion, intensity
    VideoDemographics.csv               ActorID, Age, Sex (Male, Female), Race, Ethnicity
    processedResults/summaryTable.csv   FileName, VoiceVote (A, D, F, H, N, S, or several with a colon between), ...

Emotions are ANG anger, DIS disgust, FEA fear, HAP happy, NEU neutral, SAD sad; the intensity is LO, MD or HI for the
sentence IEO, XX (unspecified) for the others and for neutral. The 4-class subset has anger, happy, neutral and sad.

7,442 recordings of 48 men and 43 women, at most 82 of each: 1,271 of each emotion, 1,087 of neutral. The listeners'
majority by voice alone is the acted emotion in 41.6 % of them. 1076_MTI_SAD_XX is silent in the published corpus: such
recordings are found by their content. One name lacks a letter in some copies (1040_ITH_SAD_X): it is read and reported.

Source: https://github.com/CheyneyComputerScience/CREMA-D, Cao et al. 2014 (doi 10.1109/TAFFC.2014.2336244). Licence:
Open Database License 1.0, contents under the Database Contents License 1.0.
"""

import csv
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..file_errors import FileError, MissingFileError, reading
from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report
from .folder_per_class import LABEL_FILE, files_below
from .measured import Measure, measured

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 16_000
EMOTIONS = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
NUM_ACTORS = 91
# Recordings by emotion, as published.
PUBLISHED = {"anger": 1271, "disgust": 1271, "fear": 1271, "happy": 1271, "neutral": 1087, "sad": 1271}

DEMOGRAPHICS, VOTES = "VideoDemographics.csv", "processedResults/summaryTable.csv"
_NAME = re.compile(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", re.ASCII)
_VOTED = {"A": "anger", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_GENDERS = {"male": "male", "female": "female"}


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to: `AudioWAV` in `root`, or `root`.

    Raises:
        FileNotFoundError: neither holds a recording with a name of CREMA-D.
    """
    for folder in (Path(root) / "AudioWAV", Path(root)):
        if folder.is_dir() and any(_NAME.fullmatch(Path(name).stem) for name in os.listdir(folder)):
            return folder
    raise MissingFileError(
        f"{root}: there is no AudioWAV/1001_DFA_ANG_XX.wav or the like; pass the folder that holds AudioWAV"
    )


def read(
    root: str | os.PathLike[str],
    *,
    measure: Measure,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the corpus as `speech_corpora.CorpusReader`, in the order of the names.

    Reported is each file that is skipped, tables and genders that are missing, and counts that are not the published
    ones.
    """
    report, folder = on_problem or log.warning, recordings_folder(root)
    genders = {actor: row["Sex"] for actor, row in _demographics(folder, report).items()}
    voice_votes(folder, report)  # for what it reports; `streams` hands them out
    listed = list(_listed(folder, genders, report))
    for actor in sorted({u.speaker or "" for u in listed} - {a for a, sex in genders.items() if sex}):
        if genders:
            report(f"{folder}: actor {actor}: no gender in {DEMOGRAPHICS}")
    utterances = measured(folder, listed, measure, sample_rate_hz=sample_rate_hz, report=report)
    yield from sorted(utterances, key=lambda u: u.id)
    if not _is_synthetic(folder):
        for line in _count_problems(utterances):
            report(f"{folder}: {line}")


def _listed(folder: Path, genders: Mapping[str, str], report: Report) -> Iterator[Utterance]:
    for path in files_below(folder):
        if path in (DEMOGRAPHICS, VOTES):
            continue
        try:
            utterance = _utterance(path, genders)
        except ValueError as error:
            report(f"{folder / path}: {error}; skipped")
            continue
        if utterance.id != Path(path).stem:
            report(f"{folder / path}: its name lacks a letter; read as {utterance.id}")
        yield utterance


def _utterance(path: str, genders: Mapping[str, str]) -> Utterance:
    match = _NAME.fullmatch(Path(path).stem)
    if not match:
        raise ValueError("its name is not of the form 1001_DFA_ANG_XX.wav")
    actor, sentence_, emotion, level = match.groups()
    level = "XX" if level == "X" else level
    known: tuple[tuple[str, str, Mapping[str, str]], ...] = (
        ("sentence", sentence_, SENTENCES),
        ("emotion", emotion, EMOTIONS),
        ("intensity", level, INTENSITIES),
    )
    for part, code, codes in known:
        if code not in codes:
            raise ValueError(f"the {part} {', '.join(codes)} expected, found {code}")
    return Utterance(
        id=f"{actor}_{sentence_}_{emotion}_{level}",
        path=path,
        num_samples=0,
        transcript=SENTENCES[sentence_],
        speaker=actor,
        language="en",
        gender=genders.get(actor) or None,
        emotion=EMOTIONS[emotion],
    )


def streams(root: str | os.PathLike[str]) -> Mapping[str, Key]:
    """Return the label streams beside emotion, gender and speaker; those of a table that is missing are left out.

    `voice_vote` is the emotion that most listeners heard, "" where several have as many votes.
    """
    folder = recordings_folder(root)
    people, votes = _demographics(folder, lambda _: None), voice_votes(folder, lambda _: None)
    found: dict[str, Key] = {
        "sentence": lambda u: u.id.split("_")[1],
        "intensity": lambda u: INTENSITIES[u.id.split("_")[3]],
    }
    if people:
        found["age"] = lambda u: people.get(u.id[:4], {}).get("Age", "")
        found["race"] = lambda u: "_".join(people.get(u.id[:4], {}).get("Race", "").split())
    if votes:
        found["voice_vote"] = lambda u: votes.get(u.id, "")
    return found


def _demographics(folder: Path, report: Report) -> dict[str, dict[str, str]]:
    """Return actor -> row, its Sex female, male or "" where it is neither."""
    found: dict[str, dict[str, str]] = {}
    for where, row in _table_rows(folder, DEMOGRAPHICS, ("ActorID", "Age", "Sex", "Race"), report):
        sex = _GENDERS.get(row["Sex"].strip().lower(), "")
        if not sex:
            report(f"{where}: actor {row['ActorID']}: the sex Male or Female expected, found {row['Sex']!r}")
        found[row["ActorID"]] = {**row, "Sex": sex}
    return found


def voice_votes(root: str | os.PathLike[str], report: Report) -> dict[str, str]:
    """Return id -> emotion with most votes of listeners who heard the voice alone; "" where several have as many."""
    found: dict[str, str] = {}
    for where, row in _table_rows(recordings_folder(root), VOTES, ("FileName", "VoiceVote"), report):
        letters = row["VoiceVote"].split(":")
        if unknown := [letter for letter in letters if letter not in _VOTED]:
            report(f"{where}: the votes {', '.join(_VOTED)} expected, found {unknown[0]!r}; not counted")
            continue
        found[row["FileName"]] = _VOTED[letters[0]] if len(letters) == 1 else ""
    return found


def _table_rows(
    folder: Path, name: str, needed: tuple[str, ...], report: Report
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield "file:line" and cells of a published csv, in `folder` or the one above it; none where it is missing."""
    path = next((place / name for place in (folder, folder.parent) if (place / name).is_file()), None)
    if path is None:
        if not _is_synthetic(folder):
            report(f"{folder.parent / name}: it is missing; what it says is not known")
        return
    with reading(path, "a csv of CREMA-D"), open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := [column for column in needed if column not in (rows.fieldnames or ())]:
            raise FileError(
                f"{path}:1: the column {missing[0]} expected, found {rows.fieldnames}; copy it again"
            )
        for row in rows:
            if None in row or None in row.values():
                report(f"{path}:{rows.line_num}: {len(rows.fieldnames or ())} cells expected; skipped")
                continue
            yield f"{path}:{rows.line_num}", row


def _is_synthetic(folder: Path) -> bool:
    """Return whether the corpus is a synthetic one, which has as many actors as it was asked for and no listeners."""
    return any((place / LABEL_FILE).is_file() for place in (folder, folder.parent))


def _count_problems(utterances: Iterable[Utterance]) -> Iterator[str]:
    """Yield a line for the actors who are missing, and one for each emotion whose count is not the published one."""
    found = list(utterances)
    num_actors = len({u.speaker for u in found})
    if num_actors != NUM_ACTORS:
        yield f"{NUM_ACTORS} actors expected, found {num_actors}"
    counts = Counter(u.emotion for u in found)
    for name, count in PUBLISHED.items():
        if counts[name] != count:
            yield f"{name}: {count} recordings expected, found {counts[name]}"
