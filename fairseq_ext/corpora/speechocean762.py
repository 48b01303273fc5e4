"""speechocean762: Mandarin speakers, children and adults, read short English sentences, words and strings of digits.

Layout, as unpacked: `{train,test}/` with Kaldi's tables `wav.scp`, `text`, `utt2spk`, `spk2gender` (m, f) and `spk2age`
(whole years), a key and a value per line, with a tab between; `WAVE/SPEAKER{speaker}/{utterance}.WAV`, 16 kHz, mono, to
which `wav.scp` points relative to the root. Texts are in upper case, without punctuation; strings of digits are written
as words (`TWO SIX FOUR EIGHT`). The scores of the pronunciation (`resource/`) are not read.

Size: 5,000 utterances, 20 of each of 250 speakers; train and test 2,500 of 125 speakers each, none in both.

The same reader reads a copy of some of it with one table, `utterances.tsv` (`TABLE_COLUMNS`; paths relative to it).

Source: https://www.openslr.org/101, Zhang et al. 2021 (arXiv:2104.01378). Licence: free for any use.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..file_errors import MissingFileError, reading
from ..manifest import Utterance
from ..text.published import Report, as_written, published_lines, table_rows

log = logging.getLogger(__name__)

SPLITS = ("train", "test")
SAMPLE_RATE_HZ = 16_000
TABLE = "utterances.tsv"
TABLE_COLUMNS = ("split", "path", "speaker", "gender", "age", "text")
# Utterances and speakers of each split, as published.
PUBLISHED = (2500, 125)

_GENDERS = {"m": "male", "f": "female", "male": "male", "female": "female"}
_AGES = range(1, 120)
_SYNTHETIC = "SYNTHETIC.txt"


@dataclass(frozen=True, slots=True)
class _Row:
    """One utterance as the tables have it; `where` is "file:line"."""

    where: str
    split: str
    path: str
    speaker: str
    gender: str
    age: str
    text: str


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder with the tables, `root` or `root/speechocean762`; the paths of `read` are relative to it.

    Raises:
        FileNotFoundError: there is none.
    """
    for folder in (Path(root), Path(root) / "speechocean762"):
        if (folder / TABLE).is_file() or all((folder / split / "wav.scp").is_file() for split in SPLITS):
            return folder
    raise MissingFileError(
        f"{root}: train/wav.scp and test/wav.scp are missing, and so is {TABLE}; unpack speechocean762.tar.gz there"
    )


def read(
    root: str | os.PathLike[str],
    *,
    measure: Callable[[Path], int],
    min_age: int = 0,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the corpus (see `corpora/__init__.py` for the contract), in the order of its tables.

    Args:
        measure: gives the length in samples at `SAMPLE_RATE_HZ` of a recording, or raises ValueError or OSError.
        min_age: leave out younger speakers, and those without an age, years; 0 = nobody.
        on_problem: receives a line for each utterance that is skipped, for what a speaker does not state, and where
            a whole corpus has other counts than published; by default it is logged as a warning.

    Raises:
        FileNotFoundError: as `recordings_folder`, and for a missing table.
        ValueError: a speaker is in both splits, or a table lacks a column.
    """
    report, folder = on_problem or log.warning, recordings_folder(root)
    rows = list(_rows(folder, report))
    _check_speakers(folder, rows)
    counts: Counter[str] = Counter()
    known, ids = _Speakers(report), set[str]()
    for row in rows:
        speaker = known.of(row)
        if min_age and (speaker.age or 0) < min_age:
            continue
        try:
            utterance = _utterance(folder, row, speaker, measure)
            if utterance.id in ids:
                raise ValueError(f"{utterance.id} occurs twice")
        except (ValueError, OSError) as error:
            report(f"{row.where}: {error}; skipped")
            continue
        ids.add(utterance.id)
        counts[row.split] += 1
        yield utterance
    _check_counts(folder, rows, report)


def ages(root: str | os.PathLike[str]) -> dict[str, int]:
    """Return speaker -> age in years, of the speakers with one."""
    known = _Speakers(lambda _: None)
    found = {row.speaker: known.of(row).age for row in _rows(recordings_folder(root), lambda _: None)}
    return {speaker: age for speaker, age in found.items() if age is not None}


@dataclass(frozen=True, slots=True)
class _Speaker:
    gender: str | None
    age: int | None


class _Speakers:
    """What is known of each speaker; what cannot be used is reported once."""

    def __init__(self, report: Report) -> None:
        self._report, self._known = report, dict[str, _Speaker]()

    def of(self, row: _Row) -> _Speaker:
        if (found := self._known.get(row.speaker)) is None:
            found = self._known[row.speaker] = _Speaker(self._gender(row), self._age(row))
        return found

    def _gender(self, row: _Row) -> str | None:
        if (gender := _GENDERS.get(row.gender.lower())) is None:
            self._report(f"{row.where}: speaker {row.speaker}: gender m or f expected, found {row.gender!r}")
        return gender

    def _age(self, row: _Row) -> int | None:
        age = int(row.age) if row.age.isascii() and row.age.isdigit() else 0
        if age not in _AGES:
            self._report(f"{row.where}: speaker {row.speaker}: an age in years expected, found {row.age!r}")
        return age if age in _AGES else None


def _utterance(folder: Path, row: _Row, speaker: _Speaker, measure: Callable[[Path], int]) -> Utterance:
    if not (transcript := as_written(row.text)):
        raise ValueError("there is no transcript")
    if Path(row.path).is_absolute() or ".." in Path(row.path).parts:
        raise ValueError(f"a path below {folder} expected, found {row.path}")
    return Utterance(
        id=Path(row.path).stem,
        path=row.path,
        num_samples=measure(folder / row.path),
        transcript=transcript,
        speaker=row.speaker,
        language="en",
        gender=speaker.gender,
        split=row.split,
    )


def _rows(folder: Path, report: Report) -> Iterator[_Row]:
    if not (folder / "train" / "wav.scp").is_file():
        yield from _table_rows(folder / TABLE, report)
        return
    for split in SPLITS:
        yield from _kaldi_rows(folder / split, split, report)


def _table_rows(path: Path, report: Report) -> Iterator[_Row]:
    for number, cells in table_rows(path, TABLE_COLUMNS, report):
        row = _Row(f"{path}:{number}", *(cells[column].strip() for column in TABLE_COLUMNS))
        if row.split in SPLITS and row.speaker:
            yield row
        else:
            report(
                f"{row.where}: split {' or '.join(SPLITS)} and a speaker expected, found {row.split!r} and "
                f"{row.speaker!r}; skipped"
            )


def _kaldi_rows(folder: Path, split: str, report: Report) -> Iterator[_Row]:
    """Join the tables of a split by utterance and speaker; a row that is missing in one of them is reported."""
    names = ("text", "utt2spk", "spk2gender", "spk2age")
    paths = _kaldi_table(folder / "wav.scp", report)
    texts, speakers, genders, ages_of = (_kaldi_table(folder / name, report) for name in names)
    for table, name in ((texts, "text"), (speakers, "utt2spk")):
        for utterance in sorted(table.keys() - paths.keys()):
            report(f"{folder / name}: {utterance} has no recording in wav.scp; skipped")
    for number, (utterance, path) in enumerate(paths.items(), 1):
        where = f"{folder / 'wav.scp'}:{number}"
        missing = [name for name, table in (("text", texts), ("utt2spk", speakers)) if utterance not in table]
        if missing:
            report(f"{where}: {utterance} is not in {' and '.join(missing)}; skipped")
            continue
        speaker = speakers[utterance]
        yield _Row(
            where, split, path, speaker, genders.get(speaker, ""), ages_of.get(speaker, ""), texts[utterance]
        )


def _kaldi_table(path: Path, report: Report) -> dict[str, str]:
    """Return key -> rest of the line."""
    found: dict[str, str] = {}
    with reading(path, "a Kaldi table"):
        for number, line in published_lines(path, report, effect="skipped"):
            if not line.strip():
                continue
            key, *rest = line.split(maxsplit=1)
            if key in found:
                report(f"{path}:{number}: {key} occurs twice; the first counts")
            found.setdefault(key, rest[0].strip() if rest else "")
    return found


def _check_speakers(folder: Path, rows: list[_Row]) -> None:
    """Raise ValueError for a speaker in both splits."""
    train, test = ({row.speaker for row in rows if row.split == split} for split in SPLITS)
    if shared := sorted(train & test):
        raise ValueError(
            f"{folder}: {len(shared)} speakers are in train and test, such as {shared[0]}; unpack the corpus again"
        )


def _check_counts(folder: Path, rows: list[_Row], report: Report) -> None:
    """Compare the tables of a whole corpus with the published counts; a copy of some of it has none."""
    if not (folder / "train" / "wav.scp").is_file() or (folder / _SYNTHETIC).is_file():
        return
    for split in SPLITS:
        own = [row for row in rows if row.split == split]
        found = (len(own), len({row.speaker for row in own}))
        if found != PUBLISHED:
            report(
                f"{folder / split}: {PUBLISHED[0]} utterances of {PUBLISHED[1]} speakers expected, found {found[0]} of "
                f"{found[1]}; unpack the corpus again"
            )
