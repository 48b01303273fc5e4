"""Pre-training with the real command: interruption, ranks, validation, what the log and the checkpoint hold."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.training

Train = Callable[..., Any]
Command = Callable[[Path, Sequence[str]], list[str]]
Continued = Callable[[Sequence[str], int, Any], Any]
Differences = Callable[[Any, Any], dict[str, float]]
TwoRanks = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = """
common: {seed: 1, user_dir: "???", log_format: json, log_interval: 1, cpu: false}
checkpoint: {save_dir: "???", no_epoch_checkpoints: true, save_interval_updates: 3, keep_interval_updates: 1}
ema: {store_ema: true, ema_decay: 0.9}
task:
  _name: ext_audio_pretraining
  data: ???
  sample_rate_hz: 8000
  min_duration_s: 0.2
  max_duration_s: 0.5
  augment: {noise_prob: 0.5, gain_prob: 0.5}
dataset:
  batch_size: 16
  max_tokens: 40000
  num_workers: 0
  train_subset: train
  valid_subset: valid
  disable_validation: true
  required_batch_size_multiple: 1
criterion: {_name: ext_contrastive_diversity}
optimization: {max_update: 12, lr: [0.001], clip_norm: 5.0, sentence_avg: true}
optimizer: {_name: adam, adam_betas: "(0.9,0.98)"}
lr_scheduler: {_name: inverse_sqrt, warmup_updates: 4}
model:
  _name: ext_wav2vec2
  conv_feature_layers: "[(16, 10, 5)] + [(16, 3, 2)] * 2 + [(16,2,2)]"
  encoder_layers: 2
  encoder_embed_dim: 24
  encoder_ffn_embed_dim: 32
  encoder_attention_heads: 4
  dropout: 0.1
  attention_dropout: 0.1
  encoder_layerdrop: 0.3
  conv_pos: 16
  conv_pos_groups: 4
  final_dim: 16
  latent_vars: 8
  latent_temp: [2.0, 0.5, 0.9]
  mask_length: 4
  mask_channel_prob: 0.1
  mask_channel_length: 4
  num_negatives: 10
  cross_sample_negatives: 5
"""
# `training_command` sets a batch size; here the number of samples decides.
LIMITS = ("dataset.batch_size=null", "optimization.max_update=12")
# Nothing random but what the clips' seeds decide: batches may then be divided among ranks.
BY_SEED = (
    "model.dropout=0",
    "model.attention_dropout=0",
    "model.encoder_layerdrop=0",
    "optimization.max_update=4",
)


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the overrides that name the configuration above."""
    folder = tmp_path_factory.mktemp("conf")
    (folder / "wav2vec2.yaml").write_text(CONFIG, encoding="utf-8")
    return f"conf={folder}", "config=wav2vec2"


@pytest.fixture(scope="session")
def uninterrupted(train: Train, options: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train 12 updates in one go, with validation at the end."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return train(folder, *options, *LIMITS, "dataset.disable_validation=false")


def inner(training: Any) -> list[dict[str, Any]]:
    """Return what was logged at each update; fairseq writes every line twice."""
    return list({row["num_updates"]: row for row in training.log if "update" in row}.values())


def test_log_holds_every_term(uninterrupted: Any) -> None:
    rows = inner(uninterrupted)
    assert [int(row["num_updates"]) for row in rows] == list(range(1, 13))
    for row in rows:
        assert 1.0 <= float(row["code_perplexity"]) <= 16.0
        assert 1.0 <= float(row["prob_perplexity"]) <= 16.0
        assert 0.0 <= float(row["accuracy"]) <= 100.0
        expected = (
            float(row["contrastive"])
            + (0.1 * float(row["diversity"]) + 10.0 * float(row["feature_penalty"])) / 0.6931
        )
        assert float(row["loss"]) == pytest.approx(expected, rel=0.01)
    temperatures = [float(row["temperature"]) for row in rows]
    assert temperatures == pytest.approx([2.0 * 0.9**update for update in range(12)], abs=1e-3)
    validated = [row for row in uninterrupted.log if "valid_contrastive" in row]
    assert validated
    assert "valid_temperature" not in validated[0]  # there is no noise in validation


def test_checkpoint_is_that_of_stock_fairseq(uninterrupted: Any) -> None:
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

    state = uninterrupted.checkpoint()
    keys = state["cfg"]["model"]
    names = Wav2Vec2Config.__dataclass_fields__.keys() & set(keys)
    stock = Wav2Vec2Model(Wav2Vec2Config(**{name: keys[name] for name in names}, quantize_targets=True))
    stock.load_state_dict(state["model"])
    assert "${" not in str(keys)


def test_killed_training_continues_to_the_same_weights(
    continued: Continued, options: tuple[str, str], uninterrupted: Any
) -> None:
    resumed = continued((*options, *LIMITS), 7, uninterrupted)
    assert resumed.checkpoint()["optimizer_history"][-1]["num_updates"] == 12
    assert "ema" in resumed.checkpoint()["extra_state"]


def test_two_ranks_learn_as_one(
    train: Train,
    training_command: Command,
    two_ranks: TwoRanks,
    differences: Differences,
    options: tuple[str, str],
    tmp_path: Path,
) -> None:
    settings = (*options, "dataset.batch_size=null", *BY_SEED)
    one = train(tmp_path / "one", *settings, "optimization.update_freq=[2]")
    folder = tmp_path / "two"
    result = two_ranks(training_command(folder, settings), folder)
    assert result.returncode == 0, result.stdout[-4000:]
    two = type(one)(folder, result.stdout, 0)
    assert sorted(two.updates) == sorted(one.updates) == [1, 2, 3, 4]
    for name in ("loss", "contrastive", "diversity", "code_perplexity", "accuracy"):
        ours, theirs = ([float(row[name]) for row in inner(run)] for run in (one, two))
        assert theirs == pytest.approx(ours, abs=2e-4), name
    found = differences(one.checkpoint()["model"], two.checkpoint()["model"])
    assert max(found.values(), default=0.0) < 1e-5
