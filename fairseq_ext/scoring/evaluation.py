"""Scoring of trained classifiers, and the files of their systems: predictions.tsv, embeddings.npz, metrics.json.

metrics.json is written last, so its presence means that the system is scored. The caller passes a function that loads
checkpoints (`checkpoints.load.load_model`), which is called only when there is something to score: a rerun with nothing
to do does not wait for fairseq.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from ..file_errors import FileError
from ..files import atomic_path, write_reasons
from ..manifest import read_manifest
from ..media.audio import load_row
from . import calibration, classification, embeddings, metrics, provenance
from .embeddings import Extracted, Split
from .groups import GROUPS_FILE, group_names, per_groups, write_groups
from .predictions import Predictions, class_numbers, write_embeddings, write_predictions
from .scored_system import CLASSIFICATION, ScoredSystem, is_scored, write_json
from .trained import TrainedModel
from .trainings import FinishedTraining


class LoadClassifier(Protocol):
    """A function that loads a classifier with the head of one label stream; an empty label = the only head."""

    def __call__(self, path: str, /, *, label: str) -> TrainedModel:
        """Load the classifier."""


def evaluate_all(
    trainings: Sequence[FinishedTraining],
    load_model: LoadClassifier,
    *,
    force: bool = False,
    label: str = "",
    **options: Any,
) -> Iterator[str]:
    """Score classifiers one after another; what is already scored is skipped.

    Args:
        trainings: the classifiers.
        load_model: loads one of them.
        force: score again what is already scored.
        label: label stream of the trainings that name none.
        options: further arguments of `evaluate`.

    Yields:
        A line about each, for the terminal.
    """
    for training in tqdm(
        trainings, desc="evaluate", unit="system", disable=None if len(trainings) > 1 else True
    ):
        name = training.system.title
        if is_scored(training.out) and not force:
            yield f"{name}: already scored"
            continue
        stream = training.label or label
        trained = load_model(str(training.checkpoint), label=stream)
        if not trained.labels:
            yield f"{name}: no classifier; fairseq-ext score probe scores its embeddings"
            continue
        where = {"data": training.data, "label": stream, "train_log": training.log}
        result = evaluate(trained, training.system, training.out, **where, **options)
        yield f"{name}: {classification.result_line(result)}"


def evaluate(
    trained: TrainedModel,
    system: ScoredSystem,
    out: Path,
    *,
    data: Path,
    split: str = "test",
    label: str = "",
    train_log: Path | None = None,
    device: str = "cpu",
    over: str = "recordings",
    groups: Sequence[str] = (),
    groups_data: Path | None = None,
    has_calibration: bool = False,
) -> Mapping[str, Any]:
    """Score a trained classifier on a split, write the system's files, and return the contents of metrics.json.

    Args:
        data: manifest folder.
        label: label stream; empty = the one that the network was trained on.
        train_log: fairseq's log, for the seconds that the training took.
        over: what the bootstrap resamples, one of `metrics.INTERVALS_OVER`.
        groups: label streams, such as gender, whose groups are scored apart.
        groups_data: manifest folder that holds them; None = `data`.
        has_calibration: whether to compare how sure predictions are with how often they are right.

    Raises:
        ValueError: the network is no classifier, it has several label streams and none was named, or the split
            has labels that the network does not have.
    """
    label = label or str(trained.cfg.task.label)
    if "," in label:
        raise ValueError(
            f"{system.name}: the network has several label streams, {label}; name the one to score"
        )
    everything = embeddings.read_split(data, split, label)
    labelled = with_labels(everything)
    extracted = embeddings.extract(trained.model, labelled.entries, trained.sample_rate_hz, device=device)
    if extracted.logits is None:
        raise ValueError(
            f"{system.name}: the network has no classification head; use fairseq-ext score probe for it"
        )
    read = labelled.subset(extracted.rows.tolist())
    targets = class_numbers(read.targets, trained.labels, f"{data}/{split}.{label}")
    predictions = Predictions(read.ids, read.speakers, targets, extracted.logits, tuple(trained.labels))
    extra: dict[str, Any] = {
        "train_s": provenance.training_seconds(train_log) if train_log else None,
        "num_unlabelled": len(everything.ids) - len(labelled.ids),
        "num_shared_speakers": shared_speakers(data, labelled),
    }
    if groups:
        of_group = group_names(groups_data or data, split, groups, predictions.ids)
        extra["per_group"] = per_groups(predictions, of_group)
        write_groups(out / GROUPS_FILE, predictions.ids, of_group)
    if has_calibration:
        extra["calibration"] = calibration.calibration(targets, predictions.scores)
    _write_spectrograms(out / "spectrograms.npz", trained, data)
    return write_system(out, system, trained, predictions, labelled, extracted, device, extra, over)


def with_labels(split: Split) -> Split:
    """Drop the utterances without a label, whose line in the label file is empty."""
    return split.subset([i for i, target in enumerate(split.targets) if target])


def shared_speakers(data: Path, scored: Split, train_split: str = "train") -> int | None:
    """Count the speakers in both the scored and the training split: 0 in a result, more in a leaky control.

    None when the folder does not hold the training split.
    """
    if not (Path(data) / f"{train_split}.tsv").is_file():
        return None
    return len({u.speaker for u in read_manifest(data, train_split)} & set(scored.speakers))


def write_system(
    out: Path,
    system: ScoredSystem,
    trained: TrainedModel,
    predictions: Predictions,
    utterances: Split,
    extracted: Extracted,
    device: str,
    extra: Mapping[str, Any],
    over: str,
) -> Mapping[str, Any]:
    """Write all files of a scored classifier or probe, metrics.json last; return the contents of that.

    Args:
        predictions: predictions of the utterances that could be read.
        utterances: utterances that the failures of `extracted` refer to.
        extracted: embeddings in the order of the predictions, and failures.
        extra: further entries of metrics.json.
        over: what the bootstrap resamples, one of `metrics.INTERVALS_OVER`.
    """
    labels = predictions.labels
    num_parameters = sum(p.numel() for p in trained.model.parameters())
    result = {
        **system.metadata(CLASSIFICATION, trained.cfg, device=device, num_parameters=num_parameters),
        **metrics.score(predictions.targets, predictions.predicted, predictions.speakers, labels, over=over),
        "num_unreadable": len(extracted.failures),
        **extra,
    }
    write_predictions(out / "predictions.tsv", predictions)
    targets = [labels[i] for i in predictions.targets]
    write_embeddings(
        out / "embeddings.npz", predictions.ids, predictions.speakers, targets, extracted.embedding
    )
    write_json(out / "config.json", provenance.plain(trained.cfg))
    if extracted.failures:
        failures = ((utterances.ids[i], reason) for i, reason in extracted.failures)
        write_reasons(out / "unreadable.tsv", failures)
    write_json(out / "metrics.json", result)
    return result


def _write_spectrograms(path: Path, trained: TrainedModel, data: Path, split: str = "train") -> None:
    """Write the first training recording with and without augmentation, for a network with a front-end."""
    from .augmentation_spectrograms import spectrograms  # torch takes seconds to import

    front_end = getattr(trained.model, "front_end", None)
    locations = embeddings.read_locations(data, split)
    if front_end is None or not locations:
        return
    clip, entry = next(iter(locations.items()))
    try:
        waveform = load_row(entry, trained.sample_rate_hz)
    except FileError:
        return  # a picture less; the scores do not depend on it
    settings = provenance.augment_settings(trained.cfg)
    views = spectrograms(front_end.cpu(), waveform, trained.sample_rate_hz, settings)
    arrays: dict[str, Any] = {f"view_{i}": view for i, view in enumerate(views.values())}
    about: dict[str, Any] = {"names": list(views), "clip": clip, "hop_ms": float(front_end.config.hop_ms)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays, **about)
