"""Preflight: checks a manifest folder before training, so that nothing is found out after a month of it.

`check(folder, options)` finds every problem of every file in one run and returns a `Report`: a summary of
splits and labels, the findings (count, first examples as file:line, what to do next), and `ok`, which errors
make false. Everything streams; a million rows take some tens of MB.

findings.py   types of problem, counting, the table
lines.py      readers that go on after a bad line
labels.py     dictionaries, OOV, classes, CTC feasibility of one label stream
rows.py       columns, durations, row parity of the files of one split
between.py    duplicates and shared speakers between splits
audio.py      headers of all recordings, decoding of some
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabulate import tabulate

from .audio import AudioLimits, check_audio, default_workers
from .between import check_between
from .findings import Finding, Findings, FindingType, Severity
from .labels import CtcLimits, LabelCheck, load_dictionary, looks_like_classes
from .rows import RowLimits, SplitScan, scan_split

__all__ = ["CtcLimits", "Finding", "FindingType", "Findings", "Options", "Report", "Severity", "check"]

NOT_SPLITS = (".meta.tsv", ".times.tsv")  # what lies beside {split}.tsv
NO_SPLITS = FindingType(
    "no manifest",
    "give a folder that holds train.tsv, such as MANIFESTS/PARTITION; fairseq-ext prepare writes it",
)
NO_SPLIT = FindingType("split missing", "write the manifest again, with this split")
NO_DICTIONARY = FindingType("dictionary missing", "write it with fairseq_ext.dictionary.write_dictionary")


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of a check."""

    splits: Sequence[str] = ()  # names of splits that must be there; empty takes those found
    # label streams that must be there; empty takes those found, each expected in every split
    labels: Sequence[str] = ()
    # label streams of one class per row; None finds them by themselves. Of several, an empty line in one says that this
    # class is not known; a row that is empty in all of them is an error.
    classes: Sequence[str] | None = None
    ctc: Sequence[str] = ()  # label streams that a CTC model learns (ltr): enough frames are needed
    ctc_limits: CtcLimits = field(default_factory=CtcLimits)  # the frames of that model
    # sample rate of the manifest and, unless any_rate, of the files; None: each its own
    sample_rate_hz: int | None = None
    any_rate: bool = False  # files may have other rates, since they are resampled on reading
    # shortest allowed recording, s; 0 is no limit. Durations need sample_rate_hz.
    min_duration_s: float = 0.0
    max_duration_s: float = 0.0  # longest allowed recording, s; 0 is no limit
    num_decode: int | None = 200  # how many recordings to decode, drawn by the seed; None is all
    seed: int = 1  # seed of that draw
    allow_shared_speakers: bool = False  # the folder is a declared leaky control
    num_workers: int = 0  # threads that read files; 0 takes twice the cores
    progress: bool = False  # show a progress bar

    def __post_init__(self) -> None:
        """Refuse options that would check nothing."""
        if (self.min_duration_s or self.max_duration_s) and not self.sample_rate_hz:
            raise ValueError("preflight: limits of duration need sample_rate_hz; pass it")
        if self.ctc_limits.stride_samples < 1:
            raise ValueError(
                f"preflight: the stride {self.ctc_limits.stride_samples} is too small; choose 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a check."""

    folder: Path  # folder that was checked
    scans: Sequence[SplitScan]  # one per split
    rates: Counter[int]  # sample rate in Hz -> recordings
    findings: Findings  # the problems

    @property
    def ok(self) -> bool:
        """Return whether training may start: there is no error."""
        return self.findings.count(Severity.ERROR) == 0

    def text(self) -> str:
        """Return a summary of splits and labels, the findings and the verdict."""
        errors, warnings = (self.findings.count(severity) for severity in (Severity.ERROR, Severity.WARNING))
        verdict = (
            f"{'OK' if self.ok else 'FAILED'}: {errors:,} errors, {warnings:,} warnings in {self.folder}"
        )
        parts = [self._splits_table(), self._labels_table(), self.findings.text(), verdict]
        return "\n\n".join(part for part in parts if part)

    def _splits_table(self) -> str:
        rate_hz = self.rates.most_common(1)[0][0] if len(self.rates) == 1 else None
        rows = [
            (s.name, s.num_rows, s.num_samples / rate_hz / 60 if rate_hz else None, len(s.speakers))
            for s in self.scans
        ]
        rates = ", ".join(f"{rate} Hz: {count:,}" for rate, count in self.rates.most_common())
        table = tabulate(
            rows, ("split", "rows", "minutes", "speakers"), floatfmt=".1f", intfmt=",", missingval="?"
        )
        return f"{table}\nrecordings: {rates or 'not read'}" if rows else ""

    def _labels_table(self) -> str:
        rows = [_label_summary(scan.name, label) for scan in self.scans for label in scan.labels]
        header = ("split", "label", "rows", "symbols", "dictionary", "rows with OOV", "with <unk>", "empty")
        return tabulate(rows, header, intfmt=",", missingval="-") if rows else ""


def _label_summary(split: str, label: LabelCheck) -> tuple[str | int | None, ...]:
    size = None if label.dictionary is None else len(label.dictionary)
    counts = (label.num_oov, label.num_unk, label.num_empty)
    return split, label.name, label.num_rows, label.num_tokens, size, *counts


def check(folder: str | Path, options: Options | None = None) -> Report:
    """Check a manifest folder; nothing that its files hold makes it raise.

    Args:
        folder: holds `{split}.tsv`, `{split}.{label}`, `{split}.meta.tsv`, `dict.{label}.txt`.
        options: what to check; by default everything that can be found out without knowing the task.
    """
    folder, options, findings = Path(folder), options or Options(), Findings()
    splits = _find_splits(folder, options, findings)
    names = list(options.labels) or _find_labels(folder, splits)
    dictionaries = {name: load_dictionary(folder, name, findings) for name in names}
    for name in {*(options.classes or ()), *options.ctc}:
        if not (folder / f"dict.{name}.txt").exists():
            findings.add(NO_DICTIONARY, str(folder / f"dict.{name}.txt"), "the dictionary is missing")
    limits = RowLimits(
        options.sample_rate_hz,
        options.min_duration_s,
        options.max_duration_s,
        _find_classes(folder, splits, dictionaries, options),
        options.ctc,
        options.ctc_limits,
    )
    scans = [scan_split(folder, split, dictionaries, limits, findings) for split in splits]
    check_between(folder, scans, findings, allow_shared_speakers=options.allow_shared_speakers)
    workers = options.num_workers or default_workers()
    audio = AudioLimits(options.sample_rate_hz, options.any_rate, options.num_decode, options.seed, workers)
    rates = check_audio(folder, scans, audio, findings, progress=options.progress)
    return Report(folder, scans, rates, findings)


def _find_splits(folder: Path, options: Options, findings: Findings) -> list[str]:
    found = sorted(
        (
            path.name.removesuffix(".tsv")
            for path in folder.glob("*.tsv")
            if not path.name.endswith(NOT_SPLITS)
        ),
        key=lambda name: (not name.startswith("train"), not name.startswith("valid"), name),
    )
    for name in options.splits:
        if name not in found:
            findings.add(NO_SPLIT, str(folder / f"{name}.tsv"), "the manifest is missing")
    if not found:
        findings.add(NO_SPLITS, str(folder), _why_no_splits(folder))
    return [name for name in found if not options.splits or name in options.splits]


def _why_no_splits(folder: Path) -> str:
    """Describe a folder without manifests: missing, or with manifest folders below it."""
    if not folder.is_dir():
        return "there is no such folder"
    below = sorted({path.parent.relative_to(folder).as_posix() for path in folder.rglob("train.tsv")})
    return f"it holds no *.tsv, but {', '.join(below[:3])} below it do" if below else "it holds no *.tsv"


def _find_classes(
    folder: Path, splits: Sequence[str], dictionaries: Mapping[str, frozenset[str] | None], options: Options
) -> Sequence[str]:
    """Return the label streams of one class per row: those named, or those that look so and have a dictionary."""
    if options.classes is not None:
        return options.classes
    asked = [name for name, symbols in dictionaries.items() if symbols and name not in options.ctc]
    return [name for name in asked if looks_like_classes(folder / f"{split}.{name}" for split in splits)]


def _find_labels(folder: Path, splits: Sequence[str]) -> list[str]:
    """Return the label streams of any split: every split must have them all."""
    names = {
        path.name.removeprefix(f"{split}.")
        for split in splits
        for path in folder.glob(f"{split}.*")
        if not path.name.endswith((".tsv", "~", ".bak")) and path.is_file()
    }
    return sorted(names)
