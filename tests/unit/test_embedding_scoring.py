"""Classifiers of embeddings on partitions: files, controls, counts of what is missing, resumption, comparison."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_embeddings as small

from fairseq_ext.commands import score_comparison, score_embeddings
from fairseq_ext.report.classification import folds
from fairseq_ext.report.result_type import Fold
from fairseq_ext.scoring import comparison, embedding_scoring
from fairseq_ext.scoring.classification import summarise
from fairseq_ext.scoring.classifiers import saved
from fairseq_ext.scoring.embedding_files import EmbeddingFile, write_embeddings
from fairseq_ext.scoring.embedding_partitions import Partition, read_folds, read_partition
from fairseq_ext.scoring.embedding_scoring import Options, score_partitions
from fairseq_ext.scoring.predictions import Predictions, read_embeddings, read_predictions
from fairseq_ext.scoring.scored_system import ScoredSystem

SPOKEN = small.utterances()
FILE = small.file_of(SPOKEN)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three folds of unseen speakers, a leaky partition, and all utterances."""
    root = tmp_path_factory.mktemp("manifests")
    for number in range(3):
        tested = small.SPEAKERS[2 * number : 2 * number + 2]
        small.write_partition(root / f"unseen/fold{number}", SPOKEN, lambda u, t=tested: u.speaker in t)
    small.write_partition(root / "leaky", SPOKEN, lambda u: u.id.endswith("3"))
    small.write_partition(root / "all", SPOKEN, lambda u: True, lambda u: True)
    return root


def system_of(partition: str, classifier: str) -> ScoredSystem:
    return ScoredSystem(f"small_{classifier}", partition, 1, "synthetic", "command")


def partition(
    manifests: Path, name: str = "unseen/fold0", file: EmbeddingFile = FILE, **options: Any
) -> Partition:
    return read_partition(name, manifests / name, file, **{"label": "emotion", **options})


def score(
    out: Path, found: Partition, name: str = "logistic", file: EmbeddingFile = FILE, **options: Any
) -> dict[str, Any]:
    """Score one classifier and return its metrics.json."""
    list(score_partitions(file, [found], system_of, out, [name], Options(**options)))
    path = system_of(found.name, name).folder(out) / "metrics.json"
    metrics: dict[str, Any] = json.loads(path.read_text())
    return metrics


def test_every_file_and_key_is_written(manifests: Path, tmp_path: Path) -> None:
    found = partition(manifests, groups=["gender", "intensity"])
    result = score(tmp_path, found, poolings=["mean+std", "mean"])
    assert result["metrics"]["macro_recall"]["value"] > 0.7
    assert result["intervals_over"] == "speakers"
    assert set(result["per_group"]) == {"gender", "intensity"}
    assert set(result["per_group"]["intensity"]) == {"strong", "unknown"}
    assert set(result["per_group"]["gender"]["male"]) == {"accuracy", "macro_recall", "macro_f1", "n"}
    assert result["choice"]["layer"] == small.INFORMATIVE_LAYER
    assert len(result["choice"]["inner"]) >= 4
    assert max(result["layers"], key=lambda layer: result["layers"][layer]) == str(small.INFORMATIVE_LAYER)
    assert sum(b["n"] for b in result["calibration"]["bins"]) == result["n"] == 36
    assert (result["num_shared_speakers"], result["num_unreadable"], result["n_train"]) == (0, 0, 72)
    folder = system_of("unseen/fold0", "logistic").folder(tmp_path)
    predictions = read_predictions(folder / "predictions.tsv")
    assert predictions.labels == tuple(sorted(small.CLASSES))
    assert np.exp(predictions.scores).sum(1) == pytest.approx(1, abs=1e-4)
    assert read_embeddings(folder / "embeddings.npz")["id"].tolist() == list(predictions.ids)


def test_what_is_scored_is_skipped(manifests: Path, tmp_path: Path) -> None:
    found = partition(manifests)
    first = score(tmp_path, found)
    (line,) = score_partitions(FILE, [found], system_of, tmp_path, ["logistic"], Options())
    assert line == "unseen/fold0/small_logistic seed 1: already scored"
    again = [*score_partitions(FILE, [found], system_of, tmp_path, ["logistic"], Options(), force=True)]
    assert "UAR" in again[0]
    assert score(tmp_path, found) | {"train_s": 0} == first | {"train_s": 0}


def test_what_is_scored_but_not_saved_is_saved(manifests: Path, tmp_path: Path) -> None:
    found, where = partition(manifests), {"scores_folder": tmp_path, "save": tmp_path / "saved"}
    score(tmp_path, found)
    given = (FILE, [found], system_of)
    assert "UAR" in next(score_partitions(*given, classifiers=["logistic"], options=Options(), **where))
    classifier = saved.load(tmp_path / "saved/unseen/fold0/small_logistic").classifier
    assert classifier.labels == found.labels
    assert "already" in next(score_partitions(*given, classifiers=["logistic"], options=Options(), **where))


def test_recordings_without_an_embedding_are_named_and_counted(manifests: Path, tmp_path: Path) -> None:
    gone = {"s0/calm_dogs_1": "silence", "s3/sad_kids_2": "0.003 s"}
    kept = [i for i, id_ in enumerate(FILE.ids) if id_ not in gone]
    file = replace(
        FILE,
        ids=tuple(FILE.ids[i] for i in kept),
        embedding=FILE.embedding[kept],
        duration_s=FILE.duration_s[kept],
        skipped=gone,
    )
    found = partition(manifests, file=file)
    lines = list(score_partitions(file, [found], system_of, tmp_path, ["logistic"], Options()))
    assert "1 recordings such as s3/sad_kids_2 (0.003 s) of the training have no embedding" in lines[0]
    assert "of 35 recordings, 1 unreadable; 1 recordings such as s0/calm_dogs_1 (silence)" in lines[1]
    folder = system_of("unseen/fold0", "logistic").folder(tmp_path)
    assert (folder / "unreadable.tsv").read_text() == "s0/calm_dogs_1\tsilence\ns3/sad_kids_2\t0.003 s\n"
    result = json.loads((folder / "metrics.json").read_text())
    assert (result["num_unreadable"], result["num_train_without_embedding"]) == (1, 1)


def test_none_of_the_recordings_embedded_is_an_error(manifests: Path) -> None:
    file = replace(FILE, ids=tuple(f"other/{id_}" for id_ in FILE.ids))
    with pytest.raises(
        ValueError, match=r"none of 72 labelled recordings has an embedding, such as s2/calm_dogs_1"
    ):
        partition(manifests, file=file)


def test_shared_speakers_are_a_labelled_control_only(manifests: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is in two splits"):
        partition(manifests, "leaky")
    with pytest.raises(ValueError, match="share no speaker"):
        partition(manifests, leaky_control=True)
    result = score(tmp_path, partition(manifests, "leaky", leaky_control=True), leaky=True)
    assert (result["num_shared_speakers"], result["leaky"]) == (6, True)


def test_a_class_that_training_lacks_is_an_error(tmp_path: Path) -> None:
    small.write_partition(
        tmp_path, SPOKEN, lambda u: u.speaker == "s0", lambda u: u.speaker != "s0" and u.emotion != "sad"
    )
    with pytest.raises(
        ValueError, match=r"6 test recordings are of classes that no training recording has, \['sad'\]"
    ):
        read_partition("p", tmp_path, FILE, label="emotion")


def test_controls_are_at_chance(manifests: Path, tmp_path: Path) -> None:
    """Over the three folds; a third is chance."""
    for control in embedding_scoring.CONTROLS:
        found = [
            score(tmp_path / control, partition(manifests, f"unseen/fold{k}"), control=control)
            for k in range(3)
        ]
        mean = np.mean([result["metrics"]["macro_recall"]["value"] for result in found])
        assert abs(mean - 1 / 3) < 0.15, control
    assert found[0]["choice"]["pooling"] == "duration"


def test_centring_takes_the_speakers_out(manifests: Path, tmp_path: Path) -> None:
    file = small.file_of(SPOKEN)
    for row, utterance in enumerate(SPOKEN):  # speakers far apart: useless without their means
        file.embedding[row] += 30 * np.sin(float(str(utterance.speaker)[1]) + np.arange(16))
    plain, centred = (
        score(tmp_path / str(c), partition(manifests, file=file), file=file, centred=c) for c in (False, True)
    )
    assert centred["metrics"]["macro_recall"]["value"] > plain["metrics"]["macro_recall"]["value"]
    assert centred["metrics"]["macro_recall"]["value"] > 0.8


def test_speaker_probe_asks_of_another_sentence(manifests: Path, tmp_path: Path) -> None:
    found = list(read_folds("speaker", manifests / "all", FILE, label="speaker", by="sentence"))
    assert [part.name for part in found] == ["speaker/dogs", "speaker/kids"]
    assert found[0].labels == small.SPEAKERS
    assert not set(found[0].train.split.ids) & set(found[0].test.split.ids)
    result = score(tmp_path, found[0], layers=[2])
    assert result["metrics"]["accuracy"]["value"] > 0.7
    assert result["num_shared_speakers"] is None
    with pytest.raises(ValueError, match=r"test\.accent: this label file is missing"):
        list(read_folds("speaker", manifests / "all", FILE, label="speaker", by="accent"))


def test_pooled_folds_keep_groups_and_calibration(manifests: Path, tmp_path: Path) -> None:
    results = [score(tmp_path, partition(manifests, f"unseen/fold{k}", groups=["gender"])) for k in range(3)]
    every = [
        Fold(result, system_of(result["partition"], "logistic").folder(tmp_path), manifests)
        for result in results
    ]
    pooled = folds.pool(every)
    assert pooled is not None
    assert pooled["per_group"]["gender"]["female"]["n"] == 54
    assert sum(b["n"] for b in pooled["calibration"]["bins"]) == pooled["n"] == 108
    assert len(pooled["choices"]) == 3
    assert pooled["choice"] is None
    expected = np.mean([result["layers"]["1"] for result in results])
    assert pooled["layers"]["1"] == pytest.approx(expected)
    assert summarise([{**results[0], **pooled}])["per_group"] == pooled["per_group"]


def test_seeds_of_an_earlier_version_have_fewer_metrics() -> None:
    metric = {"value": 0.5, "low": 0.4, "high": 0.6}
    old = {"metrics": {"accuracy": metric}, "confusion": [[1, 0], [0, 1]], "labels": ["a", "b"]}
    new = {**old, "metrics": {"accuracy": metric, "weighted_f1": metric}}
    assert set(summarise([new, old])["metrics"]) == {"accuracy"}


def command(name: Any, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    name.add_arguments(parser)
    parser.set_defaults(command_line="test")
    status: int = name.run(parser.parse_args([str(a) for a in arguments]))
    return status


def test_the_commands_score_and_compare(
    manifests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emb = tmp_path / "emb"
    write_embeddings(
        emb, FILE.ids, [FILE.embedding], layers=FILE.layers, poolings=FILE.poolings, widths=FILE.widths,
        duration_s=FILE.duration_s.tolist(), about=FILE.about,
    )  # fmt: skip
    data = [f"unseen/fold{k}={manifests}/unseen/fold{k}" for k in range(3)]
    options = [
        "--embeddings",
        emb,
        "--label",
        "emotion",
        "--scores",
        tmp_path / "scores",
        "--origin",
        "synthetic",
    ]
    given = [*options, "--intervals-over", "speakers", "--data", *data]
    assert (
        command(score_embeddings, *given, "--classifier", "logistic", "knn", "--system", "x_{classifier}")
        == 0
    )
    assert (
        command(score_embeddings, *given, "--classifier", "knn", "--system", "luck", "--control", "shuffled")
        == 0
    )
    capsys.readouterr()
    systems = ["--systems", "luck", "x_knn", "x_logistic"]
    assert command(score_comparison, "--run", tmp_path, "--partition", "unseen/", *systems) == 0
    table = json.loads((tmp_path / "comparison" / "unseen.json").read_text())
    assert [row[0] for row in table["rows"]] == ["luck", "x_knn", "x_logistic"]
    assert float(table["rows"][2][4]) < 0.05
    assert "the same 108 recordings. The bootstrap resamples speakers" in table["note"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--classifier", "svm", "knn", "--system", "x"], "several classifiers need"),
        (["--classifier", "svm", "--system", "x", "--centred", "--save", "f"], "--save is for"),
        (["--classifier", "svm", "--system", "x", "--folds-by", "take", "--leaky-control"], "--folds-by"),
    ],
)
def test_options_that_contradict_each_other(wrong: list[str], message: str) -> None:
    given = ["--embeddings", "e", "--data", "a=b", "--label", "x", "--scores", "s", "--origin", "real"]
    with pytest.raises(argparse.ArgumentError, match=message):
        command(score_embeddings, *given, *wrong)


def test_the_command_lists_every_classifier() -> None:
    assert score_embeddings.CLASSIFIERS == embedding_scoring.NAMES


def predictions(right: np.ndarray, num_speakers: int = 20) -> Predictions:
    """Two classes, half of the utterances each."""
    targets = np.arange(len(right)) % 2
    scores = np.eye(2, dtype=np.float32)[np.where(right, targets, 1 - targets)]
    names = tuple(f"s{i % num_speakers}" for i in range(len(right)))
    return Predictions(tuple(map(str, range(len(right)))), names, targets, scores, ("a", "b"))


def test_a_system_does_not_differ_from_itself() -> None:
    one = predictions(np.random.default_rng(0).random(200) < 0.7)
    found = comparison.compare(one, one)
    assert (found.difference.value, found.difference.low, found.difference.high) == (0, 0, 0)
    assert (found.p_bootstrap, found.p_mcnemar) == (1, 1)


def test_systems_that_are_equally_good_rarely_differ_significantly() -> None:
    rng = np.random.default_rng(0)
    found = [
        comparison.compare(
            predictions(rng.random(200) < 0.7), predictions(rng.random(200) < 0.7), num_resamples=200
        )
        for _ in range(40)
    ]
    assert np.mean([c.p_mcnemar < 0.05 for c in found]) <= 0.15
    assert np.mean([c.p_bootstrap < 0.05 for c in found]) <= 0.2


def test_a_better_system_is_found_in_any_order() -> None:
    rng = np.random.default_rng(0)
    worse, better = predictions(rng.random(400) < 0.5), predictions(rng.random(400) < 0.8)
    order = rng.permutation(400)
    turned = Predictions(
        tuple(better.ids[i] for i in order),
        tuple(better.speakers[i] for i in order),
        1 - better.targets[order],
        better.scores[order][:, ::-1],
        ("b", "a"),
    )
    found = comparison.compare(worse, turned)
    assert found.p_bootstrap < 0.01
    assert found.p_mcnemar < 1e-6
    assert found == comparison.compare(worse, better)
    assert found.difference.value == pytest.approx(found.macro_recall[1] - found.macro_recall[0])
    with pytest.raises(ValueError, match="400 and 399, 399 of them in common"):
        comparison.compare(worse, _without_last(better))


def _without_last(found: Predictions) -> Predictions:
    return Predictions(
        found.ids[:-1], found.speakers[:-1], found.targets[:-1], found.scores[:-1], found.labels
    )


def test_mcnemar_is_the_exact_binomial() -> None:
    assert comparison.mcnemar(0, 0) == 1
    assert comparison.mcnemar(0, 5) == pytest.approx(2 / 2**5)
    assert comparison.mcnemar(3, 3) == 1
