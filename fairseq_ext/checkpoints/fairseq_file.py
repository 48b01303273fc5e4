"""Files of fairseq checkpoints: read ours, stock fairseq's and WavLM's, write ours or stock fairseq's."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from fairseq.data import Dictionary
from torch import Tensor

from .. import compat  # noqa: F401 - lets torch read and write dictionaries
from ..data.labels import SPECIAL_SYMBOLS
from ..dictionary import read_dictionary
from ..files import atomic_path
from ..models.ctc import CtcConfig
from ..models.wav2vec2 import Wav2Vec2Config
from ..modules.checkpoint_file import checkpoint_weights, describe, read_checkpoint
from ..modules.hf_keys import CTC_HEAD, bare_fairseq_name, with_encoder
from ..modules.pretrained_encoder import USUAL_RATE_HZ
from .speech_model import Report, SpeechModel, pick

# The program whose classes a written checkpoint names: this plugin's, or those of a fairseq without it.
Reader = Literal["fairseq_ext", "fairseq"]

# What a fine-tuned model of fairseq overrides: name there, name in the encoder's own configuration.
_SET_ANEW = {
    **{name: name for name in ("dropout", "attention_dropout", "activation_dropout", "dropout_input")},
    **{name: name for name in ("mask_prob", "mask_length", "mask_channel_prob", "mask_channel_length")},
    "layerdrop": "encoder_layerdrop",
    "final_dropout": "final_dropout",
}

_NOT_IN_THE_NETWORK = (
    ("label_embs_concat", "targets of HuBERT's pre-training"),
    ("target_glu.", "gate on the targets of pre-training"),
)


def read_model(path: Path, dictionary: Path | None = None) -> tuple[SpeechModel, Report]:
    """Read a checkpoint, with the averaged (EMA) weights if there are any; the report maps to fairseq's bare names.

    `dictionary` is `dict.ltr.txt`, for a CTC checkpoint that does not hold its own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint, or a network that is not one of the three.
    """
    state = read_checkpoint(path)
    outer, config, task = _sections(state.get("cfg") or state.get("args") or {})
    _check_network(state, outer, config, path)
    reasons = [*_NOT_IN_THE_NETWORK]
    reasons += [(name, "filled in when it was converted") for name in _origin(state).get("made_up", [])]
    report, weights = Report(), {}
    for name, value in checkpoint_weights(state).items():
        bare = bare_fairseq_name(name)
        reason = next((reason for start, reason in reasons if bare.startswith(start)), None)
        if reason is not None:
            report.left_out[name] = reason
        else:
            weights[bare], report.mapped[name] = value, bare
    model = SpeechModel(
        family=_family(state, outer, config),
        config=_complete(config, weights),
        weights=weights,
        symbols=None,
        normalize=bool(config.get("normalize", task.get("normalize", False))),
        sample_rate_hz=int(task.get("sample_rate_hz") or task.get("sample_rate") or USUAL_RATE_HZ),
    )
    if model.head == "ctc":
        model.symbols = _symbols(state, dictionary, len(weights[f"{CTC_HEAD}weight"]), path)
    return model, report


def write_model(
    model: SpeechModel, path: Path, reader: Reader = "fairseq_ext", filled: Iterable[str] = ()
) -> dict[str, str]:
    """Write a checkpoint for `ext_ctc` or `ext_wav2vec2`, or for stock fairseq's classes.

    Returns fairseq's bare name -> name in the file.

    Args:
        model: with all weights that these have, see `SpeechModel.fill`.
        path: checkpoint file; it appears when it is complete.
        reader: program whose classes the checkpoint names.
        filled: fairseq's bare names of weights with initial values, which are left out again on the way back.

    Raises:
        FileExistsError: there is something already.
        ValueError: stock fairseq has no such network.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already; remove it or choose another name")
    if reader == "fairseq" and model.family == "wavlm":
        raise ValueError(
            "wavlm: stock fairseq has no gated relative positions; write the checkpoint for fairseq_ext"
        )
    is_ctc = model.head == "ctc"
    names = {name: with_encoder(name) if is_ctc else name for name in model.weights}
    state = {
        "cfg": _stock_config(model) if reader == "fairseq" else _our_config(model),
        "model": {names[name]: value for name, value in model.weights.items()},
        "task_state": _task_state(model, reader),
        # fairseq reads the last entry of the list, and fails on an empty one
        "optimizer_history": [{"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {"converted_from": {"model_type": model.family, "made_up": list(filled)}},
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)
    return names


def _check_network(
    state: Mapping[str, Any], outer: Mapping[str, Any], config: Mapping[str, Any], path: Path
) -> None:
    found = describe(state)
    start = outer.get("pretrained_path")
    if "encoder_layers" not in config:
        reason = "other architectures cannot be converted"
    elif found.startswith("a classifier"):
        reason = "its head cannot be converted: convert the checkpoint it started from" + (
            f", {start}" if start else ""
        )
    elif config.get("encoder_type", "speech") != "speech":
        reason = "the encoder is that of a Whisper, for which Hugging Face has no such model"
    elif found.startswith("a model 'ext_ctc'") and config.get("layers", "last") != "last":
        reason = "its head reads a sum over layers, which Hugging Face's models do not; train with model.layers=last"
    elif found.startswith("a model 'ext_ctc'") and config.get("head_layers", 0):
        reason = "its head has convolutions, which Hugging Face's models lack; train with model.head_layers=0"
    else:
        return
    raise ValueError(
        f"{path} holds {found}, not a wav2vec 2.0, HuBERT or WavLM model, pre-trained or with a CTC head; {reason}"
    )


def _sections(cfg: Any) -> tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]:
    """Return the configurations of the whole model, of its encoder, and of the task of the encoder's training.

    `cfg` since 2021, a flat namespace `args` before; a fine-tuned model holds those of its pre-training in `w2v_args`.
    """
    cfg = vars(cfg) if isinstance(cfg, argparse.Namespace) else cfg
    model = cfg["model"] if isinstance(cfg.get("model"), Mapping) else cfg
    task = cfg["task"] if isinstance(cfg.get("task"), Mapping) else cfg
    if model.get("w2v_args") is None:
        return model, model, task
    _, config, task = _sections(model["w2v_args"])
    anew = {inner: model[outer] for outer, inner in _SET_ANEW.items() if outer in model}
    if not model.get("apply_mask", True):
        anew |= {"mask_prob": 0.0, "mask_channel_prob": 0.0}
    return model, {**config, **anew}, task


def _family(state: Mapping[str, Any], outer: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return the family; wav2vec 2.0 and HuBERT differ in their pre-training alone, not in the network."""
    if config.get("relative_position_embedding"):
        return "wavlm"
    name = str(outer.get("_name") or outer.get("arch") or config.get("_name") or "")
    return "hubert" if "hubert" in name or _origin(state).get("model_type") == "hubert" else "wav2vec2"


def _origin(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the note of `write_model` in a checkpoint; further training overwrites it."""
    return (state.get("extra_state") or {}).get("converted_from") or {}


def _complete(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return every key of the network; widths of heads that fairseq writes as 0 come from the weights."""
    found = {key: value for key, value in config.items() if value is not None}
    if "project_q.weight" in weights:
        found["final_dim"], found["latent_dim"] = weights["project_q.weight"].shape
    return {**asdict(pick(Wav2Vec2Config, found)), **found}


def _symbols(state: Mapping[str, Any], dictionary: Path | None, num_rows: int, path: Path) -> list[str]:
    """Return the alphabet of the given file, or of the checkpoint: ours keep a list, fairseq's a `Dictionary`."""
    own = state.get("task_state") or {}
    if dictionary is not None:
        symbols = [*SPECIAL_SYMBOLS, *read_dictionary(dictionary)]
    elif "symbols" in own:
        symbols = list(own["symbols"])
    else:
        symbols = list(getattr(own.get("target_dictionary"), "symbols", []))
    if len(symbols) != num_rows:
        raise ValueError(
            f"{dictionary or path}: {len(symbols)} symbols (with fairseq's four) for {num_rows} outputs; give the "
            "dict.ltr.txt of the training with --dictionary"
        )
    return symbols[len(SPECIAL_SYMBOLS) :]


def _task_state(model: SpeechModel, reader: Reader) -> dict[str, Any]:
    if model.symbols is None:
        return {}
    if reader == "fairseq_ext":
        return {"symbols": [*SPECIAL_SYMBOLS, *model.symbols]}
    dictionary = Dictionary()
    for symbol in model.symbols:
        dictionary.add_symbol(symbol)
    return {"target_dictionary": dictionary}


def _our_config(model: SpeechModel) -> dict[str, Any]:
    task = {"data": "", "sample_rate_hz": model.sample_rate_hz}
    if model.head == "ctc":
        network = asdict(pick(CtcConfig, {**model.config, "normalize": model.normalize}))
        names = ("ext_ctc", "ext_audio_ctc")
    else:
        network = asdict(pick(Wav2Vec2Config, model.config))
        task["normalize"] = model.normalize
        names = ("ext_wav2vec2", "ext_audio_pretraining")
    return {
        "common": {"seed": 1},
        "model": {**network, "_name": names[0]},
        "task": {**task, "_name": names[1]},
    }


def _stock_config(model: SpeechModel) -> dict[str, Any]:
    """Return stock fairseq's configuration, without interpolations: nested, they have nothing to refer to."""
    common = {"seed": 1, "tpu": False}
    task = {"_name": "audio_pretraining", "data": "", "sample_rate": model.sample_rate_hz, **common}
    task["normalize"] = model.normalize
    network = {**asdict(pick(Wav2Vec2Config, model.config)), "_name": "wav2vec2", "quantize_targets": True}
    encoder = {"common": common, "task": task, "model": network}
    if model.head != "ctc":
        return encoder
    outer = {
        "_name": "wav2vec_ctc",
        "w2v_path": "",  # not opened: fairseq prefers `w2v_args`
        "w2v_args": encoder,
        "normalize": model.normalize,
        "data": "",
        "ddp_backend": "legacy_ddp",
        "apply_mask": model.config["mask_prob"] > 0 or model.config["mask_channel_prob"] > 0,
        **{outer: model.config[inner] for outer, inner in _SET_ANEW.items()},
    }
    return {"common": common, "task": {**task, "_name": "audio_finetuning", "labels": "ltr"}, "model": outer}
