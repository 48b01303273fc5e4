"""Read the encoder of wav2vec 2.0, HuBERT or WavLM from its folder, as Hugging Face lays it out.

What the conversion of such folders (`checkpoints.convert`) shares with it is here: the same weights and settings. Clips
are normalised as by fairseq, which trained the public models: it adds 1e-5 to the variance, transformers 1e-7, so that
the amplitudes of clips with an RMS below 0.02 differ by more than 1 %.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .hf_config import FAMILIES, config_to_fairseq
from .hf_folder import CONFIG, Folder
from .hf_keys import CTC_HEAD, PRETRAINING_HEADS, to_fairseq

# Heads of Hugging Face's that are not CTC's: classification of clips or frames, speaker vectors.
_OTHER_HEADS = re.compile(
    r"(classifier|projector|layer_weights|tdnn|objective|feature_extractor\.(weight|bias)$)"
)
# transformers' own defaults, for a folder that does not say
_PREPROCESSOR = {"do_normalize": True, "sampling_rate": 16_000}
PROJECTION = "post_extract_proj."


@dataclass(frozen=True)
class HuggingFaceEncoder:
    """The encoder of a folder.

    Attributes:
        shape: keys of `SpeechEncoderConfig`, and others of fairseq's.
        weights: weights named as in `SpeechEncoder`, in the precision of the file.
        normalize: whether it expects clips of mean 0 and variance 1.
        sample_rate_hz: sample rate of the waveforms it expects, Hz.
        content: description of what the folder holds.
    """

    shape: dict[str, Any]
    weights: dict[str, Tensor]
    normalize: bool
    sample_rate_hz: int
    content: str


def hugging_face_encoder(content: Folder, folder: Path) -> HuggingFaceEncoder:
    """Take the encoder out of what a folder holds; heads are left out.

    Raises:
        ValueError: another model, or one that fairseq's network cannot compute.
    """
    config = config_to_fairseq(content.config, str(folder / CONFIG))
    names = {name: fairseq_name(name, config["extractor_mode"], folder) for name in content.weights}
    heads = (CTC_HEAD, *PRETRAINING_HEADS)
    weights = {
        ours: content.weights[theirs]
        for theirs, ours in names.items()
        if ours is not None and not ours.startswith(heads)
    }
    if projects_nothing(weights, config["encoder_embed_dim"], folder):
        weights = {name: value for name, value in weights.items() if not name.startswith(PROJECTION)}
    settings = preprocessor_settings(content)
    family, is_ctc = content.config["model_type"], f"{CTC_HEAD}weight" in names.values()
    return HuggingFaceEncoder(
        shape=config,
        weights=weights,
        normalize=settings["do_normalize"],
        sample_rate_hz=settings["sampling_rate"],
        content=f"a {'CTC recogniser' if is_ctc else 'model'} of Hugging Face ({family})",
    )


def fairseq_name(name: str, extractor_mode: str, folder: Path) -> str | None:
    """Translate the name of a weight to fairseq's; None for a head that is not CTC's and not pre-training's.

    Raises:
        ValueError: no weight of these models.
    """
    ours = to_fairseq(name, extractor_mode)
    if ours is None and not _OTHER_HEADS.match(name):
        raise ValueError(
            f"{folder}: the weight {name!r} belongs to none of {', '.join(FAMILIES)}; other architectures cannot be "
            "converted"
        )
    return ours


def projects_nothing(weights: Mapping[str, Tensor], dim: int, folder: Path) -> bool:
    """Return whether the projection is an identity: Hugging Face always projects, fairseq only between widths.

    Args:
        weights: weights by fairseq's names.
        dim: width of the transformer.
        folder: what the message names.

    Raises:
        ValueError: a projection between equal widths does something, for which fairseq's network has no layer.
    """
    weight, bias = (weights.get(f"{PROJECTION}{part}") for part in ("weight", "bias"))
    if weight is None or bias is None or tuple(weight.shape) != (dim, dim):
        return False
    if not (torch.equal(weight, torch.eye(len(weight), dtype=weight.dtype)) and not bias.any()):
        raise ValueError(
            f"{folder}: feature_projection.projection is not an identity; fairseq's network has no layer there when "
            f"convolutions and transformer are equally wide ({len(weight)}), so the model cannot be converted"
        )
    return True


def preprocessor_settings(content: Folder) -> dict[str, Any]:
    """Return how waveforms are prepared, with transformers' defaults for what the folder does not say."""
    return {**_PREPROCESSOR, **content.preprocessor}
