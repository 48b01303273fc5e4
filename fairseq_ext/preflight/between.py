"""Check between the rows of all splits: ids and recordings that occur twice, speakers on both sides."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from .findings import Findings, FindingType, Severity
from .lines import audio_rows, tolerant_lines
from .rows import SplitScan, is_training

__all__ = ["check_between"]

DUPLICATE_ID = FindingType("id occurs twice", "give each utterance its own id")
DUPLICATE_AUDIO = FindingType("recording occurs twice", "list each recording once, in one split")
SHARED_SPEAKER = FindingType(
    "speaker in training and in a held-out split", "split by speaker (fairseq_ext.splits)"
)
SHARED_HELD_OUT = FindingType(
    "speaker in two held-out splits",
    "choose nothing on the one that is reported on the other, or split by speaker",
    Severity.WARNING,
)
DECLARED_LEAK = replace(
    SHARED_SPEAKER,
    problem="speaker in training and in a held-out split: declared a leaky control",
    next_step="label its results as leaky; never report them as accuracy on new speakers",
    severity=Severity.WARNING,
)


def check_between(
    folder: Path, scans: Sequence[SplitScan], findings: Findings, *, allow_shared_speakers: bool
) -> None:
    """Check that splits share neither ids nor recordings nor speakers.

    With `allow_shared_speakers` a speaker in training and in a test is meant, and reported as a warning.
    """
    _check_duplicates(DUPLICATE_ID, [s.id_hashes for s in scans], lambda: _ids(folder, scans), findings)
    _check_duplicates(
        DUPLICATE_AUDIO, [s.audio_hashes for s in scans], lambda: _audio(folder, scans), findings
    )
    for one, other in combinations(scans, 2):
        shared = sorted(one.speakers.keys() & other.speakers.keys())
        if is_training(one.name) == is_training(other.name):
            finding_type = SHARED_HELD_OUT
        else:
            finding_type = DECLARED_LEAK if allow_shared_speakers else SHARED_SPEAKER
        if shared and not (is_training(one.name) and is_training(other.name)):
            detail = f"speakers in both: {', '.join(shared[:10])}"
            findings.add(finding_type, f"{folder}: {one.name} and {other.name}", detail, count=len(shared))


def _ids(folder: Path, scans: Sequence[SplitScan]) -> Iterable[tuple[str, str]]:
    for scan in scans:
        path = folder / f"{scan.name}.meta.tsv"
        for line, text in enumerate(tolerant_lines(path), 1):
            if line > 1:
                yield f"{path}:{line}", text.split("\t")[0]


def _audio(folder: Path, scans: Sequence[SplitScan]) -> Iterable[tuple[str, str]]:
    for scan in scans:
        path = folder / f"{scan.name}.tsv"
        for row in audio_rows(path):
            yield f"{path}:{row.line}", row.audio


def _check_duplicates(
    finding_type: FindingType,
    hashes: Sequence["array[int]"],
    values: Callable[[], Iterable[tuple[str, str]]],
    findings: Findings,
) -> None:
    """Find repeats by 64-bit hashes and confirm them in a second pass over the values themselves."""
    ordered = np.sort(
        np.concatenate([np.frombuffer(h, np.int64) for h in hashes if h] or [np.zeros(0, np.int64)])
    )
    repeated = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    seen: dict[str, str] = {}
    for where, value in values() if repeated else ():
        if hash(value) in repeated and value and seen.setdefault(value, where) != where:
            findings.add(finding_type, where, f"{value!r} occurs twice (first at {seen[value]})")
