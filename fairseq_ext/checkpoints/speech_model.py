"""A speech model between two formats, and the report on each of its weights.

Names are fairseq's, bare: those of `SpeechEncoder`, with `quantizer.*`, `project_q.*` and `final_proj.*` of wav2vec
2.0's pre-training, or with `proj.*`, the output layer of CTC.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from ..models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config
from ..modules.hf_keys import CTC_HEAD, PRETRAINING_HEADS
from ..modules.pretrained_encoder import SHAPE_KEYS, check_size
from ..modules.speech_encoder import SpeechEncoder

Config = TypeVar("Config", bound=Any)
Head = Literal["ctc", "pretraining", "none"]
# Seed of the weights that are filled in: any will do, but a conversion must give the same file each time.
FILL_SEED = 1
# Values of the heads of pre-training, at most; those of wav2vec 2.0 large have 2 million.
_MOST_FILLED = 200_000_000


@dataclass
class Report:
    """The report of a conversion: what became of every weight.

    Attributes:
        mapped: name in the source -> name in the result.
        left_out: name in the source -> why the result does not have it.
        filled: name in the result -> where its value is from, since the source has none.
        notes: further remarks for the user.
    """

    mapped: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines; names that differ in their numbers only share a line."""
        mapped = _grouped(f"{source} -> {target}" for source, target in self.mapped.items())
        left_out = _grouped(f"{name}: {reason}" for name, reason in self.left_out.items())
        filled = _grouped(f"{name}: {reason}" for name, reason in self.filled.items())
        return [
            *(f"mapped    {line}" for line in mapped),
            *(f"left out  {line}" for line in left_out),
            *(f"filled    {line}" for line in filled),
            *(f"note      {note}" for note in self.notes),
            f"{len(self.mapped)} mapped, {len(self.left_out)} left out, {len(self.filled)} filled",
        ]


@dataclass
class SpeechModel:
    """A model that belongs to no format.

    Attributes:
        family: wav2vec2, hubert or wavlm.
        config: keys of its network and training, by fairseq's names; all of the encoder's are there.
        weights: fairseq's bare name -> tensor.
        symbols: symbols of the rows of a CTC head, without fairseq's four; None = no such head.
        normalize: whether it expects clips of mean 0 and variance 1.
        sample_rate_hz: sample rate of the waveforms it expects, Hz.
    """

    family: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    symbols: list[str] | None
    normalize: bool
    sample_rate_hz: int

    @property
    def head(self) -> Head:
        """Return the weights above the encoder."""
        if f"{CTC_HEAD}weight" in self.weights:
            return "ctc"
        return "pretraining" if "quantizer.vars" in self.weights else "none"

    def check(self, where: str, names: Mapping[str, str]) -> None:
        """Compare the weights with those of the configuration's network.

        Args:
            where: file or folder that the message names.
            names: name in the source -> ours, of what was read.

        Raises:
            ValueError: a tensor is missing, has another shape, or has no place in the network.
        """
        check_size({key: self.config[key] for key in SHAPE_KEYS if key in self.config}, self.weights, where)
        expected = _shapes(self)
        sources = {ours: theirs for theirs, ours in names.items()}
        missing = [name for name in expected if name not in self.weights and name != "mask_emb"]
        surplus = [sources.get(name, name) for name in self.weights if name not in expected]
        if missing or surplus:
            raise ValueError(
                f"{where}: the weights do not fit the configuration: {len(missing)} missing (by fairseq's names: "
                f"{missing[:3]}) and {len(surplus)} surplus {surplus[:3]}; the file is incomplete, or the model of "
                "another architecture"
            )
        for name, value in self.weights.items():
            if value.shape != expected[name]:
                raise ValueError(
                    f"{where}: {sources.get(name, name)} of shape {tuple(expected[name])} expected from the "
                    f"configuration, found {tuple(value.shape)}; configuration and weights are of different models"
                )

    def fill(self) -> dict[str, str]:
        """Give initial values to what `ext_wav2vec2` has and the source has not; fine-tuning needs none of it.

        Returns name -> where the value is from.

        Raises:
            ValueError: the configuration asks for more than `_MOST_FILLED` of them.
        """
        needed = ("mask_emb", *(PRETRAINING_HEADS if self.head == "none" else ()))
        filled = {}
        config = pick(Wav2Vec2Config, self.config)
        width = max(config.latent_dim, config.final_dim, config.encoder_embed_dim, config.conv_pos)
        size = width * (width + max(config.latent_vars, 1) * max(config.latent_groups, 1))
        if size > _MOST_FILLED:
            raise ValueError(
                f"the configuration asks for {size} values of heads that the file lacks; correct its quantizer"
            )
        for name, value in _initial_values(self.config, ExtWav2Vec2, 0).items():
            if name.startswith(needed) and name not in self.weights:
                self.weights[name] = value
                filled[name] = "initial values, since the source has none"
        return filled


def pick(config_class: type[Config], values: Mapping[str, Any]) -> Config:
    """Make a configuration of the values that it has keys for, with its defaults for the other keys."""
    known = {item.name for item in fields(config_class)} - {"_name"}
    result: Config = config_class(**{key: value for key, value in values.items() if key in known})
    return result


def _shapes(model: SpeechModel) -> dict[str, torch.Size]:
    """Return the shapes of all weights of the configuration's network."""
    num_layers = int(model.config["encoder_layers"])
    network = ExtWav2Vec2 if model.head == "pretraining" else SpeechEncoder
    # Two layers are enough: the first may hold what all share, and the others equal the second.
    weights = _initial_values(model.config, network, min(2, num_layers))
    shapes = {name: value.shape for name, value in weights.items()}
    for name in [name for name in shapes if name.startswith("encoder.layers.1.")]:
        for layer in range(2, num_layers):
            shapes[name.replace(".1.", f".{layer}.", 1)] = shapes[name]
    if model.head == "ctc":
        num_rows = len(model.weights[f"{CTC_HEAD}weight"])
        shapes[f"{CTC_HEAD}weight"] = torch.Size([num_rows, model.config["encoder_embed_dim"]])
        shapes[f"{CTC_HEAD}bias"] = torch.Size([num_rows])
    return shapes


def _initial_values(
    values: Mapping[str, Any], network: Callable[[Wav2Vec2Config], nn.Module], num_layers: int
) -> dict[str, Tensor]:
    config = replace(pick(Wav2Vec2Config, values), encoder_layers=num_layers)
    with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it is
        torch.manual_seed(FILL_SEED)
        return network(config).state_dict()


def _grouped(lines: Iterable[str]) -> list[str]:
    """Write numbers of layers as *, and return each line once, with its count."""
    counts = Counter(re.sub(r"(?<=layers\.)\d+", "*", line) for line in lines)
    return [f"{line} ({count} tensors)" if count > 1 else line for line, count in counts.items()]
