"""Load the layers of any pre-trained encoder in evaluation mode: the one way of features, probes and embeddings."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..file_errors import reading
from ..modules.encoder_layers import WEIGHTED, EncoderLayers, trained_sum
from ..modules.encoders import EncoderConfig, build_encoder
from ..modules.hf_folder import weight_files
from ..modules.pretrained_encoder import EncoderCheckpoint, load_encoder, read_encoder
from .devices import check_device


def load_encoder_layers(
    path: str | Path,
    layers: Sequence[int] = (),
    device: str = "cpu",
    *,
    final_norm: bool = False,
    whole: bool = False,
    untrained: bool = False,
    seed: int = 1,
) -> tuple[EncoderLayers, EncoderCheckpoint]:
    """Load any encoder that `read_encoder` knows, and return what its file says of it too, without the weights.

    Args:
        layers: numbers as for `EncoderLayers`; empty = all but the sum.
        final_norm: whether the last layer after the norm above it, where there is one, counts as a layer L + 1.
        whole: keep the layers above the chosen ones, which are not computed otherwise.
        untrained: keep the weights at their initial values (a control), drawn with `seed`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not an encoder, or without one of the layers; or no such device.
    """
    check_device(device)
    if Path(path).is_file():
        from .. import compat  # noqa: F401 - lets torch read the file
    source = read_encoder(path)
    config = EncoderConfig(**source.shape)
    last = config.encoder_layers + (final_norm and config.layer_norm_first)
    _check_layers(layers, last, source)
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it is
        torch.manual_seed(seed)
        encoder = build_encoder(config)
    if not untrained:
        load_encoder(encoder, source)
    layer_sum = None
    if WEIGHTED in layers:
        assert source.layer_scores is not None
        layer_sum = trained_sum(source.layer_scores, source.readout["normalize_layers"])
    if not whole and layers and WEIGHTED not in layers and max(layers) < config.encoder_layers:
        encoder.encoder.layers = encoder.encoder.layers[: max(layers)]
    model = EncoderLayers(encoder, layers or range(last + 1), source.normalize, layer_sum)
    return model.eval().to(device), replace(source, weights={})


def _check_layers(layers: Sequence[int], last: int, source: EncoderCheckpoint) -> None:
    if WEIGHTED in layers and (source.layer_scores is None or source.readout["layers"] != "weighted"):
        raise ValueError(
            f"{source.path}: it holds {source.content}, without trained weights of a sum over layers; choose layers by "
            "number, or give a checkpoint trained with model.layers=weighted"
        )
    if wrong := [layer for layer in layers if layer != WEIGHTED and not 0 <= layer <= last]:
        raise ValueError(f"{source.path}: its encoder has layers 0 to {last}, not {wrong[0]}; choose others")


def weights_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a checkpoint; of a folder, that of the file of its weights, or of all shards' together."""
    files = weight_files(Path(path))[1] if Path(path).is_dir() else [Path(path)]
    digests = []
    for name in files:
        with reading(name), open(name, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()
