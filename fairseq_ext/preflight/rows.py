"""Row-wise checks of a split: columns, durations, speakers, and that all its files have the same rows.

One streamed pass over the row-aligned files; what stays in memory per row is two 64-bit hashes.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..manifest import SIDECAR_COLUMNS
from .findings import Findings, FindingType, Severity
from .labels import CtcLimits, LabelCheck
from .lines import BAD_COLUMNS, AudioRow, audio_rows, read_root_folder, tolerant_lines

__all__ = ["RowLimits", "SplitScan", "scan_split"]

NO_ROWS = FindingType(
    "split without rows", "check the corpus folder and the filters, then write the manifest again"
)
BAD_ROOT = FindingType(
    "line 1 is not an existing folder", "correct line 1 of the tsv, or write the manifest again"
)
ZERO_LENGTH = FindingType("zero-length audio", "leave these recordings out and write the manifest again")
TOO_SHORT = FindingType("audio shorter than allowed", "leave these recordings out, or lower the limit")
TOO_LONG = FindingType("audio longer than allowed", "cut or leave out these recordings, or raise the limit")
PARITY = FindingType(
    "files of a split differ in their number of rows", "write the manifest and its labels again"
)
NO_CLASS = FindingType("no class in any label stream", "leave these utterances out or label them")
NO_LABELS = FindingType("label file missing", "write the manifest again, with this label for every split")
NO_SIDECAR = FindingType(
    "no sidecar: ids and speakers cannot be checked",
    "write the manifest with fairseq_ext.manifest.write_manifest",
    Severity.WARNING,
)
NO_SPEAKER = FindingType(
    "speaker unknown: sharing between splits cannot be checked",
    "have the corpus reader fill in the speaker",
    Severity.WARNING,
)


@dataclass(frozen=True, slots=True)
class RowLimits:
    """The limits for rows."""

    # sample rate that num_samples counts at, Hz; None leaves durations unchecked
    sample_rate_hz: int | None = None
    min_duration_s: float = 0.0  # shortest duration allowed, s; 0: no limit
    max_duration_s: float = 0.0  # longest duration allowed, s; 0: no limit
    # label streams of one class per row; of several, a row needs a class in one of them at least
    classes: Sequence[str] = ()
    ctc: Sequence[str] = ()  # label streams that a CTC model learns
    ctc_limits: CtcLimits = field(default_factory=CtcLimits)  # the frames of that model


@dataclass(slots=True)
class SplitScan:
    """The result of one pass over a split."""

    name: str  # name of the split
    root: Path | None  # folder of the audio; None when line 1 does not name one
    labels: list[LabelCheck]  # the checked label streams
    num_rows: int = 0  # number of rows of the tsv
    num_samples: int = 0  # number of samples of all rows
    speakers: Counter[str] = field(default_factory=Counter)  # speaker -> rows
    # hash of the id, per row of the sidecar
    id_hashes: "array[int]" = field(default_factory=lambda: array("q"))
    # hash of the first column, per row of the tsv
    audio_hashes: "array[int]" = field(default_factory=lambda: array("q"))


def is_training(split: str) -> bool:
    """Return whether parameters are fitted to a split: train, train_clean and so on."""
    return split.startswith("train")


def scan_split(
    folder: Path,
    split: str,
    dictionaries: dict[str, frozenset[str] | None],
    limits: RowLimits,
    findings: Findings,
) -> SplitScan:
    """Check the rows of one split against each other and the limits; return counts, and hashes for the other checks.

    Args:
        folder: folder of the manifest.
        split: stem of its files.
        dictionaries: label stream that the split must have -> symbols of its dictionary, if any.
        limits: what rows are held to.
        findings: receives the problems.
    """
    tsv_path, sidecar = folder / f"{split}.tsv", _Sidecar(folder / f"{split}.meta.tsv", findings)
    scan = SplitScan(split, _check_root(tsv_path, findings), [])
    scan.labels = [
        _label_check(folder / f"{split}.{name}", split, name, symbols, limits, findings)
        for name, symbols in dictionaries.items()
        if _label_file_exists(folder / f"{split}.{name}", findings)
    ]
    streams: list[Any] = [audio_rows(tsv_path, findings), sidecar.lines()]
    streams += [tolerant_lines(label.path, findings) for label in scan.labels]
    for row, facts, *texts in zip_longest(*streams):
        if row is not None:
            _check_row(row, tsv_path, scan, limits, findings)
        if facts is not None:
            sidecar.add(facts, scan)
        for label, text in zip(scan.labels, texts, strict=True):
            if text is not None:
                label.add(text, row and row.num_samples)
        _check_some_class(scan.labels, texts, findings)
    _check_totals(scan, sidecar, tsv_path, findings)
    return scan


def _check_root(tsv_path: Path, findings: Findings) -> Path | None:
    root = read_root_folder(tsv_path)
    if root is None:
        found = next(tolerant_lines(tsv_path), "")
        findings.add(BAD_ROOT, f"{tsv_path}:1", f"{found[:120]!r} is no folder of audio")
    return root


def _label_file_exists(path: Path, findings: Findings) -> bool:
    if not path.exists():
        findings.add(NO_LABELS, str(path), "the file is missing")
    return path.exists()


def _label_check(
    path: Path,
    split: str,
    name: str,
    dictionary: frozenset[str] | None,
    limits: RowLimits,
    findings: Findings,
) -> LabelCheck:
    is_class = name in limits.classes
    may_be_empty = is_class and len(limits.classes) > 1
    ctc = limits.ctc_limits if name in limits.ctc else None
    return LabelCheck(path, name, is_training(split), is_class, may_be_empty, dictionary, ctc, findings)


def _check_some_class(labels: Sequence[LabelCheck], texts: Sequence[str | None], findings: Findings) -> None:
    """Find rows without a class in any stream; a gap in one of several is allowed."""
    optional = [(label, text) for label, text in zip(labels, texts, strict=True) if label.may_be_empty]
    if not optional or any(text is None or text.strip() for _, text in optional):
        return
    first, names = optional[0][0], " or ".join(label.name for label, _ in optional)
    detail = f"the lines of {names} are all empty"
    findings.add(NO_CLASS, f"{first.path}:{first.num_rows}", detail)


def _check_row(row: AudioRow, path: Path, scan: SplitScan, limits: RowLimits, findings: Findings) -> None:
    scan.num_rows += 1
    scan.audio_hashes.append(hash(row.audio))
    if row.num_samples is None:
        return
    scan.num_samples += row.num_samples
    where = f"{path}:{row.line}"
    if row.num_samples == 0:
        findings.add(ZERO_LENGTH, where, f"the length is 0 samples ({row.audio})")
    elif limits.sample_rate_hz:
        duration_s = row.num_samples / limits.sample_rate_hz
        if duration_s < limits.min_duration_s:
            findings.add(
                TOO_SHORT, where, f"{duration_s:.3f} s, at least {limits.min_duration_s} s are needed"
            )
        if 0 < limits.max_duration_s < duration_s:
            findings.add(
                TOO_LONG, where, f"{duration_s:.3f} s, at most {limits.max_duration_s} s are allowed"
            )


class _Sidecar:
    """A check of the sidecar, row by row."""

    def __init__(self, path: Path, findings: Findings) -> None:
        self.path, self.num_rows, self._findings = path, 0, findings
        self.exists = path.exists()
        header = tuple(next(tolerant_lines(path), "").split("\t"))
        self._columns = {name: column for column, name in enumerate(header)}
        if not self.exists:
            findings.add(NO_SIDECAR, str(path), "the sidecar is missing")
        elif header != SIDECAR_COLUMNS:
            findings.add(
                BAD_COLUMNS, f"{path}:1", f"expected the columns {' '.join(SIDECAR_COLUMNS)}, found {header}"
            )

    def lines(self) -> Any:
        """Yield the rows after the header."""
        lines = tolerant_lines(self.path, self._findings)
        next(lines, None)
        return lines

    def add(self, line: str, scan: SplitScan) -> None:
        """Check the next row, and note its id and speaker."""
        self.num_rows += 1
        where = f"{self.path}:{self.num_rows + 1}"
        cells = line.split("\t")
        facts = dict(zip(self._columns, cells, strict=False)) if len(cells) == len(self._columns) else {}
        if not facts.get("id"):
            expected = f"{len(self._columns)} columns and an id expected"
            self._findings.add(BAD_COLUMNS, where, f"{expected}, found {line[:120]!r}")
        # `where` differs from row to row: missing ids are not reported as repeated ones too.
        scan.id_hashes.append(hash(facts.get("id") or where))
        if facts.get("speaker"):
            scan.speakers[facts["speaker"]] += 1
        else:
            self._findings.add(NO_SPEAKER, where, "the speaker is not known")


def _check_totals(scan: SplitScan, sidecar: _Sidecar, tsv_path: Path, findings: Findings) -> None:
    if not scan.num_rows:
        findings.add(NO_ROWS, str(tsv_path), "there are no rows")
    counts = {label.path: label.num_rows for label in scan.labels}
    if sidecar.exists:
        counts[sidecar.path] = sidecar.num_rows
    for path, count in counts.items():
        if count != scan.num_rows:
            findings.add(
                PARITY, str(path), f"expected {scan.num_rows} rows as in {tsv_path.name}, found {count}"
            )
    for label in scan.labels:
        label.finish()
