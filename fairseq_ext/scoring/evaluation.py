"""Turns a loaded network and a split into one scored row: predictions.tsv, embeddings.npz, metrics.json.

metrics.json is written last, so its presence means that the row is complete.
"""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..line_index import AudioEntry
from ..manifest import atomic_path, atomic_write, read_manifest
from ..media.audio import AudioError, load
from . import embeddings, linear_probe, metrics, provenance
from .embeddings import Extracted, Split
from .predictions import Predictions, class_numbers, write_embeddings, write_predictions
from .scored_system import CLASSIFICATION, ScoredSystem, write_json
from .trained import TrainedModel


def evaluate(
    loaded: TrainedModel,
    system: ScoredSystem,
    out: Path,
    *,
    data: Path,
    split: str = "test",
    label: str = "",
    train_log: Path | None = None,
    device: str = "cpu",
    over: str = "recordings",
) -> Mapping[str, Any]:
    """Scores a trained classifier on a split and writes the row's files.

    Args:
        loaded: the network.
        system: its name and making.
        out: folder to write to.
        data: manifest folder.
        split: such as `test`.
        label: label stream; the one the network was trained on when empty.
        train_log: fairseq's log, for the training seconds.
        device: torch device.
        over: what the intervals draw, one of `metrics.INTERVALS_OVER`.

    Returns:
        What metrics.json holds.

    Raises:
        ValueError: the network is no classifier, it has several label streams and none was named, or the split
            does not suit it.
    """
    label = label or str(loaded.cfg.task.label)
    if "," in label:
        raise ValueError(
            f"{system.name}: expected the name of one label stream, found {label!r}; name one of them"
        )
    asked = embeddings.read_split(data, split, label)
    utterances = labelled(asked)
    extracted = embeddings.extract(loaded.model, utterances.entries, loaded.sample_rate_hz, device=device)
    if extracted.logits is None:
        raise ValueError(
            f"{system.name}: expected a classifier, found a network without a classification head; "
            "use tools/probe.py for it"
        )
    read = utterances.subset(extracted.rows.tolist())
    targets = class_numbers(read.targets, loaded.labels, f"{data}/{split}.{label}")
    answers = Predictions(read.ids, read.speakers, targets, extracted.logits, tuple(loaded.labels))
    extra = {
        "train_s": provenance.training_seconds(train_log) if train_log else None,
        "num_unlabelled": len(asked.ids) - len(utterances.ids),
        "num_shared_speakers": shared_speakers(data, utterances),
    }
    _write_spectrograms(out / "spectrograms.npz", loaded, data)
    return _write_system(out, system, loaded, answers, utterances, extracted, device, extra, over)


def labelled(split: Split) -> Split:
    """Leaves out the utterances whose label is not known: an empty line of the label stream.

    Args:
        split: from `embeddings.read_split`.

    Returns:
        The others.
    """
    return split.subset([i for i, target in enumerate(split.targets) if target])


def shared_speakers(data: Path, scored: Split, train_split: str = "train") -> int | None:
    """Counts the speakers who are scored and were trained on: 0 in a result, more in a leaky control.

    Args:
        data: manifest folder.
        scored: the utterances that are scored.
        train_split: the split that was trained on.

    Returns:
        How many, or None when the folder does not hold that split.
    """
    if not (Path(data) / f"{train_split}.tsv").is_file():
        return None
    return len({u.speaker for u in read_manifest(data, train_split)} & set(scored.speakers))


def _write_system(
    out: Path,
    system: ScoredSystem,
    loaded: TrainedModel,
    answers: Predictions,
    asked: Split,
    extracted: Extracted,
    device: str,
    extra: Mapping[str, Any],
    over: str,
) -> Mapping[str, Any]:
    """Writes all files of a row, metrics.json last; `asked` holds unreadable utterances too."""
    scores = metrics.score(answers.targets, answers.answers, answers.speakers, answers.labels, over=over)
    num_parameters = sum(p.numel() for p in loaded.model.parameters())
    facts = system.facts(CLASSIFICATION, loaded.cfg, device=device, num_parameters=num_parameters)
    result = {**facts, **scores, "num_unreadable": len(extracted.failures), **extra}
    write_predictions(out / "predictions.tsv", answers)
    targets = [answers.labels[i] for i in answers.targets]
    write_embeddings(out / "embeddings.npz", answers.ids, answers.speakers, targets, extracted.embedding)
    write_json(out / "config.json", provenance.plain(loaded.cfg))
    if extracted.failures:
        with atomic_write(out / "unreadable.tsv") as file:
            file.writelines(f"{asked.ids[i]}\t{reason}\n" for i, reason in extracted.failures)
    write_json(out / "metrics.json", result)
    return result


def _write_spectrograms(path: Path, loaded: TrainedModel, data: Path, split: str = "train") -> None:
    """Shows the first training recording with and without augmentation, where the network has a front-end."""
    from .augmented import spectrograms  # torch takes seconds to import

    front_end = getattr(loaded.model, "front_end", None)
    locations = embeddings.read_locations(data, split)
    if front_end is None or not locations:
        return
    clip, entry = next(iter(locations.items()))
    place = {"start_sample": entry.start_sample, "num_samples": entry.num_samples}
    try:
        waveform = load(entry.path, sample_rate_hz=loaded.sample_rate_hz, **place)
    except (AudioError, OSError):
        return  # a picture less; the row's scores do not depend on it
    settings = provenance.plain(loaded.cfg.task).get("augment") or {}
    settings = {key: value for key, value in settings.items() if not key.startswith("_")}
    views = spectrograms(front_end.cpu(), waveform, loaded.sample_rate_hz, settings)
    arrays: dict[str, Any] = {f"view_{i}": view for i, view in enumerate(views.values())}
    facts: dict[str, Any] = {"names": list(views), "clip": clip, "hop_ms": float(front_end.config.hop_ms)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays, **facts)


def probe(
    loaded: TrainedModel,
    systems: Sequence[ScoredSystem],
    manifests: Sequence[Path],
    scores_folder: Path,
    *,
    label: str,
    train_split: str = "train",
    split: str = "test",
    device: str = "cpu",
    num_views: int = 0,
    centred: Container[ScoredSystem] = (),
    leaky_control: bool = False,
    over: str = "recordings",
) -> list[Mapping[str, Any]]:
    """Fits linear probes on frozen embeddings, one per manifest folder, and writes a row for each.

    Every recording passes through the network once (and once more per view), however many manifests name it.

    Args:
        loaded: the network; its own classification head, if any, is not used.
        systems: names of the results, one per manifest folder.
        manifests: folders with a training and a test split.
        scores_folder: folder of all scored systems.
        label: label stream, such as `digit`.
        train_split: split to fit on.
        split: split to score.
        device: torch device.
        num_views: distorted copies of each training recording to fit on besides itself; see `views`.
        centred: rows whose embeddings are taken less their speaker's mean; see `classifiers.centred`.
        leaky_control: allow the same speakers in both; see `classifiers.linear_probe`.
        over: what the intervals draw, one of `metrics.INTERVALS_OVER`.

    Returns:
        What each metrics.json holds.
    """
    pairs = [
        tuple(labelled(embeddings.read_split(folder, s, label)) for s in (train_split, split))
        for folder in manifests
    ]
    found = _Embedded.of(loaded, [entry for pair in pairs for entry in pair[1].entries], device)
    learnt = _Embedded.of(
        loaded, [entry for pair in pairs for entry in pair[0].entries], device, num_views, systems[0].seed
    )
    results = []
    for system, (train, test) in zip(systems, pairs, strict=True):
        learnt_part, tested = learnt.of_split(train), found.of_split(test)
        if system in centred:
            learnt_part, tested = _centred(learnt_part), _centred(tested)
        fitted, extra, labels = _fit(learnt_part, tested, leaky_control)
        extra["probe"]["centred"] = system in centred
        test_read, test_part = tested
        targets = class_numbers(test_read.targets, labels, f"{system.partition}/{split}.{label}")
        answers = Predictions(test_read.ids, test_read.speakers, targets, fitted.scores, labels)
        out = system.folder(scores_folder)
        results.append(_write_system(out, system, loaded, answers, test, test_part, device, extra, over))
    return results


_Part = tuple[Split, Extracted]


@dataclass(frozen=True)
class _Embedded:
    """Embeddings of the recordings of several splits, and of their distorted views."""

    extracted: Extracted
    views: Sequence[Extracted]
    position: Mapping[AudioEntry, int]
    reasons: Mapping[AudioEntry, str]

    @classmethod
    def of(
        cls,
        loaded: TrainedModel,
        entries: Sequence[AudioEntry],
        device: str,
        num_views: int = 0,
        seed: int = 1,
    ) -> _Embedded:
        from .views import distorted_views  # torch takes seconds to import

        unique = list(dict.fromkeys(entries))
        extracted = embeddings.extract(loaded.model, unique, loaded.sample_rate_hz, device=device)
        views = distorted_views(loaded, unique, num_views, seed=seed, device=device)
        position = {unique[i]: at for at, i in enumerate(extracted.rows.tolist())}
        return cls(extracted, views, position, {unique[i]: reason for i, reason in extracted.failures})

    def of_split(self, asked: Split) -> _Part:
        """The readable part of a split, view after view, and its embeddings."""
        rows = [i for i, entry in enumerate(asked.entries) if entry in self.position]
        failures = tuple(
            (i, self.reasons[entry]) for i, entry in enumerate(asked.entries) if entry in self.reasons
        )
        at = [self.position[asked.entries[i]] for i in rows]
        embedding = np.concatenate([part.embedding[at] for part in (self.extracted, *self.views)])
        repeated = rows * (1 + len(self.views))
        return asked.subset(repeated), Extracted(
            np.array(repeated, dtype=np.int64), embedding, None, failures
        )


def _centred(part: _Part) -> _Part:
    split, extracted = part
    return split, replace(extracted, embedding=linear_probe.centred(extracted.embedding, split.speakers))


def _fit(
    train: _Part, test: _Part, leaky_control: bool
) -> tuple[linear_probe.Probe, dict[str, Any], tuple[str, ...]]:
    (train_read, train_part), (test_read, test_part) = train, test
    labels = tuple(sorted(set(train_read.targets)))
    start = time.perf_counter()
    fitted = linear_probe.linear_probe(
        train_part.embedding,
        class_numbers(train_read.targets, labels, "train"),
        train_read.speakers,
        test_part.embedding,
        test_read.speakers,
        num_classes=len(labels),
        leaky_control=leaky_control,
    )
    num_clips = len(set(train_read.ids))
    about = {
        "strength": fitted.strength,
        "inner_accuracy": fitted.inner_accuracy,
        "n_train": num_clips,
        "num_views": len(train_read.ids) // num_clips - 1,
        "leaky": fitted.leaky,
    }
    return fitted, {"probe": about, "train_s": round(time.perf_counter() - start, 3)}, labels
