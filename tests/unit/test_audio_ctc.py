"""The recognition task as fairseq sets it up: symbols, splits, the configuration it completes, its optimizer."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fairseq import optim, tasks
from fairseq.dataclass.utils import merge_with_parent
from fairseq.models import MODEL_DATACLASS_REGISTRY
from omegaconf import DictConfig, OmegaConf
from small_encoder import SIZES

import fairseq_ext.tasks  # noqa: F401 - registers them
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.data.transcribed_dataset import TranscribedDataset
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.text.units import count_units, to_characters

RATE = 8000
TEXTS = ["plaça", "demà", "iŀlusió", "sí que fa fred"]
SIZES_S = [0.4, 0.4, 0.5, 0.02]
Configure = Callable[..., DictConfig]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two splits of the same four recordings; the last is too short for its text."""
    root = tmp_path_factory.mktemp("manifests")
    generator = np.random.default_rng(1)
    rows = []
    for number, (text, size_s) in enumerate(zip(TEXTS, SIZES_S, strict=True)):
        size = round(size_s * RATE)
        soundfile.write(root / f"{number}.wav", 0.1 * generator.normal(size=size), RATE)
        rows.append(Utterance(str(number), f"{number}.wav", size, transcript=text))
    spell = {"ltr": lambda u: " ".join(to_characters(str(u.transcript)))}
    for split in ("few", "valid"):
        write_manifest(root, split, rows, root=root, labels=spell)
    write_dictionary(root / "dict.ltr.txt", count_units(map(to_characters, TEXTS)))
    return root


@pytest.fixture
def configure(folder: Path) -> Configure:
    """Build a whole configuration, its sections merged with their dataclasses as fairseq merges them."""

    def build(network: dict[str, Any] | None = None, **keys: Any) -> DictConfig:
        task = {
            "_name": "ext_audio_ctc",
            "data": str(folder),
            "sample_rate_hz": RATE,
            "labels": "ltr",
            **keys,
        }
        model = {"_name": "ext_ctc", **(SIZES if network is None else network)}
        cfg = OmegaConf.create({"dataset": {"train_subset": "few"}, "task": task, "model": model})
        cfg.task = merge_with_parent(tasks.TASK_DATACLASS_REGISTRY["ext_audio_ctc"], cfg.task)
        cfg.model = merge_with_parent(MODEL_DATACLASS_REGISTRY["ext_ctc"], cfg.model)
        return cfg

    return build


def dataset(task: Any, split: str) -> TranscribedDataset:
    """Open a split as the trainer opens it."""
    task.load_dataset(split, combine=False, epoch=1, data_selector=None, tpu=False)
    found: TranscribedDataset = task.dataset(split)
    return found


def test_symbols_are_the_dictionarys_behind_fairseqs(configure: Configure, folder: Path) -> None:
    task = tasks.setup_task(configure().task)
    assert task.symbols[:4] == list(SPECIAL_SYMBOLS)
    assert set(task.symbols[4:]) == set("".join(TEXTS).replace(" ", "|")) | {"|"}
    assert list(task.target_dictionary.symbols) == task.symbols
    assert task.build_model(configure().model).w2v_encoder.proj.out_features == len(task.symbols)


def test_split_that_is_trained_on_loses_what_cannot_be_spelled(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    cfg = configure()
    task = tasks.setup_task(cfg.task)
    task.build_model(cfg.model)
    with caplog.at_level(logging.WARNING):
        train, valid = dataset(task, "few"), dataset(task, "valid")
    assert sorted(train.ordered_indices().tolist()) == [0, 1, 2]
    assert sorted(valid.ordered_indices().tolist()) == [0, 1, 2, 3]
    assert "1 of 4 recordings are too short for their transcripts and left out: " in caplog.text
    assert "3.wav" in caplog.text
    assert (train.shuffle, valid.shuffle) == (True, False)


def test_long_recordings_are_left_out_of_training_and_never_cut(configure: Configure) -> None:
    task = tasks.setup_task(configure(max_duration_s=0.45).task)
    train, valid = dataset(task, "few"), dataset(task, "valid")
    assert sorted(train.ordered_indices().tolist()) == [0, 1, 3]
    assert sorted(valid.ordered_indices().tolist()) == [0, 1, 2, 3]
    assert len(valid[2].views[0]) == 4000


def test_checkpoint_holds_the_length_of_the_longest_recordings(configure: Configure) -> None:
    task = tasks.setup_task(configure().task)
    sizes = np.sort(dataset(task, "few").sizes) / task.cfg.sample_rate_hz
    assert sizes[-2] <= task.state_dict()["long_s"] <= sizes[-1]


def test_units_of_no_dictionary_are_reported(
    configure: Configure, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = tasks.setup_task(configure().task)
    task.state.symbols.remove("ŀ")
    with caplog.at_level(logging.WARNING):
        dataset(task, "few")
    assert "'ŀ' is not in the dictionary and becomes <unk>: 1 times in 1 rows" in caplog.text


def test_shape_of_the_pretrained_encoder_goes_into_the_configuration(
    configure: Configure, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    source = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), 7)
    state = {"cfg": {"model": {**SIZES, "normalize": True}, "task": {}}, "model": source.state_dict()}
    path = tmp_path / "pretrained.pt"
    torch.save(state, path)
    cfg = configure(network={"pretrained_path": str(path), "dropout": 0.3})
    assert cfg.model.encoder_layers == 12
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    assert {key: cfg.model[key] for key in SIZES} == SIZES
    assert (cfg.model.normalize, cfg.model.dropout) == (True, 0.3)
    # what fairseq saves is enough to build the model again
    saved = OmegaConf.create(OmegaConf.to_container(cfg, enum_to_str=True)).model
    path.unlink()
    again = task.build_model(saved, from_checkpoint=True)
    again.load_state_dict(model.state_dict())


def test_checkpoint_brings_its_own_symbols(configure: Configure, tmp_path: Path) -> None:
    before = tasks.setup_task(configure().task)
    state = {"symbols": before.symbols}
    assert before.state_dict() == state
    # fairseq loads the state before it reads the dictionary, whose folder may be gone
    after = tasks.setup_task(configure(data=str(tmp_path / "gone")).task)
    after.load_state_dict(state)
    assert after.symbols == before.symbols


def test_training_is_not_continued_with_another_dictionary(configure: Configure) -> None:
    task = tasks.setup_task(configure().task)
    saved = task.get_checkpoint_dict()["ExtAudioCtcTask"]
    task.set_checkpoint_dict(saved)
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt: the checkpoint's symbols .*'é'.* expected, found"):
        task.set_checkpoint_dict({"symbols": [*saved["symbols"], "é"]})


def test_missing_dictionary_is_named(configure: Configure, tmp_path: Path) -> None:
    task = tasks.setup_task(configure(data=str(tmp_path)).task)
    with pytest.raises(FileNotFoundError, match=r"dict\.ltr\.txt: no such dictionary"):
        task.build_model(configure().model)


ADAM = {
    "_name": "adam",
    "lr": [0.1],
    "adam_betas": "(0.9, 0.98)",
    "adam_eps": 1e-8,
    "weight_decay": 0.0,
    "tpu": False,
}


def optimizer_for(model: ExtCtc, *, kind: str = "adam") -> Any:
    """fairseq's optimizer, as the yaml would name it, of whole or half precision."""
    cfg: dict[str, Any] = ADAM
    if kind == "composite":
        fixed = {"_name": "fixed", "lr": [0.1], "force_anneal": None, "lr_shrink": 0.1, "warmup_updates": 0}
        groups = {"default": {"optimizer": ADAM, "lr_scheduler": fixed, "lr_float": None}}
        cfg = {"_name": "composite", "dynamic_groups": True, "groups": groups}
    if kind in {"adam", "composite"}:
        return optim.build_optimizer(OmegaConf.create(cfg), list(model.parameters()))
    model.half()
    scale = {
        "fp16_init_scale": 1,
        "fp16_scale_window": 100,
        "min_loss_scale": 0.0,
        "threshold_loss_scale": None,
    }
    common = {**scale, "fp16_scale_tolerance": 0.0, "bf16": False, "fp16_no_flatten_grads": True}
    alone = {"distributed_world_size": 1, "pipeline_model_parallel": False}
    both = {
        "common": common,
        "optimizer": cfg,
        "distributed_training": alone,
        "optimization": {"update_freq": [1]},
    }
    whole = optim.MemoryEfficientFP16Optimizer if kind == "memory_efficient" else optim.FP16Optimizer
    return whole.build_optimizer(OmegaConf.create(both), list(model.parameters()))


@pytest.mark.parametrize("kind", ["adam", "composite", "half", "memory_efficient"])
def test_every_layer_has_its_rate(configure: Configure, kind: str) -> None:
    cfg = configure(network={**SIZES, "layer_decay": 0.5})
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    optimizer = optimizer_for(model, kind=kind)
    before = {name: parameter.detach().float().clone() for name, parameter in model.named_parameters()}
    optimizer.backward(sum(parameter.sum() for parameter in model.parameters()))
    task.optimizer_step(optimizer, model, 0)
    # the first step of Adam is the learning rate, whatever the gradient
    steps = {
        name: float((before[name] - parameter.detach().float()).abs().mean())
        for name, parameter in model.named_parameters()
    }
    layer, tolerance = "w2v_encoder.w2v_model.encoder.layers.{}.fc1.weight", 5e-3
    assert steps["w2v_encoder.proj.weight"] == pytest.approx(0.1, rel=tolerance)
    assert steps[layer.format(1)] == pytest.approx(0.05, rel=tolerance)
    assert steps[layer.format(0)] == pytest.approx(0.025, rel=tolerance)
    assert steps["w2v_encoder.w2v_model.post_extract_proj.weight"] == pytest.approx(0.0125, rel=tolerance)
    assert optimizer.get_lr() == 0.1  # what schedules and logs see


def test_rates_are_those_of_the_composite_optimizer_and_outlive_a_restart(configure: Configure) -> None:
    cfg = configure(network={**SIZES, "layer_decay": 0.5})
    task = tasks.setup_task(cfg.task)
    ended = []
    for kind, restarts in (("adam", False), ("composite", False), ("adam", True)):
        torch.manual_seed(1)
        model = task.build_model(cfg.model)
        optimizer = optimizer_for(model, kind=kind)
        for update in range(4):
            if restarts and update == 2:
                state = optimizer.state_dict()
                optimizer = optimizer_for(model, kind=kind)
                optimizer.load_state_dict(state)
            for parameter in model.parameters():
                parameter.grad = parameter.detach() + update
            task.optimizer_step(optimizer, model, update)
        ended.append([parameter.detach() for parameter in model.parameters()])
    for found in ended[1:]:
        assert all(map(torch.equal, ended[0], found))


def test_optimizer_that_would_overlook_the_rates_is_refused(configure: Configure) -> None:
    cfg = configure(network={**SIZES, "layer_decay": 0.5})
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    # a schedule that knows nothing of the groups gives all of them one rate
    optimizer = optimizer_for(model, kind="composite")
    optimizer.set_lr(0.2)
    message = r"one learning rate, 0\.2, for all .* lr_scheduler\._name to pass_through"
    with pytest.raises(ValueError, match=message):
        task.optimizer_step(optimizer, model, 0)
    optimizer.set_lr(0.0)  # as a warm-up begins
    task.optimizer_step(optimizer, model, 0)
    # half precision on a GPU copies all parameters to one tensor by default
    flat = torch.nn.Parameter(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    optimizer = optim.build_optimizer(OmegaConf.create(ADAM), [flat])
    with pytest.raises(ValueError, match=r"as one flat tensor.*; set common\.fp16_no_flatten_grads to true"):
        task.optimizer_step(optimizer, model, 0)


def test_any_optimizer_serves_equal_rates(configure: Configure) -> None:
    cfg = configure()
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model)
    optimizer = optimizer_for(model)
    model.w2v_encoder.proj.weight.grad = torch.ones_like(model.w2v_encoder.proj.weight)
    before = model.w2v_encoder.proj.weight.detach().clone()
    task.optimizer_step(optimizer, model, 0)
    assert not torch.equal(before, model.w2v_encoder.proj.weight)
