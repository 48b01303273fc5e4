"""The section to listen to: the worst, the median and the best utterances of a recogniser, word over word.

The page holds the recordings, so their number and their length are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...scoring.embeddings import read_locations
from ...scoring.recognition.transcripts import Transcripts, file_name, read_transcripts
from ...scoring.scored_system import RECOGNITION
from ...text.scoring import ErrorCounts, characters, count_errors, words
from ...text.spelling import Spelling
from ..partitions import system_title
from ..pieces import Block, Piece
from ..players import player
from ..run import Run, sample_rate_hz
from ..tables import percent
from .systems import decoder_title, decoders, detailed

CLIPS_PER_GROUP = 6
MAX_CLIP_S = 20.0


@dataclass(frozen=True)
class Transcribed:
    """The detailed recogniser's transcripts with both sides normalised, as they were scored.

    Attributes:
        title: title of the system.
        decoder: decoder that made them.
        partition: partition that was recognised.
        system: contents of metrics.json.
        folder: folder of the scored system.
        transcripts: texts as written and as recognised.
        references: N normalised texts.
        hypotheses: N normalised texts.
        counts: word errors of each utterance.
    """

    title: str
    decoder: str
    partition: str
    system: Mapping[str, Any]
    folder: Path
    transcripts: Transcripts
    references: list[str]
    hypotheses: list[str]
    counts: list[ErrorCounts]


def read_transcribed(run: Run) -> Transcribed | None:
    """Read the transcripts of the recogniser shown in detail: first seed, with the language model if there is one.

    Args:
        run: the run.

    Returns:
        The transcripts, or None when their file is missing.
    """
    summary = detailed(run.results)
    if summary is None:
        return None
    partition = summary["partition"]
    _, folder = run.trainings(partition, summary["system"], RECOGNITION)[partition]
    decoder = decoders([summary])[-1]
    if not (folder / file_name(decoder)).is_file():
        return None
    system = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = read_transcripts(folder / file_name(decoder))
    if found.spelled:
        sides = [r for r, _ in found.spelled], [h for _, h in found.spelled]
    else:  # written before the spelled texts were kept
        spell = Spelling(system["language"])
        sides = [*map(spell, found.references)], [*map(spell, found.hypotheses)]
    counts = [count_errors(words(r), words(h)) for r, h in zip(*sides, strict=True)]
    title = system_title(run.results, summary["system"])
    return Transcribed(title, decoder, partition, system, folder, found, *sides, counts)


def listen(run: Run) -> Sequence[Piece]:
    """Show utterances with players: the worst, those in the middle, the best."""
    found = read_transcribed(run)
    if found is None:
        return []
    locations = read_locations(run.folder / "manifests" / found.partition, found.system.get("split", "test"))
    rate_hz = sample_rate_hz(found.folder)
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
    """Choose the utterances with most, median and fewest errors; none twice, and none without words.

    Args:
        counts: word errors of each utterance.
        size: number of utterances of each group.

    Returns:
        Heading -> positions, the worst first.
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
