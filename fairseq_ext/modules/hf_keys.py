"""Names of weights: Hugging Face's wav2vec 2.0, HuBERT and WavLM, and fairseq's. One table, read both ways.

The names of both sides are bare: without what a model with a head puts before them (`wav2vec2.`, `hubert.`,
`wavlm.`; `w2v_encoder.w2v_model.`). The head of a CTC model is `lm_head` there and `proj` here.
"""

import re
from functools import cache

# {i} = a number, {p} = weight or bias, {a} = q, k, v or out. Left: Hugging Face; right: fairseq.
_ENCODER = (
    ("masked_spec_embed", "mask_emb"),
    ("feature_projection.layer_norm.{p}", "layer_norm.{p}"),
    ("feature_projection.projection.{p}", "post_extract_proj.{p}"),
    ("feature_extractor.conv_layers.{i}.conv.{p}", "feature_extractor.conv_layers.{i}.0.{p}"),
    ("encoder.pos_conv_embed.conv.bias", "encoder.pos_conv.0.bias"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original0", "encoder.pos_conv.0.weight_g"),
    ("encoder.pos_conv_embed.conv.parametrizations.weight.original1", "encoder.pos_conv.0.weight_v"),
    ("encoder.layer_norm.{p}", "encoder.layer_norm.{p}"),
    ("encoder.layers.{i}.attention.{a}_proj.{p}", "encoder.layers.{i}.self_attn.{a}_proj.{p}"),
    ("encoder.layers.{i}.layer_norm.{p}", "encoder.layers.{i}.self_attn_layer_norm.{p}"),
    ("encoder.layers.{i}.feed_forward.intermediate_dense.{p}", "encoder.layers.{i}.fc1.{p}"),
    ("encoder.layers.{i}.feed_forward.output_dense.{p}", "encoder.layers.{i}.fc2.{p}"),
    ("encoder.layers.{i}.final_layer_norm.{p}", "encoder.layers.{i}.final_layer_norm.{p}"),
    # WavLM; the first layer holds the biases that all layers share
    ("encoder.layers.{i}.attention.gru_rel_pos_linear.{p}", "encoder.layers.{i}.self_attn.grep_linear.{p}"),
    ("encoder.layers.{i}.attention.gru_rel_pos_const", "encoder.layers.{i}.self_attn.grep_a"),
    (
        "encoder.layers.0.attention.rel_attn_embed.weight",
        "encoder.layers.0.self_attn.relative_attention_bias.weight",
    ),
)
# Norms of the convolutions: group norm after the first one, or a layer norm after each.
_GROUP_NORM = (("feature_extractor.conv_layers.0.layer_norm.{p}", "feature_extractor.conv_layers.0.2.{p}"),)
_LAYER_NORM = (
    ("feature_extractor.conv_layers.{i}.layer_norm.{p}", "feature_extractor.conv_layers.{i}.2.1.{p}"),
)
# What wav2vec 2.0 needs in pre-training only; Hugging Face never puts a prefix before it.
_PRETRAINING = (
    ("quantizer.codevectors", "quantizer.vars"),
    ("quantizer.weight_proj.{p}", "quantizer.weight_proj.{p}"),
    ("project_q.{p}", "project_q.{p}"),
    ("project_hid.{p}", "final_proj.{p}"),
)
_CTC_HEAD = (("lm_head.{p}", "proj.{p}"),)

PRETRAINING_HEADS = ("quantizer.", "project_q.", "final_proj.")  # prefixes of fairseq's names
CTC_HEAD = "proj."

# Two spellings of weight norm on each side: torch renamed its parts in 2.0.
_WEIGHT_NORM = (
    (
        "encoder.pos_conv_embed.conv.weight_g",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    ),
    (
        "encoder.pos_conv_embed.conv.weight_v",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    ),
    ("encoder.pos_conv.0.parametrizations.weight.original0", "encoder.pos_conv.0.weight_g"),
    ("encoder.pos_conv.0.parametrizations.weight.original1", "encoder.pos_conv.0.weight_v"),
)

_FAMILY_PREFIX = re.compile(r"^(wav2vec2|hubert|wavlm)\.")
_FAIRSEQ_PREFIX = re.compile(r"^w2v_encoder\.(w2v_model\.)?")
_PLACEHOLDERS = {"i": r"\d+", "p": "weight|bias", "a": "q|k|v|out"}


def to_fairseq(name: str, extractor_mode: str) -> str | None:
    """Translate a name of Hugging Face's to fairseq's bare one; None when fairseq has no such weight.

    Args:
        name: Hugging Face's name, with or without the model's prefix, in either spelling of weight norm.
        extractor_mode: "default" or "layer_norm", see `ConvExtractor`.
    """
    bare = _FAMILY_PREFIX.sub("", name)
    return _translate(dict(_WEIGHT_NORM).get(bare, bare), _table(extractor_mode, False))


def to_hugging_face(name: str, extractor_mode: str, family: str) -> str | None:
    """Translate a bare name of fairseq's (see `bare_fairseq_name`) to Hugging Face's; None when it has no such weight.

    Args:
        extractor_mode: "default" or "layer_norm", see `ConvExtractor`.
        family: wav2vec2, hubert or wavlm; the latter two have no pre-training heads there.
    """
    if family != "wav2vec2" and name.startswith(PRETRAINING_HEADS):
        return None
    return _translate(name, _table(extractor_mode, True))


def bare_fairseq_name(name: str) -> str:
    """Take off the prefixes of fairseq's CTC models, and settle on one spelling of weight norm."""
    bare = _FAIRSEQ_PREFIX.sub("", name)
    return dict(_WEIGHT_NORM).get(bare, bare)


def with_family(name: str, family: str) -> str:
    """Put the prefix of Hugging Face's models with a head before a bare name of theirs that takes it."""
    heads = tuple(left.split(".")[0] + "." for left, _ in (*_PRETRAINING, *_CTC_HEAD))
    return name if name.startswith(heads) else f"{family}.{name}"


def with_encoder(name: str) -> str:
    """Put the prefix of fairseq's CTC models before a bare name of fairseq's."""
    return f"w2v_encoder.{name}" if name.startswith(CTC_HEAD) else f"w2v_encoder.w2v_model.{name}"


@cache
def _table(extractor_mode: str, backwards: bool) -> tuple[tuple[re.Pattern[str], str], ...]:
    norms = _LAYER_NORM if extractor_mode == "layer_norm" else _GROUP_NORM
    rows = (*_ENCODER, *norms, *_PRETRAINING, *_CTC_HEAD)
    pairs = [(right, left) if backwards else (left, right) for left, right in rows]
    return tuple((_pattern(source), _template(target)) for source, target in pairs)


def _pattern(name: str) -> re.Pattern[str]:
    text = re.escape(name)
    for key, choices in _PLACEHOLDERS.items():
        text = text.replace(rf"\{{{key}\}}", f"(?P<{key}>{choices})")
    return re.compile(text)


def _template(name: str) -> str:
    return re.sub(r"\{(\w)\}", r"\\g<\1>", name)


def _translate(name: str, table: tuple[tuple[re.Pattern[str], str], ...]) -> str | None:
    for pattern, template in table:
        found = pattern.fullmatch(name)
        if found:
            return found.expand(template)
    return None
