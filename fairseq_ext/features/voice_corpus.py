"""Voice features of a corpus, on many workers, into `features.store`.

Blocks of recordings (`media.recording_blocks`) become the files of the store. A block depends on nothing but its
recordings and runs on one thread, so that the files have the same bytes whatever the number of workers, and after any
kill.

Shapes: T frames, D columns of a group.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..file_errors import FileError
from ..jobs import Item, Outcome, Work, one_by_one
from ..media.recording_blocks import check_done, part, read_part, skipped_of, write_part
from ..media.recordings import Recordings, recording_of
from ..media.threads import one_thread
from ..optional import installed_versions
from .preparation import EFFECTS, Preparation
from .store import ABOUT, read_about, write_store
from .voice_groups import FRAME_RATE_HZ, GROUPS, RATE_HZ
from .voice_recording import cell, columns, measure_recording

JOBS = "jobs/voice"  # below FEATS
ROWS_PER_BLOCK = 8  # a second of work: small corpora keep all workers busy to their end
_PACKAGES = ("fairseq-ext", "torch", "torchaudio", "numpy", "praat-parselmouth")
# Keys of features.json by which a folder is known to hold these features already.
_SAME = ("groups", "preparation", "sample_rate_hz", "recordings_sha256")
# Bands narrower than this lack what is measured up to 8 kHz.
_FULL_RATE_HZ = RATE_HZ

Floats = NDArray[np.float32]


def about_features(groups: Sequence[str], preparation: Preparation, recordings: Recordings) -> dict[str, Any]:
    """Return the entries of features.json that are known before anything is measured."""
    return {
        "frame_rate_hz": FRAME_RATE_HZ,
        "sample_rate_hz": RATE_HZ,
        "groups": {name: {"columns": [asdict(column) for column in GROUPS[name]]} for name in groups},
        "summary": [asdict(column) for column in columns(groups)],
        "preparation": preparation.settings(),
        "recordings_sha256": recordings.digest(),
        "versions": installed_versions(_PACKAGES),
    }


def is_finished(out: Path, about: Mapping[str, Any]) -> bool:
    """Return whether a folder holds these features already.

    Raises:
        ValueError: it holds others.
    """
    if not (out / ABOUT).is_file():
        return False
    found = read_about(out)
    for key in _SAME:
        if found.get(key) != about[key]:
            raise ValueError(f"{out} holds features with other {key}; remove it, or choose another --out")
    return True


def voice_work(out: Path, groups: Sequence[str], preparation: Preparation) -> Work:
    """Make the work of one process; pass `functools.partial(voice_work, ...)` to `jobs.run`."""

    def measure(item: Item) -> Mapping[str, Any]:
        began = time.process_time()
        with one_thread():
            rows, tracks, skipped = _measure(item.data["rows"], item.data["start"], groups, preparation)
        write_part(part(out, item.id), _arrays(tracks, groups))
        return {"rows": rows, "skipped": skipped, "cpu_s": round(time.process_time() - began, 3)}

    return one_by_one(measure)


def _measure(
    given: Sequence[Sequence[Any]], start: int, groups: Sequence[str], preparation: Preparation
) -> tuple[list[dict[str, Any]], list[Mapping[str, Floats]], list[tuple[str, str]]]:
    """Return what is kept of each recording that can be measured, its tracks, and id and reason of the others."""
    rows, tracks, skipped = [], [], []
    for number, row in enumerate(given, start):
        try:
            found = measure_recording(recording_of(row), groups, preparation)
        except FileError as error:
            skipped.append((row[0], str(error)))
            continue
        tracks.append(found.voice.tracks)
        rows.append(
            {
                "row": number,
                "num_frames": len(next(iter(found.voice.tracks.values()))),
                "notes": sorted(found.notes),
                "offset_s": found.prepared.offset_s,
                "numbers": {name: cell(value) for name, value in found.numbers().items()},
            }
        )
    return rows, tracks, skipped


def _arrays(tracks: Sequence[Mapping[str, Floats]], groups: Sequence[str]) -> dict[str, Floats]:
    found = {}
    for name in groups:
        nothing = np.zeros((0, len(GROUPS[name])), np.float32)
        found[name] = np.concatenate([nothing, *(track[name] for track in tracks)])
    return found


def assemble(
    out: Path, recordings: Recordings, outcomes: Sequence[Outcome], about: Mapping[str, Any]
) -> dict[str, int]:
    """Write the store from the parts of all blocks, and return counts to print: measured, skipped, and of notes.

    Raises:
        ValueError: a block has failed, or no recording could be measured.
    """
    check_done(outcomes, out / JOBS)
    rows = [row for outcome in outcomes for row in outcome.result["rows"]]
    skipped = skipped_of(outcomes, len(rows), len(recordings.rows), "measured")
    ids = [recordings.rows[row["row"]][0] for row in rows]
    counts = {"measured": len(rows), "skipped": len(skipped), **_notes(rows)}
    write_store(
        out,
        [(id_, row["num_frames"], row["offset_s"]) for id_, row in zip(ids, rows, strict=True)],
        (read_part(part(out, outcome.id)) for outcome in outcomes),
        about={
            **about,
            "counts": counts,
            "median_effects": _median_effects(rows),
            "num_frames": sum(row["num_frames"] for row in rows),
            "cpu_s": round(sum(outcome.result["cpu_s"] for outcome in outcomes), 1),
        },
        summary=_summary(about, ids, rows),
        skipped=skipped,
    )
    return counts


def _summary(
    about: Mapping[str, Any], ids: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> Iterator[list[str]]:
    names = [column["name"] for column in about["summary"]]
    yield ["id", *names]
    for id_, row in zip(ids, rows, strict=True):
        yield [id_, *(row["numbers"][name] for name in names)]


def _median_effects(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return what each step of the preparation did to the recording in the middle; None where nothing was measured."""
    found: dict[str, float | None] = {}
    for column in EFFECTS:
        values = [float(text) for row in rows if (text := row["numbers"][column.name])]
        found[f"{column.name}, {column.unit}"] = median(values) if values else None
    return found


def _notes(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count recordings with something that a reader of the features should know."""
    read = Counter(f"read_{name}" for row in rows for name in row["notes"])
    numbers = [{name: float(text or "nan") for name, text in row["numbers"].items()} for row in rows]
    return {
        "clipped": sum(n["clipped"] > 0 for n in numbers),
        "recorded_below_16_kHz": sum(n["recorded_rate"] < _FULL_RATE_HZ for n in numbers),
        "without_voice": sum("pitch_median" in n and math.isnan(n["pitch_median"]) for n in numbers),
        "loudness_not_measured": sum(math.isnan(n["loudness"]) for n in numbers),
        "trimmed": sum(n["trimmed_start"] + n["trimmed_end"] > 0 for n in numbers),
        **dict(sorted(read.items())),
    }
