"""Classifiers of embeddings scored on partitions, and the files of their systems, as in `evaluation`.

Everything is chosen on the training utterances (`classifiers.choice`), once per partition for all classifiers: the
layer and the pooling; then each classifier's settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_reasons
from ..optional import import_optional
from . import calibration, classification, metrics
from .classifiers import CLASSIFIERS, ensemble, saved
from .classifiers.choice import Choice, Trial, choose_feature, choose_parameters, macro_recall
from .classifiers.ensemble import EnsembleChoice, choose_ensemble
from .classifiers.fitted import EmbeddingClassifier, fit_ensemble, fit_single
from .classifiers.linear import LOGISTIC
from .classifiers.training_set import Feature, TrainingSet
from .embedding_files import JOIN, EmbeddingFile, encoder_settings
from .embedding_partitions import SPEAKER, Partition
from .groups import GROUPS_FILE, per_groups, write_groups
from .linear_probe import centred
from .predictions import Predictions, write_embeddings, write_predictions
from .scored_system import CLASSIFICATION, ScoredSystem, is_scored, write_json

SHUFFLED, DURATION = "shuffled", "duration"
CONTROLS = (SHUFFLED, DURATION)
NAMES = (*CLASSIFIERS, ensemble.NAME)
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Options:
    """How embeddings are read and scores computed.

    Attributes:
        layers: layers to choose among; empty = all of the file.
        poolings: poolings to choose among; empty = all of the file side by side.
        control: `shuffled`: training labels permuted; `duration`: the length of a recording is all that is known.
        centred: subtract from each embedding the mean of its speaker's, see `linear_probe.centred`.
        over: what the bootstrap resamples, one of `metrics.INTERVALS_OVER`.
        leaky: whether speakers are in training and test on purpose; marked in the result.
    """

    layers: Sequence[int] = ()
    poolings: Sequence[str] = ()
    control: str = ""
    centred: bool = False
    over: str = "speakers"
    leaky: bool = False


@dataclass(frozen=True)
class Task:
    """A partition with the embeddings as its classifiers see them, and the choice of layer and pooling they share."""

    file: EmbeddingFile
    partition: Partition
    options: Options
    seed: int
    _train: dict[Feature, Floats] = field(default_factory=dict, repr=False)

    @cached_property
    def training(self) -> TrainingSet:
        """The training utterances; the speakers are no groups where they are the classes."""
        targets = self.partition.train_targets
        if self.options.control == SHUFFLED:
            targets = np.random.default_rng(self.seed).permutation(targets)
        speakers = () if self.partition.label == SPEAKER else self.partition.train.split.speakers
        return TrainingSet(self.train_columns, targets, speakers, len(self.partition.labels), self.seed)

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layers to choose among."""
        return (0,) if self.options.control == DURATION else tuple(self.options.layers) or self.file.layers

    @cached_property
    def feature(self) -> tuple[Feature, list[Trial]]:
        """The chosen layer and pooling, and what was compared."""
        poolings = tuple(self.options.poolings) or (JOIN.join(self.file.poolings),)
        if self.options.control == DURATION:
            poolings = (DURATION,)
        return choose_feature(self.training, self.layers, poolings)

    def train_columns(self, feature: Feature) -> Floats:
        """Return the embeddings of the training utterances."""
        return self._columns(feature, self.partition.train.rows, self.partition.train.split.speakers)

    def test_columns(self, feature: Feature) -> Floats:
        """Return the embeddings of the test utterances."""
        return self._columns(feature, self.partition.test.rows, self.partition.test.split.speakers)

    def _columns(self, feature: Feature, rows: NDArray[np.int64], speakers: Sequence[str]) -> Floats:
        if self.options.control == DURATION:
            return np.log(np.maximum(self.file.duration_s[rows], 1e-3))[:, None].astype(np.float32)
        found = feature.columns(self.file)[rows]
        return centred(found, speakers) if self.options.centred else found


@dataclass(frozen=True)
class Fitted:
    """A fitted classifier, what it was chosen by, and the seconds that took."""

    classifier: EmbeddingClassifier
    choice: Choice | EnsembleChoice
    train_s: float

    @property
    def main_feature(self) -> Feature:
        """The feature of the classifier, or of an ensemble's first member."""
        return self.classifier.members[0].feature


def score_partitions(
    file: EmbeddingFile,
    partitions: Iterable[Partition],
    system_of: Callable[[str, str], ScoredSystem],
    scores_folder: Path,
    classifiers: Sequence[str],
    options: Options,
    *,
    seed: int = 1,
    save: Path | None = None,
    force: bool = False,
) -> Iterator[str]:
    """Score classifiers on partitions; what has its metrics.json is skipped.

    Args:
        partitions: the partitions, read one after another.
        system_of: returns the system of a partition's name and a classifier.
        save: folder for the fitted classifiers, each in `<partition>/<system>` of it.

    Yields:
        A line about each, for the terminal.
    """
    for partition in partitions:
        task = Task(file, partition, options, seed)
        if partition.train.missing:
            yield f"{partition.name}: {_missing(partition.train.missing)} of the training have no embedding"
        for name in classifiers:
            system = system_of(partition.name, name)
            out = system.folder(scores_folder)
            folder = save / partition.name / system.name if save else None
            if is_scored(out) and not force and (folder is None or saved.is_saved(folder)):
                yield f"{system.title}: already scored"
                continue
            fitted = fit(task, name)
            if folder:  # before metrics.json, which says that everything is there
                saved.save(folder, fitted.classifier, _about(task, system))
            result = write(out, system, task, fitted, name)
            missing = (
                f"; {_missing(partition.test.missing)} have no embedding" if partition.test.missing else ""
            )
            recall = 100 * result["metrics"]["macro_recall"]["value"]
            yield f"{system.title}: UAR {recall:.1f} %, {classification.result_line(result)}{missing}"


def _missing(missing: Sequence[tuple[str, str]]) -> str:
    return f"{len(missing)} recordings such as {missing[0][0]} ({missing[0][1]})"


def fit(task: Task, name: str) -> Fitted:
    """Choose and fit a classifier of `NAMES` on the training utterances.

    Raises:
        ValueError: there is no such classifier.
    """
    if name not in NAMES:
        raise ValueError(f"there is no classifier {name!r}; choose one of {', '.join(NAMES)}")
    labels = task.partition.labels
    # The arrays are small: threads would wait for each other.
    with import_optional("threadpoolctl").threadpool_limits(1):
        start = time.perf_counter()
        feature, trials = task.feature
        if name == ensemble.NAME:
            found = choose_ensemble(task.training, feature, task.layers, trials)
            return Fitted(fit_ensemble(task.training, found, labels), found, time.perf_counter() - start)
        choice = choose_parameters(task.training, feature, CLASSIFIERS[name], trials)
        return Fitted(fit_single(task.training, choice, labels), choice, time.perf_counter() - start)


def write(out: Path, system: ScoredSystem, task: Task, fitted: Fitted, name: str) -> Mapping[str, Any]:
    """Write all files of a scored system, metrics.json last; return the contents of that."""
    partition, test = task.partition, task.partition.test
    targets, scores = partition.test_targets, fitted.classifier.log_probs(task.test_columns)
    predictions = Predictions(test.split.ids, test.split.speakers, targets, scores, partition.labels)
    config = _config(task, name)
    result = {
        **system.metadata(CLASSIFICATION, config, num_parameters=fitted.classifier.num_parameters),
        **metrics.score(
            targets, predictions.predicted, predictions.speakers, partition.labels, over=task.options.over
        ),
        "per_group": per_groups(predictions, partition.groups),
        "calibration": calibration.calibration(targets, scores),
        "choice": _choice(fitted, name),
        "layers": _layer_curve(task),
        "train_s": round(fitted.train_s, 3),
        "n_train": len(partition.train.split.ids),
        "num_train_without_embedding": len(partition.train.missing),
        "num_unreadable": len(test.missing),
        "num_unlabelled": test.num_unlabelled,
        # Of a speaker probe they are the classes.
        "num_shared_speakers": None if partition.label == SPEAKER else len(partition.shared_speakers),
        "leaky": task.options.leaky,
    }
    write_predictions(out / "predictions.tsv", predictions)
    write_groups(out / GROUPS_FILE, predictions.ids, partition.groups)
    embedding = task.test_columns(fitted.main_feature)
    write_embeddings(
        out / "embeddings.npz", predictions.ids, predictions.speakers, test.split.targets, embedding
    )
    if missing := (*test.missing, *partition.train.missing):
        write_reasons(out / "unreadable.tsv", missing)
    write_json(out / "config.json", config)
    write_json(out / "metrics.json", result)
    return result


def _config(task: Task, name: str) -> dict[str, Any]:
    about, options = task.file.about, task.options
    model = {
        "_name": name,
        **encoder_settings(about),
        "layers": list(task.layers),
        "poolings": list(options.poolings) or list(task.file.poolings),
        "control": options.control,
        "centred": options.centred,
    }
    rate_hz = about.get("sample_rate_hz")  # at which the manifests count, too
    return {"task": {"label": task.partition.label, "sample_rate_hz": rate_hz}, "model": model}


def _choice(fitted: Fitted, name: str) -> dict[str, Any]:
    main = fitted.classifier.members[0]
    found: dict[str, Any] = {
        "layer": main.feature.layer,
        "pooling": main.feature.pooling,
        "classifier": name,
        "parameters": dict(main.parameters),
        "inner_macro_recall": fitted.choice.macro_recall if fitted.choice.trials else None,
        "inner": [trial.as_json() for trial in fitted.choice.trials],
    }
    if isinstance(fitted.choice, EnsembleChoice):
        found["members"] = [
            {
                "layer": m.feature.layer,
                "pooling": m.feature.pooling,
                "classifier": m.classifier.name,
                "parameters": dict(m.parameters),
            }
            for m in fitted.classifier.members
        ]
    return found


def _layer_curve(task: Task) -> dict[str, float]:
    """Return the macro recall on the test of each layer, by logistic regression at its default strength.

    It describes the encoder; nothing is chosen by it.
    """
    pooling, curve = task.feature[0].pooling, {}
    for layer in task.layers if len(task.layers) > 1 else ():
        feature = Feature((layer,), pooling)
        scaling, vectors = task.training.scaled(feature, "columns")
        fixed = (task.training.targets, task.training.num_classes, LOGISTIC.default, task.seed)
        scores = LOGISTIC.fit(vectors, *fixed).scores(scaling(task.test_columns(feature)))
        curve[str(layer)] = macro_recall(task.partition.test_targets, scores)
    return curve


def _about(task: Task, system: ScoredSystem) -> dict[str, Any]:
    """Return what a saved classifier says of its vectors and its training."""
    about = task.file.about
    return {
        "encoder": str(about.get("encoder", "")),
        "encoder_sha256": about.get("sha256"),
        "sample_rate_hz": about.get("sample_rate_hz"),
        "pad_s": about.get("pad_s", 0.0),
        "layers": list(task.file.layers),
        "poolings": list(task.file.poolings),
        "label": task.partition.label,
        "trained_on": {
            "partition": system.partition,
            "n": len(task.partition.train.split.ids),
            "data": system.data,
        },
        "seed": task.seed,
    }
