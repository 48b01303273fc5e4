"""`ext_av_ctc_attention`: a lip reader, or a recogniser of sound, or of both: front end, encoder, CTC, decoder.

Ma et al. 2023, "Auto-AVSR", section 3: 3-D convolution and ResNet, conformer, CTC and attention; its size is
conf/talks_size/base.yaml of recipes/vsr_low_resource. `decoder_layers=0` is CTC alone.

Shapes: B clips, T frames at 25 Hz, H W crop, A audio features of a frame, D width, V symbols, F classes of frames, L
tokens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from omegaconf import OmegaConf
from torch import Tensor, nn

from ..modules.attention_decoder import AttentionDecoder, DecoderConfig
from ..modules.av_encoder_input import AvFrontEnd, AvFrontEndConfig
from ..modules.frame_encoder import FrameEncoder, FrameEncoderConfig
from ..modules.learning_rates import mark_lr_scale
from ..modules.padding import valid_mask
from ..modules.pretrained_av import SHAPE_KEYS, load_pretrained_av, read_pretrained_av
from ._frame_probabilities import frame_probabilities

FRAME_HEADS = ("output", "own")


@dataclass
class AvCtcAttentionConfig(DecoderConfig, FrameEncoderConfig, AvFrontEndConfig, FairseqDataclass):
    """Keys of the model."""

    pretrained_path: str = field(
        default="",
        metadata={
            "help": "checkpoint whose front end and encoder are taken: ext_av_hubert, public AV-HuBERT, or this model; "
            "empty = random weights"
        },
    )
    frame_head: str = field(
        default="output",
        metadata={
            "help": "output = classes of frames are symbols, named by CTC's output layer; own = by a layer of its own"
        },
    )
    final_dropout: float = field(
        default=0.0, metadata={"help": "dropout before the output layers; a probability"}
    )
    encoder_lr_scale: float = field(
        default=1.0,
        metadata={"help": "learning rate of front end and encoder as a share of that of outputs and decoder"},
    )
    freeze_finetune_updates: int = field(
        default=0, metadata={"help": "number of first updates that train outputs and decoder alone"}
    )


class AvTask(Protocol):
    """The attributes of a task that `build_model` reads."""

    symbols: list[str]
    num_frame_classes: int
    num_starts: int


@register_model("ext_av_ctc_attention", dataclass=AvCtcAttentionConfig)
class ExtAvCtcAttention(BaseFairseqModel):
    """Scores of the V symbols at every frame, of F classes of frames, and of the next token of a transcript.

    Args:
        config: the keys.
        num_symbols: V.
        num_frame_classes: F; with `frame_head` "output" it must be V, 0 = there are none.
        num_starts: tokens that a transcript can start with beside `<s>`, such as one per language.

    Raises:
        ValueError: an unknown or impossible `frame_head`.
    """

    def __init__(
        self, config: AvCtcAttentionConfig, num_symbols: int, num_frame_classes: int = 0, num_starts: int = 0
    ) -> None:
        super().__init__()
        self.config, self.num_updates = config, 0
        self.front_end = AvFrontEnd(config)
        self.frame_encoder = FrameEncoder(config, self.front_end.out_dim)
        width = self.frame_encoder.out_dim
        self.final_dropout = nn.Dropout(config.final_dropout)
        self.proj = _output_layer(width, num_symbols)
        self.frame_proj = _frame_layer(config.frame_head, width, num_symbols, num_frame_classes)
        self.decoder = (
            AttentionDecoder(config, num_symbols, width, num_starts) if config.decoder_layers else None
        )
        if config.encoder_lr_scale != 1.0:
            for module in (self.front_end, self.frame_encoder):
                for parameter in module.parameters():
                    mark_lr_scale(parameter, config.encoder_lr_scale)

    @classmethod
    def build_model(cls, cfg: AvCtcAttentionConfig, task: AvTask) -> Self:
        """Build the model for a task (called by fairseq).

        Its `config` has the shape of the front end and encoder in `pretrained_path`, if there is one.
        """
        sizes = (len(task.symbols), task.num_frame_classes, task.num_starts)
        if not cfg.pretrained_path:
            return cls(cfg, *sizes)
        source = read_pretrained_av(cfg.pretrained_path)
        model = cls(cast(AvCtcAttentionConfig, OmegaConf.merge(cfg, source.shape)), *sizes)
        load_pretrained_av(model, source, tuple(task.symbols))
        return model

    def encoder_keys(self) -> dict[str, Any]:
        """Return the keys that build front end and encoder without `pretrained_path`."""
        return {key: getattr(self.config, key) for key in SHAPE_KEYS}

    def set_num_updates(self, num_updates: int) -> None:
        """Set the number of updates so far (called by fairseq)."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def forward(
        self,
        video: Tensor | None = None,
        audio: Tensor | None = None,
        padding_mask: Tensor | None = None,
        seeds: Tensor | None = None,
        prev_output_tokens: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Score symbols and classes at every frame, and, where tokens are given, the token after each.

        Args:
            video: (B, 1, T, H, W); None = there is none.
            audio: (B, A, T); None = there is none.
            padding_mask: (B, T) bool, True = padding; None = none.
            seeds: (B,) int64, seeds of what is drawn in training; None = drawn.
            prev_output_tokens: (B, L), the first one starts the transcript; None = no decoder.

        Returns:
            "logits" (B, T, V), "lengths" (B,), "padding_mask" (B, T), "frame_logits" (B, T, F), which are "logits"
            where no layer of its own gives them, and "decoder_logits" (B, L, V).
        """
        frozen = self.training and self.num_updates < self.config.freeze_finetune_updates
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            memory, lengths = self.encode(video, audio, padding_mask, seeds)
        valid = valid_mask(lengths, memory.shape[1])
        frames = self.final_dropout(memory)
        logits = self.proj(frames)
        output = {"logits": logits, "lengths": lengths, "padding_mask": ~valid, "frame_logits": logits}
        if self.frame_proj is not None:
            output["frame_logits"] = self.frame_proj(frames)
        if self.decoder is not None and prev_output_tokens is not None:
            # A clip without a frame still needs a key, or its softmax is 0 / 0.
            keys = valid_mask(lengths.clamp(min=1), memory.shape[1])
            output["decoder_logits"] = self.decoder(prev_output_tokens, memory, keys)
        return output

    def encode(
        self,
        video: Tensor | None,
        audio: Tensor | None,
        padding_mask: Tensor | None = None,
        seeds: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the frames that outputs and decoder read (B, T, D), and how many are valid (B,)."""
        frames = self.front_end(video, audio, padding_mask, seeds)
        if padding_mask is None:
            lengths = torch.full((len(frames),), frames.shape[1], device=frames.device)
            return self.frame_encoder(frames, None), lengths
        lengths = (~padding_mask).sum(1)
        return self.frame_encoder(frames, lengths), lengths

    def get_normalized_probs(
        self, net_output: Mapping[str, Tensor], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Return CTC's probabilities (T, B, V), float32, as fairseq's decoders take them.

        Beyond a clip's end the blank is certain.
        """
        return frame_probabilities(net_output, log_probs)


def _output_layer(width: int, num_classes: int) -> nn.Linear:
    layer = nn.Linear(width, num_classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _frame_layer(head: str, width: int, num_symbols: int, num_classes: int) -> nn.Linear | None:
    """Return the layer that names frames; None = CTC's output layer does, or nothing is to be named."""
    if head not in FRAME_HEADS:
        raise ValueError(
            f"model.frame_head: one of {', '.join(FRAME_HEADS)} expected, found {head!r}; change it"
        )
    if head == "own":
        return _output_layer(width, num_classes) if num_classes else None
    if num_classes not in {0, num_symbols}:
        raise ValueError(
            f"model.frame_head=output: as many classes of frames as symbols ({num_symbols}) expected, found "
            f"{num_classes}; set frame_head=own, or task.frame_labels to a stream of the same symbols"
        )
    return None
