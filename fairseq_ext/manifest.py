"""Manifests: what a corpus reader hands over, and the files that training reads.

A split `train` of a folder is three kinds of row-aligned UTF-8 files:

- `train.tsv`: the root folder on line 1, then `path<TAB>num_samples`. Stock fairseq reads it. A segment of a
  longer file is `path:start_sample:num_samples<TAB>num_samples`, which only our readers understand.
- `train.{label}`: one line per utterance (`train.digit`, `train.ltr`, `train.wrd`, ...).
- `train.meta.tsv`: the sidecar, with a header, keyed by id: transcript, speaker, accent and so on.

Everything streams: neither readers nor writers hold the rows. `manifests/README.md` shows each format.
"""

import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from itertools import zip_longest
from operator import attrgetter
from pathlib import Path

import numpy as np

from .files import atomic_write, read_lines, split_row


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus. For the text fields None and "" both mean: not known.

    Attributes:
        id: unique within its manifest.
        path: media path relative to the manifest's root.
        num_samples: length of the audio, or of the segment, in samples at the manifest's sample rate.
        num_frames: video length in frames.
        start_s: start of the segment within its file, in seconds; None for a whole file.
        end_s: end of the segment within its file, in seconds.
    """

    id: str
    path: str
    num_samples: int
    num_frames: int | None = None
    transcript: str | None = None
    speaker: str | None = None
    language: str | None = None
    accent: str | None = None
    gender: str | None = None
    emotion: str | None = None
    split: str | None = None
    start_s: float | None = None
    end_s: float | None = None


SIDECAR_COLUMNS = ("id", *(f.name for f in fields(Utterance) if f.name not in {"id", "path", "num_samples"}))
_sidecar_values = attrgetter(*SIDECAR_COLUMNS)

# Characters that would move a row or column, that have no UTF-8 form (file names that are not UTF-8), and the
# byte-order mark, which editors leave in texts and which names another encoding at the start of a file.
SPLITS = ("train", "valid", "test")  # of fairseq; corpora have names of their own
_UNSAFE = re.compile("[\t\n\r\0\ufeff\ud800-\udfff]")
_UNSAFE_LABEL = re.compile("[\n\r\0\ufeff\ud800-\udfff]")
_SEGMENT = re.compile(r"(.+):(\d+):(\d+)", re.ASCII)


class _DuplicateCheck:
    """A check for repeated ids at 8 bytes per id: equal 64-bit hashes are confirmed in a second pass."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def add(self, utterance_id: str) -> None:
        self._hashes.append(hash(utterance_id))

    def finish(self, ids: Callable[[], Iterable[str]], where: Path, first_line: int) -> None:
        """Raise ValueError for a repeated id; `ids` reads them again, from line `first_line` on."""
        hashes = np.frombuffer(self._hashes, dtype=np.int64)
        ordered = np.sort(hashes)
        repeated = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
        if not repeated:
            return
        seen: dict[str, int] = {}
        for line, utterance_id in enumerate(ids(), first_line):
            if hash(utterance_id) in repeated and seen.setdefault(utterance_id, line) != line:
                raise ValueError(
                    f"{where}:{line}: the id {utterance_id!r} occurs twice (first on line "
                    f"{seen[utterance_id]}); give each utterance its own id"
                )


def write_manifest(
    folder: str | os.PathLike[str],
    split: str,
    utterances: Iterable[Utterance],
    *,
    root: str | os.PathLike[str],
    labels: Mapping[str, Callable[[Utterance], str]] | None = None,
    sample_rate_hz: int | None = None,
) -> int:
    """Stream utterances into `{split}.tsv`, `{split}.{label}` and `{split}.meta.tsv`: all of them or none.

    The tsv appears last, so a folder that holds it holds the others too.

    Args:
        folder: folder of the files, created when missing.
        split: stem of the files, for example "train".
        utterances: the rows, in the order of the files.
        root: folder that the utterances' paths are relative to; stored as an absolute path.
        labels: file suffix -> function giving the utterance's line of that label file.
        sample_rate_hz: sample rate that `num_samples` counts at, Hz; needed when there are segments.

    Returns:
        The number of rows.

    Raises:
        ValueError: a reader would misread a row, or an id is repeated. No file is changed then.
    """
    labels = labels or {}
    folder = Path(folder)
    tsv_path, sidecar_path = folder / f"{split}.tsv", folder / f"{split}.meta.tsv"
    _check_suffixes(labels)
    duplicates = _DuplicateCheck()
    num_rows = 0
    with ExitStack() as stack:
        tsv = stack.enter_context(atomic_write(tsv_path))  # entered first, so moved into place last
        sidecar = stack.enter_context(atomic_write(sidecar_path))
        streams = [
            (f, name, stack.enter_context(atomic_write(folder / f"{split}.{name}")))
            for name, f in labels.items()
        ]
        print(_safe_root(root), file=tsv)
        print(*SIDECAR_COLUMNS, sep="\t", file=sidecar)
        for utterance in utterances:
            tsv.write(_tsv_row(utterance, sample_rate_hz))
            sidecar.write(_sidecar_row(utterance))
            for label, name, stream in streams:
                stream.write(_label_row(label(utterance), utterance.id, name))
            duplicates.add(utterance.id)
            num_rows += 1
        sidecar.flush()
        duplicates.finish(lambda: _column(Path(sidecar.name), 0), sidecar_path, first_line=2)
        # A kill between the moves must not leave an old tsv beside new labels.
        tsv_path.unlink(missing_ok=True)
    return num_rows


def _check_suffixes(labels: Mapping[str, object]) -> None:
    for name in labels:
        if name in {"tsv", "meta.tsv"} or not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(f"label {name!r} is no file suffix, or is tsv or meta.tsv; rename the label")


def _safe_root(root: str | os.PathLike[str]) -> str:
    text = os.path.abspath(root)
    if _UNSAFE.search(text) or text != text.strip():
        raise ValueError(f"root {text!r} has tabs, line ends or outer spaces; move the corpus")
    return text


def _tsv_row(utterance: Utterance, sample_rate_hz: int | None) -> str:
    path, where = utterance.path, f"utterance {utterance.id!r}"
    if not path or path != path.strip() or _UNSAFE.search(path):
        raise ValueError(
            f"{where}: the path {path!r} is empty, not UTF-8, or has tabs, line ends or outer spaces; "
            "rename the file"
        )
    if os.path.isabs(path):
        raise ValueError(f"{where}: the path {path!r} is not relative to the root; pass root=")
    if _SEGMENT.fullmatch(path):
        raise ValueError(f"{where}: {path!r} would read as a segment (path:start:length); rename the file")
    if utterance.num_samples < 1:
        raise ValueError(f"{where}: its length is {utterance.num_samples} samples; leave it out")
    if utterance.start_s is not None:
        if sample_rate_hz is None:
            raise ValueError(f"{where}: it is a segment and no sample rate was given; pass sample_rate_hz=")
        path = f"{path}:{round(utterance.start_s * sample_rate_hz)}:{utterance.num_samples}"
    return f"{path}\t{utterance.num_samples}\n"


def _sidecar_row(utterance: Utterance) -> str:
    if not utterance.id:
        raise ValueError(f"{utterance.path}: the id is empty; give each utterance its own id")
    cells = ["" if value is None else str(value) for value in _sidecar_values(utterance)]
    row = "\t".join(cells)
    if row.count("\t") != len(cells) - 1 or _UNSAFE_LABEL.search(row):
        name, cell = next((n, c) for n, c in zip(SIDECAR_COLUMNS, cells, strict=True) if _UNSAFE.search(c))
        raise ValueError(
            f"utterance {utterance.id!r}: the {name} {cell!r} has tabs, line ends or non-UTF-8; normalise it"
        )
    return row + "\n"


def _label_row(label: str, utterance_id: str, name: str) -> str:
    if _UNSAFE_LABEL.search(label):
        raise ValueError(
            f"utterance {utterance_id!r}: the {name} {label!r} is not one line of plain UTF-8; normalise it"
        )
    return label + "\n"


def _column(path: Path, index: int) -> Iterator[str]:
    """Yield one column of a file with a header."""
    lines = read_lines(path)
    next(lines, None)
    for line in lines:
        yield line.split("\t")[index]


def parse_audio_path(text: str) -> tuple[str, int, int | None]:
    """Split `path` or `path:start_sample:num_samples`: path, first sample, samples (None for a whole file)."""
    match = _SEGMENT.fullmatch(text) if ":" in text else None
    if match is None:
        return text, 0, None
    return match[1], int(match[2]), int(match[3])


def read_manifest(folder: str | os.PathLike[str], split: str) -> Iterator[Utterance]:
    """Stream the utterances of `{split}.tsv` in a folder.

    Without a sidecar (a manifest made for stock fairseq) the first column of a row serves as its id.

    Raises:
        ValueError: naming file and line, for a row that is not as documented; for files of different lengths
            and for repeated ids once the last row has been read.
    """
    tsv_path, sidecar_path = Path(folder) / f"{split}.tsv", Path(folder) / f"{split}.meta.tsv"
    if not sidecar_path.exists():
        for audio_path, num_samples in _read_tsv(tsv_path):
            yield Utterance(id=audio_path, path=parse_audio_path(audio_path)[0], num_samples=num_samples)
        return
    duplicates = _DuplicateCheck()
    rows = zip_longest(_read_tsv(tsv_path), _read_sidecar(sidecar_path))
    for number, (audio, facts) in enumerate(rows, 2):
        if audio is None or facts is None:
            short, long = (tsv_path, sidecar_path) if audio is None else (sidecar_path, tsv_path)
            raise ValueError(
                f"{short}: it has only {number - 2} rows, fewer than {long.name}; write both again"
            )
        duplicates.add(facts[0])
        yield _utterance(audio[0], audio[1], facts, sidecar_path, number)
    duplicates.finish(lambda: _column(sidecar_path, 0), sidecar_path, first_line=2)


def read_root(folder: str | os.PathLike[str], split: str) -> Path:
    """Return the folder that the paths of `{split}.tsv` are relative to, its line 1."""
    path = Path(folder) / f"{split}.tsv"
    root = next(read_lines(path), "")
    if not root or "\t" in root:
        raise ValueError(f"{path}:1: {root!r} is no root folder; write the manifest again")
    return Path(root)


def _read_tsv(path: Path) -> Iterator[tuple[str, int]]:
    read_root(path.parent, path.stem)
    lines = read_lines(path)
    next(lines)
    for number, line in enumerate(lines, 2):
        audio_path, size = split_row(line, 2, f"{path}:{number}")
        if not (size.isascii() and size.isdigit()):
            raise ValueError(f"{path}:{number}: {size!r} is no number of samples; write the manifest again")
        yield audio_path, int(size)


def _read_sidecar(path: Path) -> Iterator[list[str]]:
    lines = read_lines(path)
    header = tuple(next(lines, "").split("\t"))
    if header != SIDECAR_COLUMNS:
        raise ValueError(
            f"{path}:1: expected the header {SIDECAR_COLUMNS}, found {header}; write the manifest again"
        )
    for number, line in enumerate(lines, 2):
        yield split_row(line, len(SIDECAR_COLUMNS), f"{path}:{number}")


def _utterance(audio_path: str, num_samples: int, cells: list[str], sidecar: Path, line: int) -> Utterance:
    id_, num_frames, transcript, speaker, language, accent, gender, emotion, split, start_s, end_s = cells
    try:
        return Utterance(
            id_,
            parse_audio_path(audio_path)[0],
            num_samples,
            int(num_frames) if num_frames else None,
            transcript or None,
            speaker or None,
            language or None,
            accent or None,
            gender or None,
            emotion or None,
            split or None,
            float(start_s) if start_s else None,
            float(end_s) if end_s else None,
        )
    except ValueError as error:
        raise ValueError(
            f"{sidecar}:{line}: a cell is no number ({error}); write the manifest again"
        ) from error


def read_labels(folder: str | os.PathLike[str], split: str, name: str) -> Iterator[str]:
    """Stream the lines of `{split}.{name}`, a label per row."""
    return read_lines(Path(folder) / f"{split}.{name}")
