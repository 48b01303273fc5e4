"""Corpora with the same channel, and without speech: what a classifier of corpora finds when the voice is not it.

Where each accent is of another corpus, the microphone tells the accent. `write` makes four sets of the same recordings:

    full             as they are, at one sample rate
    matched          in one band, at one loudness, with one long-term spectrum on average, over one noise floor
    silence          the stretches of `full` in which nobody speaks
    silence_matched  the same stretches of `matched`

Each is a manifest folder with a split test, whose label streams are `accent`, the name of the corpus, and `fold`: of
whole speakers, each with all corpora. What a classifier of accents finds on `silence` is the channel; on `matched`, the
voice and what the matching has left of the channel, which `silence_matched` shows.

Shapes: S samples, F frequencies.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from ..file_errors import FileError
from ..files import atomic_path, atomic_write, write_reasons
from ..jobs import Execution, Item, Outcome, Rejected, Work, one_by_one, outcomes, run
from ..manifest import SPLITS, Utterance, read_manifest, write_manifest
from ..media import recordings
from ..media.audio import load_row
from ..media.recordings import SILENT_PEAK
from ..media.threads import one_thread
from .channel import Channel, Matching, joined_stretches, stretches_without_speech
from .prosody import Floats

SETS = ("full", "matched", "silence", "silence_matched")
LEAST_SILENCE_S = 0.3
NUM_FOLDS = 5
LABEL, FOLD = "accent", "fold"
_LEAST_S = 0.1
_MEASURE, _WRITE = "jobs/measure", "jobs/write"


@dataclass(frozen=True)
class Drawn:
    """A recording that was drawn.

    Attributes:
        utterance: what its manifest says of it.
        corpus: name of its corpus.
        row: its place, see `media.recordings`.
    """

    utterance: Utterance
    corpus: str
    row: tuple[Any, ...]

    @property
    def id(self) -> str:
        """Its id, unique among the corpora."""
        return f"{self.corpus}/{self.utterance.id}"

    @property
    def speaker(self) -> str:
        """Its speaker, unique among the corpora."""
        return f"{self.corpus}/{self.utterance.speaker}"

    @property
    def path(self) -> str:
        """Path of its copies below the folder of a set."""
        name = re.sub(r"[^\w.-]+", "_", self.utterance.id)
        return f"{self.corpus}/{name}-{zlib.crc32(self.utterance.id.encode()):08x}.flac"


@dataclass(frozen=True)
class Written:
    """What `write` did.

    Attributes:
        sizes: set -> recordings of each corpus.
        left_out: (id, reason) of recordings that are in no set, or not in those of silence.
        about: content of channel.json.
    """

    sizes: Mapping[str, Mapping[str, int]]
    left_out: Sequence[tuple[str, str]]
    about: Mapping[str, Any]


def draw(
    folders: Mapping[str, Path], *, num_speakers: int, num_recordings: int, seed: int, rate_hz: int
) -> list[Drawn]:
    """Draw recordings of all splits of each corpus, the same numbers of each.

    Args:
        folders: corpus -> manifest folder.
        num_speakers: speakers of each corpus; 0 = all.
        num_recordings: recordings of each speaker, at most; 0 = all.
        seed: seed of the draw.
        rate_hz: sample rate at which the manifests count, Hz.

    Raises:
        ValueError: a corpus has too few speakers, or recordings without a speaker.
    """
    found: list[Drawn] = []
    for corpus, folder in folders.items():
        of_speaker: dict[str, list[Drawn]] = {}
        for drawn in _listed(corpus, folder, rate_hz):
            if not drawn.utterance.speaker:
                raise ValueError(
                    f"{folder}: {drawn.utterance.id} has no speaker; prepare the manifests with them"
                )
            of_speaker.setdefault(drawn.speaker, []).append(drawn)
        least = num_speakers or 2
        if len(of_speaker) < least:
            raise ValueError(f"{folder}: {least} speakers or more expected, found {len(of_speaker)}")
        rng = np.random.default_rng([seed, zlib.crc32(corpus.encode())])
        for speaker in rng.permutation(sorted(of_speaker))[: num_speakers or None]:
            mine = of_speaker[str(speaker)]
            rows = np.sort(rng.permutation(len(mine))[: num_recordings or None])
            found += [mine[row] for row in rows]
    return found


def _listed(corpus: str, folder: Path, rate_hz: int) -> list[Drawn]:
    """Return the recordings of all splits; one that is in several counts once."""
    found: dict[str, Drawn] = {}
    for split in SPLITS:
        if (folder / f"{split}.tsv").is_file():
            rows = recordings.of_manifest(folder.resolve(), split, rate_hz).rows
            for utterance, row in zip(read_manifest(folder, split), rows, strict=True):
                found.setdefault(utterance.id, Drawn(utterance, corpus, tuple(row)))
    if not found:
        raise ValueError(f"{folder}: none of the splits {', '.join(SPLITS)} is there; give a manifest folder")
    return list(found.values())


def write(
    drawn: Sequence[Drawn],
    out: Path,
    *,
    rate_hz: int,
    seed: int,
    floor_quantile: float = 0.9,
    execution: Execution | None = None,
) -> Written | None:
    """Write the sets; killed at any moment, the same call continues. For `floor_quantile` see `Matching.of`.

    Returns:
        What was done; None where other shards still run.

    Raises:
        ValueError: none of the recordings of a corpus can be read.
    """
    how = replace(
        execution or Execution(workers=0, progress=False), update=True, retry_failed=True, retry_rejected=True
    )
    items = [Item(d.id, {"row": list(d.row), "corpus": d.corpus, "path": d.path}) for d in drawn]
    settings: dict[str, Any] = {"sample_rate_hz": rate_hz, "seed": seed}
    first = run(out / _MEASURE, items, partial(_measuring, rate_hz), settings=settings, execution=how)
    if not first.complete:
        return None
    matching = _matching(list(outcomes(out / _MEASURE)), drawn, rate_hz, floor_quantile)
    work = partial(_writing, out.resolve(), matching, rate_hz, seed)
    # What is matched follows from all recordings: copies made with others do not go with these.
    digest = hashlib.sha256(json.dumps(matching.settings()).encode()).hexdigest()
    settings = {**settings, "matching_sha256": digest}
    second = run(
        out / _WRITE,
        items,
        work,
        settings=settings,
        execution=how,
        output_exists=lambda outcome: all((out / path).is_file() for path in outcome.result["files"]),
    )
    return _finish(drawn, out, matching, rate_hz, seed) if second.complete else None


def _measuring(rate_hz: int) -> Work:
    def measure(item: Item) -> Mapping[str, Any]:
        with one_thread():
            channel = Channel.of(_read(item, rate_hz), rate_hz)
        return {"speech": channel.speech.tolist(), "floor": channel.floor.tolist()}

    return one_by_one(measure)


def _read(item: Item, rate_hz: int) -> Floats:
    entry = recordings.recording_of(item.data["row"])
    try:
        waveform = load_row(entry, rate_hz)  # type: ignore[arg-type]  # a row of a manifest
    except FileError as error:
        raise Rejected("unreadable", str(error)) from error
    if len(waveform) < _LEAST_S * rate_hz or np.abs(waveform).max(initial=0.0) <= SILENT_PEAK:
        raise Rejected("nothing", f"{len(waveform) / rate_hz:.3g} s, silent or shorter than {_LEAST_S:g} s")
    return waveform


def _matching(
    found: Sequence[Outcome], drawn: Sequence[Drawn], rate_hz: int, floor_quantile: float
) -> Matching:
    corpus_of = {d.id: d.corpus for d in drawn}
    of_corpus: dict[str, list[Channel]] = {d.corpus: [] for d in drawn}
    for outcome in found:
        if outcome.state == "done":
            channel = Channel(*(np.array(outcome.result[name]) for name in ("speech", "floor")))
            of_corpus[corpus_of[outcome.id]].append(channel)
    if nothing := [name for name, channels in of_corpus.items() if not channels]:
        raise ValueError(f"{nothing[0]}: none of its recordings can be used; see {_MEASURE}/problems.tsv")
    return Matching.of(of_corpus, rate_hz, floor_quantile=floor_quantile)


def _writing(out: Path, matching: Matching, rate_hz: int, seed: int) -> Work:
    def write_sets(item: Item) -> Mapping[str, Any]:
        with one_thread():
            return _write_sets(item, out, matching, rate_hz, seed)

    return one_by_one(write_sets)


def _write_sets(item: Item, out: Path, matching: Matching, rate_hz: int, seed: int) -> dict[str, Any]:
    waveform = _read(item, rate_hz)
    rng = np.random.default_rng([seed, zlib.crc32(item.id.encode())])
    matched, noise_db = matching(waveform, rate_hz, item.data["corpus"], rng)
    spans = stretches_without_speech(waveform, rate_hz)
    made = {"full": waveform, "matched": matched}
    quiet = {
        f"silence{end}": joined_stretches(w, spans, rate_hz)
        for end, w in (("", waveform), ("_matched", matched))
    }
    silence_s = len(quiet["silence"]) / rate_hz
    made |= quiet if silence_s >= LEAST_SILENCE_S else {}
    files = {f"{name}/audio/{item.data['path']}": wave for name, wave in made.items()}
    clipped = sum(_write_flac(out / path, wave, rate_hz) for path, wave in files.items())
    sizes = {name: len(wave) for name, wave in made.items()}
    return {
        "files": list(files), "sizes": sizes, "silence_s": silence_s, "noise_db": noise_db, "clipped": clipped,
    }  # fmt: skip


def _write_flac(path: Path, waveform: Floats, rate_hz: int) -> int:
    """Write a file, clipped at full scale, and return how many samples were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        soundfile.write(temporary, np.clip(waveform, -1, 1), rate_hz, "PCM_16", format="FLAC")
    return int((np.abs(waveform) > 1).sum())


def _finish(drawn: Sequence[Drawn], out: Path, matching: Matching, rate_hz: int, seed: int) -> Written:
    """Write the manifests of the sets, channel.json and left_out.tsv."""
    found = {outcome.id: outcome for outcome in outcomes(out / _WRITE)}
    fold_of, sizes = _folds(drawn, seed), {}
    for name in SETS:
        rows = [(d, found[d.id].result["sizes"].get(name, 0)) for d in drawn if found[d.id].state == "done"]
        sizes[name] = _write_set(out / name, [row for row in rows if row[1]], fold_of, rate_hz)
    left_out = [
        (d.id, outcome.detail if outcome.state != "done" else _too_little(outcome))
        for d in drawn
        if (outcome := found[d.id]).state != "done" or "silence" not in outcome.result["sizes"]
    ]
    write_reasons(out / "left_out.tsv", left_out)
    done = [outcome.result for outcome in found.values() if outcome.state == "done"]
    about = {
        "sample_rate_hz": rate_hz,
        "seed": seed,
        **matching.settings(),
        "recordings": sizes,
        "num_left_out": len(left_out),
        "num_clipped_samples": sum(result["clipped"] for result in done),
        "median_noise_db": {
            corpus: median(found[d.id].result["noise_db"] for d in drawn if d.corpus == corpus and d.id in found
                           and found[d.id].state == "done")
            for corpus in matching.gains_db
        },
    }  # fmt: skip
    with atomic_write(out / "channel.json") as file:
        json.dump(about, file, indent=1, ensure_ascii=False)
    return Written(sizes, left_out, about)


def _too_little(outcome: Outcome) -> str:
    silence_s = outcome.result["silence_s"]
    return f"{silence_s:.2f} s without speech, {LEAST_SILENCE_S:g} s expected; not in the sets of silence"


def _write_set(
    folder: Path, rows: Sequence[tuple[Drawn, int]], fold_of: Mapping[str, str], rate_hz: int
) -> dict[str, int]:
    """Write the manifest of a set, and return how many recordings of each corpus it has."""
    by_id = {d.id: d for d, _ in rows}
    utterances = [
        Utterance(d.id, d.path, size, speaker=d.speaker, accent=d.corpus, gender=d.utterance.gender)
        for d, size in rows
    ]
    labels: dict[str, Callable[[Utterance], str]] = {
        LABEL: lambda u: by_id[u.id].corpus,
        FOLD: lambda u: fold_of[u.speaker or ""],
    }
    root = (folder / "audio").resolve()
    write_manifest(folder, "test", utterances, root=root, labels=labels, sample_rate_hz=rate_hz)
    return dict(Counter(d.corpus for d, _ in rows))


def _folds(drawn: Sequence[Drawn], seed: int) -> dict[str, str]:
    """Deal the speakers of each corpus to folds; return speaker -> name of the fold."""
    speakers: dict[str, set[str]] = {}
    for d in drawn:
        speakers.setdefault(d.corpus, set()).add(d.speaker)
    count = min(NUM_FOLDS, *(len(names) for names in speakers.values()))
    rng = np.random.default_rng(seed)
    dealt = {corpus: rng.permutation(sorted(names)).tolist() for corpus, names in sorted(speakers.items())}
    return {name: f"fold{i % count + 1}" for names in dealt.values() for i, name in enumerate(names)}
