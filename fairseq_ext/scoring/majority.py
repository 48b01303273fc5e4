"""The baseline that predicts the most frequent class of the training split for every utterance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..dictionary import read_dictionary
from ..manifest import read_labels
from . import metrics
from .embeddings import read_split
from .evaluation import shared_speakers, with_labels
from .predictions import Predictions, class_numbers, write_predictions
from .scored_system import CLASSIFICATION, ScoredSystem, write_json


def majority(
    system: ScoredSystem,
    out: Path,
    *,
    data: Path,
    label: str,
    train_split: str = "train",
    split: str = "test",
    over: str = "recordings",
) -> Mapping[str, Any]:
    """Score the most frequent class of the training split as prediction for every utterance, and write the files.

    Its macro-F1 is low even where one class is so frequent that its accuracy is high. Of equally frequent classes the
    one listed first in the dictionary is taken. Returns the contents of metrics.json.

    Raises:
        ValueError: the training split has no label, or a split has one that is not in the dictionary.
    """
    labels = tuple(read_dictionary(Path(data) / f"dict.{label}.txt"))
    counts = Counter(read_labels(data, train_split, label))
    # An utterance without a label has an empty line, which is counted but never predicted.
    class_numbers([name for name in counts if name], labels, f"{data}/{train_split}.{label}")
    predicted = max(labels, key=lambda name: counts[name], default="")
    if not counts[predicted] or not predicted:
        raise ValueError(
            f"{data}/{train_split}.{label}: no utterance has a label of the dictionary; write the manifest again"
        )
    everything = read_split(data, split, label)
    scored = with_labels(everything)
    targets = class_numbers(scored.targets, labels, f"{data}/{split}.{label}")
    scores = np.tile(np.eye(len(labels), dtype=np.float32)[labels.index(predicted)], (len(targets), 1))
    predictions = Predictions(scored.ids, scored.speakers, targets, scores, labels)
    config = {"task": {"label": label}, "model": {"_name": "majority", "train_split": train_split}}
    result = {
        **system.metadata(CLASSIFICATION, config, num_parameters=0),
        **metrics.score(targets, predictions.predicted, predictions.speakers, labels, over=over),
        "num_unreadable": 0,
        "num_unlabelled": len(everything.ids) - len(scored.ids),
        "num_shared_speakers": shared_speakers(data, scored, train_split),
        "majority": {"answer": predicted, "n_train": counts.total() - counts[""]},
    }
    write_predictions(out / "predictions.tsv", predictions)
    write_json(out / "config.json", config)
    write_json(out / "metrics.json", result)
    return result
