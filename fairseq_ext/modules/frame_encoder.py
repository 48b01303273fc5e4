"""The encoder of a lip reader between its front end and its outputs: conformer, transformer or recurrent, by one key.

Shapes: B batch, T frames, D width.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from .conformer import ConformerConfig, ConformerEncoder
from .products import Linear
from .recurrent import RecurrentFrames
from .transformer import TransformerConfig, TransformerEncoder

TYPES = ("conformer", "transformer", "gru", "lstm")


@dataclass
class FrameEncoderConfig(TransformerConfig, ConformerConfig):
    """Keys of an encoder of any type."""

    encoder_type: str = field(
        default="conformer",
        metadata={
            "help": "conformer; transformer = that of AV-HuBERT; gru, lstm = bidirectional recurrent layers, of "
            "encoder_embed_dim / 2 values per direction"
        },
    )


class FrameEncoder(nn.Module):
    """A projection to the width, where that differs, and the layers.

    Args:
        config: the keys.
        in_dim: width of the front end.

    Raises:
        ValueError: an unknown type.
    """

    def __init__(self, config: FrameEncoderConfig, in_dim: int) -> None:
        super().__init__()
        if config.encoder_type not in TYPES:
            raise ValueError(
                f"model.encoder_type: one of {', '.join(TYPES)} expected, found {config.encoder_type!r}; change it"
            )
        dim, self.out_dim = config.encoder_embed_dim, config.encoder_embed_dim
        self.is_recurrent = config.encoder_type in {"gru", "lstm"}
        if self.is_recurrent:
            # The first recurrent layer projects by itself.
            self.proj: nn.Module = nn.Identity()
            layers = config.encoder_layers
            self.encoder: nn.Module = RecurrentFrames(
                config.encoder_type, in_dim, dim // 2, layers, config.dropout
            )
            self.out_dim = self.encoder.out_dim  # type: ignore[assignment]
            return
        self.proj = nn.Identity() if in_dim == dim else Linear(in_dim, dim)
        self.encoder = (
            ConformerEncoder(config) if config.encoder_type == "conformer" else TransformerEncoder(config)
        )

    def forward(self, frames: Tensor, lengths: Tensor | None) -> Tensor:
        """Encode frames (B, T, E) of clips of (B,) frames, None = all: (B, T, D)."""
        found = self.encoder(self.proj(frames), lengths)
        result: Tensor = found[0] if isinstance(found, tuple) else found
        return result
