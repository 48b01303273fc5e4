"""The section to listen to: the worst, the median and the best utterances of a recogniser, word over word.

The page holds the recordings, so their number and their length are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...line_index import AudioEntry
from ...scoring.embeddings import read_locations
from ...scoring.recognition.transcripts import Transcripts, file_name
from ...scoring.scored_system import RECOGNITION, read_json
from ...text.normalize import normalize
from ...text.scoring import ErrorCounts, characters, count_errors, words
from ..partitions import system_title
from ..pieces import Block, Piece
from ..players import player
from ..run import Run, sample_rate_hz
from ..tables import percent
from .folds import read_folds
from .systems import decoder_title, decoders, detailed

CLIPS_PER_GROUP = 6
MAX_CLIP_S = 20.0


@dataclass(frozen=True)
class Transcribed:
    """The detailed recogniser's transcripts with both sides normalised, as they were scored.

    Attributes:
        system: contents of metrics.json, of the first fold where they are pooled.
        folders: partition that was recognised -> folder of the scored system; several for folds.
        transcripts: texts as written and as recognised; `references` and `hypotheses` are normalised.
        counts: word errors of each utterance.
    """

    title: str
    decoder: str
    system: Mapping[str, Any]
    folders: Mapping[str, Path]
    transcripts: Transcripts
    references: list[str]
    hypotheses: list[str]
    counts: list[ErrorCounts]


def read_transcribed(run: Run) -> Transcribed | None:
    """Read the transcripts of the recogniser shown in detail: first seed, with the language model if there is one.

    None when their file is missing.
    """
    summary = detailed(run.results)
    if summary is None:
        return None
    decoder = decoders([summary])[-1]
    _, every = run.detailed(summary["partition"], RECOGNITION)
    folders = {p: folder for p, folder in every.items() if (folder / file_name(decoder)).is_file()}
    if not folders:
        return None
    system = read_json(next(iter(folders.values())) / "metrics.json")
    found = read_folds(folders.values(), decoder)
    spell = partial(normalize, language_code=system["language"])
    sides = [spell(text) for text in found.references], [spell(text) for text in found.hypotheses]
    counts = [count_errors(words(r), words(h)) for r, h in zip(*sides, strict=True)]
    title = system_title(run.results, summary["system"])
    return Transcribed(title, decoder, system, folders, found, *sides, counts)


def listen(run: Run) -> Sequence[Piece]:
    """Show utterances with players: the worst, those in the middle, the best."""
    found = read_transcribed(run)
    if found is None:
        return []
    split = found.system.get("split", "test")
    locations = dict[str, AudioEntry]()
    for partition in found.folders:
        locations |= read_locations(run.folder / "manifests" / partition, split)
    rate_hz = sample_rate_hz(next(iter(found.folders.values())))
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, chosen in choose(found.counts, CLIPS_PER_GROUP).items():
        for i in tqdm(chosen, desc=f"players, {name}", unit="clip", leave=False, disable=None):
            key = found.transcripts.ids[i]
            audio = player(locations.get(key), rate_hz, key, max_s=MAX_CLIP_S, compress=True)
            groups.setdefault(name, []).append(_card(found, i) | {"player": audio})
    about = {
        "title": found.title,
        "decoder": decoder_title(found.decoder),
        "num_right": f"{sum(not c.errors for c in found.counts):,}",
        "num_utterances": f"{len(found.counts):,}",
    }
    return [Block("transcripts", {**about, "groups": groups})]


def choose(counts: Sequence[ErrorCounts], size: int) -> dict[str, list[int]]:
    """Choose the utterances with most, median and fewest errors, `size` of each, the worst first.

    None is chosen twice, and none without words.
    """
    spoken = [i for i, c in enumerate(counts) if c.num_reference]
    # Of equal rates the longer utterance says more, good or bad.
    order = sorted(spoken, key=lambda i: (-counts[i].rate, -counts[i].num_reference, i))
    worst = order[:size]
    best = sorted(order[size:], key=lambda i: (counts[i].rate, -counts[i].num_reference, i))[:size]
    middle = (len(order) - size) // 2
    median = [i for i in order[max(middle, 0) : middle + size] if i not in {*worst, *best}]
    return {"Most errors": worst, "In the middle": median, "Fewest errors": best}


def _card(found: Transcribed, i: int) -> dict[str, Any]:
    reference, hypothesis, errors = found.references[i], found.hypotheses[i], found.counts[i]
    letters = count_errors(characters(reference), characters(hypothesis))
    notes = [
        f"Errors: {errors.errors} in {errors.num_reference} words, WER {percent(errors.rate)} %, "
        f"CER {percent(letters.rate)} %"
    ]
    if found.transcripts.references[i] != reference:
        notes.append(f"As written: {found.transcripts.references[i]}")
    notes.append(f"Speaker {found.transcripts.speakers[i]}, {found.transcripts.ids[i]}")
    texts = {"reference": words(reference), "hypothesis": words(hypothesis)}
    return {**texts, "is_wrong": bool(errors.errors), "notes": notes}
