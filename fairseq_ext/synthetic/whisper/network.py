"""Whisper's network, made quick to train: only the tokens in use, and little of the 30 s of padding.

It computes what `transformers.WhisperForConditionalGeneration` does, with the same names of weights (a test
compares them), with two economies:

- Tokens that no phrase has share one embedding and one logit, to which the log of their number is added.
- The input of Whisper's encoder is 30 s: a clip of 2 s has 1,400 positions of padding, which differ in the position's
  embedding only. A few of them represent all, with the log of how many added to their attention scores.

Shapes: B clips, F mel frames (10 ms), M mel bands, N positions of the encoder (20 ms), K of them padding,
D width, L tokens, V tokens in use, H heads.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Network", "Padding"]

_EMBEDDING = "decoder.embed_tokens.weight"


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2); keys without a bias, as in Whisper."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor | None = None, causal: bool = False) -> Tensor:
        """Attend from x (B, L, D) to memory (B, N, D); `bias` (N,) is added to the scores."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, L or N, D / H)
            for part in (self.q_proj(x), self.k_proj(memory), self.v_proj(memory))
        )
        mask = None if bias is None else bias.expand(q.shape[2], -1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        out: Tensor = self.out_proj(y.transpose(1, 2).flatten(-2))
        return out


class Layer(nn.Module):
    """A pre-norm layer; those of the decoder have cross-attention to the encoder's output."""

    def __init__(self, width: int, heads: int, *, has_memory: bool) -> None:
        super().__init__()
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = Attention(width, heads)
        if has_memory:
            self.encoder_attn_layer_norm = nn.LayerNorm(width)
            self.encoder_attn = Attention(width, heads)
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, memory: Tensor | None, bias: Tensor | None) -> Tensor:
        """Map x (B, L, D), and in the decoder memory (B, N, D), to (B, L, D); `bias` (N,) is that of the encoder."""
        y = self.self_attn_layer_norm(x)
        if memory is None:
            x = x + self.self_attn(y, y, bias)
        else:
            x = x + self.self_attn(y, y, causal=True)
            x = x + self.encoder_attn(self.encoder_attn_layer_norm(x), memory, bias)
        out: Tensor = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return out


class Padding:
    """The few positions that represent the padding up to the encoder's end.

    Attributes:
        positions: (K,) in order, beyond those of the clips.
        bias: added to their attention scores: the log of the number of positions that each represents.
    """

    def __init__(self, start: int, stop: int, num_positions: int, generator: torch.Generator) -> None:
        """Draw one position from each of `num_positions` equal parts of `start` to `stop`."""
        share = (stop - start) / num_positions
        offsets = torch.arange(num_positions) + torch.rand(num_positions, generator=generator)
        self.positions = (start + offsets * share).long().clamp(max=stop - 1)
        self.bias = math.log(share)


class Encoder(nn.Module):
    """Two convolutions and the layers."""

    def __init__(self, mels: int, width: int, layers: int, heads: int, max_positions: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(mels, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(max_positions, width).requires_grad_(False)
        self.layers = nn.ModuleList(Layer(width, heads, has_memory=False) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor, padding: Padding | None) -> tuple[Tensor, Tensor | None]:
        """Map log-mel (B, M, F) to (B, N, D) and the bias (N,) of the positions.

        With `padding`, the last two positions of `mel` must be padding; the last but one is repeated.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)  # (B, F / 2, D)
        positions, bias = torch.arange(x.shape[1]), None
        if padding is not None:
            x, positions = x[:, :-1], positions[:-1]
            x = torch.cat([x, x[:, -1:].expand(-1, len(padding.positions), -1)], 1)
            bias = torch.zeros(x.shape[1])
            bias[len(positions) :] = padding.bias
            positions = torch.cat([positions, padding.positions])
        x = x + self.embed_positions(positions)
        for layer in self.layers:
            x = layer(x, None, bias)
        return self.layer_norm(x), bias


class Decoder(nn.Module):
    """The layers between an embedding and its transpose."""

    def __init__(self, num_tokens: int, width: int, layers: int, heads: int, max_tokens: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(num_tokens, width)
        self.embed_positions = nn.Embedding(max_tokens, width)
        self.layers = nn.ModuleList(Layer(width, heads, has_memory=True) for _ in range(layers))
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, memory: Tensor, bias: Tensor | None) -> Tensor:
        """Map tokens (B, L), ids of this network, to logits (B, L, V + 1)."""
        x = self.embed_tokens(tokens) + self.embed_positions.weight[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, memory, bias)
        return F.linear(self.layer_norm(x), self.embed_tokens.weight)


class Network(nn.Module):
    """Encoder and decoder, with the weights of a Whisper but for the tokens that are not in use.

    Args:
        whisper: a `transformers.WhisperForConditionalGeneration`.
        tokens: Whisper's ids of the tokens in use; the network's id of `tokens[i]` is i, of all others `len(tokens)`.
    """

    log_counts: Tensor

    def __init__(self, whisper: Any, tokens: Sequence[int]) -> None:
        super().__init__()
        config = whisper.config
        width, heads, num_tokens = config.d_model, config.encoder_attention_heads, len(tokens)
        mels, positions, layers = config.num_mel_bins, config.max_source_positions, config.encoder_layers
        self.encoder = Encoder(mels, width, layers, heads, positions)
        layers, positions = config.decoder_layers, config.max_target_positions
        self.decoder = Decoder(num_tokens + 1, width, layers, heads, positions)
        log_counts = torch.zeros(num_tokens + 1)
        log_counts[-1] = math.log(config.vocab_size - num_tokens)
        self.register_buffer("log_counts", log_counts, persistent=False)
        self.tokens = tuple(tokens)
        weights = dict(whisper.model.state_dict())
        unused = min(set(range(num_tokens + 1)) - set(tokens))
        weights[_EMBEDDING] = weights[_EMBEDDING][[*tokens, unused]]
        self.load_state_dict(weights)

    def forward(self, mel: Tensor, tokens: Tensor, padding: Padding | None = None) -> tuple[Tensor, Tensor]:
        """Predict the next tokens from log-mel and the tokens so far.

        Args:
            mel: (B, M, F) with F = 2 N for N positions; with `padding`, its last four frames are padding.
            tokens: (B, L), ids of this network.
            padding: positions that represent the rest of the 30 s.

        Returns:
            Logits (B, L, V + 1) whose softmax gives the last one the share of all unused tokens together, and the
            encoder's output (B, N - 1 + K, D), or (B, N, D) without padding.
        """
        memory, bias = self.encoder(mel, padding)
        return self.decoder(tokens, memory, bias) + self.log_counts, memory

    def copy_to(self, whisper: Any) -> None:
        """Copy the weights into a Whisper of the same size, in which all unused tokens get the same embedding."""
        weights = {name: weight.detach() for name, weight in self.state_dict().items()}
        rows = weights[_EMBEDDING]
        table = rows[-1].repeat(whisper.config.vocab_size, 1)
        table[list(self.tokens)] = rows[:-1]
        whisper.model.load_state_dict({**weights, _EMBEDDING: table})
