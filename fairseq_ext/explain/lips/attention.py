"""How much of each frame the attention decoder reads for each token.

Attention says what is mixed into a layer, not what decides (Jain and Wallace 2019, "Attention is not explanation"): it
is drawn beside the maps, not in their place.

Shapes: T frames, E width of the encoded frames, L tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ...modules.attention_decoder import Attention, AttentionDecoder


@torch.no_grad()
def frames_read(decoder: AttentionDecoder, start: int, tokens: list[int], memory: Tensor) -> Tensor:
    """Return the attention to frames before each token is written, (L, T), mean over layers and heads; rows sum to 1.

    Args:
        decoder: decoder in evaluation mode.
        start: token that starts the transcript.
        tokens: the L tokens of the transcript.
        memory: encoded frames of one clip, (1, T, E).
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        assert isinstance(module, Attention)
        query, keys, _, mask = arguments
        found.append(module.weights(query, keys, mask)[0].mean(0))

    parts = [layer.encoder_attn for layer in decoder.layers]
    handles = [part.register_forward_pre_hook(keep) for part in parts]  # type: ignore[union-attr]
    try:
        before = torch.tensor([[start, *tokens[:-1]]], device=memory.device)
        decoder(before, memory, torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device))
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(found).mean(0)
