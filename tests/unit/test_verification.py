"""Verification: error rates against scikit-learn, trials by rule, intervals over speakers, the files and the report."""

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_embeddings as small
from sklearn.metrics import roc_curve

from fairseq_ext.commands import score_verification
from fairseq_ext.report import results
from fairseq_ext.report.run import Run
from fairseq_ext.report.verification import sections
from fairseq_ext.scoring import pair_kinds, verification, verification_intervals, verification_scoring
from fairseq_ext.scoring.embedding_files import EmbeddingFile, write_embeddings
from fairseq_ext.scoring.scored_system import ScoredSystem
from fairseq_ext.scoring.verification import Ranking, all_pairs, drawn_pairs
from fairseq_ext.scoring.verification_intervals import of_pairs
from fairseq_ext.scoring.verification_scoring import Options, score

SPOKEN = small.utterances()
FILE = small.file_of(SPOKEN)


def some_scores(seed: int, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of 400 trials and whether they are targets."""
    rng = np.random.default_rng(seed)
    targets = rng.random(400) < 0.2
    scores = rng.normal(size=400) + 1.5 * targets
    return (np.round(scores, 1) if ties else scores), targets


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_error_rates_are_those_of_scikit_learn(seed: int, ties: bool) -> None:
    scores, targets = some_scores(seed, ties)
    found = Ranking(scores, targets).errors()
    false_alarm, hit, _ = roc_curve(targets, scores, drop_intermediate=False)
    np.testing.assert_allclose(found.false_alarm, false_alarm, atol=1e-12)
    np.testing.assert_allclose(found.miss, 1 - hit, atol=1e-12)
    # Where the line between two thresholds meets the diagonal.
    grid = np.linspace(0, 1, 200_001)
    curve = np.interp(grid, false_alarm, 1 - hit)
    assert ties or found.eer() == pytest.approx(grid[np.argmin(np.abs(curve - grid))], abs=0.01)
    for p_target in (0.05, 0.5):
        cost = (p_target * (1 - hit) + (1 - p_target) * false_alarm).min() / min(p_target, 1 - p_target)
        assert found.min_dcf(p_target) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("scores", "targets", "eer"),
    [
        ([3, 2, 1, 0], [1, 1, 0, 0], 0.0),
        ([0, 1, 2, 3], [1, 1, 0, 0], 1.0),
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.5),
        ([4, 3, 2, 1], [1, 0, 1, 0], 0.5),
    ],
)
def test_equal_error_rate_of_plain_cases(scores: list[int], targets: list[int], eer: float) -> None:
    assert Ranking(np.array(scores, float), np.array(targets, bool)).errors().eer() == pytest.approx(eer)


def test_points_of_the_curve_are_of_the_curve_and_reach_both_ends() -> None:
    scores, targets = some_scores(4, ties=False)
    errors = Ranking(scores, targets).errors()
    points = errors.thinned(60)
    every = set(zip(errors.false_alarm.tolist(), errors.miss.tolist(), strict=True))
    assert set(points) <= every
    assert len(points) < len(every)
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))


def test_all_pairs_are_of_different_recordings_once() -> None:
    labels, speakers = ["a", "a", "b", "b"], ["p", "p", "q", "r"]
    trials = all_pairs(labels, speakers, across_speakers=False)
    assert list(zip(trials.first, trials.second, strict=True)) == [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 2),
        (1, 3),
        (2, 3),
    ]
    assert trials.targets.tolist() == [True, False, False, False, False, True]
    across = all_pairs(labels, speakers, across_speakers=True)
    assert (len(across), across.num_same_speaker, int(across.targets.sum())) == (5, 1, 1)


def test_drawn_pairs_are_some_of_all_and_the_same_for_a_seed() -> None:
    labels = [f"s{i % 5}" for i in range(40)]
    every = all_pairs(labels, labels, across_speakers=False)
    drawn = drawn_pairs(labels, labels, 30, 3, across_speakers=False)
    pairs = set(zip(drawn.first.tolist(), drawn.second.tolist(), strict=True))
    assert (len(pairs), int(drawn.targets.sum())) == (60, 30)
    assert pairs <= set(zip(every.first.tolist(), every.second.tolist(), strict=True))
    again = drawn_pairs(labels, labels, 30, 3, across_speakers=False)
    assert np.array_equal(drawn.first, again.first)
    assert not np.array_equal(drawn.first, drawn_pairs(labels, labels, 30, 4, across_speakers=False).first)


@pytest.mark.parametrize(
    ("labels", "speakers"),
    [("aaa", "pqr"), ("abc", "pqr"), ("aab", "ppq")],
    ids=["one", "singles", "one speaker"],
)
def test_nothing_to_tell_is_refused(labels: str, speakers: str) -> None:
    with pytest.raises(ValueError, match="pairs that share the label and pairs that do not"):
        all_pairs(list(labels), list(speakers), across_speakers=True)


def test_neighbours_and_centroids_of_another_speaker() -> None:
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.9, 0.2]])
    labels, speakers = list("aaabba"), list("ppqrst")
    hits, counts = verification.recall_at(vectors, labels, speakers, (1, 2), across_speakers=True)
    assert counts.tolist() == [True] * 6
    assert hits[1].tolist() == [1, 1, 1, 1, 1, 1]
    assert hits[2].tolist() == [1] * 6
    right, counted = verification.nearest_centroid(vectors, labels, speakers, across_speakers=True)
    assert (right.tolist(), counted.tolist()) == ([1] * 6, [True] * 6)
    alone, counted = verification.recall_at(vectors, list("aaabbc"), speakers, (1,), across_speakers=True)
    assert counted.tolist() == [True] * 5 + [False]  # the only one of its class has nothing to find
    assert len(alone[1]) == 5


def test_validation_knows_that_the_label_is_the_speaker() -> None:
    rng = np.random.default_rng(1)
    speakers = np.repeat(np.arange(6), 4)
    vectors = rng.normal(size=(6, 8))[speakers] + 0.1 * rng.normal(size=(24, 8))
    assert verification.retrieval(vectors, speakers, speakers, is_speaker=True) == {
        "eer": 0.0, "recall_1": 1.0, "silhouette": pytest.approx(0.9, abs=0.1)
    }  # fmt: skip
    by_accent = verification.retrieval(vectors, speakers // 3, speakers, is_speaker=False)
    assert by_accent["recall_1_speaker"] == 1.0
    assert by_accent["recall_1"] < 1.0  # voices do not count for the accent
    assert verification.retrieval(vectors[:1], speakers[:1], speakers[:1], is_speaker=True)["eer"] == 1.0
    # With one speaker of each accent no pair of two speakers has one accent.
    assert verification.retrieval(vectors, speakers, speakers, is_speaker=False)["eer"] == 1.0


def test_resampled_pairs_are_those_of_the_drawn_speakers() -> None:
    """Binned and added up by pair of speakers, a resample gives what repeating the trials one by one gives."""
    rng = np.random.default_rng(2)
    voices = np.repeat(np.arange(6), 5)
    vectors = rng.normal(size=(6, 4))[voices] + rng.normal(size=(30, 4))
    trials = all_pairs(voices, voices, across_speakers=False)
    scores = verification.cosines(vectors, trials)
    counts = np.array([2, 0, 1, 1, 0, 2])
    first, second = voices[trials.first], voices[trials.second]
    times = counts[first] * np.where(first == second, 1, counts[second])
    plain = Ranking(np.repeat(scores, times), np.repeat(trials.targets, times)).errors().eer()
    ranking = Ranking(scores, trials.targets)
    found = of_pairs(ranking, trials, voices, counts[None])["eer"]
    assert found["low"] == found["high"] == pytest.approx(plain, abs=0.01)
    assert found["value"] == ranking.errors().eer()


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a partition whose test speakers are not trained on."""
    folder = tmp_path_factory.mktemp("manifests") / "unseen"
    return small.write_partition(folder, SPOKEN, lambda u: u.speaker in small.SPEAKERS[:3]) or folder


def scored(manifests: Path, out: Path, label: str = "emotion", **options: Any) -> dict[str, Any]:
    """Score layer 1 of the small embeddings."""
    system = ScoredSystem("small", "unseen", 1, "synthetic", "command")
    return score(FILE, manifests, label, system, out, Options(layer=1, pooling="mean", **options))


def test_discriminant_finds_what_tells_classes_apart_and_intervals_hold_the_figures(
    manifests: Path, tmp_path: Path
) -> None:
    plain, lda = scored(manifests, tmp_path / "a"), scored(manifests, tmp_path / "b", backend="lda")
    assert lda["metrics"]["eer"]["value"] < plain["metrics"]["eer"]["value"] < 0.5
    assert lda["choice"]["components"] <= 2
    for result in (plain, lda):
        assert all(
            m["low"] <= m["value"] + 0.02 and m["value"] - 0.02 <= m["high"]
            for m in result["metrics"].values()
        )
        assert result["trials"]["num_same_speaker_left_out"] == 3 * 18 * 17 // 2
        assert result["trials"]["num_targets"] + result["trials"]["num_others"] == 3 * 18 * 18
    assert json.loads((tmp_path / "a" / "metrics.json").read_text(encoding="utf-8")) == plain
    assert plain["trials"]["sha256"] == lda["trials"]["sha256"]
    assert scored(manifests, tmp_path / "c", num_trials=50)["trials"]["num_others"] == 50


def words_heard(strength: float) -> EmbeddingFile:
    """Return the small embeddings with so much of the sentence in them."""
    words = np.random.default_rng(5).normal(size=(2, FILE.embedding.shape[2]))
    said = [small.SENTENCES.index(u.id.split("_")[1]) for u in SPOKEN]
    return replace(FILE, embedding=(FILE.embedding + strength * words[said][:, None]).astype(np.float32))


def test_pairs_of_the_same_and_of_other_sentences_are_scored_apart(
    manifests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_intervals, "NUM_RESAMPLES", 100)
    found = {}
    for strength in (0.0, 4.0):
        system = ScoredSystem("small", "unseen", 1, "synthetic", "command")
        options = Options(layer=1, pooling="mean", pairs_by="sentence")
        result = score(words_heard(strength), manifests, "emotion", system, tmp_path / str(strength), options)
        by = found[strength] = result["pairs_by"]
        assert (by["stream"], by["num_unknown"]) == ("sentence", 0)
        # Three speakers, nine recordings each of a sentence, three of each class.
        assert (by["same"]["num_targets"], by["same"]["num_others"]) == (3 * 2 * 3 * 9, 3 * 2 * 6 * 9)
        assert (by["other"]["num_targets"], by["other"]["num_others"]) == (3 * 2 * 3 * 9, 3 * 2 * 6 * 9)
        assert "same sentence EER" in verification_scoring.figures(result)
        assert (
            sum(by[kind][count] for kind in ("same", "other") for count in ("num_targets", "num_others"))
            == result["trials"]["num_targets"] + result["trials"]["num_others"]
        )
    # The same labels and words: with words in the embeddings, those of another sentence are harder to tell.
    plain, heard = ({kind: by[kind]["metrics"]["eer"] for kind in ("same", "other")} for by in found.values())
    assert plain["same"]["low"] < plain["other"]["value"] < plain["same"]["high"] + 0.1
    assert heard["other"]["value"] > plain["other"]["value"] + 0.02

    plain_eer = Ranking(*_trials_of(manifests, same=True)).errors().eer()
    assert found[0.0]["same"]["metrics"]["eer"]["value"] == pytest.approx(plain_eer)


def _trials_of(manifests: Path, *, same: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and targets of the test pairs of different speakers with the same, or another, sentence."""
    tested = [i for i, u in enumerate(SPOKEN) if u.speaker in small.SPEAKERS[:3]]
    vectors = verification.normalized(FILE.columns(1, "mean"))
    scores, targets = [], []
    for a, b in itertools.combinations(tested, 2):
        one, other = SPOKEN[a], SPOKEN[b]
        if one.speaker != other.speaker and (one.id.split("_")[1] == other.id.split("_")[1]) == same:
            scores.append(vectors[a] @ vectors[b])
            targets.append(one.emotion == other.emotion)
    return np.array(scores), np.array(targets)


def test_a_kind_without_targets_has_no_rate_and_unknown_sentences_are_counted() -> None:
    vectors = np.random.default_rng(0).normal(size=(6, 3))
    labels, speakers = ["a", "a", "b", "b", "a", "b"], list("pqrstu")
    trials = all_pairs(labels, speakers, across_speakers=True)
    found = pair_kinds.by_kind(vectors, trials, ["x", "y", "z", "w", "unknown", "x"], speakers, 1)
    assert found["same"] == {"num_targets": 0, "num_others": 1, "metrics": None}
    assert (found["other"]["num_targets"], found["num_unknown"]) == (4, 5)
    assert "same text no EER (0 targets, 1 others)" in pair_kinds.kinds_line({"stream": "text", **found})
    summary = pair_kinds.summarise_kinds([{"stream": "text", **found}])
    assert summary["same"]["eer"] is None
    assert summary["other"]["eer"]["mean"] == found["other"]["metrics"]["eer"]["value"]


def test_test_speaker_in_the_training_is_refused(tmp_path: Path) -> None:
    small.write_partition(tmp_path / "leaky", SPOKEN, lambda u: u.id.endswith("3"))
    with pytest.raises(ValueError, match="speaker"):
        scored(tmp_path / "leaky", tmp_path / "out", backend="lda")


def test_command_writes_what_the_report_shows(
    manifests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = len(SPOKEN) // 2
    for name, rows in (("one", slice(0, half)), ("two", slice(half, None))):
        write_embeddings(
            tmp_path / name, FILE.ids[rows], [FILE.embedding[rows]], layers=FILE.layers, poolings=FILE.poolings,
            widths=FILE.widths, duration_s=FILE.duration_s[rows], about=FILE.about,
        )  # fmt: skip
    parser = argparse.ArgumentParser()
    score_verification.add_arguments(parser)
    run = tmp_path / "run"
    options = [
        "--embeddings",
        *(str(tmp_path / name) for name in ("one", "two")),
        "--data",
        f"unseen={manifests}",
    ]
    options += [
        "--label",
        "speaker",
        "--system",
        "small",
        "--scores",
        str(run / "scores"),
        "--origin",
        "synthetic",
    ]
    args = parser.parse_args([*options, "--pairs-by", "sentence"])
    args.command_line = "fairseq-ext score verification"
    assert score_verification.run(args) == 0
    assert score_verification.run(args) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("unseen/small seed 1: EER ")
    assert "459 targets and 972 others" in said[0]
    assert said[1].endswith("already scored")
    found = results.write_results(run, {})
    assert "Verification by speaker" in (run / "RESULTS.md").read_text(encoding="utf-8")
    table, picture, pairs = sections.verification(Run(run, found, ()))
    assert pairs.header[2::2] == ("Same sentence, EER %", "Other sentence, EER %")  # type: ignore[union-attr]
    assert pairs.rows[0][0] == "small"  # type: ignore[union-attr]
    assert table.rows[0][0] == "small"  # type: ignore[union-attr]
    assert picture.png.startswith(b"\x89PNG")  # type: ignore[union-attr]
    assert score_verification.BACKENDS == verification_scoring.BACKENDS
