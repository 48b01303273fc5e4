"""The section to listen to: what was spoken, what was recognised, and the recording itself.

The page holds the recordings, so their number and their bytes are bounded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..line_index import AudioEntry
from ..media.audio import AudioError, load
from ..scoring.embeddings import read_locations
from ..scoring.predictions import Predictions, read_predictions
from . import page, tables
from .run import Run

MAX_CLIPS = 60
MAX_AUDIO_BYTES = 2_000_000
MAX_CLIP_S = 10.0


def examples(run: Run) -> str | None:
    """What was spoken and what was recognised, wrong answers first, with players.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    heads = tables.headlines(run.results)
    name, folder = run.detailed(heads[0]) if heads else ("", None)
    if folder is None or not (folder / "predictions.tsv").is_file():
        return None
    answers = read_predictions(folder / "predictions.tsv")
    locations = read_locations(run.folder / "manifests" / heads[0], "test")
    words = run.results["about"].get("words", {})
    order = _wrong_first(answers)
    wrong = int((answers.predicted != answers.targets).sum())
    shown = order[:MAX_CLIPS]
    rate = _sample_rate_hz(folder)
    budget = MAX_AUDIO_BYTES
    cards = []
    for i in tqdm(shown, desc="players", unit="clip", leave=False, disable=None):
        sound = _sound(locations.get(answers.ids[i]), rate, f"recording {answers.ids[i]}", budget)
        budget -= len(sound)
        cards.append(_card(answers, i, words, sound))
    title = escape(tables.system_title(run.results, name))
    intro = (
        f"<p>{title}, first seed: {wrong} of {len(order)} recordings were mistaken. Shown are {len(shown)}, "
        "the wrong ones first, the surest mistake on top. <del>Spoken</del> and not recognised, "
        "<ins>recognised</ins> and not spoken.</p>"
    )
    return f'{intro}<ul class="cards">{"".join(cards)}</ul>'


def _wrong_first(answers: Predictions) -> list[int]:
    """Wrong answers by falling margin over the truth, then right ones by rising margin over the runner-up."""
    at = np.arange(len(answers.ids))
    truth = answers.scores[at, answers.targets]
    others_ = answers.scores.copy()
    others_[at, answers.targets] = -np.inf
    margin = others_.max(axis=1) - truth  # above 0: wrong
    return [int(i) for i in np.argsort(-np.nan_to_num(margin, posinf=1e9, neginf=-1e9), kind="stable")]


def _card(answers: Predictions, i: int, words: Mapping[str, str], sound: str) -> str:
    reference, hypothesis = (
        words.get(answers.labels[k], answers.labels[k]) for k in (answers.targets[i], answers.predicted[i])
    )
    is_wrong = reference != hypothesis
    pair = page.differences(reference.split(), hypothesis.split())
    speaker = escape(answers.speakers[i])
    kind, verdict = ("wrong", "mistaken") if is_wrong else ("right", "right")
    return (
        f'<li class="{kind}"><p class="pair">{pair} <small>{verdict}</small></p>'
        f'<p class="note">{speaker}, <code>{escape(answers.ids[i])}</code></p>{sound}</li>'
    )


def _sample_rate_hz(folder: Path) -> int:
    """The rate at which the manifest counts samples, from the row's training configuration."""
    return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["task"]["sample_rate_hz"])


def _sound(entry: AudioEntry | None, rate: int, description: str, budget: int) -> str:
    """A player, or a note that says why there is none."""
    if entry is None:
        return '<p class="note">recording not listed</p>'
    try:
        length = min(entry.num_samples, int(MAX_CLIP_S * rate))
        waveform = load(entry.path, sample_rate_hz=rate, start_sample=entry.start_sample, num_samples=length)
    except (AudioError, OSError):
        return '<p class="note">recording not readable</p>'
    html = page.player(page.wav(waveform, rate), description)
    return (
        html if len(html) <= budget else '<p class="note">player left out: the page would grow too large</p>'
    )
