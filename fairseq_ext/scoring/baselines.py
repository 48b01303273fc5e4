"""Rows that hear nothing: what a score is worth is seen beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..manifest import read_dictionary, read_labels
from . import metrics
from .embeddings import read_split
from .evaluation import labelled, shared_speakers
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
    """Answers every utterance with the most frequent class of the training split, and writes the row's files.

    Its macro-F1 is low however large the class, its accuracy is not.

    Args:
        system: its name and making.
        out: folder to write to.
        data: manifest folder.
        label: label stream, such as `accent`.
        train_split: split to count in; of equal counts the class that the dictionary lists first.
        split: split to score.
        over: what the intervals draw, one of `metrics.INTERVALS_OVER`.

    Returns:
        What metrics.json holds.

    Raises:
        ValueError: the training split has no label of the dictionary, or the test split one that is not in it.
    """
    labels = tuple(read_dictionary(Path(data) / f"dict.{label}.txt"))
    counts = Counter(read_labels(data, train_split, label))
    class_numbers([name for name in counts if name], labels, f"{data}/{train_split}.{label}")
    answer = max(labels, key=lambda name: counts[name], default="")
    if not counts[answer] or not answer:
        raise ValueError(
            f"{data}/{train_split}.{label}: expected labels of the dictionary, found none; write the manifest again"
        )
    asked = read_split(data, split, label)
    scored = labelled(asked)
    targets = class_numbers(scored.targets, labels, f"{data}/{split}.{label}")
    scores = np.tile(np.eye(len(labels), dtype=np.float32)[labels.index(answer)], (len(targets), 1))
    answers = Predictions(scored.ids, scored.speakers, targets, scores, labels)
    config = {"task": {"label": label}, "model": {"_name": "majority", "train_split": train_split}}
    result = {
        **system.facts(CLASSIFICATION, config, num_parameters=0),
        **metrics.score(targets, answers.answers, answers.speakers, labels, over=over),
        "num_unreadable": 0,
        "num_unlabelled": len(asked.ids) - len(scored.ids),
        "num_shared_speakers": shared_speakers(data, scored, train_split),
        "majority": {"answer": answer, "n_train": counts.total() - counts[""]},
    }
    write_predictions(out / "predictions.tsv", answers)
    write_json(out / "config.json", config)
    write_json(out / "metrics.json", result)
    return result
