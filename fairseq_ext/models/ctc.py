"""`ext_ctc`: a speech encoder with an output layer over tokens, trained with CTC.

Graves et al. 2006, "Connectionist Temporal Classification"; Baevski et al. 2020, "wav2vec 2.0", section 3.3 and
appendix B for the masks and the frozen start. The state dict is that of fairseq's `Wav2VecCtc`.

Shapes: B batch, S samples, T frames, D width of the encoder, V symbols.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, cast

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model
from omegaconf import OmegaConf
from torch import Tensor, nn

from ..modules.conv_head import ConvHead
from ..modules.encoders import Encoder, EncoderConfig, build_encoder
from ..modules.frozen_layers import freeze, keep_frozen
from ..modules.layer_sum import LAYERS, LayerSum
from ..modules.learning_rates import mark_lr_scale
from ..modules.masking import channel_masks, time_masks
from ..modules.padding import normalize_clips, valid_mask
from ..modules.pretrained_encoder import (
    EncoderCheckpoint,
    encoder_keys,
    load_encoder,
    read_encoder,
    readout_keys,
    warn_of_another_rate,
)
from ..modules.speech_encoder import EncoderOutput
from ._frame_probabilities import frame_probabilities

logger = logging.getLogger(__name__)


@dataclass
class CtcConfig(EncoderConfig, FairseqDataclass):
    """Keys of the model; with `pretrained_path`, the keys of the encoder's shape are read from that file."""

    pretrained_path: str = field(
        default="",
        metadata={
            "help": "checkpoint of fairseq or ours, pre-trained or fine-tuned, or folder of a Whisper, that the "
            "weights are taken from; empty = random weights"
        },
    )
    normalize: bool = field(
        default=False,
        metadata={
            "help": "bring each clip to mean 0 and variance 1; with pretrained_path as that checkpoint says"
        },
    )
    layers: str = field(
        default="last",
        metadata={"help": "weighted = sum of all layers with trained weights; last = the encoder's output"},
    )
    normalize_layers: bool = field(
        default=False,
        metadata={"help": "bring each frame of each layer to mean 0 and variance 1 before the sum"},
    )
    head_layers: int = field(
        default=0,
        metadata={"help": "number of residual convolutions between encoder and output layer; 0 = none"},
    )
    head_dim: int = field(default=256, metadata={"help": "width of these convolutions, channels"})
    head_kernel: int = field(default=5, metadata={"help": "length of these convolutions, frames, odd"})
    final_dropout: float = field(
        default=0.0,
        metadata={"help": "dropout between encoder and output layer, and before head_layers; a probability"},
    )
    freeze_feature_extractor: bool = field(
        default=False, metadata={"help": "never train the convolutions, which are pre-trained then"}
    )
    frozen_layers: int = field(
        default=0,
        metadata={
            "help": "never train so many layers, from the first one, and what lies before them; 0 = train everything"
        },
    )
    freeze_finetune_updates: int = field(
        default=0,
        metadata={"help": "number of first updates that train the output layer and head_layers alone"},
    )
    encoder_lr_scale: float = field(
        default=1.0,
        metadata={"help": "learning rate of the encoder as a share of that of the output layer"},
    )
    layer_decay: float = field(
        default=1.0,
        metadata={"help": "learning rate of a layer divided by that of the layer above; 1 = the same"},
    )
    mask_prob: float = field(
        default=0.0,
        metadata={"help": "share of frames under a mask in training if no masks overlapped; 0 = off"},
    )
    mask_length: int = field(default=10, metadata={"help": "length of a mask, frames"})
    mask_channel_prob: float = field(
        default=0.0,
        metadata={"help": "share of channels under a mask in training if no masks overlapped; 0 = off"},
    )
    mask_channel_length: int = field(default=10, metadata={"help": "width of a channel mask, channels"})


class CtcTask(Protocol):
    """The attributes of a task that `build_model` reads."""

    symbols: list[str]
    sample_rate_hz: int


class CtcEncoder(nn.Module):
    """Encoder, dropout, output layer over V symbols; names are fairseq's, but for the sum over layers and the head."""

    def __init__(self, config: CtcConfig, num_symbols: int) -> None:
        super().__init__()
        if config.layers not in LAYERS:
            raise ValueError(
                f"model.layers: one of {', '.join(LAYERS)} expected, found {config.layers!r}; change it"
            )
        self.w2v_model = build_encoder(config)
        self.layer_sum = None
        if config.layers == "weighted":
            self.layer_sum = LayerSum(config.encoder_layers + 1, config.normalize_layers)
            if config.layer_norm_first:
                self.w2v_model.encoder.layer_norm.requires_grad_(False)  # it comes after the last layer
        self.final_dropout = nn.Dropout(config.final_dropout)
        width, self.head = self.w2v_model.out_dim, None
        if config.head_layers > 0:
            self.head = ConvHead(width, config.head_dim, config.head_layers, config.head_kernel)
            width = config.head_dim
        self.proj = nn.Linear(width, num_symbols)
        # The same initial values as in fairseq.
        nn.init.xavier_uniform_(self.proj.weight)
        nn.init.zeros_(self.proj.bias)


@register_model("ext_ctc", dataclass=CtcConfig)
class ExtCtc(BaseFairseqModel):
    """Log-probabilities of the V symbols at every frame."""

    def __init__(self, config: CtcConfig, num_symbols: int) -> None:
        super().__init__()
        self.config, self.num_updates = config, 0
        self.w2v_encoder = CtcEncoder(config, num_symbols)
        if config.freeze_feature_extractor:
            # Both: the first saves the graph, the second keeps distributed training from waiting for gradients.
            self.encoder.feature_grad_mult = 0.0
            self.encoder.feature_extractor.requires_grad_(False)
        freeze(self.encoder, config.frozen_layers, config.layer_norm_first)
        if (config.layer_decay, config.encoder_lr_scale) != (1.0, 1.0):
            self._scale_learning_rates(config.layer_decay, config.encoder_lr_scale)

    @classmethod
    def build_model(cls, cfg: CtcConfig, task: CtcTask) -> Self:
        """Build the model for a task (called by fairseq).

        Its `config` has the shape of the encoder in `pretrained_path`, if there is one.
        """
        if not cfg.pretrained_path:
            if cfg.freeze_feature_extractor:
                logger.warning(
                    "model.freeze_feature_extractor without pretrained_path: the convolutions stay random"
                )
            return cls(cfg, len(task.symbols))
        source = read_encoder(cfg.pretrained_path)
        # The shape in the file comes last: it overrides the keys.
        config = OmegaConf.merge(cfg, source.shape, {"normalize": source.normalize})
        model = cls(cast(CtcConfig, config), len(task.symbols))
        load_encoder(model.encoder, source)
        model.load_head(source, task.symbols)
        warn_of_another_rate(source, task.sample_rate_hz)
        return model

    @property
    def encoder(self) -> Encoder:
        """Return the network below the output layer."""
        return self.w2v_encoder.w2v_model

    @property
    def layer_sum(self) -> LayerSum | None:
        """Return the sum over the layers of the encoder; None = the output layer reads the last one alone."""
        return self.w2v_encoder.layer_sum

    def encoder_keys(self) -> dict[str, Any]:
        """Return the keys that build the model without `pretrained_path`."""
        return encoder_keys(self.config)

    def load_head(self, source: EncoderCheckpoint, symbols: Sequence[str]) -> bool:
        """Take the output layer of a checkpoint if it is for the same symbols in the same order.

        Returns:
            Whether it was taken; otherwise the reason is logged.
        """
        weight, wanted = source.head.get("weight"), readout_keys(self.config)
        others = [f"model.{key}={value}" for key, value in source.readout.items() if value != wanted[key]]
        if (
            weight is not None
            and not others
            and source.symbols == list(symbols)
            and len(weight) == len(symbols)
        ):
            load_head(self.w2v_encoder, source)
            logger.info(f"{source.path}: encoder and output layer loaded, {len(symbols)} symbols")
            return True
        reason = _why_head_differs(source, symbols)
        if weight is not None and others:
            reason = f"it is for {' and '.join(others)}"
        logger.warning(f"{source.path}: encoder loaded; output layer left at random values, since {reason}")
        return False

    def set_num_updates(self, num_updates: int) -> None:
        """Set the number of updates so far (called by fairseq)."""
        super().set_num_updates(num_updates)
        self.num_updates = num_updates

    def train(self, mode: bool = True) -> Self:
        """Switch training mode; what is frozen keeps its evaluation mode."""
        super().train(mode)
        keep_frozen(self.encoder, self.config.frozen_layers, self.config.layer_norm_first)
        return self

    def forward(
        self, source: Tensor, padding_mask: Tensor | None = None, seeds: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Score the symbols at every frame.

        Args:
            source: (B, S) waveforms.
            padding_mask: (B, S) bool, True = padding; None = none, which is faster.
            seeds: (B,) int64, seeds of the masks in training; None = drawn.

        Returns:
            "logits" (B, T, V), "lengths" (B,), frames, and "padding_mask" (B, T) bool.
        """
        frozen = self.training and self.num_updates < self.config.freeze_finetune_updates
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            encoded = self.encode(source, padding_mask, seeds, return_hidden=self.layer_sum is not None)
        frames = encoded.frames if self.layer_sum is None else self.layer_sum(encoded.hidden)  # (B, T, D)
        valid = valid_mask(encoded.lengths, frames.shape[1])
        dropout, head = self.w2v_encoder.final_dropout, self.w2v_encoder.head
        if head is not None:
            frames = head(dropout(frames), valid)  # (B, T, W)
        logits = self.w2v_encoder.proj(dropout(frames))  # (B, T, V)
        return {"logits": logits, "lengths": encoded.lengths, "padding_mask": ~valid}

    def encode(
        self,
        source: Tensor,
        padding_mask: Tensor | None = None,
        seeds: Tensor | None = None,
        return_hidden: bool = False,
    ) -> EncoderOutput:
        """Run the encoder for `forward`, with masks in training; `return_hidden` keeps what lies between the layers."""
        if self.config.normalize:
            source = normalize_clips(source, padding_mask).to(source)
        frames, lengths = self.encoder.conv_frames(source, padding_mask)
        features = self.encoder.layer_norm(frames)
        masks = self._masks(features, lengths, seeds) if self.training else (None, None)
        return self.encoder.contextualize(features, lengths, *masks, return_hidden=return_hidden)

    def _masks(
        self, frames: Tensor, lengths: Tensor | None, seeds: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        config, (size, num_frames, _) = self.config, frames.shape
        if lengths is None:
            lengths = torch.full((size,), num_frames, device=frames.device)
        if seeds is None:
            seeds = torch.randint(2**62, (size,), device=frames.device)
        time = channels = None
        if config.mask_prob > 0:
            time = time_masks(lengths, config.mask_prob, config.mask_length, seeds, num_frames=num_frames)
        if config.mask_channel_prob > 0:
            channels = channel_masks(
                self.encoder.out_dim, config.mask_channel_prob, config.mask_channel_length, seeds
            )
        return time, channels

    def get_normalized_probs(
        self, net_output: Mapping[str, Tensor], log_probs: bool, sample: Any = None
    ) -> Tensor:
        """Return the probabilities (T, B, V), float32, as fairseq's CTC criterion and decoders take them.

        Beyond a clip's end the blank is certain.
        """
        return frame_probabilities(net_output, log_probs)

    def _scale_learning_rates(self, decay: float, scale: float) -> None:
        """Mark parameters as fairseq's composite optimizer reads them; the output layer keeps the whole rate."""
        if not 0.0 < decay <= 1.0:
            raise ValueError(f"model.layer_decay: 0 < x <= 1 expected, found {decay}; change it")
        if scale <= 0.0:
            raise ValueError(f"model.encoder_lr_scale: a value above 0 expected, found {scale}; change it")
        num_layers = len(self.encoder.encoder.layers)
        for name, parameter in self.encoder.named_parameters():
            depth = num_layers - _height(name, num_layers, self.config.layer_norm_first)
            # The last layer, of depth 0, is already one below the output layer.
            mark_lr_scale(parameter, scale * decay ** (depth + 1))


def load_head(encoder: CtcEncoder, source: EncoderCheckpoint) -> None:
    """Take the output layer of a checkpoint, its convolutions and the weights of the sum over layers, if it has them.

    Raises:
        ValueError: there is a sum, and the checkpoint has no weights for it; or convolutions of another shape.
    """
    encoder.proj.load_state_dict(source.head)
    if encoder.head is not None:
        try:
            encoder.head.load_state_dict(source.convolutions)
        except RuntimeError as error:
            raise ValueError(
                f"{source.path}: the convolutions of its head do not fit model.head_layers: {error}"
            ) from None
    if encoder.layer_sum is not None:
        if source.layer_scores is None or source.layer_scores.shape != encoder.layer_sum.scores.shape:
            raise ValueError(
                f"{source.path}: no layer_sum.scores for {len(encoder.layer_sum.scores)} layers; the file is damaged: "
                "give another"
            )
        encoder.layer_sum.load_state_dict({"scores": source.layer_scores})


def _height(name: str, num_layers: int, norm_first: bool) -> int:
    """Return the number of layers up to a parameter of the encoder: i + 1 for layer i, 0 for what lies before them."""
    if name.startswith("encoder.layers."):
        return int(name.split(".")[2]) + 1
    return num_layers if norm_first and name.startswith("encoder.layer_norm.") else 0


def _why_head_differs(source: EncoderCheckpoint, symbols: Sequence[str]) -> str:
    if not source.head:
        return "the file has none"
    if source.symbols is None:
        return "the file does not name the symbols of its outputs"
    added = [symbol for symbol in symbols if symbol not in source.symbols]
    gone = [symbol for symbol in source.symbols if symbol not in symbols]
    if not added and not gone:
        return "its symbols are in another order"
    return (
        f"its {len(source.symbols)} symbols are not the {len(symbols)} of this task: it lacks {added}, and has {gone} "
        "besides"
    )
