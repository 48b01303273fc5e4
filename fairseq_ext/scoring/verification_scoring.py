"""Score embeddings by verification, and write the files of a scored system.

Embeddings are compared by their cosine, as they are or after a linear discriminant analysis of training recordings
(Fisher's, scikit-learn's), whose settings are chosen by the equal error rate on folds of the training speakers.
For intervals see `verification_intervals`; for pairs of the same and of other sentences, `pair_kinds`.

Shapes: N recordings, D width of the embedding, T trials.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import write_reasons
from ..optional import import_optional
from ..splits import assert_disjoint
from . import verification
from .classifiers.training_set import Feature
from .embedding_files import JOIN, EmbeddingFile, encoder_settings
from .embedding_partitions import SPEAKER, Part, read_part
from .groups import group_names
from .pair_kinds import by_kind, kinds_line, summarise_kinds
from .scored_system import VERIFICATION, ScoredSystem, write_json
from .seeds import over_seeds, range_of
from .verification import Floats, Ranking, Trials
from .verification_intervals import NUM_RESAMPLES, draws, of_pairs, of_recordings

REQUIRED = ("metrics", "det", "trials")
COSINE, LDA = "cosine", "lda"
BACKENDS = (COSINE, LDA)
RANKS = (1, 5, 10)
NUM_FOLDS = 5
COMPONENTS = (5, 10, 20, 40, 80)
SHRINKAGES: tuple[float | None, ...] = (None, 0.1, 0.5)


@dataclass(frozen=True)
class Options:
    """What is compared and how.

    Attributes:
        backend: one of `BACKENDS`.
        layer: layer of the file; None = its last.
        pooling: pooling; empty = all side by side.
        num_trials: targets to draw, and as many others; 0 = all pairs.
        train_splits: splits that the backend may learn from.
        split: the split to score.
        pairs_by: label stream, such as sentence: pairs that share it and pairs that do not are scored apart, too;
            empty = they are not.
    """

    backend: str = COSINE
    layer: int | None = None
    pooling: str = ""
    num_trials: int = 0
    train_splits: Sequence[str] = ("train", "valid")
    split: str = "test"
    pairs_by: str = ""


def joined(files: Sequence[EmbeddingFile]) -> EmbeddingFile:
    """Join embeddings by one encoder, such as of training and test recordings.

    Raises:
        ValueError: they are of different encoders or layers, or have a recording in common.
    """
    first = files[0]
    keys = ("encoder", "sha256", "layers", "poolings", "sample_rate_hz", "pad_s")
    for other in files[1:]:
        if differ := [key for key in keys if first.about.get(key) != other.about.get(key)]:
            raise ValueError(
                f"--embeddings: {differ[0]} {first.about.get(differ[0])} and {other.about.get(differ[0])} found; give "
                "folders of one encoder, or score them one after another"
            )
    ids = [id_ for file in files for id_ in file.ids]
    if len(set(ids)) < len(ids):
        raise ValueError(
            f"--embeddings: {len(ids) - len(set(ids))} recordings are in several folders; give each once"
        )
    return replace(
        first,
        ids=tuple(ids),
        embedding=np.concatenate([file.embedding for file in files]),
        duration_s=np.concatenate([file.duration_s for file in files]),
        skipped={id_: reason for file in files for id_, reason in file.skipped.items()},
    )


def score(
    file: EmbeddingFile,
    folder: Path,
    label: str,
    system: ScoredSystem,
    out: Path,
    options: Options,
) -> dict[str, Any]:
    """Score the embeddings of a split of a manifest folder; write all files, metrics.json last; return its contents.

    Raises:
        ValueError: a test speaker is among those of the training, or there is nothing to compare.
    """
    test = read_part(folder, options.split, label, file)
    feature = Feature(
        (file.layers[-1] if options.layer is None else options.layer,),
        options.pooling or JOIN.join(file.poolings),
    )
    vectors = feature.columns(file)
    choice: dict[str, Any] = {"backend": options.backend, "layer": feature.layer, "pooling": feature.pooling}
    compared = vectors[test.rows]
    if options.backend == LDA:
        train = _training(file, folder, label, options.train_splits)
        assert_disjoint({"training": _voices(train), "test": test.split.speakers})
        compared, chosen = _discriminant(vectors, train, label, compared, system.seed)
        choice |= chosen
    trials = _trials(test, label, options.num_trials, system.seed)
    result = {
        **system.metadata(VERIFICATION, _config(file, label, options)),
        "n": len(test.split.ids),
        "label": label,
        "num_speakers": len(set(test.split.speakers)),
        "num_unreadable": len(test.missing),
        "num_unlabelled": test.num_unlabelled,
        "trials": _described(trials, test),
        "choice": choice,
        "intervals_over": "speakers",
        "num_resamples": NUM_RESAMPLES,
        **figures_of(compared, test, label, trials, seed=system.seed),
    }
    if options.pairs_by:
        names = group_names(folder, options.split, [options.pairs_by], test.split.ids)[options.pairs_by]
        result["pairs_by"] = {
            "stream": options.pairs_by,
            **by_kind(compared, trials, names, test.split.speakers, system.seed),
        }
    if test.missing:
        write_reasons(out / "unreadable.tsv", test.missing)
    write_json(out / "config.json", _config(file, label, options))
    write_json(out / "metrics.json", result)
    return result


def figures_of(embedding: Floats, test: Part, label: str, trials: Trials, *, seed: int) -> dict[str, Any]:
    """Return `metrics` (value, low, high) and `det`, points (false alarm, miss) of the curve."""
    labels, speakers, across = test.split.targets, test.split.speakers, label != SPEAKER
    voices = np.unique(np.array(speakers), return_inverse=True)[1]
    ranking = Ranking(verification.cosines(embedding, trials), trials.targets)
    drawn = draws(voices, seed)
    found = of_pairs(ranking, trials, voices, drawn)
    hits, counts = verification.recall_at(embedding, labels, speakers, RANKS, across_speakers=across)
    for rank, values in hits.items():
        found[f"recall_{rank}"] = of_recordings(values, voices[counts], drawn)
    right, counted = verification.nearest_centroid(embedding, labels, speakers, across_speakers=across)
    found["nearest_centroid"] = of_recordings(right, voices[counted], drawn)
    shape = verification.silhouette(embedding, labels)
    return {
        "metrics": found,
        "silhouette": None if np.isnan(shape) else shape,
        "num_queries": int(counts.sum()),
        "det": [[round(x, 6), round(y, 6)] for x, y in ranking.errors().thinned()],
    }


def _trials(test: Part, label: str, count: int, seed: int) -> Trials:
    labels, speakers, across = test.split.targets, test.split.speakers, label != SPEAKER
    if count:
        return verification.drawn_pairs(labels, speakers, count, seed, across_speakers=across)
    return verification.all_pairs(labels, speakers, across_speakers=across)


def _described(trials: Trials, test: Part) -> dict[str, Any]:
    """Return the rule of the trials, their numbers, and a digest of their list in the order of the manifest's ids."""
    ids = test.split.ids
    pairs = zip(trials.first.tolist(), trials.second.tolist(), strict=True)
    digest = hashlib.sha256("\n".join(f"{ids[i]}\t{ids[j]}" for i, j in pairs).encode()).hexdigest()
    return {
        **trials.rule,
        "num_targets": int(trials.targets.sum()),
        "num_others": int((~trials.targets).sum()),
        "num_same_speaker_left_out": trials.num_same_speaker,
        "sha256": digest,
    }


def _training(file: EmbeddingFile, folder: Path, label: str, splits: Sequence[str]) -> list[Part]:
    present = [name for name in splits if (Path(folder) / f"{name}.tsv").is_file()]
    if not present:
        raise ValueError(
            f"{folder}: none of the splits {', '.join(splits)} is there to fit lda on; name others"
        )
    return [read_part(folder, name, label, file) for name in present]


def _voices(parts: Sequence[Part]) -> list[str]:
    return [speaker for part in parts for speaker in part.split.speakers]


def _discriminant(
    vectors: Floats, train: Sequence[Part], label: str, test: Floats, seed: int
) -> tuple[Floats, dict[str, Any]]:
    """Return the test vectors in the space that tells the training's classes apart best, and what was chosen."""
    rows = np.concatenate([part.rows for part in train])
    labels = np.array([target for part in train for target in part.split.targets])
    speakers = np.array(_voices(train))
    training = np.asarray(vectors[rows], np.float64)
    mean, deviation = training.mean(0), training.std(0)
    scale = np.where(deviation > 0, deviation, 1.0)
    training, tested = (training - mean) / scale, (np.asarray(test, np.float64) - mean) / scale
    table = _choose(training, labels, speakers, label, seed)
    best = min(table, key=lambda row: row["inner_eer"])
    fitted = _lda(training, labels, best["components"], best["shrinkage"])
    chosen = {
        "components": best["components"],
        "shrinkage": best["shrinkage"],
        "inner_eer": best["inner_eer"],
    }
    return fitted.transform(tested), {**chosen, "inner": table}


def _choose(
    training: Floats, labels: NDArray[Any], speakers: NDArray[Any], label: str, seed: int
) -> list[dict[str, Any]]:
    """Return the mean equal error rate of each setting on folds of the training speakers."""
    names = np.unique(speakers)
    folds = np.array_split(np.random.default_rng(seed).permutation(names), min(NUM_FOLDS, len(names) // 2))
    table = []
    for shrinkage in SHRINKAGES:
        for components in COMPONENTS:
            if components >= min(len(np.unique(labels)) * (len(folds) - 1) / len(folds), training.shape[1]):
                continue
            rates = []
            for fold in folds:
                held = np.isin(speakers, fold)
                found = _lda(training[~held], labels[~held], components, shrinkage).transform(training[held])
                rates.append(_eer(found, labels[held], speakers[held], across=label != SPEAKER))
            table.append(
                {"components": components, "shrinkage": shrinkage, "inner_eer": float(np.mean(rates))}
            )
    if not table:
        table = [
            {
                "components": min(len(np.unique(labels)) - 1, training.shape[1]),
                "shrinkage": None,
                "inner_eer": None,
            }
        ]
    return table


def _lda(vectors: Floats, labels: NDArray[Any], components: int, shrinkage: float | None) -> Any:
    module = import_optional("sklearn.discriminant_analysis")
    model = module.LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage, n_components=components)
    with import_optional("threadpoolctl").threadpool_limits(1):
        return model.fit(vectors, labels)


def _eer(vectors: Floats, labels: NDArray[Any], speakers: NDArray[Any], *, across: bool) -> float:
    trials = verification.all_pairs(labels, speakers, across_speakers=across)
    return Ranking(verification.cosines(vectors, trials), trials.targets).errors().eer()


def _config(file: EmbeddingFile, label: str, options: Options) -> dict[str, Any]:
    about = file.about
    model = {
        "_name": options.backend,
        **encoder_settings(about),
        "layer": options.layer,
        "pooling": options.pooling,
        "num_trials": options.num_trials,
        "split": options.split,
    }
    if options.pairs_by:
        model["pairs_by"] = options.pairs_by
    return {"task": {"label": label, "sample_rate_hz": about.get("sample_rate_hz")}, "model": model}


def summarise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the metrics.json of the seeds of one system and partition."""
    shapes = [row["silhouette"] for row in seeds if row.get("silhouette") is not None]
    by = [row["pairs_by"] for row in seeds if row.get("pairs_by")]
    return {
        "label": seeds[0]["label"],
        "num_speakers": seeds[0]["num_speakers"],
        "trials": seeds[0]["trials"],
        "metrics": {
            name: over_seeds([row["metrics"][name] for row in seeds]) for name in seeds[0]["metrics"]
        },
        "silhouette": range_of(shapes) if shapes else None,
        "det": seeds[0]["det"],
        **({"pairs_by": summarise_kinds(by)} if by else {}),
    }


def figures(result: Mapping[str, Any]) -> str:
    """Format the main figures, such as `EER 5.2 % [4.1, 6.3], recall@1 96.1 %`."""
    eer, recall = result["metrics"]["eer"], result["metrics"]["recall_1"]
    interval = f"[{100 * eer['low']:.1f}, {100 * eer['high']:.1f}]"
    kinds = f"; {kinds_line(result['pairs_by'])}" if result.get("pairs_by") else ""
    return f"EER {100 * eer['value']:.1f} % {interval}, recall@1 {100 * recall['value']:.1f} %{kinds}"
