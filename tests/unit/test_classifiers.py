"""The linear probe: it finds linear classes, keeps speakers apart, and chooses its penalty without test speakers."""

import numpy as np
import pytest

from fairseq_ext.scoring import linear_probe

NUM_CLASSES, WIDTH = 4, 8


def made(speakers: list[str], per_class: int, noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Make embeddings with a class direction and an offset per speaker."""
    generator = np.random.default_rng(5)
    targets = np.tile(np.arange(NUM_CLASSES), per_class * len(speakers))
    names = [name for name in speakers for _ in range(NUM_CLASSES * per_class)]
    offset = {name: generator.normal(size=WIDTH) * 0.3 for name in speakers}
    embedding = np.eye(NUM_CLASSES, WIDTH)[targets] + noise * generator.normal(size=(len(targets), WIDTH))
    return (embedding + np.array([offset[n] for n in names])).astype(np.float32), targets, names


def fitted(train: list[str], test: list[str], **options: bool) -> tuple[linear_probe.Probe, np.ndarray]:
    embedding, targets, names = made(train, 5)
    unseen, truth, unseen_names = made(test, 5)
    probe = linear_probe.linear_probe(
        embedding, targets, names, unseen, unseen_names, num_classes=NUM_CLASSES, **options
    )
    return probe, truth


def test_it_finds_linear_classes() -> None:
    probe, truth = fitted(["a", "b", "c"], ["d"])
    assert (probe.scores.argmax(axis=1) == truth).mean() > 0.9
    assert np.allclose(np.exp(probe.scores).sum(axis=1), 1, atol=1e-4)
    assert probe.inner_accuracy[probe.strength] == max(probe.inner_accuracy.values())
    assert not probe.leaky


def test_it_repeats() -> None:
    first, second = (fitted(["a", "b"], ["d"])[0] for _ in range(2))
    assert (first.scores == second.scores).all()


def test_shared_speakers_are_refused_except_in_a_leaky_control() -> None:
    with pytest.raises(ValueError, match="speaker b"):
        fitted(["a", "b"], ["b"])
    probe, _ = fitted(["a", "b"], ["b"], leaky_control=True)
    assert probe.leaky


def test_one_speaker_leaves_nothing_to_choose_by() -> None:
    probe, _ = fitted(["a"], ["b"])
    assert probe.inner_accuracy == {}
    assert probe.strength == linear_probe.DEFAULT_STRENGTH


def test_choice_uses_training_speakers_only() -> None:
    """Other test speakers do not change the chosen penalty."""
    assert fitted(["a", "b"], ["c"])[0].strength == fitted(["a", "b"], ["d", "e"])[0].strength


def test_the_embedding_is_chosen_by_training_speakers_only() -> None:
    embedding, targets, names = made(["a", "b", "c"], 5)
    unseen, truth, _ = made(["d"], 5)
    noise = np.random.default_rng(3).normal(size=(len(embedding) + len(unseen), 2 * WIDTH)).astype(np.float32)
    # Of three embeddings the middle one has the classes; in the test the last one would give them away.
    train = np.concatenate([noise[: len(embedding), :WIDTH], embedding, noise[: len(embedding), WIDTH:]], 1)
    test = np.concatenate(
        [noise[len(embedding) :, :WIDTH], unseen, 9.0 * np.eye(NUM_CLASSES, WIDTH)[truth]], 1
    )
    probe = linear_probe.linear_probe(
        train,
        targets,
        names,
        test.astype(np.float32),
        ["d"] * len(truth),
        num_classes=NUM_CLASSES,
        widths=[WIDTH] * 3,
    )
    assert probe.candidate == 1
    assert probe.candidate_accuracy[1] == max(probe.candidate_accuracy.values()) > 0.8
    assert (probe.scores.argmax(axis=1) == truth).mean() > 0.9
    alone = linear_probe.linear_probe(
        train,
        targets,
        ["a"] * len(names),
        test,
        ["d"] * len(truth),
        num_classes=NUM_CLASSES,
        widths=[WIDTH] * 3,
    )
    assert (alone.candidate, alone.candidate_accuracy) == (2, {})


def test_class_absent_from_training_is_never_answered() -> None:
    embedding, targets, names = made(["a", "b"], 3)
    keep = targets != 2
    kept_names = [name for name, k in zip(names, keep, strict=True) if k]
    probe = linear_probe.linear_probe(
        embedding[keep], targets[keep], kept_names, embedding, ["c"] * len(names), num_classes=NUM_CLASSES
    )
    assert np.isneginf(probe.scores[:, 2]).all()


def test_centring_takes_off_what_a_speaker_adds() -> None:
    generator = np.random.default_rng(2)
    embedding, speakers = generator.normal(size=(9, WIDTH)).astype(np.float32), list("abcabcabb")
    offset = {name: generator.normal(size=WIDTH) for name in "abc"}
    shifted = embedding + np.array([offset[name] for name in speakers])
    found = linear_probe.centred(embedding, speakers)
    assert found == pytest.approx(linear_probe.centred(shifted, speakers), abs=1e-5)
    assert found[:1] == pytest.approx(embedding[:1] - embedding[[0, 3, 6]].mean(axis=0), abs=1e-6)
    assert linear_probe.centred(embedding[:0], []).shape == (0, WIDTH)


def test_offsets_of_training_speakers_do_not_matter() -> None:
    """Also where each speaker has another class most often, which shifts the speaker's mean."""
    generator = np.random.default_rng(3)
    speakers = list("aaaaaabbbbbbcccccc")
    targets = np.array([0, 0, 0, 0, 1, 2, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2, 0, 1])
    embedding = 3 * np.eye(3, WIDTH)[targets] + 0.01 * generator.normal(size=(len(targets), WIDTH))
    offset = {name: generator.normal(size=WIDTH) for name in "abc"}
    embedding = (embedding + np.array([offset[name] for name in speakers])).astype(np.float32)
    found = linear_probe.without_offsets(embedding, targets, speakers)
    within = [found[targets == target].std(axis=0).max() for target in range(3)]
    assert max(within) < 0.5 * min(embedding[targets == target].std(axis=0).max() for target in range(3))
    alone = embedding[:6]
    assert linear_probe.without_offsets(alone, targets[:6], speakers[:6]) == pytest.approx(alone, abs=1e-5)


def test_one_class_is_refused() -> None:
    zeros = np.zeros((4, WIDTH), np.float32)
    with pytest.raises(ValueError, match="at least 2 classes"):
        linear_probe.linear_probe(zeros, np.zeros(4, int), ["a"] * 4, zeros, ["b"] * 4, num_classes=2)
