"""Convert a folder of recordings to mono FLAC at one rate: fast to read, exact to seek, checked once.

Training then meets no damaged file and no slow seek. `convert_file` converts one recording; `convert_folder` runs it
over a folder through `fairseq_ext.jobs`, whose files are in `OUT/jobs/convert`.
"""

import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import parent_process
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ..file_errors import FileError
from ..files import atomic_path, atomic_write, write_reasons
from ..jobs import Execution, Item, Outcome, Rejected, Work, one_by_one, outcomes, run
from .blocks import Blocks
from .media_files import media_files, printable, write_passed_over
from .readers import MAX_RATE_HZ, MIN_RATE_HZ, Samples
from .scale import Level, limit_of
from .threads import one_thread

JOB = Path("jobs", "convert")  # folder of the run, below that of the FLAC files
_BATCH_SIZE = 16  # recordings; a chunk of `jobs` has as many or more, so that its bookkeeping costs little


NOTES = ("track", "opposite_phase_s", "silence_s", "beyond_full_scale", "scaled_by", "clipped")


@dataclass(slots=True)
class Conversion:
    """The result of converting a folder.

    Attributes:
        num_converted: number of recordings converted by this call.
        num_kept: number of recordings whose FLAC file was there already.
        num_missing: number of recordings left to other shards; the problems are known when it is 0.
        num_failed: number of problems that are not the recording's fault: the conversion raised an error.
        num_passed_over: number of files that are no recordings.
        problems: (path relative to the source, why it was skipped), sorted.
        notes: (path, what was chosen, filled in or changed: keys of `NOTES`), sorted.
    """

    num_converted: int = 0
    num_kept: int = 0
    num_missing: int = 0
    num_failed: int = 0
    num_passed_over: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def convert_file(source: Path, target: Path, sample_rate_hz: int) -> dict[str, Any]:
    """Convert one recording that `media.audio` can read to 16-bit mono FLAC, and return notes: keys of `NOTES`.

    The target appears when it is complete.

    Raises:
        AudioError: when the recording cannot be used.
    """
    blocks = Blocks(source, sample_rate_hz)
    with atomic_path(target) as temporary:
        level = _write_flac(temporary, blocks, sample_rate_hz)
        limit = limit_of(source, level)
        if limit is None:
            return blocks.notes | ({"clipped": level.num_beyond} if level.num_beyond else {})
        _write_flac(temporary, (block * np.float32(limit.factor) for block in blocks), sample_rate_hz)
    return blocks.notes | limit.notes()


def _write_flac(path: Path, blocks: Iterable[Samples], sample_rate_hz: int) -> Level:
    """Write blocks, clipped at full scale, and return what they hold."""
    level = Level()
    with (
        open(path, "wb") as file,
        soundfile.SoundFile(file, "w", sample_rate_hz, 1, "PCM_16", format="FLAC") as flac,
    ):
        for block in blocks:
            level.add(block)
            flac.write(block)
    return level


def convert_folder(
    source: str | os.PathLike[str],
    dest: str | os.PathLike[str],
    *,
    sample_rate_hz: int,
    execution: Execution | None = None,
) -> Conversion:
    """Convert every recording of a folder; `a/b.mp3` becomes `a/b.flac`.

    Three tables in `dest` name what is not simply converted: `problems.tsv` the recordings that cannot be used,
    `passed_over.tsv` the files that are none (path, reason), and `notes.tsv` what was chosen, filled in or changed.
    The same call again converts what is new, what has another size, what was skipped and what is gone from `dest`; it
    keeps the rest. Without `execution` it runs in this process, without a progress bar; `update`, `retry_failed` and
    `retry_rejected` are always on.

    Raises:
        ValueError: for no recording, two that would get one name, a destination within the source or that is a file,
            a rate that no recorder uses, or another rate than that of the FLAC files that are there.
        WorkerError: when the conversion cannot go on, such as on a full disk.
    """
    execution = execution or Execution(workers=0, progress=False)
    root, target_root = Path(source).resolve(), Path(dest).resolve()
    _check(root, target_root, sample_rate_hz)
    found = media_files(root)
    items = list(_items(root, found.paths))
    write_passed_over(target_root / "passed_over.tsv", found)
    job, call = target_root / JOB, secrets.token_hex(4)
    # FLAC files from before conversion kept a record of what it did are taken as they are.
    work = partial(
        _make_work, root, target_root, sample_rate_hz, call, adopt=not (job / "plan.json").exists()
    )
    with one_thread() if execution.workers == 0 else nullcontext():
        summary = run(
            job,
            items,
            work,
            settings={"sample_rate_hz": sample_rate_hz},
            execution=replace(execution, update=True, retry_failed=True, retry_rejected=True),
            batch_size=_BATCH_SIZE,
            output_exists=lambda outcome: (target_root / outcome.result["flac"]).exists(),
        )
    problems, notes = target_root / "problems.tsv", target_root / "notes.tsv"
    if not summary.complete:
        problems.unlink(missing_ok=True)
        notes.unlink(missing_ok=True)
        return Conversion(num_missing=summary.num_missing, num_passed_over=len(found.passed_over))
    result = _count(outcomes(job), call)
    result.num_passed_over = len(found.passed_over)
    write_reasons(problems, result.problems)
    with atomic_write(notes) as file:
        file.write("\t".join(("path", *NOTES)) + "\n")
        for path, values in result.notes:
            cells = (values.get(name, "") for name in NOTES)
            texts = (f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in cells)
            file.write("\t".join((path, *texts)) + "\n")
    return result


def _check(root: Path, target_root: Path, sample_rate_hz: int) -> None:
    if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
        raise ValueError(
            f"sample_rate_hz: expected {MIN_RATE_HZ} to {MAX_RATE_HZ}, found {sample_rate_hz}; 16000 is the usual one"
        )
    if target_root.is_relative_to(root):
        raise ValueError(f"{target_root}: this folder is inside {root}; choose a folder outside of it")
    if target_root.exists() and not target_root.is_dir():
        raise ValueError(f"{target_root}: this is a file; choose a folder to write to")


def _count(found: Iterable[Outcome], call: str) -> Conversion:
    result = Conversion()
    for outcome in found:
        if outcome.state != "done":
            reason = outcome.detail if outcome.state == "rejected" else f"{outcome.reason} {outcome.detail}"
            result.problems.append((outcome.id, reason))
            result.num_failed += outcome.state == "failed"
            continue
        if notes := outcome.result.get("notes"):
            result.notes.append((outcome.id, notes))
        if outcome.result.get("call") == call:
            result.num_converted += 1
        else:
            result.num_kept += 1
    result.problems.sort()
    result.notes.sort(key=itemgetter(0))
    return result


def _items(root: Path, paths: list[str]) -> Iterator[Item]:
    """Yield an item per recording, with its size, by which a replaced recording is noticed."""
    for path, target in _targets(paths, root).items():
        source = root / path
        num_bytes = source.stat().st_size if source.exists() else None  # a link may be broken
        yield Item(printable(path), {"path": path, "flac": target, "num_bytes": num_bytes})


def _is_utf8(path: str) -> bool:
    return os.fsencode(path).decode(errors="replace") == path


def _targets(paths: Iterable[str], root: Path) -> dict[str, str]:
    targets = {path: str(Path(path).with_suffix(".flac")) for path in paths}
    first: dict[str, str] = {}
    for path, target in targets.items():
        if first.setdefault(target, path) != path:
            raise ValueError(
                f"{root}: {first[target]} and {path} would both become {target}; rename one of them"
            )
    if not targets:
        raise ValueError(f"{root}: no recordings found; pass the folder that holds them")
    return targets


def _make_work(root: Path, target_root: Path, sample_rate_hz: int, call: str, *, adopt: bool) -> Work:
    """Return the work of one process; `call` marks what it converts, `adopt` keeps FLAC files that are there."""
    if parent_process() is not None:
        _limit_threads()

    def convert(item: Item) -> dict[str, Any]:
        source, target = root / item.data["path"], target_root / item.data["flac"]
        if not _is_utf8(str(target)):  # no manifest could hold it
            message = "its name is not UTF-8; rename it, with convmv for example"
            raise Rejected("not_utf8", f"{source}: {message}")
        if adopt and target.exists():
            return {"flac": item.data["flac"]}
        try:
            notes = convert_file(source, target, sample_rate_hz)
        except FileError as error:
            raise Rejected("unreadable", str(error)) from error
        return {"flac": item.data["flac"], "call": call, "notes": notes}

    return one_by_one(convert)


def _limit_threads() -> None:
    """Keep a worker to one thread: on a clip of seconds, torch's threads cost four times what they do (200 clips,
    2 busy cores).

    Torch is not imported for it, which takes seconds: a worker does so when it has to change a rate.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
