"""IEMOCAP: ten actors in five sessions of two, a woman and a man, improvise and play scripts; labelled by listeners.

Layout, as unpacked (`IEMOCAP_full_release`):

    Session1/dialog/EmoEvaluation/Ses01F_impro01.txt    [6.2901 - 8.2357] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5]
    Session1/dialog/transcriptions/Ses01F_impro01.txt   Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
    Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav       16 kHz, 16 bit, mono

A line of an evaluation (tabs between) gives times, turn, the category that most listeners chose (xxx: none), valence,
activation and dominance; the lines below it, of single listeners, are not read. The letter before the turn's number is
who speaks (F, M), that after the session's number who wears the markers.

10,039 turns: frustrated 1,849, neutral 1,708, angry 1,103, sad 1,084, excited 1,041, happy 595, surprised 107, fearful
40, other 3, disgusted 2, without a majority 2,507. As usual, four classes are read, with excited as happy: 5,531 turns,
of which `PUBLISHED` gives the number by session.

Source: https://sail.usc.edu/iemocap, Busso et al. 2008 (doi 10.1007/s10579-008-9076-6). Licence: by signature, for
research.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..file_errors import MissingFileError, reading
from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report, as_written, published_lines
from .folder_per_class import files_below
from .measured import Measure, measured

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 16_000
CATEGORIES = {
    "ang": "angry", "hap": "happy", "exc": "excited", "sad": "sad", "neu": "neutral", "fru": "frustrated",
    "sur": "surprised", "fea": "fearful", "dis": "disgusted", "oth": "other", "xxx": "no_majority",
}  # fmt: skip
# Category -> class; the others are left out.
FOUR_CLASSES = {"angry": "angry", "happy": "happy", "excited": "happy", "sad": "sad", "neutral": "neutral"}
# Turns of the four classes by session.
PUBLISHED = {"Session1": 1085, "Session2": 1023, "Session3": 1151, "Session4": 1031, "Session5": 1241}

_RELEASE = "IEMOCAP_full_release"
_TURN = re.compile(r"(Ses(\d\d)[FM]_(impro|script)\w+)_([FM])(\d+)", re.ASCII)
_LINE = re.compile(r"\[\s*[\d.]+\s*-\s*[\d.]+\s*\]\s+(\S+)\s+(\S+)\s+\[.*\]\s*", re.ASCII)
_TEXT = re.compile(r"(\S+)\s+\[[\d.\s-]*\]\s*:\s*(.*)", re.ASCII)


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that the paths of `read` are relative to: that of the sessions, `root` or one in it.

    Raises:
        FileNotFoundError: there is no session with evaluations.
    """
    for folder in (Path(root), Path(root) / _RELEASE):
        if any(_evaluations(folder)):
            return folder
    raise MissingFileError(
        f"{root}: there is no Session1/dialog/EmoEvaluation/Ses01F_impro01.txt or the like; pass the folder that holds "
        "Session1 to Session5"
    )


def read(
    root: str | os.PathLike[str],
    *,
    measure: Measure,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the four classes of the corpus as `speech_corpora.CorpusReader`, by session and turn.

    Reported is each turn that is skipped, each category that is left out, with its number of turns, each recording
    without an evaluation, and each session without the published number of turns.
    """
    report, folder = on_problem or log.warning, recordings_folder(root)
    turns = _turns(folder, report)
    for category, count in sorted(Counter(t.category for t in turns).items()):
        if category not in FOUR_CLASSES:
            report(f"{folder}: {category}: none of the four classes; its {count} turns are left out")
    for path in _unlabelled(folder, turns):
        report(f"{folder / path}: no line of an evaluation names it; skipped")
    texts = _texts(folder, report)
    listed = [_utterance(turn, texts.get(turn.id)) for turn in turns if turn.category in FOUR_CLASSES]
    utterances = measured(folder, listed, measure, sample_rate_hz=sample_rate_hz, report=report)
    yield from utterances
    counts = Counter(map(session, utterances))
    for name in sorted(PUBLISHED.keys() | counts.keys()):
        if counts[name] != PUBLISHED.get(name, 0):
            report(f"{folder / name}: {PUBLISHED.get(name, 0)} turns expected, found {counts[name]}")


@dataclass(frozen=True, slots=True)
class _Turn:
    id: str
    category: str

    @property
    def path(self) -> str:
        return f"{_session(self.id)}/sentences/wav/{self.id.rpartition('_')[0]}/{self.id}.wav"


def _evaluations(folder: Path) -> Iterator[Path]:
    """Yield the evaluations of all dialogues, sorted, without the "._" files that archives of a Mac hold."""
    paths = folder.glob("Session*/dialog/EmoEvaluation/*.txt")
    return (path for path in sorted(paths) if not path.name.startswith("."))


def _turns(folder: Path, report: Report) -> list[_Turn]:
    found: dict[str, _Turn] = {}
    for path in _evaluations(folder):
        with reading(path, "an evaluation of IEMOCAP"):
            for number, line in published_lines(path, report, effect="skipped"):
                if not line.startswith("["):
                    continue
                where, match = f"{path}:{number}", _LINE.fullmatch(line)
                if not match or not _TURN.fullmatch(match[1]):
                    report(f"{where}: [start - end], turn, category and [v, a, d] expected; skipped")
                elif match[2] not in CATEGORIES:
                    report(
                        f"{where}: {match[1]}: one of {', '.join(CATEGORIES)} expected, found {match[2]}; skipped"
                    )
                elif match[1] in found:
                    report(f"{where}: {match[1]} occurs twice; the first counts")
                else:
                    found[match[1]] = _Turn(match[1], CATEGORIES[match[2]])
    return sorted(found.values(), key=lambda turn: turn.id)


def _unlabelled(folder: Path, turns: Iterable[_Turn]) -> Iterator[str]:
    labelled = {turn.path for turn in turns}
    for sentences in sorted(folder.glob("Session*/sentences/wav")):
        below = sentences.relative_to(folder).as_posix()
        paths = (f"{below}/{path}" for path in files_below(sentences))
        yield from (path for path in paths if path.endswith(".wav") and path not in labelled)


def _texts(folder: Path, report: Report) -> dict[str, str]:
    """Return turn -> what is said."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("Session*/dialog/transcriptions/*.txt")):
        if path.name.startswith("."):
            continue
        with reading(path, "a transcription of IEMOCAP"):
            for _, line in published_lines(path, report, effect="its text is not known"):
                # Other lines are stage directions.
                if match := _TEXT.fullmatch(line):
                    found.setdefault(match[1], as_written(match[2]))
    return found


def _utterance(turn: _Turn, text: str | None) -> Utterance:
    match = _TURN.fullmatch(turn.id)
    assert match, "turns have been checked"
    return Utterance(
        id=turn.id,
        path=turn.path,
        num_samples=0,
        transcript=text or None,
        speaker=f"Ses{match[2]}_{match[4]}",
        language="en",
        gender={"F": "female", "M": "male"}[match[4]],
        emotion=FOUR_CLASSES[turn.category],
    )


def _session(turn: str) -> str:
    return f"Session{int(turn[3:5])}"


def session(utterance: Utterance) -> str:
    """Return the session of an utterance of `read`: Session1 to Session5."""
    return _session(utterance.id)


def scenario(utterance: Utterance) -> str:
    """Return whether the dialogue of an utterance is improvised or scripted."""
    return "scripted" if "_script" in utterance.id else "improvised"


def streams(root: str | os.PathLike[str]) -> Mapping[str, Key]:
    """Return the label streams beside emotion, gender and speaker; `category` tells excited from happy."""
    categories = {turn.id: turn.category for turn in _turns(recordings_folder(root), lambda _: None)}
    return {"session": session, "scenario": scenario, "category": lambda u: categories[u.id]}
