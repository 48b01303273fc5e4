"""Linear probes on a network's frozen embeddings, and the files of their systems, as in `evaluation`."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..line_index import AudioEntry
from . import classification, embeddings, linear_probe
from .embeddings import Extracted, Split
from .evaluation import with_labels, write_system
from .predictions import Predictions, class_numbers
from .scored_system import ScoredSystem, is_scored
from .trained import TrainedModel


def probe_checkpoint(
    checkpoint: Path,
    manifests: Mapping[ScoredSystem, Path],
    scores_folder: Path,
    load_model: Callable[[str], TrainedModel],
    *,
    force: bool = False,
    **options: Any,
) -> Iterator[str]:
    """Fit a linear probe for each manifest folder on one checkpoint's embeddings; what is already scored is skipped.

    Args:
        manifests: name of the result -> folder with a training and a test split.
        load_model: loads the network from its path; with fresh weights for the untrained control.
        options: further arguments of `probe`.

    Yields:
        A line about each, for the terminal.
    """
    missing = {
        system: data
        for system, data in manifests.items()
        if force or not is_scored(system.folder(scores_folder))
    }
    for system in manifests.keys() - missing.keys():
        yield f"{system.title}: already scored"
    if not missing:
        return
    trained = load_model(str(checkpoint))
    results = probe(trained, list(missing), list(missing.values()), scores_folder, **options)
    for system, result in zip(missing, results, strict=True):
        yield f"{system.title}: {classification.result_line(result)}"


def probe(
    trained: TrainedModel,
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
    manifest_rate_hz: int | None = None,
) -> list[Mapping[str, Any]]:
    """Fit linear probes on frozen embeddings, one per manifest folder; write their files, return each metrics.json.

    Every recording passes through the network once, however many manifests list it; with views, those of the training
    once more for each.

    Args:
        trained: the network; its own classification head, if any, is not used.
        systems: names of the results, one per manifest folder.
        manifests: folders with a training and a test split.
        scores_folder: folder of all scored systems.
        num_views: augmented copies of each training recording that are fitted on as well; see `distorted_views`.
        centred: systems whose embeddings are centred per speaker; see `linear_probe.centred`.
        leaky_control: allow the same speakers in both splits; see `linear_probe.linear_probe`.
        over: what the bootstrap resamples, one of `metrics.INTERVALS_OVER`.
        manifest_rate_hz: sample rate that the manifests count at, Hz; None = that of the network, which must be a
            multiple of it.
    """
    times = _times(manifest_rate_hz or trained.sample_rate_hz, trained.sample_rate_hz)
    pairs = [
        tuple(_at(with_labels(embeddings.read_split(folder, s, label)), times) for s in (train_split, split))
        for folder in manifests
    ]
    train_entries, test_entries = ([entry for pair in pairs for entry in pair[i].entries] for i in (0, 1))
    if num_views:
        of_train = _Embedded.of(trained, train_entries, device, num_views, systems[0].seed)
        of_test = _Embedded.of(trained, test_entries, device)
    else:  # one manifest's test recordings may be another's for training
        of_train = of_test = _Embedded.of(trained, [*train_entries, *test_entries], device)
    results = []
    for system, (train, test) in zip(systems, pairs, strict=True):
        train_part, test_part = of_train.of_split(train), of_test.of_split(test)
        if system in centred:
            train_part, test_part = _centred(train_part), _centred(test_part)
        widths = getattr(trained.model, "widths", (test_part[1].embedding.shape[1],))
        fitted, extra, labels = _fit(train_part, test_part, leaky_control, widths)
        extra["probe"]["centred"] = system in centred
        if len(widths) > 1:
            extra["probe"] |= _choice(trained.model.candidates, fitted)
        read, extracted = test_part
        chosen = linear_probe.split_columns(extracted.embedding, widths)[fitted.candidate]
        extracted = replace(extracted, embedding=chosen)
        targets = class_numbers(read.targets, labels, f"{system.partition}/{split}.{label}")
        predictions = Predictions(read.ids, read.speakers, targets, fitted.scores, labels)
        out = system.folder(scores_folder)
        results.append(write_system(out, system, trained, predictions, test, extracted, device, extra, over))
    return results


_Part = tuple[Split, Extracted]


def _times(manifest_rate_hz: int, rate_hz: int) -> int:
    """Return the samples of a network for each one that the manifests count."""
    if manifest_rate_hz < 1 or rate_hz % manifest_rate_hz:
        raise ValueError(
            f"the network reads {rate_hz} Hz, which is no multiple of the manifests' {manifest_rate_hz} Hz; write the "
            f"manifests at {rate_hz} Hz"
        )
    return rate_hz // manifest_rate_hz


def _at(split: Split, times: int) -> Split:
    """Return a split whose stretches count that many times as many samples."""
    entries = (
        replace(entry, start_sample=entry.start_sample * times, num_samples=entry.num_samples * times)
        for entry in split.entries
    )
    return split if times == 1 else replace(split, entries=tuple(entries))


@dataclass(frozen=True)
class _Embedded:
    """Embeddings of the recordings of several splits, and of their augmented views."""

    extracted: Extracted
    views: Sequence[Extracted]
    position: Mapping[AudioEntry, int]
    reasons: Mapping[AudioEntry, str]

    @classmethod
    def of(
        cls,
        trained: TrainedModel,
        entries: Sequence[AudioEntry],
        device: str,
        num_views: int = 0,
        seed: int = 1,
    ) -> _Embedded:
        from .distorted_views import distorted_views  # torch takes seconds to import

        unique = list(dict.fromkeys(entries))
        extracted = embeddings.extract(trained.model, unique, trained.sample_rate_hz, device=device)
        views = distorted_views(trained, unique, num_views, seed=seed, device=device)
        position = {unique[i]: at for at, i in enumerate(extracted.rows.tolist())}
        return cls(extracted, views, position, {unique[i]: reason for i, reason in extracted.failures})

    def of_split(self, split: Split) -> _Part:
        """Return the readable utterances of a split, view after view, and their embeddings.

        Raises:
            ValueError: none can be read.
        """
        rows = [i for i, entry in enumerate(split.entries) if entry in self.position]
        failures = tuple(
            (i, self.reasons[entry]) for i, entry in enumerate(split.entries) if entry in self.reasons
        )
        if not rows:
            raise ValueError(
                f"probe: none of {len(split.entries)} utterances of a split can be read "
                f"({failures[0][1] if failures else 'it is empty'}); run fairseq-ext check"
            )
        at = [self.position[split.entries[i]] for i in rows]
        embedding = np.concatenate([part.embedding[at] for part in (self.extracted, *self.views)])
        repeated = rows * (1 + len(self.views))
        return split.subset(repeated), Extracted(
            np.array(repeated, dtype=np.int64), embedding, None, failures
        )


def _choice(candidates: Sequence[Any], fitted: linear_probe.Probe) -> dict[str, Any]:
    """Return the chosen `layer_statistics.Candidate`, and how good each was on training speakers."""
    accuracies = {
        f"layer {layer}, parts {parts}, silence {pad_s:g} s": accuracy
        for (pad_s, layer, parts), accuracy in zip(
            candidates, fitted.candidate_accuracy.values(), strict=False
        )
    }
    return {**candidates[fitted.candidate]._asdict(), "inner_accuracy_by_candidate": accuracies}


def _centred(part: _Part) -> _Part:
    split, extracted = part
    return split, replace(extracted, embedding=linear_probe.centred(extracted.embedding, split.speakers))


def _fit(
    train: _Part, test: _Part, leaky_control: bool, widths: Sequence[int]
) -> tuple[linear_probe.Probe, dict[str, Any], tuple[str, ...]]:
    (train_read, train_extracted), (test_read, test_extracted) = train, test
    labels = tuple(sorted(set(train_read.targets)))
    start = time.perf_counter()
    fitted = linear_probe.linear_probe(
        train_extracted.embedding,
        class_numbers(train_read.targets, labels, "train"),
        train_read.speakers,
        test_extracted.embedding,
        test_read.speakers,
        num_classes=len(labels),
        widths=widths,
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
