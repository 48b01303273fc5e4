"""Which values of a training's configuration cannot work: ranges, and parts that refuse.

Hydra checks names and types alone. Ranges follow from names, since most keys are fairseq's, which states none; a value
is negative only where the configuration without overrides has one. Then the model, the optimizer and the schedule are
built, on the device "meta", where nothing is allocated: what they refuse, they say.
"""

import ast
import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

_Rule = tuple[str, str, Callable[[float], bool]]
# The first rule whose pattern is found in a key counts.
_RULES: tuple[_Rule, ...] = (
    (r"drop|_prob$|_prob_|share$|^optimization\.sentence_avg$|layer_decay|smoothing$", "0 to 1", lambda v: 0 <= v <= 1),
    (r"^(optimization|optimizer)\.lr$", "a value above 0", lambda v: v > 0),
    (r"(frozen|pretrained)_layers$", "0 or more", lambda v: v >= 0),  # 0 = none, all
    (r"_db$", "a finite value", math.isfinite),
    (r"(^|\.)(batch_size|max_tokens)|update_freq$|log_interval$|validate_interval$|save_interval$"
     r"|_layers$|_dim$|_heads$|_hz$|_length$|_stride|_kernel|temperature|eps$", "a value above 0", lambda v: v > 0),
)  # fmt: skip


def numbers(values: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield the dotted name and value of every number of a configuration; those of a list share its name."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from numbers(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from numbers(value, name)
    elif isinstance(values, int | float) and not isinstance(values, bool):
        yield name, values


def out_of_range(values: Mapping[str, Any], usual: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the first number that cannot work; None = no number is known to be wrong.

    `usual` holds the same configuration without overrides, whose values are right.
    """
    least: dict[str, float] = {}
    for name, value in numbers(usual):
        least[name] = min(value, least.get(name, 0.0))
    right = set(numbers(usual))
    for name, value in numbers(values):
        if (name, value) in right:
            continue
        if not math.isfinite(value):
            return f"{name}={value}: a finite value expected"
        rule = next((rule for rule in _RULES if re.search(rule[0], name)), None)
        if rule is not None and not rule[2](value):
            return f"{name}={value}: {rule[1]} expected"
        if rule is None and value < least.get(name, 0.0):
            return f"{name}={value}: a value of 0 or more expected"
    return None


def build_parts(cfg: Any) -> None:
    """Build model, optimizer and schedule; raises whatever they raise."""
    import torch
    from fairseq import models, optim
    from fairseq.optim import lr_scheduler
    from omegaconf import OmegaConf

    model = OmegaConf.create(OmegaConf.to_container(cfg.model, resolve=False))
    if "pretrained_path" in model:
        model.pretrained_path = ""  # it may not be there yet
        if "pretrained_layers" in model and model.pretrained_layers:  # so many are taken of it
            model.encoder_layers = model.pretrained_layers
    model = OmegaConf.merge(OmegaConf.structured(models.MODEL_DATACLASS_REGISTRY[model._name]()), model)
    streams = {name: ["a", "b"] for name in str(cfg.task.get("label") or "label").split(",")}
    rate_hz = int(cfg.task.get("sample_rate_hz") or 16000)
    # What the models read of a task, of all kinds of tasks.
    symbols = ["<s>", "<pad>", "</s>", "<unk>", "|"]
    task = SimpleNamespace(streams=streams, num_classes=2, symbols=symbols, cfg=cfg.task)
    task.sample_rate_hz, task.target_dictionary = rate_hz, symbols
    task.num_frame_classes, task.num_starts, task.num_units = len(symbols), 1, [2]
    build = partial(models.MODEL_REGISTRY[model._name].build_model, model, task)
    try:
        with torch.device("meta"):
            build()
    except (NotImplementedError, RuntimeError) as error:
        if "meta" not in str(error):
            raise
        build()  # it computes filters as it is built; such models are small
    cfg = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    optimizer = optim.build_optimizer(cfg.optimizer, [torch.nn.Parameter(torch.zeros(1))])
    betas = cfg.optimizer.get("adam_betas")
    if betas is not None and not all(0 <= beta < 1 for beta in ast.literal_eval(str(betas))):
        raise ValueError(f"optimizer.adam_betas={betas}: two values of 0 to 1 expected")
    lr_scheduler.build_lr_scheduler(cfg.lr_scheduler, optimizer).step_update(0)
