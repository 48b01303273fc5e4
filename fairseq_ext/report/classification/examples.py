"""The section to listen to: what was spoken, what was recognised, and the recording itself.

The page holds the recordings, so their number and their bytes are bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from ...scoring.embeddings import read_locations
from ...scoring.predictions import Predictions
from ..partitions import system_title
from ..pieces import Block, Piece
from ..players import Player, player
from ..run import Run, sample_rate_hz
from .folds import PREDICTIONS, read_folds

MAX_CLIPS = 60
MAX_AUDIO_BYTES = 2_000_000
MAX_CLIP_S = 10.0


def examples(run: Run) -> Sequence[Piece]:
    """Show what was spoken and what was recognised, wrong predictions first, with players."""
    name, folders = run.first_detailed(PREDICTIONS)
    if not folders:
        return []
    predictions = read_folds(folders.values())
    locations = {
        key: entry
        for partition in folders
        for key, entry in read_locations(run.folder / "manifests" / partition, "test").items()
    }
    rate_hz = sample_rate_hz(next(iter(folders.values())))
    budget = MAX_AUDIO_BYTES
    cards = []
    for i in tqdm(
        _wrong_first(predictions)[:MAX_CLIPS], desc="players", unit="clip", leave=False, disable=None
    ):
        key = predictions.ids[i]
        audio = player(locations.get(key), rate_hz, key, max_s=MAX_CLIP_S, compress=True, max_bytes=budget)
        budget -= len(audio.uri) if isinstance(audio, Player) else 0
        cards.append(_card(predictions, i, run.results["about"].get("words", {})) | {"player": audio})
    about = {
        "title": system_title(run.results, name),
        "num_wrong": int((predictions.scores.argmax(axis=1) != predictions.targets).sum()),
        "num_recordings": len(predictions.ids),
    }
    return [Block("examples", {**about, "cards": cards})]


def _wrong_first(predictions: Predictions) -> list[int]:
    """Order wrong predictions by falling margin over the truth, then right ones by rising margin over the next."""
    at = np.arange(len(predictions.ids))
    truth = predictions.scores[at, predictions.targets]
    others = predictions.scores.copy()
    others[at, predictions.targets] = -np.inf
    # A class that a fold was not trained on has -inf: as the truth it gives the largest margin, on both sides NaN.
    margin = others.max(axis=1) - truth  # above 0: wrong
    return [int(i) for i in np.argsort(-np.nan_to_num(margin, posinf=1e9, neginf=-1e9), kind="stable")]


def _card(predictions: Predictions, i: int, words: Mapping[str, str]) -> dict[str, Any]:
    names = (predictions.labels[k] for k in (predictions.targets[i], predictions.scores[i].argmax()))
    reference, hypothesis = (words.get(name, name) for name in names)
    return {
        "reference": reference,
        "hypothesis": hypothesis,
        "is_wrong": reference != hypothesis,
        "speaker": predictions.speakers[i],
        "id": predictions.ids[i],
    }
