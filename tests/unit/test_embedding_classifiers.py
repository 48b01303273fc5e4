"""Classifiers of embeddings: what they compute, what they are chosen by, and their files."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import small_embeddings as small
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC

from fairseq_ext.file_errors import FileError
from fairseq_ext.scoring import calibration
from fairseq_ext.scoring.classifiers import (
    CLASSIFIERS,
    boosting,
    centroids,
    choice,
    ensemble,
    linear,
    mlp,
    saved,
    scaling,
    svm,
    temperature,
)
from fairseq_ext.scoring.classifiers.choice import choose_feature, choose_parameters
from fairseq_ext.scoring.classifiers.fitted import EmbeddingClassifier, fit_ensemble, fit_single
from fairseq_ext.scoring.classifiers.training_set import Feature, TrainingSet
from fairseq_ext.scoring.classifiers.types import class_weights

SPOKEN = small.utterances()
TEST = np.array([u.speaker in ("s0", "s1") for u in SPOKEN])
TARGETS = np.array([small.CLASSES.index(str(u.emotion)) for u in SPOKEN])
BEST = Feature((small.INFORMATIVE_LAYER,), "mean+std")


def training_set(seed: int = 1, *, speakers: Sequence[str] | None = None, poison: float = 0.0) -> TrainingSet:
    """Return the training utterances; `poison` is added to the embeddings of all others."""
    file = small.file_of(SPOKEN)
    file.embedding[TEST] += np.float32(poison)
    names = [str(u.speaker) for u, out in zip(SPOKEN, TEST, strict=True) if not out]
    rows = np.flatnonzero(~TEST)
    found = names if speakers is None else speakers
    return TrainingSet(lambda feature: feature.columns(file)[rows], TARGETS[rows], found, 3, seed)


def unseen(feature: Feature) -> np.ndarray:
    return feature.columns(small.file_of(SPOKEN))[TEST]


@pytest.fixture(scope="module", autouse=True)
def small_grids() -> Iterator[None]:
    """Fewer settings, so that a fit takes no second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlp, "EPOCHS", (10, 30))
        patch.setattr(mlp, "DROPOUTS", (0.5,))
        patch.setattr(boosting, "NUM_TREES", (20, 40))
        patch.setitem(boosting._SETTINGS, "colsample_bytree", 0.5)
        patch.setattr(boosting, "DEPTHS", (2,))
        patch.setattr(svm, "PENALTIES", (3.0,))
        patch.setattr(ensemble, "CLASSIFIERS", (linear.LOGISTIC, svm.SVM))
        yield


def test_classes_of_few_recordings_have_fewer_inner_folds() -> None:
    few = TrainingSet(lambda feature: np.zeros((4, 2)), np.array([0, 0, 1, 1]), list("abcd"), 2, 1)
    assert 1 <= len(few.folds()) <= 2


def recall(classifier: EmbeddingClassifier) -> float:
    right = classifier.log_probs(unseen).argmax(1) == TARGETS[TEST]
    return float(np.mean([right[TARGETS[TEST] == k].mean() for k in range(3)]))


@pytest.fixture(scope="module", params=list(CLASSIFIERS))
def fitted(request: pytest.FixtureRequest) -> EmbeddingClassifier:
    training = training_set()
    return fit_single(training, choose_parameters(training, BEST, CLASSIFIERS[request.param]), small.CLASSES)


def test_unseen_speakers_are_classified(fitted: EmbeddingClassifier) -> None:
    assert recall(fitted) > 0.75
    assert np.exp(fitted.log_probs(unseen)).sum(1) == pytest.approx(1, abs=1e-5)


def test_the_same_seed_gives_the_same(fitted: EmbeddingClassifier) -> None:
    training = training_set()
    again = choose_parameters(training, BEST, fitted.members[0].classifier)
    assert again.parameters == fitted.members[0].parameters
    same = fit_single(training, again, small.CLASSES).log_probs(unseen)
    assert np.array_equal(same, fitted.log_probs(unseen))


def test_a_saved_classifier_says_the_same(fitted: EmbeddingClassifier, tmp_path: Path) -> None:
    saved.save(tmp_path, fitted, {"encoder": "mfcc"})
    loaded = saved.load(tmp_path)
    assert np.abs(loaded.classifier.log_probs(unseen) - fitted.log_probs(unseen)).max() <= 1e-6
    assert loaded.classifier.labels == small.CLASSES
    assert loaded.encoder == "mfcc"


def test_a_changed_file_is_refused(fitted: EmbeddingClassifier, tmp_path: Path) -> None:
    saved.save(tmp_path, fitted, {"encoder": "mfcc"})
    arrays, about = tmp_path / saved.ARRAYS, tmp_path / saved.ABOUT
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(FileError, match=r"classifier\.npz: .*hash"):
        saved.load(tmp_path)
    saved.save(tmp_path, fitted, {"encoder": "mfcc"})
    about.write_text(about.read_text().replace('"sad"', '"sad", "angry"'))
    with pytest.raises(FileError):
        saved.load(tmp_path)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    """Arrays of Python objects, which run code when read, are refused even where the hash is right."""
    import hashlib

    training = training_set()
    fitted_ = fit_single(training, choose_parameters(training, BEST, linear.LOGISTIC), small.CLASSES)
    saved.save(tmp_path, fitted_, {"encoder": "mfcc"})
    np.savez(tmp_path / saved.ARRAYS, **{"0/mean": np.array([{}], dtype=object)})
    about = json.loads((tmp_path / saved.ABOUT).read_text())
    about["arrays_sha256"] = hashlib.sha256((tmp_path / saved.ARRAYS).read_bytes()).hexdigest()
    (tmp_path / saved.ABOUT).write_text(json.dumps(about))
    with pytest.raises(FileError, match=r"allow_pickle|Object arrays"):
        saved.load(tmp_path)


@pytest.mark.parametrize("classes", [2, 3])
def test_svm_is_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % classes
    vectors += targets[:, None]
    held_out = rng.normal(size=(20, 5)).astype(np.float32) + 1
    found = svm.fit(vectors, targets, classes, {"penalty": 3.0, "width": 0.5}).scores(held_out)
    oracle = SVC(C=3.0, gamma=0.5 / vectors.var(0).sum()).fit(vectors, targets, class_weights(targets))
    margins = oracle.decision_function(held_out)
    expected = np.stack([-margins, margins], 1) if classes == 2 else margins
    assert (found.argmax(1) == oracle.predict(held_out)).all()
    assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_is_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % classes
    vectors += targets[:, None]
    scores = linear.fit(vectors, targets, classes, {"strength": 0.1}).scores(vectors)
    oracle = LogisticRegression(C=0.1, tol=1e-3).fit(vectors, targets, class_weights(targets))
    assert temperature.log_probabilities(scores, 1.0) == pytest.approx(
        oracle.predict_log_proba(vectors), abs=1e-4
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_centroids_are_scikit_learns(classes: int) -> None:
    rng = np.random.default_rng(0)
    vectors, targets = rng.normal(size=(60, 5)).astype(np.float32), np.arange(60) % classes
    vectors = (vectors + targets[:, None]) * np.array([1, 10, 100, 1, 1], np.float32)
    held_out = vectors[:20] + rng.normal(size=(20, 5)).astype(np.float32)
    found = centroids.fit(vectors, targets, classes, {"cosine": 0})
    standardised = StandardScaler().fit(vectors)
    oracle = NearestCentroid().fit(standardised.transform(vectors), targets)
    assert (found.scores(held_out).argmax(1) == oracle.predict(standardised.transform(held_out))).all()
    expected = cdist(standardised.transform(held_out), oracle.centroids_)
    assert found.distances(held_out) == pytest.approx(expected, abs=1e-4)
    turned = centroids.fit(vectors, targets, classes, {"cosine": 1})
    unit = normalize(vectors)
    means = np.stack([unit[targets == number].mean(0) for number in range(classes)])
    assert turned.distances(held_out) == pytest.approx(cdist(held_out, means, "cosine"), abs=1e-5)
    assert turned.scores(3 * held_out) == pytest.approx(turned.scores(held_out), rel=1e-4)


def test_the_metric_of_centroids_is_that_of_the_vectors_or_of_the_folds() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(60) % 2
    vectors = rng.normal(size=(60, 4)).astype(np.float32)
    vectors[:, 0] += 4 * targets
    unit = normalize(vectors)
    assert centroids.fit(unit, targets, 2, {}).metric == "cosine"
    assert centroids.fit(vectors, targets, 2, {}).metric == "euclidean"
    # A column of a large scale hides from the cosine what the others say.
    vectors[:, 3] *= 1000
    speakers = [f"s{number % 6}" for number in range(60)]
    training = TrainingSet(lambda _: vectors, targets, speakers, 2, 1)
    found = choose_parameters(training, Feature((0,), "mean"), centroids.CENTROID)
    assert found.parameters == {"cosine": 0}
    assert [dict(trial.parameters) for trial in found.trials] == [{"cosine": 0}, {"cosine": 1}]
    # Lengths that differ within a class more than between classes hide it from the distance.
    vectors = (unit * np.exp(rng.normal(size=(60, 1)) * 3)).astype(np.float32)
    training = TrainingSet(lambda _: vectors, targets, speakers, 2, 1)
    assert choose_parameters(training, Feature((0,), "mean"), centroids.CENTROID).parameters == {"cosine": 1}


@pytest.mark.parametrize("name", list(CLASSIFIERS))
def test_classes_that_were_not_trained_are_impossible(name: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 6)).astype(np.float32)
    targets = np.where(np.arange(40) % 2, 3, 1)
    classifier = CLASSIFIERS[name]
    scores = classifier.fit(vectors, targets, 5, classifier.default, 1).scores(vectors)
    assert np.isneginf(scores[:, [0, 2, 4]]).all()
    assert np.isfinite(scores[:, [1, 3]]).all()


def test_the_informative_layer_and_pooling_are_chosen() -> None:
    found, trials = choose_feature(training_set(), (0, 1, 2), ("mean+std", "std", "mean"))
    assert found.layers == (small.INFORMATIVE_LAYER,)
    assert found.pooling in ("mean+std", "mean")  # which hardly differ; std says nothing
    assert [(t.feature.layer, t.feature.pooling) for t in trials] == [
        (0, "mean+std"),
        (1, "mean+std"),
        (2, "mean+std"),
        (1, "std"),
        (1, "mean"),
    ]


@pytest.mark.parametrize("name", [*CLASSIFIERS, "ensemble"])
def test_choices_do_not_see_the_test_speakers(name: str) -> None:
    """With nonsense in place of the test embeddings everything that is chosen and fitted stays the same."""
    found = []
    for poison in (0.0, np.nan):
        training = training_set(poison=poison)
        feature, trials = choose_feature(training, (0, 1, 2), ("mean+std", "mean"))
        if name == "ensemble":
            chosen = ensemble.choose_ensemble(training, feature, (0, 1, 2), trials)
            classifier = fit_ensemble(training, chosen, small.CLASSES)
        else:
            classifier = fit_single(
                training, choose_parameters(training, feature, CLASSIFIERS[name], trials), small.CLASSES
            )
        found.append((feature, trials, classifier.log_probs(unseen)))
    assert found[0][:2] == found[1][:2]
    assert np.array_equal(found[0][2], found[1][2])


def test_differences_that_are_noise_decide_nothing() -> None:
    assert choice.first_good([0.50, 0.697, 0.70, 0.60]) == 1
    assert choice.first_good([0.50, 0.69, 0.70, 0.60]) == 2
    assert choice.smoothed([0.5, 0.7, 0.5, 0.66, 0.68, 0.66]).argmax() == 4  # not the lone peak at 1


def test_inner_folds_hold_whole_speakers_out() -> None:
    training = training_set()
    names = np.array(training.speakers)
    folds = training.folds()
    assert len(folds) == 4
    for held_out in folds:
        assert not set(names[held_out]) & set(names[~held_out])
    assert (np.sum(folds, 0) == 1).all()


def test_a_single_speaker_leaves_nothing_to_choose_by() -> None:
    training = training_set(speakers=["s2"] * int((~TEST).sum()))
    feature, trials = choose_feature(training, (0, 1, 2), ("mean+std", "mean"))
    found = choose_parameters(training, feature, linear.LOGISTIC, trials)
    assert (feature, trials) == (Feature((1,), "mean+std"), [])
    assert found.parameters == linear.LOGISTIC.default
    assert np.isnan(found.macro_recall)


def test_the_ensemble_is_as_good_as_its_best_member_on_left_out_speakers() -> None:
    training = training_set()
    found = ensemble.choose_ensemble(training, BEST, (0, 1, 2))
    assert found.macro_recall >= max(member.macro_recall for member in found.members) - 1e-9
    assert recall(fit_ensemble(training, found, small.CLASSES)) > 0.75


def test_neighbourhoods_of_a_layer() -> None:
    found = ensemble.neighbourhoods(Feature((1,), "mean"), (0, 1, 2, 3, 4))
    assert [feature.layer for feature in found] == [1, "0+1+2", "0+1+2+3+4"]
    assert [Feature.parse(f.layer, "mean") for f in found] == found


def test_rotation_keeps_distances_and_drops_constant_columns() -> None:
    rng = np.random.default_rng(0)
    for shape in ((50, 8), (8, 50)):
        embedding = rng.normal(size=shape).astype(np.float32) * rng.uniform(1, 100, shape[1]).astype(
            np.float32
        )
        embedding[:, 2] = 0.1  # its deviation is a rounding error in float32
        plain = scaling.Scaling.fit(embedding, "columns")(embedding)
        assert plain[:, 2] == pytest.approx(0, abs=1e-4)
        turned = scaling.Scaling.fit(embedding)(embedding)
        kept = (turned**2).sum() / (plain**2).sum()
        assert scaling.KEPT_VARIANCE - 1e-3 <= kept <= 1 + 1e-3
        assert turned.shape[1] < shape[1]


def test_temperature_undoes_overconfidence() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 4)).astype(np.float32) * 2
    targets = (logits + rng.gumbel(size=logits.shape)).argmax(
        1
    )  # classes drawn with the softmax of the logits
    assert temperature.fit_temperature(targets, 5 * logits) == pytest.approx(5, rel=0.1)
    before, after = (calibration.calibration(targets, 5 * logits / t)["ece"] for t in (1, 5))
    assert after < 0.02 < 0.1 < before
