"""Scale the learning rate of a parameter."""

from torch import nn


def mark_lr_scale(parameter: nn.Parameter, scale: float) -> None:
    """Mark a parameter as fairseq's composite optimizer reads it; see `tasks._learning_rates`.

    Args:
        parameter: parameter of a model, changed.
        scale: factor of the learning rate.
    """
    # Fairseq looks for an attribute of this name, which torch's type does not have.
    parameter.optim_overrides = {"optimizer": {"lr_scale": scale}}  # type: ignore[attr-defined]
