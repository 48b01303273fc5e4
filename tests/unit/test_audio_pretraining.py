"""Pre-training's task and batches: cut, not padded; seeds of what the model draws; waveforms brought to one level."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fairseq import tasks
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import OmegaConf

import fairseq_ext.tasks  # noqa: F401 - registers them
from fairseq_ext.data.pretraining_dataset import PretrainingDataset
from fairseq_ext.manifest import Utterance, write_manifest

RATE = 8000
SIZES = [4000, 8000, 9000, 10000, 12000, 20000]
Open = Callable[..., PretrainingDataset]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two splits of the same six recordings, loud and with an offset, 0.5 s to 2.5 s."""
    root = tmp_path_factory.mktemp("manifests")
    generator = np.random.default_rng(1)
    rows = []
    for number, size in enumerate(SIZES):
        path = f"enregistrament_ç_{number}.wav"
        soundfile.write(root / path, 0.1 + 0.05 * generator.normal(size=size), RATE)
        rows.append(Utterance(str(number), path, size))
    for split in ("train", "valid"):
        write_manifest(root, split, rows, root=root)
    return root


@pytest.fixture
def open_split(folder: Path) -> Open:
    def build(split: str = "train", **keys: Any) -> PretrainingDataset:
        task = {"_name": "ext_audio_pretraining", "data": str(folder), "sample_rate_hz": RATE, **keys}
        cfg = OmegaConf.create({"dataset": {"train_subset": "train"}, "task": task})
        cfg.task = merge_with_parent(tasks.TASK_DATACLASS_REGISTRY["ext_audio_pretraining"], cfg.task)
        created = tasks.setup_task(cfg.task)
        created.load_dataset(split)
        found: PretrainingDataset = created.dataset(split)
        return found

    return build


def batch(dataset: PretrainingDataset, rows: list[int], epoch: int = 1) -> dict[str, Any]:
    """Return a batch of rows."""
    dataset.set_epoch(epoch)
    return dataset.collater([dataset[row] for row in rows])


def test_clips_are_cut_to_the_shortest(open_split: Open) -> None:
    found = batch(open_split(), [4, 1, 2])
    assert found["net_input"]["source"].shape == (3, 8000)
    assert found["net_input"]["padding_mask"] is None
    assert (found["ntokens"], found["nsentences"]) == (3 * 8000, 3)


def test_cut_is_a_part_of_the_clip_another_one_each_epoch(open_split: Open) -> None:
    dataset = open_split()
    whole = dataset[4].views[0]
    starts = set()
    for epoch in range(1, 6):
        part = batch(dataset, [4, 1], epoch)["net_input"]["source"][0]
        assert torch.equal(part, batch(dataset, [4, 1], epoch)["net_input"]["source"][0])
        starts |= {s for s in range(len(whole) - 7999) if torch.equal(whole[s : s + 8000], part)}
    assert len(starts) == 5


def test_validation_hears_the_same_each_time(open_split: Open) -> None:
    dataset = open_split("valid")
    first, second = (batch(dataset, [4, 1])["net_input"] for _ in range(2))
    assert torch.equal(first["source"][0], dataset[4].views[0][:8000])
    assert first["seeds"] == second["seeds"]


def test_padding_on_request(open_split: Open) -> None:
    found = batch(open_split(enable_padding=True), [4, 1])
    lengths = (~found["net_input"]["padding_mask"]).sum(1).tolist()
    assert lengths == [12000, 8000]
    assert found["ntokens"] == 20000


def test_seeds_differ_by_row_epoch_and_seed_and_not_by_batch(open_split: Open) -> None:
    def seeds(rows: list[int], epoch: int = 1, **keys: Any) -> list[int]:
        found: list[int] = batch(open_split(**keys), rows, epoch)["net_input"]["seeds"]
        return found

    assert seeds([1, 2]) == seeds([1, 2])
    assert seeds([1, 2])[1:] == seeds([2])
    assert len({*seeds([1, 2, 3]), *seeds([1, 2, 3], epoch=2), *seeds([1, 2, 3], seed=7)}) == 9
    assert all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds([1, 2]))


def test_short_recordings_are_left_out_of_training_only(open_split: Open) -> None:
    assert sorted(open_split().ordered_indices().tolist()) == [1, 2, 3, 4, 5]
    assert sorted(open_split("valid").ordered_indices().tolist()) == list(range(6))
    assert max(open_split(max_duration_s=1.25).sizes) == 10000


def test_waveforms_are_brought_to_one_level_on_request(open_split: Open) -> None:
    plain, level = open_split()[2].views[0], open_split(normalize=True)[2].views[0]
    assert float(plain.mean()) > 0.05
    assert float(level.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(level.std()) == pytest.approx(1.0, abs=5e-3)
    assert torch.allclose(level, torch.nn.functional.layer_norm(plain, plain.shape))


def test_nothing_readable_gives_a_batch_without_weight(open_split: Open, folder: Path) -> None:
    dataset = open_split()
    item = dataset[2]
    found = dataset.collater([type(item)(2, (), None)])
    assert found["nsentences"] == 0
    assert len(found["net_input"]["seeds"]) == len(found["net_input"]["source"])


def test_batches_by_number_of_samples_hold_mixed_lengths(open_split: Open) -> None:
    dataset = open_split()
    batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=40000)
    assert sorted(row for rows in batches for row in rows) == [1, 2, 3, 4, 5]
    for rows in batches:
        assert batch(dataset, list(rows))["net_input"]["source"].numel() <= 40000
