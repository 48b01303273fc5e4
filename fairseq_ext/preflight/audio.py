"""Check of the recordings: every header is read, a seeded sample (or everything) is decoded, in threads.

A recording that several partitions list, as in leave-one-speaker-out, is read once.
"""

import functools
import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from tqdm import tqdm

from ..file_errors import FileError
from .findings import Findings, FindingType, Severity
from .lines import AudioRow, audio_rows
from .rows import SplitScan

if TYPE_CHECKING:
    from ..media.audio import AudioInfo

__all__ = ["AudioLimits", "check_audio"]

MISSING = FindingType("recording missing", "check line 1 of the tsv, or write the manifest again")
UNREADABLE = FindingType(
    "recording unreadable", "fetch the file again, or leave it out and write the manifest again"
)
SHORTER = FindingType(
    "recording shorter than its row says (truncated?)", "fetch the file again, or write the manifest again"
)
LONGER = FindingType("recording longer than its row says", "write the manifest again: the file has changed")
UNDECODABLE = FindingType("recording that cannot be decoded", "fetch the file again, or leave it out")
SILENT = FindingType("recording of nothing but zeros", "listen to it, and leave it out", Severity.WARNING)
OTHER_RATE = FindingType(
    "sample rate other than expected", "convert the files, or allow resampling on reading (--any-rate)"
)
RESAMPLED = replace(
    OTHER_RATE,
    problem="sample rate other than expected: resampled on every reading",
    next_step="convert the files once if training waits for its data",
    severity=Severity.WARNING,
)
MIXED_RATES = FindingType(
    "files of different sample rates", "give the expected rate (--sample-rate-hz)", Severity.WARNING
)

_CHUNK_ROWS = 64
_REMEMBERED = 1 << 16  # recordings whose reading is remembered: about 30 MB


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """The limits for recordings."""

    # sample rate that the manifest counts at, Hz; None takes that of each file
    sample_rate_hz: int | None = None
    any_rate: bool = False  # files may have other rates
    num_decode: int | None = 200  # how many rows to decode; None is all
    seed: int = 1  # seed of the choice of rows to decode
    num_workers: int = 4  # threads


class _Job(NamedTuple):
    where: str
    path: Path
    row: AudioRow
    decode: bool


class _Problem(NamedTuple):
    finding_type: FindingType
    where: str
    detail: str


def check_audio(
    folder: Path, scans: Sequence[SplitScan], limits: AudioLimits, findings: Findings, *, progress: bool
) -> Counter[int]:
    """Read the header of every recording, and decode some; return sample rate in Hz -> rows."""
    scans = [scan for scan in scans if scan.root is not None]
    num_rows = sum(scan.num_rows for scan in scans)
    rates: Counter[int] = Counter()
    jobs = _jobs(folder, scans, _rows_to_decode(num_rows, limits))
    with tqdm(total=num_rows, desc="recordings", unit="file", disable=not (progress and num_rows)) as bar:
        for chunk_rates, problems in _in_threads(_check_chunk, jobs, limits):
            rates.update(chunk_rates)
            bar.update(len(chunk_rates))
            for problem in problems:
                findings.add(*problem)
    del rates[0]  # files whose rate could not be read
    if limits.sample_rate_hz is None and len(rates) > 1:
        found = ", ".join(f"{rate} Hz ({count})" for rate, count in rates.most_common())
        findings.add(MIXED_RATES, str(folder), f"there are several rates: {found}")
    return rates


def _rows_to_decode(num_rows: int, limits: AudioLimits) -> Callable[[int], bool]:
    """Return a function that says whether to decode a row, by its number over all splits."""
    if limits.num_decode is None or limits.num_decode >= num_rows:
        return lambda _: True
    rng = np.random.default_rng(limits.seed)
    chosen = set(rng.choice(num_rows, size=limits.num_decode, replace=False).tolist())
    return chosen.__contains__


def _jobs(folder: Path, scans: Iterable[SplitScan], decode: Callable[[int], bool]) -> Iterator[_Job]:
    numbers = itertools.count()
    for scan in scans:
        tsv_path = folder / f"{scan.name}.tsv"
        assert scan.root is not None  # check_audio keeps only these
        for row in audio_rows(tsv_path):
            yield _Job(f"{tsv_path}:{row.line}", scan.root / row.path, row, decode(next(numbers)))


def _in_threads(
    check: Callable[[list[_Job], AudioLimits], tuple[list[int], list[_Problem]]],
    jobs: Iterator[_Job],
    limits: AudioLimits,
) -> Iterator[tuple[list[int], list[_Problem]]]:
    """Yield results in the order of the rows; only a few chunks wait, however many rows there are."""
    waiting: deque[Future[tuple[list[int], list[_Problem]]]] = deque()
    with ThreadPoolExecutor(limits.num_workers) as pool:
        while chunk := list(itertools.islice(jobs, _CHUNK_ROWS)):
            waiting.append(pool.submit(check, chunk, limits))
            if len(waiting) > 4 * limits.num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _check_chunk(chunk: list[_Job], limits: AudioLimits) -> tuple[list[int], list[_Problem]]:
    """Return the sample rate of each job's file (0: unknown) and the problems found."""
    rates: list[int] = []
    problems: list[_Problem] = []
    for job in chunk:
        rate_hz, found = _check_recording(job, limits)
        rates.append(rate_hz)
        problems += [_Problem(finding_type, job.where, detail) for finding_type, detail in found]
    return rates, problems


def _check_recording(job: _Job, limits: AudioLimits) -> tuple[int, list[tuple[FindingType, str]]]:
    from ..media.audio import num_samples_at

    if job.row.num_samples is None:
        return 0, []  # reported as a row already
    try:
        info = _header(job.path, _stamp(job.path))
    except (FileError, OSError) as error:
        return 0, [(UNREADABLE if job.path.is_file() else MISSING, str(error))]
    expected_hz = limits.sample_rate_hz or info.sample_rate_hz
    found = []
    if info.sample_rate_hz != expected_hz:
        finding_type = RESAMPLED if limits.any_rate else OTHER_RATE
        found.append(
            (finding_type, f"expected {expected_hz} Hz, found {info.sample_rate_hz} Hz ({job.path})")
        )
    # Others round lengths at another rate otherwise than we do.
    tolerance = 0 if info.sample_rate_hz == expected_hz else 1
    found += _check_length(job, num_samples_at(info, expected_hz), tolerance)
    if job.decode and not found:
        found += _check_samples(job, expected_hz)
    return info.sample_rate_hz, found


def _check_length(job: _Job, available: int, tolerance: int) -> Iterator[tuple[FindingType, str]]:
    needed = job.row.start_sample + (job.row.num_samples or 0)
    if available < needed - tolerance:
        yield SHORTER, f"expected {needed} samples, found {available} ({job.path})"
    elif available > needed + tolerance and not job.row.is_segment:
        yield LONGER, f"expected {needed} samples, found {available} ({job.path})"


def _check_samples(job: _Job, sample_rate_hz: int) -> Iterator[tuple[FindingType, str]]:
    num_samples = job.row.num_samples if job.row.is_segment else None
    try:
        start = job.row.start_sample
        num_read, silent = _decoded(job.path, _stamp(job.path), sample_rate_hz, start, num_samples)
    except (FileError, OSError) as error:
        yield UNDECODABLE, str(error)
        return
    if silent:
        yield SILENT, f"all {num_read} samples are zero ({job.path})"


def _stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file does."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@functools.lru_cache(_REMEMBERED)
def _header(path: Path, stamp: tuple[int, int]) -> "AudioInfo":
    from ..media.audio import probe

    return probe(path)


@functools.lru_cache(_REMEMBERED)
def _decoded(
    path: Path, stamp: tuple[int, int], sample_rate_hz: int, start_sample: int, num_samples: int | None
) -> tuple[int, bool]:
    """Decode a recording as training does; return its length in samples and whether all of them are zero."""
    from ..media.audio import load
    from ..media.blocks import Blocks

    if start_sample == 0 and num_samples is None:  # of any length
        sizes = [(len(block), bool(block.any())) for block in Blocks(path, sample_rate_hz)]
        return sum(size for size, _ in sizes), not any(sounds for _, sounds in sizes)
    samples = load(path, sample_rate_hz=sample_rate_hz, start_sample=start_sample, num_samples=num_samples)
    return len(samples), not samples.any()


def default_workers() -> int:
    """Return the number of threads for reading files: a few more than cores, since they wait for the disk."""
    return min(16, 2 * (os.cpu_count() or 1))
