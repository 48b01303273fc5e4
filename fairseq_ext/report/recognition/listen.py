"""The section to listen to: the worst, the middling and the best utterances of a recogniser, word over word.

The page holds the recordings, so their number and their length are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...line_index import AudioEntry
from ...media.audio import AudioError, load
from ...scoring.embeddings import read_locations
from ...scoring.recognition.transcripts import Transcripts, file_name, read_transcripts
from ...text.normalize import normalize
from ...text.scoring import ErrorCounts, characters, count_errors, words
from .. import page, tables
from ..run import Run
from .systems import decoder_title, decoders, detailed, shown_partitions

CLIPS_PER_GROUP = 6
MAX_CLIP_S = 20.0
KEY = (
    '<ul class="key"><li><del>word</del> spoken, above</li><li><ins>word</ins> recognised, below</li>'
    "<li><b>≠</b> another word</li><li><b>−</b> left out</li><li><b>+</b> put in</li></ul>"
)


@dataclass(frozen=True)
class Heard:
    """The detailed recogniser's transcripts with both sides normalised, as they were scored.

    Attributes:
        title: of the system.
        decoder: that made them.
        row: what its metrics.json holds.
        folder: of the row.
        transcripts: as written and as recognised.
        references: N normalised texts.
        hypotheses: N normalised texts.
        counts: word errors of each utterance.
    """

    title: str
    decoder: str
    row: Mapping[str, Any]
    folder: Path
    transcripts: Transcripts
    references: list[str]
    hypotheses: list[str]
    counts: list[ErrorCounts]


def read_heard(run: Run) -> Heard | None:
    """Reads the transcripts of the recogniser shown in detail: first seed, with the language model if there is one.

    Args:
        run: the run.

    Returns:
        The transcripts, or None when they are not here.
    """
    summary = detailed(run.results)
    if summary is None:
        return None
    folder = run.system_folder(summary["partition"], summary["system"])
    decoder = decoders([summary])[-1]
    if folder is None or not (folder / file_name(decoder)).is_file():
        return None
    row = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    found = read_transcripts(folder / file_name(decoder))
    spell = partial(normalize, language_code=row["language"])
    sides = [spell(text) for text in found.references], [spell(text) for text in found.hypotheses]
    counts = [count_errors(words(r), words(h)) for r, h in zip(*sides, strict=True)]
    title = tables.system_title(run.results, summary["system"])
    return Heard(title, decoder, row, folder, found, *sides, counts)


def listen(run: Run) -> str | None:
    """Utterances with players: the worst, those in the middle, the best.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    heard = read_heard(run)
    if heard is None:
        return None
    partition = shown_partitions(run.results)[0]
    locations = read_locations(run.folder / "manifests" / partition, heard.row.get("split", "test"))
    rate = int(
        json.loads((heard.folder / "config.json").read_text(encoding="utf-8"))["task"]["sample_rate_hz"]
    )
    right = sum(not c.errors for c in heard.counts)
    intro = (
        f"<p>{escape(heard.title)}, {escape(decoder_title(heard.decoder))}, first seed: {right:,} of "
        f"{len(heard.counts):,} utterances have no wrong word. Both sides are normalised.</p>{KEY}"
    )
    parts = [intro]
    for name, chosen in choose(heard.counts, CLIPS_PER_GROUP).items():
        cards = [
            _card(heard, i, _sound(locations.get(heard.transcripts.ids[i]), rate, heard.transcripts.ids[i]))
            for i in tqdm(chosen, desc=f"players, {name}", unit="clip", leave=False, disable=None)
        ]
        if cards:
            parts.append(f'<h3>{escape(name)}</h3><ul class="cards texts">{"".join(cards)}</ul>')
    return "".join(parts)


def choose(counts: Sequence[ErrorCounts], size: int) -> dict[str, list[int]]:
    """Chooses utterances with many, middling and few errors; none twice, and none without words.

    Args:
        counts: word errors of each utterance.
        size: how many of each.

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


def _card(heard: Heard, i: int, sound: str) -> str:
    found = heard.transcripts
    errors = heard.counts[i]
    letters = count_errors(characters(heard.references[i]), characters(heard.hypotheses[i]))
    kind = "wrong" if errors.errors else "right"
    pair = page.aligned(words(heard.references[i]), words(heard.hypotheses[i]))
    facts = (
        f"Errors: {errors.errors} in {errors.num_reference} words, WER {tables.percent(errors.rate)} %, "
        f"CER {tables.percent(letters.rate)} %"
    )
    written = f"As written: {found.references[i]}" if found.references[i] != heard.references[i] else ""
    lines = [facts, *([written] if written else []), f"Speaker {found.speakers[i]}, {found.ids[i]}"]
    notes = "<br>".join(escape(line) for line in lines)
    return f'<li class="{kind}">{pair}<p class="note">{notes}</p>{sound}</li>'


def _sound(entry: AudioEntry | None, rate: int, name: str) -> str:
    """A player, or a note that says why there is none."""
    if entry is None:
        return '<p class="note">recording not listed</p>'
    length = min(entry.num_samples, int(MAX_CLIP_S * rate))
    try:
        waveform = load(entry.path, sample_rate_hz=rate, start_sample=entry.start_sample, num_samples=length)
    except (AudioError, OSError):
        return '<p class="note">recording not readable</p>'
    content, media_type = page.compressed(waveform, rate)
    return page.player(content, f"recording {name}", media_type)
