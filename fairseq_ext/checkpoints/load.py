"""Load a model in evaluation mode from the path of its checkpoint; only the file is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fairseq import models
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import DictConfig, OmegaConf

from .. import compat  # noqa: F401 - lets torch read the file
from ..modules.checkpoint_file import checkpoint_weights, read_checkpoint
from ..modules.layer_statistics import LayerStatistics
from ..modules.pretrained_encoder import SHAPE_KEYS, USUAL_RATE_HZ, check_size
from ..scoring.trained import TrainedModel
from .devices import check_device
from .encoder import load_encoder_layers


def load_model(
    path: str | Path, device: str = "cpu", *, label: str = "", untrained: bool = False
) -> TrainedModel:
    """Load a checkpoint of one of our utterance models, with its averaged (EMA) weights when it has them.

    Args:
        label: label stream that "logits" belongs to, for a model with several; empty = the first.
        untrained: keep the weights at their initial values (a control), seeded by the training's seed.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a fairseq checkpoint, of a model that is not ours, or without that label stream; or no such
            device.
    """
    check_device(device)
    state = read_checkpoint(path)
    if state.get("cfg") is None:
        raise ValueError(
            f"{path} is not a checkpoint of fairseq_ext: it has no configuration; give one that fairseq_ext trained"
        )
    cfg = OmegaConf.create(state["cfg"])
    streams, weights = _streams(state, cfg), dict(checkpoint_weights(state))
    if "encoder_layers" in (cfg.get("model") or {}):
        check_size({key: cfg.model[key] for key in SHAPE_KEYS if key in cfg.model}, weights, path)
    model = _build(cfg, streams, path)
    if not untrained:
        model.load_state_dict(weights)
    chosen = _choose(model, streams, label, path)
    updates = int((state.get("optimizer_history") or [{}])[-1].get("num_updates", 0))
    labels = streams.get(chosen, [])
    rate_hz, task_state = int(cfg.task.sample_rate_hz), state.get("task_state") or {}
    return TrainedModel(model.to(device).eval(), cfg, chosen, labels, rate_hz, updates, task_state)


def load_layers(
    path: str | Path,
    layers: Sequence[int] = (),
    parts: Sequence[int] = (1,),
    device: str = "cpu",
    *,
    untrained: bool = False,
    seed: int = 1,
    pads_s: Sequence[float] = (0.0,),
) -> TrainedModel:
    """Load any encoder that `read_encoder` knows as a network whose embedding holds statistics of its layers.

    Args:
        layers: numbers of the layers, 0 = what enters the first one; empty = all.
        parts: numbers of parts that a clip is divided into, see `LayerStatistics`.
        untrained: keep the weights at their initial values (a control), drawn with `seed`.
        pads_s: lengths of the silence that a clip is heard between, s; see `LayerStatistics`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an encoder, or without one of the layers; or no such device.
    """
    encoder, source = load_encoder_layers(path, layers, device, whole=True, untrained=untrained, seed=seed)
    rate_hz = int(source.sample_rate_hz or USUAL_RATE_HZ)
    model = LayerStatistics(encoder, parts, pads_s, rate_hz)
    chosen = {"layers": list(encoder.layers), "parts": list(parts), "pads_s": list(pads_s)}
    cfg = OmegaConf.create({"model": {**source.shape, **chosen}, "task": {}})
    return TrainedModel(model.eval(), cfg, "", [], rate_hz, source.num_updates)


def _streams(state: Mapping[str, Any], cfg: DictConfig) -> dict[str, list[str]]:
    """Return label stream -> classes; the checkpoint of a single stream holds their bare list."""
    names = (state.get("task_state") or {}).get("class_names", [])
    if isinstance(names, Mapping):
        return {stream: list(classes) for stream, classes in names.items()}
    return {str(cfg.task.get("label", "")): list(names)} if names else {}


def _choose(model: Any, streams: Mapping[str, list[str]], label: str, path: str | Path) -> str:
    """Let "logits" be those of a label stream; a single stream is used whatever `label` is."""
    if len(streams) < 2:
        return next(iter(streams), "")
    chosen = label or next(iter(streams))
    if chosen not in streams:
        raise ValueError(f"{path}: no label stream {label!r}; choose one of {list(streams)}")
    model.head = list(streams).index(chosen)
    return chosen


def _build(cfg: DictConfig, streams: Mapping[str, list[str]], path: str | Path) -> torch.nn.Module:
    """Build the network as it was trained; the checkpoint it was started from is not needed any more."""
    from .. import models as _models  # noqa: F401 - registers them

    name = str((cfg.get("model") or {}).get("_name"))
    if not name.startswith("ext_") or name not in models.MODEL_REGISTRY:
        raise ValueError(f"{path}: the model {name!r} is not one of fairseq_ext.models; load it with fairseq")
    if name == "ext_ctc":
        raise ValueError(
            f"{path} holds a recogniser ({name}), not a classifier or a pre-trained model; load it with "
            "inference.recognizer.load_recognizer"
        )
    # keys that came after the checkpoint was written have their defaults
    config = merge_with_parent(models.MODEL_DATACLASS_REGISTRY[name](), cfg.model)
    if "pretrained_path" in config:
        config.pretrained_path = ""
    task_like = _TaskMetadata(streams, int(cfg.task.sample_rate_hz))
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it is
        torch.manual_seed(cfg.common.seed)
        result: torch.nn.Module = models.MODEL_REGISTRY[name].build_model(config, task_like)
        return result


@dataclass(frozen=True)
class _TaskMetadata:
    """The attributes of a task that a model's `build_model` reads."""

    streams: Mapping[str, list[str]]
    sample_rate_hz: int

    @property
    def num_classes(self) -> int:
        """Return the number of classes of the only stream; 0 without any."""
        return len(next(iter(self.streams.values()), []))
