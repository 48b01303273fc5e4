"""Lip pre-training with the real command: interruption, ranks, what the log holds, features of layers."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mouth_clips import write_split

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

LENGTHS = {"train": [10, 12, 9, 14, 11, 8, 13, 10], "valid": [9, 12]}
# Nothing random but what the clips' seeds decide: batches may then be divided among ranks.
BY_SEED = (
    "model.dropout=0",
    "model.attention_dropout=0",
    "optimization.max_update=3",
    "dataset.disable_validation=true",
)


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with clips of 8 to 14 frames, and clusters of their frames at 100 Hz."""
    root = tmp_path_factory.mktemp("clips")
    folder = root / "manifests"
    rng = np.random.default_rng(1)
    for split, lengths in LENGTHS.items():
        write_split(folder, root, lengths, split)
        rows = [" ".join(map(str, rng.integers(0, 5, 4 * size + 1))) for size in lengths]
        (folder / f"{split}.km").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "dict.km.txt").write_text("".join(f"{n} 1\n" for n in range(5)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def options(repository: Path, manifests: Path) -> tuple[str, ...]:
    """Return the overrides of a small network on these clips, from the recipe's configuration."""
    return (
        f"conf={repository / 'recipes/vsr_low_resource/conf'}",
        "config=pretrain",
        f"task.data={manifests}",
        "dataset.batch_size=null",
        "dataset.max_tokens=30",
        "dataset.validate_interval=1",
        "checkpoint.save_interval_updates=3",
        "optimization.max_update=6",
        "lr_scheduler.warmup_updates=2",
        "task.noise.noise_prob=0.5",
        "task.noise.noise_voices=2",
        "model.front_end_width=4",
        "model.front_end_blocks='1,1'",
        "model.front_end_pool=4",
        "model.encoder_layers=2",
        "model.encoder_embed_dim=24",
        "model.encoder_ffn_embed_dim=32",
        "model.conv_pos_groups=4",
        "model.final_dim=8",
        "criterion.pred_nomask_weight=0",  # then the loss is that of masked frames
    )


@pytest.fixture(scope="session")
def uninterrupted(train: Train, options: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 6 updates in one go, with validation."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return train(folder, *options, "dataset.disable_validation=false")


def inner(training: Any) -> list[dict[str, Any]]:
    """Return what was logged at each update; fairseq writes every line twice."""
    return list({row["num_updates"]: row for row in training.log if "update" in row}.values())


def test_log_holds_losses_and_accuracies(uninterrupted: Any) -> None:
    rows = inner(uninterrupted)
    assert [int(row["num_updates"]) for row in rows] == list(range(1, 7))
    for row in rows:
        assert float(row["loss"]) == pytest.approx(float(row["masked_loss_0"]), abs=1e-3)
        assert 0.0 <= float(row["masked_accuracy_0"]) <= 100.0
        assert 1.0 <= float(row["perplexity_0"]) <= 5.0
    validated = [row for row in uninterrupted.log if "valid_masked_accuracy_0" in row]
    assert validated
    state = uninterrupted.checkpoint()
    assert state["task_state"]["units"] == {"km": [str(number) for number in range(5)]}
    assert "${" not in str(state["cfg"]["model"])


def test_killed_training_continues_to_the_same_weights(
    continued: Continued, options: tuple[str, ...], uninterrupted: Any
) -> None:
    continued((*options, "dataset.disable_validation=false"), 4, uninterrupted)


def test_two_ranks_learn_as_one(
    train: Train,
    training_command: Command,
    two_ranks: TwoRanks,
    differences: Differences,
    options: tuple[str, ...],
    tmp_path: Path,
) -> None:
    settings = (*options, *BY_SEED)
    one = train(tmp_path / "one", *settings, "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    result = two_ranks(training_command(folder, settings), folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    for name in ("loss", "masked_accuracy_0", "perplexity_0"):
        ours, theirs = ([float(row[name]) for row in inner(run)] for run in (one, two))
        assert theirs == pytest.approx(ours, abs=2e-3), name
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    # Batch norm's averages are those of the batches of the rank that saves.
    learnt = {
        name: value for name, value in found.items() if "running_" not in name and "num_batches" not in name
    }
    assert max(learnt.values(), default=0.0) < 1e-4


def test_features_of_a_layer_are_dumped_and_clustered(
    uninterrupted: Any, manifests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairseq_ext.commands.main import main

    checkpoint = str(uninterrupted.folder / "checkpoint_last.pt")
    features, out = tmp_path / "features", tmp_path / "km"
    dump = ["features", "dump", "--manifest", str(manifests), "--checkpoint", checkpoint, "--layer", "1"]
    assert main([*dump, "--out", str(features), "--workers", "0"]) == 0
    assert "0 recordings could not be read" in capsys.readouterr().out
    cluster = ["features", "cluster", "--features", str(features), "--out", str(out), "--num-clusters", "3"]
    assert main([*cluster, "--share", "1.0", "--num-starts", "1", "--workers", "0"]) == 0
    lines = (out / "train.km").read_text(encoding="utf-8").splitlines()
    assert [len(line.split()) for line in lines] == LENGTHS["train"]
    assert (out / "dict.km.txt").read_text(encoding="utf-8") == "0 1\n1 1\n2 1\n"
