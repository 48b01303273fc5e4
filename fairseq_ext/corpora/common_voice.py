"""Common Voice scripted speech, corpus 11 and up, any locale: sentences read aloud by volunteers.

Layout: `cv-corpus-{version}-{date}/{locale}/`, in it `clips/common_voice_{locale}_{number}.mp3` (mono, 48 or 32 kHz),
`{train,dev,test,validated,invalidated,other}.tsv` and `clip_durations.tsv` (columns `clip` and `duration[ms]`, since
16.1; `times.txt` in 14 to 16; nothing before). train, dev and test are parts of validated and share no speaker;
clips in `other` have too few votes. The tsv files are not quoted: a quote is a part of its sentence.

Columns, read by name since they changed: `client_id` (128 hexadecimal digits), `path`, `sentence`, `up_votes`,
`down_votes`, `age`, `gender` (male, female, other; since 17 male_masculine, female_feminine, intersex, transgender,
non-binary, do_not_wish_to_say), `accents` (`accent` until 7), `locale`, `segment`; `variant` since 13, `sentence_id`
and `sentence_domain` since 17. Age and gender are what a speaker had stated when reading the clip.

Size of Catalan (cv-dataset's statistics): corpus 11 1,670,041 clips, 2,554 h, 30,225 speakers; corpus 25 2,696,503
clips, 3,891 h (validated 2,328,479 clips), 36,911 speakers, dev and test 16,416 clips each.

Source: https://commonvoice.mozilla.org/datasets, after a registration; its documentation is the repository
common-voice/cv-dataset. Licence: CC0 1.0; whoever downloads it agrees not to find out who the speakers are.

Accents: `common_voice_accents`. Splits beside the official ones: `common_voice_splits`.
"""

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ..manifest import Utterance
from ..text.published import Report, as_written, published_lines, table_rows
from ..text.sentences import read_sentences
from .common_voice_accents import accent_class

log = logging.getLogger(__name__)

# The order in which a clip is looked for; "validated" then means: validated and in none of the three before.
SPLITS = ("train", "dev", "test", "validated", "other", "invalidated")
VALIDATED = SPLITS[:4]
DURATIONS = ("clip_durations.tsv", "times.txt")
# Sentences for the language model, since corpus 17.
TEXT = "validated_sentences.tsv"
REQUIRED_COLUMNS = ("client_id", "path", "sentence")
AUDIO_SUFFIXES = (".flac", ".wav", ".mp3")

# None: not stated. The three later values are no basis for a classifier of two.
GENDERS: Mapping[str, str | None] = {
    "": None,
    "do_not_wish_to_say": None,
    "male": "male",
    "male_masculine": "male",
    "female": "female",
    "female_feminine": "female",
    "other": "other",
    "non-binary": "other",
    "transgender": "other",
    "intersex": "other",
}

# Of a client_id. 48 bits: for 40,000 speakers, one pair in 350,000 corpora is alike, and keeps the whole id.
SPEAKER_DIGITS = 12

# A converted recording may lack the padding of the mp3 coder; one that lacks more than that and a tenth was cut off.
_PADDING_MS, _WHOLE = 200, 0.9

TsvLine = dict[str, str]  # column -> cell


def locale_folder(root: str | os.PathLike[str], locale: str | None = None) -> Path:
    """Return the folder with the tsv files of a locale.

    Args:
        root: the folder, or one or two levels above it.
        locale: name of the locale; None where there is only one.

    Raises:
        FileNotFoundError: without it; names the locales that are there.
        ValueError: when there are several and none is asked for.
    """
    root = Path(root)
    if _is_locale(root) and locale in {None, root.resolve().name}:
        return root
    found = sorted(path for level in ("*", "*/*") for path in root.glob(level) if _is_locale(path))
    chosen = [path for path in found if locale in {None, path.name}]
    if len(chosen) == 1:
        return chosen[0]
    names = (
        ", ".join(str(path.relative_to(root)) for path in found)
        or "folders without validated.tsv and train.tsv"
    )
    if chosen:
        raise ValueError(f"{root}: there are several locales, {names}; name one, or pass its folder")
    raise FileNotFoundError(
        f"{root}: there is no locale {locale or '(any)'}, only {names}; pass the unpacked cv-corpus-*/{{locale}}"
    )


def _is_locale(folder: Path) -> bool:
    return (folder / "validated.tsv").is_file() or (folder / "train.tsv").is_file()


def recordings_folder(root: str | os.PathLike[str], locale: str | None = None) -> Path:
    """Return the folder that the paths of `read` are relative to: `clips/`."""
    return locale_folder(root, locale) / "clips"


def read(
    root: str | os.PathLike[str],
    *,
    locale: str | None = None,
    on_problem: Report | None = None,
    sample_rate_hz: int = 16000,
    audio: str | os.PathLike[str] | None = None,
    measure: Callable[[Path], int] | None = None,
) -> Iterator[Utterance]:
    """Read a locale, each clip once (see `corpora/__init__.py` for the contract), in the order of `SPLITS`.

    `split` is the first of them that names the clip, transcripts are as written, and speakers are the first digits of
    `client_id`. Lengths come from the corpus's list, rounded to milliseconds; with `audio`, from `measure`, exactly,
    and the list shows what was cut off.

    Args:
        on_problem: receives one line per row or clip that was skipped; by default it is logged as a warning.
        sample_rate_hz: what `num_samples` counts at, since the clips are of several rates.
        audio: folder of the clips converted to flac or wav (fairseq-ext prepare audio), to which the paths are
            relative then; clips without a file in it are skipped.
        measure: gives the length in samples at `sample_rate_hz` of an audio file, or raises ValueError; needed with
            `audio`, and where the corpus has no list of lengths or gaps in it.

    Raises:
        ValueError: for a tsv without a needed column, and when lengths are not known and `measure` is missing.
    """
    report = on_problem or log.warning
    folder = locale_folder(root, locale)
    reader = _Reader(folder, Path(audio) if audio is not None else None, sample_rate_hz, measure, report)
    for split, where, row in _clips(folder, report):
        try:
            utterance = reader.utterance(split, where, row)
        except ValueError as error:
            report(f"{error}; skipped")
        else:
            yield utterance


def stated_locale(root: str | os.PathLike[str], *, locale: str | None = None) -> str | None:
    """Return the locale that the first row with one states, perhaps not the folder's name; None = no row has one.

    Raises:
        ValueError: for a tsv without a needed column.
    """
    folder = locale_folder(root, locale)
    rows = (row for split in SPLITS for _, row in _rows(folder / f"{split}.tsv", lambda _: None))
    return next((row["locale"] for row in rows if row.get("locale")), None)


def check_files(
    root: str | os.PathLike[str],
    needed: Iterable[str],
    *,
    locale: str | None = None,
    audio: str | os.PathLike[str] | None = None,
) -> list[str]:
    """Check every file that a preparation or the language model reads; return a line for each row that will be skipped.

    Args:
        needed: splits of `SPLITS` that must have rows.
        audio: as for `read`.

    Raises:
        FileNotFoundError: as for `locale_folder`; there are no recordings.
        ValueError: a file without a needed column, or a list that is needed and has no row.
    """
    folder, problems = locale_folder(root, locale), list[str]()
    for split in SPLITS:
        path = folder / f"{split}.tsv"
        if not sum(1 for _ in _rows(path, problems.append)) and split in needed:
            found = "no row" if path.is_file() else "no such file"
            raise ValueError(
                f"{path}: the list has no clip ({found}); unpack the corpus again, or draw a division of "
                "your own from validated.tsv (--division drawn)"
            )
    _files(Path(audio or folder / "clips"))
    _durations_ms(folder, problems.append)
    if (folder / TEXT).is_file():
        for _ in read_sentences(folder / TEXT, problems.append):
            pass
    return problems


def unmapped_accents(root: str | os.PathLike[str], *, locale: str | None = None) -> Counter[str]:
    """Count descriptions of accents that name no single class: candidates for the table of accents.

    Keys are the columns of accents and variant, as written, with " / " between them.
    """
    folder = locale_folder(root, locale)
    counts: Counter[str] = Counter()
    for _, _, row in _clips(folder, lambda _: None):
        stated = _stated_accent(row)
        if any(stated) and accent_class(row.get("locale") or folder.resolve().name, *stated) is None:
            counts[" / ".join(text for text in stated if text)] += 1
    return counts


class _Reader:
    """The recordings, lengths and speaker names of a locale, which its rows refer to."""

    def __init__(
        self,
        folder: Path,
        audio: Path | None,
        sample_rate_hz: int,
        measure: Callable[[Path], int] | None,
        report: Report,
    ) -> None:
        self._locale, self._rate_hz = folder.resolve().name, sample_rate_hz
        self._measure, self._report = measure, report
        self._audio, self._is_converted = audio or folder / "clips", audio is not None
        self._files = _files(self._audio)
        self._durations_ms = _durations_ms(folder, report)
        if measure is None and (self._is_converted or not self._durations_ms):
            reason = (
                f"{audio}: converted recordings" if audio else f"{folder}: clips without clip_durations.tsv"
            )
            raise ValueError(f"{reason} have to be measured; pass measure=")
        self._speakers = _speaker_names(folder)
        self._unknown_genders: set[str] = set()

    def utterance(self, split: str, where: str, row: TsvLine) -> Utterance:
        """Make the utterance of a row, or raise ValueError for a clip that cannot be used."""
        stem = os.path.splitext(row["path"])[0]
        file = self._files.get(stem)
        if file is None:
            raise ValueError(f"{where}: {self._audio} has no recording of {row['path']}")
        locale = sys.intern(row.get("locale") or self._locale)
        return Utterance(
            id=stem,
            path=file,
            num_samples=self._num_samples(row["path"], file, where),
            transcript=as_written(row["sentence"]),
            speaker=self._speakers[row["client_id"]],
            language=locale,
            accent=accent_class(locale, *_stated_accent(row)),
            gender=self._gender(row.get("gender", ""), where),
            split=split,
        )

    def _num_samples(self, clip: str, file: str, where: str) -> int:
        duration_ms = self._durations_ms.get(clip)
        if self._measure is not None and (self._is_converted or duration_ms is None):
            num_samples = self._measure(self._audio / file)
        elif duration_ms is not None:
            num_samples = round(duration_ms * self._rate_hz / 1000)
        else:
            raise ValueError(f"{where}: clip_durations.tsv has no length of {clip}")
        if num_samples < 1:
            raise ValueError(f"{where}: there is no audio in {clip}, its length is {num_samples}")
        found_ms = round(num_samples * 1000 / self._rate_hz)
        if duration_ms is not None and found_ms < _WHOLE * duration_ms - _PADDING_MS:
            raise ValueError(
                f"{where}: {duration_ms} ms of {clip} expected, found {found_ms} ms; it was cut off"
            )
        return num_samples

    def _gender(self, stated: str, where: str) -> str | None:
        if stated not in GENDERS and stated not in self._unknown_genders:
            self._unknown_genders.add(stated)
            self._report(f"{where}: the gender {stated!r} is none of {sorted(GENDERS)}; taken as not stated")
        return GENDERS.get(stated)


def _files(folder: Path) -> dict[str, str]:
    """Return name without suffix -> name; of several, the one whose suffix comes first."""
    names = [name for name in os.listdir(folder) if name[0] != "."] if folder.is_dir() else []
    found: dict[str, str] = {}
    for suffix in reversed(AUDIO_SUFFIXES):
        found |= {name.removesuffix(suffix): name for name in names if name.endswith(suffix)}
    if not found:
        raise FileNotFoundError(f"{folder}: there are no recordings; unpack or convert them first")
    return found


def _durations_ms(folder: Path, report: Report) -> dict[str, int]:
    path = next((folder / name for name in DURATIONS if (folder / name).is_file()), None)
    found: dict[str, int] = {}
    if path is None:
        return found
    for number, line in published_lines(path, report):
        clip, _, duration = line.partition("\t")
        if duration.isascii() and duration.isdigit():
            found[clip] = int(duration)
        elif number > 1 and line:
            report(f"{path}:{number}: {line!r} is not a clip and its length in ms; skipped")
    return found


def _speaker_names(folder: Path) -> dict[str, str]:
    """Return client_id -> its first digits, or the whole where another begins alike."""
    ids = {row["client_id"] for split in SPLITS for _, row in _rows(folder / f"{split}.tsv", lambda _: None)}
    heads = Counter(client_id[:SPEAKER_DIGITS] for client_id in ids)
    return {i: i[:SPEAKER_DIGITS] if heads[i[:SPEAKER_DIGITS]] == 1 else i for i in ids}


def _clips(folder: Path, report: Report) -> Iterator[tuple[str, str, TsvLine]]:
    """Yield (split, "file:line", row) of every clip, once."""
    first: dict[str, str] = {}
    for split in SPLITS:
        if not (folder / f"{split}.tsv").is_file():
            report(f"{folder / split}.tsv: the file is missing; unpack the corpus again")
        for where, row in _rows(folder / f"{split}.tsv", report):
            name = row["path"]
            if not name or os.path.basename(name) != name or not row["client_id"]:
                report(f"{where}: there is no client_id, or {name!r} is no name of a clip; skipped")
            elif name not in first:
                first[name] = split
                yield split, where, row
            elif split != "validated" or first[name] == split:  # which repeats train, dev and test
                report(f"{where}: {name} occurs twice (first in {first[name]}.tsv); skipped")


def _rows(path: Path, report: Report) -> Iterator[tuple[str, TsvLine]]:
    """Yield ("file:line", column -> cell); nothing for a missing file."""
    if path.is_file():
        for number, row in table_rows(path, REQUIRED_COLUMNS, report):
            yield f"{path}:{number}", row


def _stated_accent(row: TsvLine) -> tuple[str, str]:
    return row.get("accents", row.get("accent", "")), row.get("variant", "")
