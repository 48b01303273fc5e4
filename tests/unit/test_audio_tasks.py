"""The tasks as fairseq sets them up: the split trained on, what a checkpoint holds, whose weights are validated."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fairseq import tasks
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import DictConfig, OmegaConf

import fairseq_ext.tasks  # noqa: F401 - registers them
from fairseq_ext.data.audio_dataset import AudioDataset
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest

RATE = 8000
NAMES = ["plaça", "demà", "iŀlusió"]
SIZES = [400, 1600, 2400, 3200, 4000, 4800]
Configure = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two splits of the same six recordings, 0.05 s to 0.6 s, with the stream "word"."""
    root = tmp_path_factory.mktemp("manifests")
    generator = np.random.default_rng(1)
    rows = []
    for number, size in enumerate(SIZES):
        soundfile.write(root / f"{number}.wav", 0.1 * generator.normal(size=size), RATE)
        rows.append(Utterance(str(number), f"{number}.wav", size, transcript=NAMES[number % len(NAMES)]))
    for split in ("few", "valid"):
        write_manifest(root, split, rows, root=root, labels={"word": lambda u: str(u.transcript)})
    write_dictionary(root / "dict.word.txt", dict.fromkeys(NAMES, 2))
    return root


@pytest.fixture
def configure(folder: Path) -> Configure:
    """Return the task's section of a whole configuration, merged with its dataclass as fairseq merges it."""

    def build(name: str = "ext_audio_classification", **keys: Any) -> DictConfig:
        task = {"_name": name, "data": str(folder), "sample_rate_hz": RATE, **keys}
        if name == "ext_audio_classification":
            task.setdefault("label", "word")
        cfg = OmegaConf.create({"dataset": {"train_subset": "few"}, "task": task})
        cfg.task = merge_with_parent(tasks.TASK_DATACLASS_REGISTRY[name], cfg.task)
        return cfg.task

    return build


def dataset(task: Any, split: str) -> AudioDataset:
    """Open a split as the trainer opens it."""
    task.load_dataset(split, combine=False, epoch=1, data_selector=None, tpu=False)
    found: AudioDataset = task.dataset(split)
    return found


def test_classes_are_those_of_the_dictionary(configure: Configure) -> None:
    task = tasks.setup_task(configure())
    assert task.class_names == NAMES
    assert (task.num_classes, task.sample_rate_hz) == (3, RATE)
    batch = dataset(task, "valid").collater([dataset(task, "valid")[row] for row in range(6)])
    assert [task.class_names[i] for i in batch["target"]] == NAMES * 2


def test_the_split_trained_on_is_the_one_that_fairseq_trains_on(configure: Configure) -> None:
    task = tasks.setup_task(configure(augment={"noise_prob": 1.0}))
    train, valid = dataset(task, "few"), dataset(task, "valid")
    assert (train.shuffle, valid.shuffle) == (True, False)
    assert not torch.equal(train[3].views[0], valid[3].views[0])
    assert torch.equal(valid[3].views[0], dataset(tasks.setup_task(configure()), "few")[3].views[0])


def test_nothing_is_left_out_of_a_split_that_is_scored(configure: Configure) -> None:
    task = tasks.setup_task(configure(min_duration_s=0.25, max_duration_s=0.4))
    train, valid = dataset(task, "few"), dataset(task, "valid")
    assert sorted(train.ordered_indices().tolist()) == [2, 3, 4, 5]
    assert sorted(valid.ordered_indices().tolist()) == [0, 1, 2, 3, 4, 5]
    assert max(train.sizes) == max(valid.sizes) == round(0.4 * RATE)


@pytest.mark.parametrize(("cached", "num_workers"), [(True, 0), (False, 2), (True, 2)])
def test_recordings_are_kept_in_memory_once_or_not_at_all(
    configure: Configure, cached: bool, num_workers: int
) -> None:
    task = tasks.setup_task(configure(cache_audio=cached))
    few = dataset(task, "few")
    if cached and num_workers:
        with pytest.raises(
            ValueError, match=r"task\.cache_audio: each of 2 worker processes .*dataset\.num_workers=0"
        ):
            task.get_batch_iterator(few, max_tokens=10**6, num_workers=num_workers)
        return
    batches = task.get_batch_iterator(few, max_tokens=10**6, num_workers=num_workers).next_epoch_itr(
        shuffle=False
    )
    assert sum(batch["nsentences"] for batch in batches) == len(few.ordered_indices())


def test_contrastive_task_reads_no_label(configure: Configure, folder: Path) -> None:
    task = tasks.setup_task(configure("ext_audio_contrastive", augment={"noise_prob": 1.0}))
    assert task.num_classes == 0
    for split in ("few", "valid"):
        views = dataset(task, split)[4].views
        assert len(views) == 2
        assert not torch.equal(views[0], views[1])
        assert "target" not in dataset(task, split).collater([dataset(task, split)[4]])
    again = dataset(
        tasks.setup_task(configure("ext_audio_contrastive", augment={"noise_prob": 1.0})), "valid"
    )
    assert torch.equal(again[4].views[1], dataset(task, "valid")[4].views[1])


def test_stored_configuration_has_no_open_reference(configure: Configure) -> None:
    stored = OmegaConf.to_container(configure(augment={"speed_prob": 0.5}), resolve=True, enum_to_str=True)
    assert stored["train_subset"] == "few"
    assert stored["augment"]["speed_prob"] == 0.5
    assert "${" not in str(stored)
    assert "???" not in str(stored)


@pytest.mark.parametrize("keys", [{"no_such_key": 1}, {"augment": {"no_such_key": 1}}])
def test_unknown_key_is_refused(configure: Configure, keys: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="no_such_key"):
        configure(**keys)


def test_class_names_travel_in_the_checkpoint(configure: Configure) -> None:
    task = tasks.setup_task(configure())
    assert task.state_dict()["class_names"] == NAMES
    task.set_checkpoint_dict(task.get_checkpoint_dict()["ExtAudioClassificationTask"])


def test_resuming_with_other_classes_is_refused(configure: Configure) -> None:
    task = tasks.setup_task(configure())
    with pytest.raises(ValueError, match=r"dict\.word\.txt: .*demà"):
        task.set_checkpoint_dict({"class_names": [*NAMES[::-1]]})


def test_missing_dictionary_is_named(configure: Configure) -> None:
    with pytest.raises(FileNotFoundError, match=r"dict\.accent\.txt"):
        tasks.setup_task(configure(label="accent"))


class Constant(torch.nn.Module):
    """A network whose output is its only weight."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self) -> torch.Tensor:
        """Return the weight."""
        return self.value


@pytest.mark.parametrize("averaged", [None, Constant(2.0)])
def test_validation_scores_the_averaged_weights_when_there_are_any(
    configure: Configure, averaged: Any
) -> None:
    task = tasks.setup_task(configure())
    assert task.uses_ema
    loss, _, _ = task.valid_step({}, Constant(1.0), lambda model, _: (model(), 1, {}), ema_model=averaged)
    assert float(loss.detach()) == (1.0 if averaged is None else 2.0)


@pytest.fixture
def two_streams(folder: Path, tmp_path: Path) -> Path:
    """Write the same recordings with a second stream, of which two rows have no label."""
    for path in folder.iterdir():
        if path.suffix != ".wav":
            shutil.copy(path, tmp_path)
    for split in ("few", "valid"):
        (tmp_path / f"{split}.gender").write_text("male\n\nfemale\nfemale\n\nfemale\n", encoding="utf-8")
    write_dictionary(tmp_path / "dict.gender.txt", {"female": 3, "male": 1})
    return tmp_path


def test_several_streams_stand_beside_each_other(configure: Configure, two_streams: Path) -> None:
    task = tasks.setup_task(configure(label="word,gender", data=str(two_streams)))
    assert task.streams == {"word": NAMES, "gender": ["female", "male"]}
    assert task.class_counts() == {"word": [2, 2, 2], "gender": [3, 1]}
    batch = dataset(task, "valid").collater([dataset(task, "valid")[row] for row in range(6)])
    assert batch["target"].tolist() == [[0, 1], [1, -100], [2, 0], [0, 0], [1, -100], [2, 0]]
    state = task.state_dict()["class_names"]
    assert state == {"word": NAMES, "gender": ["female", "male"]}
    task.set_checkpoint_dict(task.get_checkpoint_dict()["ExtAudioClassificationTask"])
    with pytest.raises(ValueError, match=r"dict\.word\.txt, dict\.gender\.txt: the checkpoint's classes"):
        task.set_checkpoint_dict({"class_names": {**state, "gender": ["male", "female"]}})


def test_model_with_one_output_layer_refuses_several_streams(configure: Configure, two_streams: Path) -> None:
    task = tasks.setup_task(configure(label="word,gender", data=str(two_streams)))
    with pytest.raises(ValueError, match="ext_speech_classifier"):
        _ = task.num_classes


def test_parameter_has_its_share_of_the_learning_rate(configure: Configure) -> None:
    task = tasks.setup_task(configure())
    model = Constant(1.0)
    model.value.grad = torch.tensor(1.0)
    optimizer = SimpleNamespace(optimizer=torch.optim.SGD(model.parameters(), lr=0.1))
    optimizer.param_groups, optimizer.step = optimizer.optimizer.param_groups, optimizer.optimizer.step
    task.optimizer_step(optimizer, model, 1)
    assert model.value.item() == pytest.approx(0.9)
    model.value.optim_overrides = {"optimizer": {"lr_scale": 0.1}}
    task.optimizer_step(optimizer, model, 2)
    assert model.value.item() == pytest.approx(0.89)
    assert optimizer.optimizer.param_groups[0]["lr"] == 0.1
