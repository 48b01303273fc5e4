"""Freeze the first layers of an encoder, and what lies before them."""

from torch import nn

from .encoders import Encoder


def freeze(encoder: Encoder, num_layers: int, norm_first: bool) -> None:
    """Train neither the first layers of an encoder nor what lies before them, the vector of masks included.

    Args:
        encoder: the encoder.
        num_layers: number of layers that are not trained; 0 = all are, and what lies before them too.
        norm_first: whether the norm beside the layers comes after the last one, not before the first.

    Raises:
        ValueError: the encoder has not as many, or no layer more.
    """
    found = _frozen_modules(encoder, num_layers, norm_first)
    for module in found:
        module.requires_grad_(False)
    if found:
        encoder.mask_emb.requires_grad_(False)


def keep_frozen(encoder: Encoder, num_layers: int, norm_first: bool) -> None:
    """Set what `freeze` freezes to evaluation: no dropout there."""
    for module in _frozen_modules(encoder, num_layers, norm_first):
        module.train(False)


def _frozen_modules(encoder: Encoder, num_layers: int, norm_first: bool) -> list[nn.Module]:
    transformer = encoder.encoder
    if num_layers >= max(len(transformer.layers), 1):
        raise ValueError(
            f"model.frozen_layers: less than the {len(transformer.layers)} layers expected, found {num_layers}; change "
            "it, or freeze the whole encoder"
        )
    if not num_layers:
        return []
    after = {id(module) for module in transformer.layers[num_layers:]}
    if norm_first:
        after.add(id(transformer.layer_norm))
    before = [module for module in encoder.children() if module is not transformer]
    inside = [module for name, module in transformer.named_children() if name != "layers"]
    return [module for module in (*before, *inside, *transformer.layers) if id(module) not in after]
