"""Read the speech encoder of a checkpoint, ours or fairseq's, pre-trained or fine-tuned, or of a Hugging Face folder.

The file gives the network's shape, so that no configuration has to repeat it. fairseq writes the shape as
`cfg["model"]` (since 2021) or as a namespace `args` (before), and nests that of the pre-training as `w2v_args` in a
fine-tuned checkpoint; WavLM's releases keep it flat in `cfg`.
"""

import argparse
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from ..file_errors import FileError
from .checkpoint_file import checkpoint_weights, describe, read_checkpoint
from .conv_layers import parse_conv_layers
from .encoders import Encoder, EncoderConfig
from .hf_config import FAMILIES
from .hf_encoder import hugging_face_encoder
from .hf_folder import CONFIG, read_folder
from .whisper_encoder import SAMPLE_RATE_HZ as WHISPER_RATE_HZ
from .whisper_folder import whisper_encoder

logger = logging.getLogger(__name__)

# Keys that training may choose anew; all others are the network's shape.
TRAINING_KEYS = {
    *("dropout", "attention_dropout", "activation_dropout", "encoder_layerdrop"),
    *("dropout_input", "dropout_features", "feature_grad_mult"),
}
SHAPE_KEYS = tuple(field.name for field in fields(EncoderConfig) if field.name not in TRAINING_KEYS)
# Every encoder has one of these tensors, Whisper's the second; what stands before it is the prefix of all.
FIRST_TENSORS = ("feature_extractor.conv_layers.0.0.weight", "feature_extractor.conv1.weight")
# Only masks need it: an encoder without it is whole all the same.
OPTIONAL_TENSORS = {"mask_emb"}
# Keys of what lies between encoder and output layer in `ext_ctc` and `ext_speech_classifier`, and what fairseq's have.
READOUT: Mapping[str, Any] = {
    "layers": "last",
    "normalize_layers": False,
    "head_layers": 0,
    "head_dim": 256,
    "head_kernel": 5,
}
# Rate of all public wav2vec 2.0, HuBERT and WavLM models, taken for files that give none.
USUAL_RATE_HZ = 16_000
# Parameters of the network for each value in the file.
_MOST_TIMES = 4


@dataclass(frozen=True)
class EncoderCheckpoint:
    """An encoder as a file holds it.

    Attributes:
        path: the file or folder.
        shape: keys of `EncoderConfig`, those of `SHAPE_KEYS`.
        normalize: whether it expects clips of mean 0 and variance 1.
        sample_rate_hz: sample rate of the waveforms it expects, Hz; None = unknown.
        weights: weights of the encoder, named as in `SpeechEncoder` or `WhisperEncoder`, and all others of the file.
        head: "weight" and "bias" of a CTC output layer; empty without one.
        symbols: symbols of its outputs, fairseq's four first; None = unknown.
        num_updates: number of updates it was trained for.
        cfg: the whole configuration in the file.
        content: description of what the file holds.
        readout: what the output layer of a CTC model or a classifier reads, see `readout_keys`.
        layer_scores: weights of the sum over layers that it reads, before the softmax; None = no sum.
        convolutions: weights of the convolutions between encoder and output layer, as `ConvHead` names them.
        long_s: length of the longest recordings that a recogniser was trained on, s; None = unknown.
    """

    path: Path
    shape: dict[str, Any]
    normalize: bool
    sample_rate_hz: int | None
    weights: dict[str, Tensor]
    head: dict[str, Tensor]
    symbols: list[str] | None
    num_updates: int
    cfg: Mapping[str, Any]
    content: str
    readout: dict[str, Any] = field(default_factory=lambda: dict(READOUT))
    layer_scores: Tensor | None = None
    convolutions: Mapping[str, Tensor] = field(default_factory=dict)
    long_s: float | None = None


class NoEncoderError(ValueError):
    """A checkpoint holds a model without a speech encoder; `model_name` is its registered name, or empty."""

    def __init__(self, message: str, *, model_name: str) -> None:
        super().__init__(message)
        self.model_name = model_name


def read_encoder(path: str | Path, state: dict[str, Any] | None = None) -> EncoderCheckpoint:
    """Read the encoder of a checkpoint, averaged (EMA) weights preferred, or of a folder of Hugging Face.

    `state` are the entries of the checkpoint, where they have been read already.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or one without an encoder or its configuration.
        ImportError: the weights of a folder need safetensors, which is missing.
    """
    if (Path(path) / CONFIG).is_file():
        return _of_folder(Path(path))
    state = read_checkpoint(path) if state is None else state
    cfg = _mapping(state.get("cfg") or state.get("args") or {})
    model, task = _sections(cfg)
    weights = checkpoint_weights(state)
    found = ((name, last) for last in FIRST_TENSORS for name in weights if name.endswith(last))
    prefix = next((name.removesuffix(last) for name, last in found), None)
    if prefix is None or "encoder_layers" not in model:
        missing = f"tensor {FIRST_TENSORS[0]}" if prefix is None else "encoder_layers in its configuration"
        raise NoEncoderError(
            f"{path} has no wav2vec 2.0, HuBERT, WavLM or Whisper encoder: it holds {describe(state)} (no {missing}); "
            "give a checkpoint of fairseq, or a folder of Hugging Face",
            model_name=str(model.get("_name", "")),
        )
    # What lies beside the encoder: "w2v_encoder." of CTC models, nothing of classifiers.
    outer = prefix.removesuffix(".").rpartition(".")[0]
    outer = f"{outer}." if outer else ""
    shape = {key: model[key] for key in SHAPE_KEYS if key in model}
    check_size(shape, weights, path)
    return EncoderCheckpoint(
        path=Path(path),
        shape=shape,
        normalize=bool(model.get("normalize", task.get("normalize", False))),
        sample_rate_hz=task.get("sample_rate_hz", task.get("sample_rate")),
        weights={
            name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)
        },
        head=_head(weights, f"{outer}proj.") if prefix else {},
        symbols=_symbols(state.get("task_state") or {}),
        readout=readout_keys(model),
        layer_scores=weights.get(f"{outer}layer_sum.scores"),
        convolutions={
            name.removeprefix(f"{outer}head."): value
            for name, value in weights.items()
            if name.startswith(f"{outer}head.")
        },
        long_s=(state.get("task_state") or {}).get("long_s"),
        num_updates=int((state.get("optimizer_history") or [{}])[-1].get("num_updates", 0)),
        cfg=cfg,
        content=describe(state),
    )


def _of_folder(folder: Path) -> EncoderCheckpoint:
    """Take the encoder of a folder of Hugging Face, whatever its family."""
    content = read_folder(folder)
    family = content.config.get("model_type")
    if family in FAMILIES:
        found = hugging_face_encoder(content, folder)
        shape = {key: found.shape[key] for key in SHAPE_KEYS if key in found.shape}
        return _checkpoint(folder, shape, found.weights, found.normalize, found.sample_rate_hz, found.content)
    if family == "whisper":
        whisper = whisper_encoder(content, folder)
        about = (False, WHISPER_RATE_HZ, "the encoder of a Whisper")
        return _checkpoint(folder, whisper.shape, whisper.weights, *about)
    raise FileError(
        f"{folder / CONFIG}: model_type {', '.join(FAMILIES)} or whisper expected, found {family!r}; other encoders "
        "are not supported"
    )


def _checkpoint(
    folder: Path,
    shape: dict[str, Any],
    weights: dict[str, Tensor],
    normalize: bool,
    sample_rate_hz: int,
    content: str,
) -> EncoderCheckpoint:
    check_size(shape, weights, folder)
    return EncoderCheckpoint(
        path=folder,
        shape=shape,
        normalize=normalize,
        sample_rate_hz=sample_rate_hz,
        weights=weights,
        head={},
        symbols=None,
        num_updates=0,
        cfg={},
        content=content,
    )


def readout_keys(config: Any) -> dict[str, Any]:
    """Return what lies between encoder and output layer by a model's configuration: keys and values as in `READOUT`."""
    found = config if isinstance(config, Mapping) else vars(config)
    keys = {key: found.get(key, default) for key, default in READOUT.items()}
    return (
        keys
        if keys["head_layers"]
        else {**READOUT, **{key: keys[key] for key in ("layers", "normalize_layers")}}
    )


def check_size(shape: Mapping[str, Any], weights: Mapping[str, Tensor], where: str | Path) -> None:
    """Check that the network of a configuration is about as large as the weights, before it is allocated.

    Args:
        shape: keys of `SpeechEncoderConfig`.
        weights: name -> tensor, of the whole file.
        where: file or folder that the message names.

    Raises:
        ValueError: it is not, or a value has another type.
    """
    try:
        config = OmegaConf.merge(OmegaConf.structured(EncoderConfig), shape)
        num_layers, dim, inner = config.encoder_layers, config.encoder_embed_dim, config.encoder_ffn_embed_dim
        if min(num_layers, dim, inner, config.conv_pos, config.conv_pos_groups) < 1:
            raise ValueError(f"layers and widths are {num_layers}, {dim}, {inner}")
        size = num_layers * dim * (4 * dim + 2 * inner)  # attention and feed-forward layers
        if config.encoder_type == "whisper":
            size += 3 * dim * (config.num_mels + dim)
        else:
            convolutions = parse_conv_layers(config.conv_feature_layers)
            channels = [1, *(size for size, _, _ in convolutions)]
            size += dim * dim * config.conv_pos // config.conv_pos_groups
            size += sum(c * n * k for c, (n, k, _) in zip(channels, convolutions, strict=False))
        found = sum(value.numel() for value in weights.values())
        if size > _MOST_TIMES * found:
            raise ValueError(f"it would have {size} parameters, the file has {found}")
    except (ValueError, OmegaConfBaseException) as error:
        raise ValueError(
            f"{where}: the network of the configuration cannot be that of the weights "
            f"({str(error).splitlines()[0][:200]}); the file is damaged: give another"
        ) from error


def _mapping(cfg: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = vars(cfg) if isinstance(cfg, argparse.Namespace) else cfg
    return found


def _sections(cfg: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the configurations of encoder and pre-training task; fairseq keeps them in several places."""
    model = cfg["model"] if isinstance(cfg.get("model"), Mapping) else cfg
    if model.get("w2v_args") is not None:
        return _sections(_mapping(model["w2v_args"]))
    return model, cfg["task"] if isinstance(cfg.get("task"), Mapping) else cfg


def _head(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    found = {name: weights.get(prefix + name) for name in ("weight", "bias")}
    return {name: value for name, value in found.items() if value is not None}


def _symbols(task_state: Mapping[str, Any]) -> list[str] | None:
    """Return the symbols: our tasks keep a list, fairseq's a `Dictionary`."""
    if "symbols" in task_state:
        return list(task_state["symbols"])
    dictionary = task_state.get("target_dictionary")
    return None if dictionary is None else list(dictionary.symbols)


def load_encoder(encoder: Encoder, source: EncoderCheckpoint) -> None:
    """Copy the weights of a checkpoint into an encoder of its shape.

    Raises:
        ValueError: a tensor is missing or has another shape: the file holds another network.
    """
    own = encoder.state_dict()
    # Old names of weight norm are no keys of the encoder, but its position convolution translates them on loading.
    weights = {
        name: value for name, value in source.weights.items() if name in own or "parametrizations" in name
    }
    try:
        missing = set(encoder.load_state_dict(weights, strict=False).missing_keys) - OPTIONAL_TENSORS
        problem = ", ".join(sorted(missing)[:5]) and f"no {', '.join(sorted(missing)[:5])}"
    except RuntimeError as error:
        problem = str(error)
    if problem:
        raise ValueError(
            f"{source.path}: its weights do not fit the encoder of its configuration, {source.shape}: {problem}; this "
            "network is not supported"
        )


def encoder_keys(config: EncoderConfig) -> dict[str, Any]:
    """Return the keys of a model that build its encoder without `pretrained_path`."""
    return {key: getattr(config, key) for key in (*SHAPE_KEYS, "normalize")}


def warn_of_another_rate(source: EncoderCheckpoint, sample_rate_hz: int) -> None:
    """Warn when a checkpoint was trained at another sample rate than it will be used at."""
    if source.sample_rate_hz not in {None, sample_rate_hz}:
        logger.warning(
            f"{source.path}: trained at {source.sample_rate_hz} Hz, the task has {sample_rate_hz} Hz, which moves its "
            "filters to other frequencies; set task.sample_rate_hz"
        )
