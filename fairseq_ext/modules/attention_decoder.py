"""A transformer decoder over tokens that attends to encoded frames, all at once in training, step by step in a search.

Vaswani et al. 2017, "Attention is all you need", section 3, with the norm before each part (Xiong et al. 2020).

Shapes: B clips, T frames, N hypotheses, L tokens, D width, E width of the frames, H heads, d = D / H, V symbols.
"""

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .products import Linear


@dataclass
class DecoderConfig:
    """Keys of the decoder."""

    decoder_layers: int = field(default=0, metadata={"help": "number of layers; 0 = no decoder, CTC alone"})
    decoder_embed_dim: int = field(default=768, metadata={"help": "D, width of the tokens"})
    decoder_ffn_embed_dim: int = field(default=3072, metadata={"help": "width inside the feed-forward parts"})
    decoder_attention_heads: int = field(default=12, metadata={"help": "H, attention heads; divides D"})
    decoder_dropout: float = field(default=0.1, metadata={"help": "dropout of all parts; a probability"})


@dataclass
class DecoderState:
    """What a search keeps of N hypotheses.

    Attributes:
        length: tokens so far.
        past: keys and values (N, H, L, d) of each layer's own tokens.
        memory: keys and values (N, H, T, d) of each layer's frames.
        valid: (N, 1, 1, T) bool, the frames that are attended to.
    """

    length: int
    past: list[tuple[Tensor, Tensor]]
    memory: list[tuple[Tensor, Tensor]]
    valid: Tensor

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of other hypotheses; `rows` (M,) says from which of N each goes on."""
        return DecoderState(
            self.length,
            [(keys[rows], values[rows]) for keys, values in self.past],
            [(keys[rows], values[rows]) for keys, values in self.memory],
            self.valid[rows],
        )


class Attention(nn.Module):
    """Attention of tokens to tokens or frames; `in_dim` is the width of what is attended to."""

    def __init__(self, dim: int, in_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(
                f"decoder_attention_heads: {num_heads} does not divide decoder_embed_dim ({dim}); change one of them"
            )
        self.num_heads, self.dropout = num_heads, dropout
        self.q_proj, self.out_proj = Linear(dim, dim), Linear(dim, dim)
        self.k_proj, self.v_proj = Linear(in_dim, dim), Linear(in_dim, dim)

    def keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values (N, H, T, d) of (N, T, E)."""
        return self._split(self.k_proj(source)), self._split(self.v_proj(source))

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """Attend with (N, L, D) to keys and values (N, H, T, d); `mask` is False where nothing is attended to."""
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(
            self._split(self.q_proj(query)), keys, values, attn_mask=mask, dropout_p=dropout, is_causal=causal
        )
        result: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))  # (N, H, L, d) to (N, L, D)
        return result

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """Return the weights (N, H, L, T) by which `forward` mixes the values, without dropout; not causal."""
        scores = self._split(self.q_proj(query)) @ keys.transpose(2, 3) / math.sqrt(keys.shape[3])
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return scores.softmax(3)

    def _split(self, rows: Tensor) -> Tensor:
        result: Tensor = rows.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
        return result


class DecoderLayer(nn.Module):
    """Attention to the tokens before, attention to the frames, feed-forward part."""

    def __init__(self, config: DecoderConfig, memory_dim: int) -> None:
        super().__init__()
        dim, heads, dropout = config.decoder_embed_dim, config.decoder_attention_heads, config.decoder_dropout
        self.self_attn = Attention(dim, dim, heads, dropout)
        self.encoder_attn = Attention(dim, memory_dim, heads, dropout)
        self.self_attn_layer_norm, self.encoder_attn_layer_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.final_layer_norm = nn.LayerNorm(dim)
        self.fc1 = Linear(dim, config.decoder_ffn_embed_dim)
        self.fc2 = Linear(config.decoder_ffn_embed_dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Tensor,
        memory: tuple[Tensor, Tensor],
        valid: Tensor | None,
        past: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Transform (N, L, D): all tokens, or with `past` the one after them; return its keys and values with them."""
        normed = self.self_attn_layer_norm(tokens)
        keys, values = self.self_attn.keys_values(normed)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        # The newest token may see all: only where there are several does each see those before it alone.
        seen = self.self_attn(normed, keys, values, None, causal=tokens.shape[1] > 1)
        tokens = tokens + self.dropout(seen)
        read = self.encoder_attn(self.encoder_attn_layer_norm(tokens), *memory, valid)
        tokens = tokens + self.dropout(read)
        hidden = self.dropout(F.relu(self.fc1(self.final_layer_norm(tokens))))
        return tokens + self.dropout(self.fc2(hidden)), (keys, values)


class AttentionDecoder(nn.Module):
    """Embeddings with sinusoidal positions, layers, output layer.

    Args:
        config: the keys.
        num_symbols: V.
        memory_dim: E.
        num_starts: tokens beyond the V symbols that a transcript can start with, such as one per language.
    """

    def __init__(self, config: DecoderConfig, num_symbols: int, memory_dim: int, num_starts: int = 0) -> None:
        super().__init__()
        dim = config.decoder_embed_dim
        self.embed_tokens = nn.Embedding(num_symbols + num_starts, dim)
        nn.init.normal_(self.embed_tokens.weight, std=dim**-0.5)
        self.layers = nn.ModuleList(DecoderLayer(config, memory_dim) for _ in range(config.decoder_layers))
        self.layer_norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, num_symbols)
        self.dropout = nn.Dropout(config.decoder_dropout)
        self.scale = math.sqrt(dim)

    def forward(self, tokens: Tensor, memory: Tensor, valid: Tensor) -> Tensor:
        """Return logits (B, L, V) of the token after each of (B, L).

        Args:
            tokens: (B, L), the first one starts the transcript.
            memory: (B, T, E).
            valid: (B, T) bool, the frames that are attended to; one per clip at least.
        """
        hidden = self._embed(tokens, 0)
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            memory_rows = layer.encoder_attn.keys_values(memory)
            hidden, _ = layer(hidden, memory_rows, valid[:, None, None, :])
        result: Tensor = self.output(self.layer_norm(hidden))
        return result

    def start(self, memory: Tensor, valid: Tensor) -> DecoderState:
        """Return the state of one hypothesis per clip without tokens; arguments as of `forward`."""
        heads = [layer.encoder_attn.keys_values(memory) for layer in self.layers]  # type: ignore[union-attr, operator]
        empty = [(keys[:, :, :0], values[:, :, :0]) for keys, values in heads]
        return DecoderState(0, empty, heads, valid[:, None, None, :])

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Return logits (N, V) of the token after the newest ones (N,), and the state with these."""
        hidden, past = self._embed(tokens[:, None], state.length), []
        for layer, memory, before in zip(self.layers, state.memory, state.past, strict=True):
            hidden, own = layer(hidden, memory, state.valid, before)
            past.append(own)
        logits: Tensor = self.output(self.layer_norm(hidden[:, 0]))
        return logits, DecoderState(state.length + 1, past, state.memory, state.valid)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        rows = self.embed_tokens(tokens) * self.scale
        positions = sinusoids(first, tokens.shape[1], rows.shape[2], rows.device)
        result: Tensor = self.dropout(rows + positions.to(rows))
        return result


def sinusoids(first: int, count: int, dim: int, device: torch.device) -> Tensor:
    """Return positions (L, D) from a number on (Vaswani et al. 2017, section 3.5); D is even."""
    half = dim // 2
    rate = torch.exp(-math.log(10_000.0) * torch.arange(half, device=device) / max(half - 1, 1))
    angle = torch.arange(first, first + count, device=device)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], 1)
