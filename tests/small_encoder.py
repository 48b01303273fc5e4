"""Keys of an encoder that is small enough to be made and trained in tests."""

from typing import Any

SIZES: dict[str, Any] = {
    "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 2",
    "encoder_layers": 2,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "conv_pos": 16,
    "conv_pos_groups": 4,
}
# At 8 kHz a frame of it lasts 5 ms; normalised as large models are.
SLOWER: dict[str, Any] = {
    **SIZES,
    "extractor_mode": "layer_norm",
    "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 3",
}
