"""L2-ARCTIC: 24 speakers of six first languages read the prompts of CMU ARCTIC in English, about 1,132 each.

Layout, one archive per speaker, unpacked:

    SPEAKER/wav/arctic_a0001.wav            44.1 kHz, 16 bit, mono, 3.6 s on average
    SPEAKER/transcript/arctic_a0001.txt     what is said, a line
    SPEAKER/annotation/, SPEAKER/textgrid/  TextGrids by hand (150 a speaker) and by forced alignment: not read here
    suitcase_corpus/                        a story retold by 22 of the speakers, a recording each: a corpus of its own

Prompts are shared: the name of a file, such as arctic_a0001, is the sentence. The accent is the first language: Arabic,
Mandarin (the README says Chinese, the paper Mandarin), Hindi, Korean, Spanish, Vietnamese, four speakers each, two of
each gender. `l2_arctic_speakers.tsv` lists them with their numbers of recordings, 26,867 in all.

Further speakers are those of a `speakers.tsv` in the root, with the columns speaker, accent and gender (female, male or
empty): anybody's recordings in this layout are read, in any audio format and under any names. Who is in neither table
is left out and named. Spontaneous speech is never mixed in: `suitcase_corpus` is left out, and counted.

Source: https://psi.engr.tamu.edu/l2-arctic-corpus/ (release 5, README, "Directory structure" and "File summary"), Zhao
et al. 2018 (doi 10.21437/Interspeech.2018-1110). Licence: Creative Commons Attribution-NonCommercial 4.0.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..file_errors import MissingFileError
from ..manifest import Utterance
from ..splits import Key
from ..text.published import Report, as_written, published_lines, table_rows
from .folder_per_class import LABEL_FILE
from .labelled_corpus import GENDERS
from .measured import Measure, measured

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 44_100
SPEAKERS = Path(__file__).with_name("l2_arctic_speakers.tsv")
OWN_SPEAKERS = "speakers.tsv"
SUITCASE = "suitcase_corpus"

_PROMPT = re.compile(r"arctic_[ab]\d{4}", re.ASCII)
# Folders of a speaker that are known and not read.
_UNREAD = {"annotation", "textgrid"}
# Files of the published root.
_PAPERS = {"LICENSE", "PROMPTS", "README.md", "README.pdf", LABEL_FILE, OWN_SPEAKERS}


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker of a table.

    Attributes:
        accent: first language.
        gender: female, male, or "" where it is not known.
        num_recordings: as published; 0 for a speaker of `OWN_SPEAKERS`.
    """

    accent: str
    gender: str
    num_recordings: int = 0


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder of the speakers' folders: `root`, or the one folder in it that holds them.

    Raises:
        FileNotFoundError: no folder has the layout.
    """
    root = Path(root)
    for folder in (root, *(path for path in sorted(root.glob("*")) if path.is_dir())):
        if _holds_speakers(folder):
            return folder
    raise MissingFileError(
        f"{root}: there is no SPEAKER/wav/arctic_a0001.wav, and no {OWN_SPEAKERS} beside SPEAKER/wav; pass the folder "
        "that holds the folders of the speakers"
    )


def _holds_speakers(folder: Path) -> bool:
    """Return whether speakers' folders lie here: with recordings of ARCTIC prompts, or with a table of speakers."""
    has_table = (folder / OWN_SPEAKERS).is_file()
    for place in folder.glob("*"):
        wav = _speaker_folder(place) / "wav"
        if place.name == SUITCASE or not wav.is_dir():
            continue
        if has_table or any(_PROMPT.fullmatch(Path(name).stem) for name in os.listdir(wav)):
            return True
    return False


def _speaker_folder(place: Path) -> Path:
    """Return the folder that holds `wav`: some unpackers put an archive into a folder of its own name."""
    deeper = place / place.name
    return deeper if not (place / "wav").is_dir() and (deeper / "wav").is_dir() else place


def read(
    root: str | os.PathLike[str],
    *,
    measure: Measure,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the corpus as `speech_corpora.CorpusReader`, by speaker and prompt.

    Reported is each recording that is skipped or has no transcript, whatever else lies there that is not read, each
    speaker in no table, and each published one whose recordings are not as many as published.
    """
    report, folder = on_problem or log.warning, recordings_folder(root)
    known = speakers(folder, report)
    listed = list(_listed(folder, known, report))
    yield from measured(folder, listed, measure, sample_rate_hz=sample_rate_hz, report=report)
    for line in _count_problems(listed, known):
        report(f"{folder}: {line}")


def speakers(folder: Path, report: Report) -> dict[str, Speaker]:
    """Return name -> speaker of both tables; that of the corpus overrules the published one, which is reported.

    Raises:
        ValueError: a table lacks a column, or names a speaker twice.
    """
    published = _read_table(SPEAKERS, report)
    own = _read_table(folder / OWN_SPEAKERS, report) if (folder / OWN_SPEAKERS).is_file() else {}
    for name in sorted(own.keys() & published.keys()):
        if (own[name].accent, own[name].gender) != (published[name].accent, published[name].gender):
            report(
                f"{folder / OWN_SPEAKERS}: {name} is {own[name].accent}, {own[name].gender} here, published as "
                f"{published[name].accent}, {published[name].gender}; taken as here"
            )
    return published | own


def _read_table(path: Path, report: Report) -> dict[str, Speaker]:
    found: dict[str, Speaker] = {}
    for number, row in table_rows(path, ("speaker", "accent", "gender"), report):
        name, accent, gender = (" ".join(row[column].split()) for column in ("speaker", "accent", "gender"))
        if not name or not accent:
            report(
                f"{path}:{number}: a speaker and an accent expected, found {name!r} and {accent!r}; skipped"
            )
            continue
        if gender and gender.lower() not in GENDERS:
            report(
                f"{path}:{number}: the gender female, male or nothing expected, found {gender!r}; not known"
            )
        if name in found:
            raise ValueError(f"{path}:{number}: the speaker {name} occurs twice; delete one of the rows")
        found[name] = Speaker(accent, GENDERS.get(gender.lower(), ""), int(row.get("recordings", "0") or 0))
    return found


def _listed(folder: Path, known: Mapping[str, Speaker], report: Report) -> Iterator[Utterance]:
    """Yield the utterances of all speakers, not yet measured; describe what is no folder of a speaker."""
    for place in sorted(folder.iterdir()):
        if place.name == SUITCASE:
            count = len(_files(place / "wav", lambda _: None)) if (place / "wav").is_dir() else 0
            report(
                f"{place}: spontaneous speech, {count} recordings; left out, a corpus of its own without prompts"
            )
        elif place.is_dir() and not place.name.startswith("."):
            yield from _of_speaker(folder, place, known, report)
        elif place.suffix.lower() == ".zip":
            if not (folder / place.stem).is_dir():
                report(f"{place}: it is not unpacked; unzip it")
        elif place.name.startswith("._"):
            report(f"{place}: macOS has left it; skipped")
        elif place.name not in _PAPERS and not place.name.startswith("."):
            report(f"{place}: it is no folder of a speaker; not read")
    for name in sorted(known):
        if not known[name].num_recordings and not (folder / name).is_dir():
            report(f"{folder / OWN_SPEAKERS}: {name} has no folder here")


def _of_speaker(
    folder: Path, place: Path, known: Mapping[str, Speaker], report: Report
) -> Iterator[Utterance]:
    own = _speaker_folder(place)
    if not (own / "wav").is_dir():
        report(f"{place}: there is no folder wav in it; skipped")
        return
    recordings = _files(own / "wav", report)
    speaker = known.get(place.name)
    if speaker is None:
        report(
            f"{place}: the speaker {place.name} is neither a published one nor in {OWN_SPEAKERS}, so that the accent "
            f"is not known; {len(recordings)} recordings are left out"
        )
        return
    if own != place:
        report(f"{place}: it is unpacked one level deeper; read from {own}")
    for other in sorted(path.name for path in own.iterdir() if not path.name.startswith(".")):
        if other not in _UNREAD | {"wav", "transcript"}:
            report(f"{own / other}: it is none of wav, transcript, annotation, textgrid; not read")
    texts = _Transcripts(own / "transcript", report)
    for path in recordings:
        if speaker.num_recordings and not _PROMPT.fullmatch(path.stem):
            report(f"{path}: its name is not of the form arctic_a0001.wav; skipped")
            continue
        yield Utterance(
            id=f"{place.name}_{path.stem}",
            path=path.relative_to(folder).as_posix(),
            num_samples=0,
            transcript=texts.of(path),
            speaker=place.name,
            language="en",
            accent=speaker.accent,
            gender=speaker.gender or None,
        )
    texts.report_others()


def _files(folder: Path, report: Report) -> list[Path]:
    """Return the files of a folder, sorted; what macOS leaves beside them and folders are reported."""
    found, left = [], 0
    for path in sorted(folder.iterdir()):
        if path.name.startswith("._"):
            left += 1
        elif path.is_dir():
            report(f"{path}: it is a folder, a recording or a transcript expected; not read")
        elif not path.name.startswith("."):
            found.append(path)
    if left:
        report(f"{folder}: {left} files that macOS has left (._*); skipped")
    return found


class _Transcripts:
    """The transcripts of a speaker, by the names of the recordings."""

    def __init__(self, folder: Path, report: Report) -> None:
        self._report, self._folder = report, folder
        self._paths = {path.stem: path for path in _files(folder, report)} if folder.is_dir() else {}
        self._wanted: set[str] = set()

    def of(self, recording: Path) -> str | None:
        """Return what is said; None, which is reported, where that is not known."""
        self._wanted.add(recording.stem)
        path = self._paths.get(recording.stem)
        if path is None:
            self._report(f"{recording}: it has no transcript; its text is not known")
            return None
        text = as_written(" ".join(line for _, line in published_lines(path, self._report)))
        if not text:
            self._report(f"{path}: it is empty; the text is not known")
        return text or None

    def report_others(self) -> None:
        """Report the transcripts without a recording."""
        if others := sorted(self._paths.keys() - self._wanted):
            self._report(
                f"{self._folder}: {len(others)} transcripts have no recording, such as {others[0]}; not used"
            )


def sentence(utterance: Utterance) -> str:
    """Return the prompt that is read, such as arctic_a0001."""
    return Path(utterance.path).stem


def streams(root: str | os.PathLike[str]) -> Mapping[str, Key]:
    """Return the label streams beside accent, gender and speaker."""
    recordings_folder(root)
    return {"sentence": sentence}


def _count_problems(listed: Iterable[Utterance], known: Mapping[str, Speaker]) -> Iterator[str]:
    """Yield a line for the published speakers who are missing, and one for each without the published number of files.

    Nothing is said of a corpus without any of the published speakers: it is another one in this layout.
    """
    published = {name: s.num_recordings for name, s in known.items() if s.num_recordings}
    counts = Counter(u.speaker for u in listed if u.speaker in published)
    missing = [name for name in published if name not in counts]
    if missing and counts:
        yield f"{len(published)} published speakers expected, found {len(counts)}; without {', '.join(missing)}"
    for name, count in counts.items():
        if count != published[name or ""]:
            yield f"speaker {name}: {published[name or '']} recordings expected, found {count}"
