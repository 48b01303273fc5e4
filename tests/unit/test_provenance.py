"""Hashes of configurations, and reading of training logs."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from omegaconf import OmegaConf

from fairseq_ext.scoring import provenance

CONFIG: dict[str, dict[str, object]] = {
    "common": {"seed": 1, "log_file": "/a/train.log"},
    "task": {"_name": "ext_audio_classification", "data": "/a", "seed": 1, "augment": {"noise_prob": 0.5}},
    "model": {"_name": "ext_rnn", "width": 64, "pretrained_path": "/a/b.pt"},
    "optimization": {"max_update": 100, "lr": [0.003]},
}


def changed(section: str, key: str, value: object) -> dict[str, dict[str, object]]:
    return CONFIG | {section: CONFIG[section] | {key: value}}


def test_hash_names_choices_not_places() -> None:
    same = provenance.config_hash(CONFIG)
    assert len(same) == 12
    assert provenance.config_hash(OmegaConf.create(CONFIG)) == same
    for section, key in (
        ("common", "seed"),
        ("task", "seed"),
        ("task", "data"),
        ("model", "pretrained_path"),
    ):
        assert provenance.config_hash(changed(section, key, "other")) == same
    assert provenance.config_hash(changed("model", "width", 65)) != same
    assert provenance.config_hash(changed("task", "augment", {"noise_prob": 0.6})) != same


def test_plain_configuration_is_json() -> None:
    config = OmegaConf.create(CONFIG | {"link": "${model.width}"})
    assert json.loads(json.dumps(provenance.plain(config)))["model"]["width"] == 64


def test_commit_is_this_checkouts() -> None:
    run = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    expected = run.stdout.strip() if run.returncode == 0 else "unknown"
    assert provenance.commit().removesuffix("-dirty") == expected


def test_log_lines_count_once(tmp_path: Path, make_log: Callable[[Path], None]) -> None:
    make_log(tmp_path / "train.log")
    lines = provenance.read_log(tmp_path / "train.log")
    assert [line["train_num_updates"] for line in lines if "train_loss" in line] == [40, 80, 120, 160, 200]
    assert sum("valid_loss" in line for line in lines) == 5
    assert provenance.training_seconds(tmp_path / "train.log") == 10


def test_last_line_of_a_resumed_update_counts(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    path.write_text(
        '[x] {"train_num_updates": "8", "train_loss": "2"}\n{"train_num_updates": "8", "train_loss": "1"}\n'
    )
    assert provenance.read_log(path) == [{"train_num_updates": 8.0, "train_loss": 1.0}]


def test_time_of_a_resumed_run_adds_up(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    epochs = [{"train_num_updates": "1", "train_wall": str(wall)} for wall in (3, 3, 7, 2, 5, 5)]
    lines = [line for epoch in epochs for line in (epoch, {"num_updates": "1", "train_wall": "1"})]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert provenance.training_seconds(path) == 12


def test_attempts_that_were_killed_within_an_epoch_count(tmp_path: Path) -> None:
    path = tmp_path / "train.log"
    start = "{'_name': None, 'common': {'seed': 1}}"
    within = [json.dumps({"num_updates": "1", "train_wall": "1", "wall": str(wall)}) for wall in (4, 9)]
    end = json.dumps({"train_num_updates": "30", "train_wall": "25"})
    path.write_text("\n".join([start, *within, start, start, within[1], end, end]))
    assert provenance.training_seconds(path) == 9 + 25


def test_absent_log_says_nothing(tmp_path: Path) -> None:
    assert provenance.training_seconds(tmp_path / "none.log") is None
