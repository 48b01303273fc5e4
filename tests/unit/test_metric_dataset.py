"""Batches of the metric learning task: waveforms, features of a store, what is left out, what fairseq asks for."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
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
from fairseq_ext.features.store import write_store
from fairseq_ext.features.voice_groups import GROUPS
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.models.accent_encoder import AccentEncoderConfig

RATE, HOP = 8000, 80
Configure = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 3 accents x 2 speakers x 2 recordings of 0.2 to 0.5 s; one has no accent, one has an accent of its own."""
    root = tmp_path_factory.mktemp("accents")
    rng, rows = np.random.default_rng(1), []
    for number in range(14):
        accent = {12: None, 13: "welsh"}.get(number, ("irish", "scottish", "urdu")[number % 3])
        size = int(rng.integers(1600, 4000))
        soundfile.write(root / f"{number}.wav", 0.1 * rng.normal(size=size), RATE)
        rows.append(Utterance(f"r{number}", f"{number}.wav", size, speaker=f"s{number % 6}", accent=accent))
    for split in ("train", "valid"):
        write_manifest(root, split, rows, root=root)
    return root


@pytest.fixture
def configure(folder: Path) -> Configure:
    """Return a task, its model built."""

    def build(model: dict[str, Any] | None = None, **keys: Any) -> Any:
        task = {"_name": "ext_metric_learning", "data": str(folder), "sample_rate_hz": RATE, "crop_frames": 15,
                "classes_per_batch": 2, "per_class": 2, **keys}  # fmt: skip
        cfg = OmegaConf.create({"dataset": {"train_subset": "train"}, "task": task})
        cfg.task = merge_with_parent(tasks.TASK_DATACLASS_REGISTRY["ext_metric_learning"], cfg.task)
        made = tasks.setup_task(cfg.task)
        small = {"width": 8, "num_blocks": 1, "attention_heads": 2, "position_kernel": 4, **(model or {})}
        network = OmegaConf.structured(AccentEncoderConfig(**small))
        network._name = "ext_accent_encoder"
        made.build_model(network)
        return made

    return build


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write features of all recordings but the first: frame t holds t, and frame 0 is 0.05 s into the file."""
    out = tmp_path_factory.mktemp("store")
    names = ("mfcc", "prosody")
    recordings = [(f"r{number}", 30 + number, 0.05) for number in range(1, 14)]
    blocks = [
        {name: np.tile(np.arange(size, dtype=np.float32)[:, None], (1, len(GROUPS[name]))) for name in names}
        for _, size, _ in recordings
    ]
    groups = {name: {"columns": [asdict(column) for column in GROUPS[name]]} for name in names}
    about = {"groups": groups, "frame_rate_hz": 100, "sample_rate_hz": RATE}
    write_store(out, recordings, blocks, about=about, summary=[["id"]], skipped=[("r0", "silence")])
    return out


def opened(task: Any, split: str) -> Any:
    """Open a split as the trainer opens it."""
    task.load_dataset(split, combine=False, epoch=1, data_selector=None, tpu=False)
    return task.dataset(split)


def test_batches_are_those_of_the_epoch(configure: Configure, caplog: pytest.LogCaptureFixture) -> None:
    task = configure()
    data = opened(task, "train")
    assert task.streams == {"accent": ["irish", "scottish", "urdu", "welsh"]}
    assert "1 of 14 recordings are without a label and left out, e.g. r12" in caplog.text
    assert "1 of 14 recordings are the only ones of their class and left out, e.g. r13" in caplog.text
    iterator = task.get_batch_iterator(data, max_sentences=4, seed=1, epoch=1, num_workers=0)
    found = list(iterator.next_epoch_itr(shuffle=False))
    assert len(found) == 3
    assert sorted(row for batch in found for row in batch["id"].tolist()) == list(range(12))
    for batch in found:
        assert batch["net_input"]["source"].shape[1] <= 14 * HOP
        assert len(set(batch["label"].tolist())) == 2
        assert (
            batch["target"][:, 0].tolist() == batch["label"].add(-1).tolist()
        )  # the split's own have "" before them
        assert (batch["num_rows"], batch["split_rows"]) == (4, 12 + 1)
    shares = [
        task.get_batch_iterator(
            opened(task, "train"), max_sentences=4, seed=1, num_shards=2, shard_id=rank, epoch=1
        )
        for rank in range(2)
    ]
    ranks = [
        [batch["id"].tolist() for batch in share.next_epoch_itr(shuffle=False) if batch] for share in shares
    ]
    assert [batch["id"].tolist() for batch in found] == [ranks[0][0], ranks[1][0], ranks[0][1]]


def test_batch_size_of_fairseq_must_be_that_of_the_task(configure: Configure) -> None:
    data = opened(configure(), "train")
    with pytest.raises(ValueError, match=r"dataset\.batch_size: 4 "):
        data.batch_by_size(data.ordered_indices(), max_sentences=8)
    with pytest.raises(ValueError, match=r"dataset\.max_tokens"):
        data.batch_by_size(data.ordered_indices(), max_tokens=100_000)


def test_validation_has_whole_recordings_of_any_class(configure: Configure) -> None:
    data = opened(configure(), "valid")
    assert 12 not in data.ordered_indices().tolist()
    batch = data.collater([data[13], data[0]])
    assert batch["net_input"]["source"].shape[1] == max(data.sizes[[13, 0]])


def test_frames_of_a_store_are_cut_and_the_rest_is_left_out(
    configure: Configure, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = configure({"groups": "mfcc,prosody"}, feature_store=str(store))
    data = opened(task, "train")
    assert f"1 of 14 recordings are not in {store} (see its skipped.tsv) and left out, e.g. r0" in caplog.text
    assert 0 not in data.ordered_indices().tolist()
    data.set_epoch(1)
    batch = data.collater([data[row] for row in (1, 2, 3)])
    clip = batch["net_input"]["features"]["prosody"]
    assert clip.shape == (3, 15, len(GROUPS["prosody"]))
    assert (clip[:, 1:, 0] - clip[:, :-1, 0] == 1).all()  # neighbours stay neighbours
    assert len(set(clip[:, 0, 0].tolist())) > 1  # cut at random
    assert (batch["net_input"]["source"], batch["net_input"]["lengths"].tolist()) == (None, [15] * 3)
    data.set_epoch(2)
    assert not torch.equal(data.collater([data[1]])["net_input"]["features"]["prosody"][0], clip[0])
    whole = opened(task, "valid")
    assert whole.collater([whole[1]])["net_input"]["lengths"].tolist() == [31]


def test_waveform_under_the_frames_of_a_store(configure: Configure, store: Path, folder: Path) -> None:
    data = opened(configure({"groups": "mfcc,prosody"}, feature_store=str(store)), "train")
    data.waveforms = True
    item = data[5]
    start = int(item.label["prosody"][0, 0]) * HOP + 400
    samples = soundfile.read(folder / "5.wav", dtype="float32")[0][start : start + 14 * HOP]
    np.testing.assert_allclose(item.views[0].numpy(), samples, atol=1e-6)


def test_groups_without_a_store_are_measured_on_the_clip(configure: Configure) -> None:
    pytest.importorskip("parselmouth")
    data = opened(configure({"groups": "mfcc,prosody"}), "train")
    batch = data.collater([data[1], data[2]])["net_input"]
    assert {name: value.shape[1:] for name, value in batch["features"].items()} == {"prosody": (15, 5)}
    assert batch["source"].shape == (2, 14 * HOP)
    assert batch["lengths"].tolist() == [15, 15]


def test_unreadable_recording_is_counted_as_seen(configure: Configure) -> None:
    data = opened(configure(), "valid")
    empty = data.collater([type(data[0])(0, (), None)])
    assert (empty["nsentences"], empty["num_rows"]) == (0, 1)
    assert (empty["target"] == -100).all()


def test_augmentation_of_stored_features_is_refused(configure: Configure, store: Path) -> None:
    task = configure({"groups": "mfcc"}, feature_store=str(store), augment={"noise_prob": 0.5})
    with pytest.raises(ValueError, match=r"task\.augment\.noise_prob: it distorts waveforms"):
        opened(task, "train")


def test_features_at_another_rate_are_refused_and_their_preparation_is_kept(
    configure: Configure, store: Path, tmp_path: Path
) -> None:
    shutil.copytree(store, tmp_path / "store")
    about = json.loads((store / "features.json").read_text(encoding="utf-8"))
    for rate_hz in (16000, RATE):
        changed = {**about, "sample_rate_hz": rate_hz, "preparation": {"trim": True}}
        (tmp_path / "store" / "features.json").write_text(json.dumps(changed), encoding="utf-8")
        task = configure({"groups": "mfcc"}, feature_store=str(tmp_path / "store"))
        if rate_hz == RATE:
            opened(task, "train")
            assert task.state_dict()["preparation"] == {"trim": True}
        else:
            with pytest.raises(ValueError, match=r"task\.sample_rate_hz: 16000 expected"):
                opened(task, "train")


def test_classes_of_another_training_are_refused(configure: Configure) -> None:
    task = configure(adversary_label="speaker")
    state = task.get_checkpoint_dict()["ExtMetricLearningTask"]
    assert list(state["class_names"]) == ["accent", "speaker"]
    task.set_checkpoint_dict(state)
    with pytest.raises(ValueError, match="which differ"):
        task.set_checkpoint_dict({"class_names": {"accent": ["irish"]}})


def test_recordings_need_speakers(configure: Configure, folder: Path, tmp_path: Path) -> None:
    rows = [Utterance(f"r{i}", f"{i}.wav", 1600, speaker="s" if i else None, accent="a") for i in range(3)]
    write_manifest(tmp_path, "train", rows, root=folder)
    task = configure(data=str(folder))
    task.cfg.data = str(tmp_path)
    with pytest.raises(ValueError, match="1 recordings have no speaker, such as r0"):
        opened(task, "train")
