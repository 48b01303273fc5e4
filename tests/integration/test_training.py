"""The real command: both ways to name the plugin, interruption, ranks, damage, wrong keys."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.inference.classifier import classify

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

# Waveform augmentation, dropout, SpecAugment and batch norm: everything that a resumed training could get wrong.
STOCHASTIC = (
    "config=temporal_cnn",
    "task.augment.noise_prob=0.5",
    "task.augment.speed_prob=0.5",
    "model.time_masks=1",
    "model.frequency_masks=1",
    "model.width=16",
    "checkpoint.save_interval_updates=7",
    "checkpoint.keep_interval_updates=1",
)
# Nothing random but the first weights: batches may then be divided among ranks.
DETERMINISTIC = (
    *("model.dropout=0", "model.vtlp=0", "model.eq_db=0", "criterion.label_smoothing=0"),
    *("optimization.max_update=6", "task.seed=3"),
)


@pytest.fixture(scope="session")
def uninterrupted(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 20 updates in one go, with the plugin given as the checkout's path."""
    return train(tmp_path_factory.mktemp("uninterrupted"), *STOCHASTIC, environment={})


def test_checkout_as_user_dir(uninterrupted: Any) -> None:
    assert sorted(uninterrupted.updates) == list(range(1, 21))
    assert uninterrupted.updates[20] < uninterrupted.updates[1]


def test_installed_package_as_user_dir(
    train: Train, tmp_path: Path, repository: Path, uninterrupted: Any
) -> None:
    # as pip lays it out: a folder on the search path, before the checkout
    site = tmp_path / "site-packages"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(repository / "fairseq_ext", site / "fairseq_ext", ignore=ignored)
    user_dir = f"common.user_dir={site / 'fairseq_ext'}"
    training = train(tmp_path / "run", *STOCHASTIC, user_dir, environment={"PYTHONPATH": str(site)})
    assert training.updates == uninterrupted.updates
    assert str(site) in training.output


def test_killed_training_continues_to_the_same_weights(continued: Continued, uninterrupted: Any) -> None:
    found = continued(STOCHASTIC, 9, uninterrupted).checkpoint()
    assert found["optimizer_history"][-1]["num_updates"] == 20
    # the averaged weights are not the last ones, so that both were compared
    assert found["extra_state"]["ema"].keys() == found["model"].keys()
    assert any(
        not torch.equal(found["model"][name], found["extra_state"]["ema"][name]) for name in found["model"]
    )


def test_finished_training_is_not_repeated(
    train: Train, differences: Differences, uninterrupted: Any
) -> None:
    before = uninterrupted.checkpoint()
    again = train(uninterrupted.folder, *STOCHASTIC)
    assert max(again.updates) == 20
    assert "nothing to train" in again.output
    after = again.checkpoint()
    assert differences(before["model"], after["model"]) == {}
    assert differences(before["extra_state"]["ema"], after["extra_state"]["ema"]) == {}


def test_what_was_trained_classifies(uninterrupted: Any) -> None:
    loaded = load_model(uninterrupted.folder / "checkpoint_last.pt")
    assert loaded.labels == list("0123456789")
    assert loaded.num_updates == 20


def test_two_ranks_learn_as_one(
    train: Train, training_command: Command, torchrun: TwoRanks, differences: Differences, tmp_path: Path
) -> None:
    one = train(tmp_path / "one", *DETERMINISTIC, "dataset.batch_size=8", "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    command = training_command(folder, (*DETERMINISTIC, "dataset.batch_size=8"))
    result = torchrun(command, folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    assert sorted(two.updates) == sorted(one.updates) == list(range(1, 7))
    assert two.updates == pytest.approx(one.updates, abs=1e-4)
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    assert max(found.values(), default=0.0) < 1e-5


def test_two_ranks_that_do_not_know_of_each_other_are_refused(
    training_command: Command, two_ranks: TwoRanks, tmp_path: Path
) -> None:
    result = two_ranks(training_command(tmp_path, DETERMINISTIC), tmp_path, joined=False)
    assert result.returncode != 0
    assert "add distributed_training.distributed_world_size=2" in result.stdout
    assert not (tmp_path / "checkpoint_last.pt").exists()


def test_corrupt_recording_does_not_stop_training(train: Train, tiny_corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_corpus, tmp_path / "manifests")
    root, *rows = (tiny_corpus / "train.tsv").read_text(encoding="utf-8").splitlines()
    shutil.copytree(root, tmp_path / "recordings")
    broken = [row.split("\t")[0] for row in rows[:17]]  # more than a batch
    for name in broken:
        (tmp_path / "recordings" / name).write_bytes(b"RIFF")
    text = "\n".join([str(tmp_path / "recordings"), *rows]) + "\n"
    (tmp_path / "manifests" / "train.tsv").write_text(text, encoding="utf-8")
    training = train(tmp_path / "run", f"task.data={tmp_path / 'manifests'}", "dataset.batch_size=2")
    assert max(training.updates) == 20
    reports = [line for line in training.output.splitlines() if "left out, cannot be read" in line]
    assert reports
    assert all(any(name in line for name in broken) for line in reports)


def test_wrong_key_fails_by_name(train: Train, tmp_path: Path, training_command: Command) -> None:
    failed = train(tmp_path, "+model.no_such_key=1", fails=True)
    assert "no_such_key" in failed.output
    assert not (tmp_path / "checkpoint_last.pt").exists()


def test_self_supervised_training_saves_and_loads(train: Train, tmp_path: Path) -> None:
    # ends inside an epoch whose batches are still being read, slowly: the exit must be clean all the same
    slow = ("task.augment.stretch_prob=1", "task.augment.pitch_prob=1", "lr_scheduler.warmup_updates=1")
    training = train(tmp_path, "config=simclr", "optimization.max_update=4", *slow)
    assert max(training.updates) == 4
    loaded = load_model(tmp_path / "checkpoint_last.pt")
    assert loaded.labels == []
    with pytest.raises(ValueError, match="fine-tune"):
        classify(loaded, torch.zeros(8000).numpy())
