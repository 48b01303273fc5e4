"""Front end and encoder of a checkpoint, to start a lip reader from: AV-HuBERT, public or ours, or a lip reader.

The file says what shape they have: its keys override those of the training.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .av_encoder_input import AvFrontEndConfig
from .av_hubert_keys import NAME as AV_HUBERT
from .av_hubert_keys import read_av_checkpoint
from .checkpoint_file import checkpoint_weights, describe
from .frame_encoder import FrameEncoderConfig

logger = logging.getLogger(__name__)

# Model -> where its encoder is in the state dict; the front end has one name in all.
LIP_READER = "ext_av_ctc_attention"
ENCODERS = {AV_HUBERT: "encoder.", LIP_READER: "frame_encoder."}
FRONT_END = "front_end."
# What the training decides, not the file.
_FREE = {
    "dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop", "modality_dropout", "audio_dropout",
    "front_end_dropout",
}  # fmt: skip
SHAPE_KEYS = tuple(
    sorted({item.name for item in (*fields(FrameEncoderConfig), *fields(AvFrontEndConfig))} - _FREE)
)


@dataclass(frozen=True)
class PretrainedAv:
    """A checkpoint to start from.

    Attributes:
        path: the file.
        shape: keys of the network.
        weights: name in a lip reader -> tensor, of front end and encoder.
        outputs: the same of a lip reader's output layers and decoder.
        symbols: symbols that these are for; empty = there are none.
    """

    path: Path
    shape: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    symbols: tuple[str, ...]


def read_pretrained_av(path: str | Path) -> PretrainedAv:
    """Read a checkpoint, its averaged (EMA) weights when it has them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of fairseq, or of a model without such an encoder.
    """
    state = read_av_checkpoint(path)
    model = (state.get("cfg") or {}).get("model") or {}
    name = str(model.get("_name"))
    if name not in ENCODERS:
        raise ValueError(
            f"{path}: a checkpoint of AV-HuBERT or of {LIP_READER} expected, found {describe(state)}; give another to "
            "model.pretrained_path"
        )
    found = checkpoint_weights(state)
    shape = {key: model[key] for key in SHAPE_KEYS if key in model}
    if name == AV_HUBERT:
        shape["encoder_type"] = "transformer"
    own = {"encoder.": "frame_encoder.encoder."}.get(ENCODERS[name], ENCODERS[name])
    weights = {key: value for key, value in found.items() if key.startswith(FRONT_END)}
    weights |= {
        own + key.removeprefix(ENCODERS[name]): value
        for key, value in found.items()
        if key.startswith(ENCODERS[name])
    }
    outputs = {
        key: value for key, value in found.items() if key.startswith(("proj.", "frame_proj.", "decoder."))
    }
    is_reader = name == LIP_READER
    symbols = (state.get("task_state") or {}).get("symbols") or ()
    return PretrainedAv(
        Path(path), shape, weights, outputs if is_reader else {}, tuple(symbols) if is_reader else ()
    )


def load_pretrained_av(model: nn.Module, source: PretrainedAv, symbols: tuple[str, ...]) -> None:
    """Load front end and encoder, and the outputs too where they are for the same symbols; log which.

    Raises:
        ValueError: the weights do not fit the network that the file's keys describe.
    """
    weights, what = dict(source.weights), "front end and encoder loaded"
    own = model.state_dict()
    fitting = source.outputs and all(
        key in own and own[key].shape == value.shape for key, value in source.outputs.items()
    )
    if fitting and source.symbols == symbols:
        weights |= source.outputs
        what += f", and outputs for {len(symbols)} symbols"
    missing, surplus = model.load_state_dict(weights, strict=False)
    lost = [key for key in missing if key.startswith((FRONT_END, "frame_encoder."))]
    if lost or surplus:
        raise ValueError(
            f"{source.path}: {len(lost)} weights of front end and encoder are missing {lost[:3]}, {len(surplus)} have "
            f"no place {surplus[:3]}; the file is incomplete, or of another version"
        )
    rest = sorted({key.split(".")[0] for key in missing})
    logger.info(f"{source.path}: {what}{f'; at random values: {rest}' if rest else ''}")
