"""Metric learning with the real command: killed and resumed, two ranks as one, validation by EER, the best kept."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.manifest import read_labels, read_manifest, read_root
from fairseq_ext.scoring.verification import retrieval

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

CONF = Path(__file__).resolve().parents[2] / "recipes" / "accent_embedding" / "conf"
SMALL = (
    f"conf={CONF}",
    "config=speaker",
    *("task.label=digit", "task.sample_rate_hz=8000", "task.crop_frames=20"),
    *("task.classes_per_batch=4", "task.per_class=2", "dataset.batch_size=8", "dataset.batch_size_valid=16"),
    *(
        "model.groups='mfcc,mel'",
        "model.width=8",
        "model.num_blocks=1",
        "model.embedding_dim=8",
        "model.ffn_width=8",
    ),
    *("model.position_kernel=4", "model.attention_heads=2", "ema.store_ema=false"),
    *("model.class_head=true", "criterion.class_weight=1", "model.reconstruct=true"),
    *("criterion.reconstruction_weight=0.1", "model.mask_spans=1", "criterion.decorrelation_weight=1"),
)
# Nothing random but the first weights and the crops, which are drawn by row: batches may be divided among ranks.
DETERMINISTIC = (
    *("model.cnn_dropout=0", "model.transformer_dropout=0", "model.pooled_dropout=0", "model.mask_spans=0"),
    *("optimization.max_update=4", "lr_scheduler.warmup_updates=1"),
    *("dataset.disable_validation=false", "checkpoint.save_interval_updates=2"),
)


@pytest.fixture(scope="session")
def uninterrupted(train: Train, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 14 updates in one go, over less than an epoch and with everything random on."""
    folder = tmp_path_factory.mktemp("metric")
    return train(folder, *SMALL, "optimization.max_update=14", "checkpoint.save_interval_updates=5")


def test_log_states_the_batches_and_every_term(uninterrupted: Any) -> None:
    assert "epoch 1: 20 batches of 160 recordings, each once" in uninterrupted.output
    terms = {"triplet", "contrast", "decorrelation", "class", "reconstruction"}
    assert {
        *terms,
        *(f"weight_{name}" for name in terms),
        "share_mel",
        "effective_rank",
    } <= uninterrupted.log[0].keys()
    assert "embeddings have collapsed" not in uninterrupted.output


def test_killed_training_continues_to_the_same_weights(continued: Continued, uninterrupted: Any) -> None:
    continued((*SMALL, "optimization.max_update=14", "checkpoint.save_interval_updates=5"), 7, uninterrupted)


def test_two_ranks_learn_and_validate_as_one(
    train: Train,
    training_command: Command,
    two_ranks: TwoRanks,
    differences: Differences,
    tiny_corpus: Path,
    tmp_path: Path,
) -> None:
    one = train(tmp_path / "one", *SMALL, *DETERMINISTIC, "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    result = two_ranks(training_command(folder, (*SMALL, *DETERMINISTIC)), folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    assert sorted(two.updates) == sorted(one.updates) == [1, 2, 3, 4]
    assert two.updates == pytest.approx(one.updates, abs=1e-3)
    # The statistics of batch norm are each rank's own: the mean of what it has seen.
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    weights = {
        name: value for name, value in found.items() if "running_" not in name and "num_batches" not in name
    }
    assert max(weights.values(), default=0.0) < 1e-4
    rows = [row for row in two.log if "valid_eer" in row]
    assert {"valid_eer", "valid_recall_1", "valid_silhouette", "valid_eer_speaker"} <= rows[0].keys()
    best = one.checkpoint("checkpoint_best.pt")["extra_state"]["best"]
    assert best == pytest.approx(
        min(float(row["valid_eer"]) for row in one.log if "valid_eer" in row), abs=1e-4
    )

    # What was logged is what the embeddings of the saved checkpoint give.
    root = read_root(tiny_corpus, "valid")
    spoken = list(read_manifest(tiny_corpus, "valid"))
    vectors = load_embedder(one.folder / "checkpoint_last.pt", sample_rate_hz=8000)(
        [root / u.path for u in spoken]
    )
    numbers = [np.unique(names, return_inverse=True)[1] for names in (
        list(read_labels(tiny_corpus, "valid", "digit")), [u.speaker for u in spoken])]  # fmt: skip
    expected = retrieval(vectors[:, 0], *numbers, is_speaker=False)
    last = [row for row in one.log if "valid_eer" in row][-1]
    assert {name: float(last[f"valid_{name}"]) for name in expected} == pytest.approx(expected, abs=2e-3)
