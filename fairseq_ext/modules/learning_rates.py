"""Learning rates per parameter, with any optimizer and schedule of fairseq.

A model marks a parameter as fairseq's composite optimizer reads it: its rate is a share of the schedule's. fairseq's
other optimizers have one rate; for the time of a step their groups are split by the shares here, so that schedules,
checkpoints and all other readers of the groups see one rate.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import nn

Group = dict[str, Any]


def mark_lr_scale(parameter: nn.Parameter, scale: float) -> None:
    """Mark a parameter whose learning rate is `scale` times that of the schedule."""
    # Fairseq looks for an attribute of this name, which torch's type does not have.
    parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}  # type: ignore[attr-defined]


@contextmanager
def per_parameter_lr(optimizer: Any, model: Any, key: str) -> Iterator[None]:
    """Give each parameter its share of the learning rate, for one step.

    An optimizer with several rates, such as composite with a schedule for each, is left as it is.

    Args:
        optimizer: fairseq's optimizer.
        model: model some of whose parameters are marked.
        key: key of the model's configuration that messages name.

    Raises:
        ValueError: the optimizer holds the parameters as one tensor, or the schedule gives its many groups one rate.
    """
    rates = {group["lr"] for group in optimizer.param_groups}
    marked = any(p.requires_grad and _scale(p) != 1.0 for p in model.parameters())
    if not marked or len(rates) > 1 or rates == {0.0}:
        yield
        return
    inner = getattr(optimizer, "optimizer", optimizer)  # torch's, whatever wraps it for half precision
    whole: list[Group] | None = getattr(inner, "param_groups", None)
    if whole is None:
        raise ValueError(
            f"{key}: the schedule sets one learning rate, {rates.pop()}, for all of the composite optimizer; set "
            "lr_scheduler._name to pass_through, or use another optimizer"
        )
    if not any(_scale(p) != 1.0 for group in whole for p in group["params"]):
        raise ValueError(
            f"{key}: the optimizer holds all parameters as one flat tensor, so they cannot have different learning "
            "rates; set common.fp16_no_flatten_grads to true"
        )
    parts = [_divided(group) for group in whole]
    inner.param_groups = [part for own in parts for part in own]
    try:
        yield
    finally:
        inner.param_groups = whole
        for group, own in zip(whole, parts, strict=True):
            # Some optimizers keep their step count in the group.
            group |= {key: value for key, value in own[0].items() if key not in {"params", "lr"}}


def _scale(parameter: Any) -> float:
    overrides: Mapping[str, Any] = getattr(parameter, "optim_overrides", {})
    return float(overrides.get("optimizer", {}).get("lr_scale", 1.0))


def _divided(group: Group) -> list[Group]:
    """Return a parameter group for each scale."""
    members: dict[float, list[Any]] = {}
    for parameter in group["params"]:
        members.setdefault(_scale(parameter), []).append(parameter)
    return [{**group, "params": own, "lr": group["lr"] * scale} for scale, own in members.items()]
