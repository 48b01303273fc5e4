"""Configurations: Hugging Face's `config.json` of wav2vec 2.0, HuBERT and WavLM, and fairseq's model keys."""

import math
from collections.abc import Mapping
from typing import Any

from .conv_layers import parse_conv_layers

FAMILIES = ("wav2vec2", "hubert", "wavlm")
_CLASSES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}

_MOST = 1 << 40  # of any size; beyond it torch cannot even compute how much memory it would take

# Hugging Face's name, fairseq's, and Hugging Face's default, which a config.json may leave out.
_EQUAL = (
    ("hidden_size", "encoder_embed_dim", 768),
    ("num_hidden_layers", "encoder_layers", 12),
    ("intermediate_size", "encoder_ffn_embed_dim", 3072),
    ("num_attention_heads", "encoder_attention_heads", 12),
    ("do_stable_layer_norm", "layer_norm_first", False),
    ("hidden_dropout", "dropout", 0.1),
    ("attention_dropout", "attention_dropout", 0.1),
    ("activation_dropout", "activation_dropout", 0.1),
    ("layerdrop", "encoder_layerdrop", 0.1),
    ("feat_proj_dropout", "dropout_input", 0.0),
    ("feat_quantizer_dropout", "dropout_features", 0.0),
    ("conv_bias", "conv_bias", False),
    ("num_conv_pos_embeddings", "conv_pos", 128),
    ("num_conv_pos_embedding_groups", "conv_pos_groups", 16),
    ("mask_time_prob", "mask_prob", 0.05),
    ("mask_time_length", "mask_length", 10),
    ("mask_feature_prob", "mask_channel_prob", 0.0),
    ("mask_feature_length", "mask_channel_length", 10),
)
_PRETRAINING = (
    ("num_codevectors_per_group", "latent_vars", 320),
    ("num_codevector_groups", "latent_groups", 2),
    ("codevector_dim", "latent_dim", 256),
    ("proj_codevector_dim", "final_dim", 256),
    ("contrastive_logits_temperature", "logit_temp", 0.1),
    ("num_negatives", "num_negatives", 100),
)
_WAVLM = (
    ("num_buckets", "num_buckets", 320),
    ("max_bucket_distance", "max_distance", 800),
)
_CTC = (("final_dropout", "final_dropout", 0.1),)
_EXTRACTOR_MODES = (("group", "default"), ("layer", "layer_norm"))
# The first name of each side is the one that is written.
_ACTIVATIONS = (
    (("gelu", "gelu_python"), ("gelu",)),
    (("gelu_pytorch_tanh", "gelu_new", "gelu_fast"), ("gelu_accurate", "gelu_fast")),
    (("relu",), ("relu",)),
    (("silu", "swish"), ("swish",)),
    (("tanh",), ("tanh",)),
)
# Hugging Face's defaults of the keys that hold lists.
_CONV_DEFAULTS = {
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
}
# What the other side cannot compute: key, the only value that works (also the default).
_ONLY_HUGGING_FACE = (
    ("feat_extract_activation", "gelu"),
    ("layer_norm_eps", 1e-5),
    ("add_adapter", False),
    ("adapter_attn_dim", None),
    ("conv_pos_batch_norm", False),
    ("feat_proj_layer_norm", True),
)
_ONLY_FAIRSEQ: tuple[tuple[str, Any], ...] = (
    ("layer_type", "transformer"),
    ("pos_conv_depth", 1),
    ("conv_pos_batch_norm", False),
    ("quantize_input", False),
    ("quantizer_depth", 1),
    ("attn_type", ""),
    ("adp_num", -1),
)


def family_of(config: Mapping[str, Any], where: str) -> str:
    """Return the family of the model that a `config.json` describes, one of `FAMILIES`.

    `where` is the file or folder that messages name.

    Raises:
        ValueError: another model.
    """
    family = config.get("model_type")
    if family not in FAMILIES:
        raise ValueError(
            f"{where}: model_type {', '.join(FAMILIES)} expected, found {family!r}; other architectures cannot be "
            "converted; the folder of a Whisper needs no conversion: give it as model.pretrained_path"
        )
    return str(family)


def config_to_fairseq(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Translate a `config.json` to keys by fairseq's names: of encoder, masks, wav2vec 2.0's pre-training, CTC head.

    Raises:
        ValueError: an unknown model, or something fairseq cannot compute.
    """
    family = family_of(config, where)
    _refuse(config, _ONLY_HUGGING_FACE, where)
    rows = _rows(family)
    found = {ours: _value(config, theirs, default, where) for theirs, ours, default in rows}
    found["conv_feature_layers"] = str(_conv_layers(config, where))
    found["activation_fn"] = _activation(config.get("hidden_act", "gelu"), 0, where)
    found["extractor_mode"] = _extractor_mode(config.get("feat_extract_norm", "group"), where)
    if not config.get("apply_spec_augment", True):
        found.update(mask_prob=0.0, mask_channel_prob=0.0)
    if family == "wavlm":
        found.update(relative_position_embedding=True, gru_rel_pos=True)
    return found


def config_to_hugging_face(
    model: Mapping[str, Any],
    family: str,
    where: str,
    *,
    vocab_size: int = 0,
    pretraining: bool = False,
    mask_embedding: bool = True,
) -> dict[str, Any]:
    """Translate fairseq's keys to the content of a `config.json`.

    Args:
        model: keys of the encoder; what is missing has Hugging Face's default.
        family: one of `FAMILIES`.
        where: file or folder that the messages name.
        vocab_size: rows of the CTC head; 0 = no such head.
        pretraining: whether wav2vec 2.0's pre-training heads are there.
        mask_embedding: whether the model has a mask embedding.

    Raises:
        ValueError: something Hugging Face's model cannot compute.
    """
    _refuse(model, _ONLY_FAIRSEQ, where)
    _check_positions(model, family, where)
    found = {theirs: model.get(ours, default) for theirs, ours, default in _rows(family)}
    layers = parse_conv_layers(str(model["conv_feature_layers"]))
    for place, key in enumerate(_CONV_DEFAULTS):
        found[key] = [layer[place] for layer in layers]
    found["hidden_act"] = _activation(str(model.get("activation_fn", "gelu")), 1, where)
    norms = {ours: theirs for theirs, ours in _EXTRACTOR_MODES}
    found["feat_extract_norm"] = norms[str(model.get("extractor_mode", "default"))]
    found.update(_sizes_of_heads(model) if family == "wav2vec2" else {})
    found.update(_masks(found, mask_embedding))
    head = "ForCTC" if vocab_size else "ForPreTraining" if pretraining else "Model"
    found.update(model_type=family, architectures=[_CLASSES[family] + head])
    found.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    if vocab_size:
        found.update(vocab_size=vocab_size, ctc_loss_reduction="mean", ctc_zero_infinity=True)
    return found


def _rows(family: str) -> tuple[tuple[str, str, Any], ...]:
    special = {"wav2vec2": _PRETRAINING, "wavlm": _WAVLM, "hubert": ()}[family]
    shared = _EQUAL if family == "wav2vec2" else tuple(row for row in _EQUAL if row[1] != "dropout_features")
    return (*shared, *special, *_CTC)


def _refuse(config: Mapping[str, Any], only: tuple[tuple[str, Any], ...], where: str) -> None:
    for key, value in only:
        found = config.get(key, value)
        is_number = isinstance(value, float) and isinstance(found, float | int)
        same = math.isclose(found, value) if is_number else found == value
        if not same:
            raise ValueError(
                f"{where}: {key} = {value!r} expected, found {found!r}; the other side has no such layer, so the "
                "converted model would give other numbers"
            )


def _value(config: Mapping[str, Any], key: str, default: Any, where: str) -> Any:
    """Return a value of the default's type; a whole number may stand for a fraction."""
    found = config.get(key, default)
    types, least = (
        ((float, int), 0) if isinstance(default, float) else ((type(default),), type(default) is int)
    )
    if type(found) not in types or not least <= found < _MOST:
        raise ValueError(f"{where}: {key}: a value such as {default!r} expected, found {found!r}; correct it")
    return found


def _conv_layers(config: Mapping[str, Any], where: str) -> list[tuple[int, int, int]]:
    columns = [config.get(key, default) for key, default in _CONV_DEFAULTS.items()]
    for key, column in zip(_CONV_DEFAULTS, columns, strict=True):
        if not (
            isinstance(column, list | tuple) and column and all(type(n) is int and n > 0 for n in column)
        ):
            raise ValueError(
                f"{where}: {key}: a list of whole numbers expected, found {str(column)[:80]}; correct it"
            )
    if len({len(column) for column in columns}) != 1:
        raise ValueError(
            f"{where}: {', '.join(_CONV_DEFAULTS)} have different lengths, "
            f"{', '.join(str(len(column)) for column in columns)}; correct them"
        )
    return [(int(size), int(kernel), int(stride)) for size, kernel, stride in zip(*columns, strict=True)]


def _activation(name: str, side: int, where: str) -> str:
    for row in _ACTIVATIONS:
        if name in row[side]:
            return row[1 - side][0]
    known = ", ".join(name for row in _ACTIVATIONS for name in row[side])
    raise ValueError(f"{where}: activation {known} expected, found {name!r}; it cannot be converted")


def _extractor_mode(norm: str, where: str) -> str:
    modes = dict(_EXTRACTOR_MODES)
    if not isinstance(norm, str) or norm not in modes:
        raise ValueError(f"{where}: feat_extract_norm {' or '.join(modes)} expected, found {norm!r}")
    return modes[norm]


def _check_positions(model: Mapping[str, Any], family: str, where: str) -> None:
    relative = bool(model.get("relative_position_embedding"))
    gated = relative and bool(model.get("gru_rel_pos"))
    if relative != gated or gated != (family == "wavlm"):
        found = "gated" if gated else "ungated" if relative else "no"
        raise ValueError(
            f"{where}: a model with {found} relative positions cannot become {family}: Hugging Face has gated ones in "
            "wavlm alone, and no ungated ones; choose another family"
        )


def _sizes_of_heads(model: Mapping[str, Any]) -> dict[str, int]:
    """Return the widths of the heads; fairseq writes 0 for "as wide as what it is compared with"."""
    final = int(model.get("final_dim") or model["encoder_embed_dim"])
    return {"proj_codevector_dim": final, "codevector_dim": int(model.get("latent_dim") or final)}


def _masks(config: Mapping[str, Any], embedding: bool) -> dict[str, Any]:
    """Return the keys that decide whether Hugging Face's model has a mask embedding, and uses it."""
    if not embedding:
        return {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0}
    if config["mask_time_prob"] > 0 or config["mask_feature_prob"] > 0:
        return {"apply_spec_augment": True}
    # transformers creates the embedding only where a probability is above 0; the switch keeps masks off all the same.
    return {"apply_spec_augment": False, "mask_time_prob": 0.05}
