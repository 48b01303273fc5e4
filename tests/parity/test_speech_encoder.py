"""The encoder against stock fairseq's wav2vec 2.0 and Hugging Face's WavLM: same weights, same numbers."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from reference64 import Results, compare, gradients
from torch import Tensor

from fairseq_ext.modules.speech_encoder import SpeechEncoder, SpeechEncoderConfig

CONV = "[(32, 10, 5)] + [(32, 3, 2)] * 2 + [(32,2,2)]"
SMALL = SpeechEncoderConfig(
    conv_feature_layers=CONV,
    encoder_layers=3,
    encoder_embed_dim=48,
    encoder_ffn_embed_dim=96,
    encoder_attention_heads=4,
    conv_pos=16,
    conv_pos_groups=4,
)
CONFIGS = {
    "base": SMALL,
    "large": replace(SMALL, extractor_mode="layer_norm", layer_norm_first=True, conv_bias=True),
    "no projection": replace(SMALL, encoder_embed_dim=32),
}
# Parts of fairseq's model that only pre-training needs.
PRETRAINING = ("quantizer.", "project_q.", "final_proj.")


def stock_model(config: SpeechEncoderConfig) -> Any:
    """Return fairseq's model of the same sizes, with weights far from their initial values."""
    names = Wav2Vec2Config.__dataclass_fields__.keys() & config.__dataclass_fields__.keys()
    torch.manual_seed(1)
    model = Wav2Vec2Model(Wav2Vec2Config(**{name: getattr(config, name) for name in names}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def loaded(config: SpeechEncoderConfig, stock: Any) -> SpeechEncoder:
    """Return our encoder with the stock model's weights."""
    encoder = SpeechEncoder(config).eval()
    weights = {k: v for k, v in stock.state_dict().items() if not k.startswith(PRETRAINING)}
    encoder.load_state_dict(weights)
    return encoder


@pytest.fixture(params=CONFIGS, name="pair")
def _pair(request: pytest.FixtureRequest) -> tuple[Any, SpeechEncoder]:
    stock = stock_model(CONFIGS[request.param])
    return stock, loaded(CONFIGS[request.param], stock)


@pytest.mark.precision
def test_features_of_all_layers_equal_those_of_stock_fairseq(pair: tuple[Any, SpeechEncoder]) -> None:
    stock, ours = pair
    source = torch.randn(2, 4001)

    @cache
    def run(dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
        with torch.no_grad():
            expected = stock.to(dtype).extract_features(source.to(dtype), padding_mask=None)
            found = ours.to(dtype)(source.to(dtype), return_hidden=True)
            features = ours.features(source.to(dtype))[0]
        assert len(found.hidden) == 4
        theirs = [frames[0].transpose(0, 1) for frames in expected["layer_results"]]
        layers = {str(i): (*both,) for i, both in enumerate(zip(found.hidden[1:], theirs, strict=True))}
        return {
            "frames": (found.frames, expected["x"]),
            "features": (features, expected["features"]),
            **layers,
        }

    def one(dtype: torch.dtype, part: str) -> tuple[Results, Results]:
        mine, theirs = run(dtype)[part]
        return {part: mine}, {part: theirs}

    for part in ("frames", "features", "0", "1", "2"):
        compare(lambda dtype, part=part: one(dtype, part))


def test_lengths_equal_those_of_stock_fairseq(pair: tuple[Any, SpeechEncoder]) -> None:
    stock, ours = pair
    sizes = torch.arange(200, 3000)
    assert ours.frame_lengths(sizes).tolist() == stock._get_feat_extract_output_lengths(sizes).tolist()


@pytest.mark.precision
def test_gradients_equal_those_of_stock_fairseq(pair: tuple[Any, SpeechEncoder]) -> None:
    stock, ours = pair
    source = torch.randn(2, 4001)
    direction = torch.randn(stock.extract_features(source, padding_mask=None)["x"].shape)

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        waveforms, along = source.to(dtype), direction.to(dtype)
        stock.to(dtype).extract_features(waveforms, padding_mask=None)["x"].mul(along).sum().backward()
        ours.to(dtype)(waveforms).frames.mul(along).sum().backward()
        return gradients(ours), gradients(stock)

    compare(run, num_roundings=2 * 64)  # there and back


def test_stock_fairseq_loads_ours(pair: tuple[Any, SpeechEncoder]) -> None:
    stock, ours = pair
    found = stock.load_state_dict(ours.state_dict(), strict=False)
    assert found.unexpected_keys == []
    assert all(key.startswith(PRETRAINING) for key in found.missing_keys)


@pytest.mark.precision
def test_large_padded_batch_equals_stock_fairseq() -> None:
    # not for the base model: its stock group norm counts the padding
    stock = stock_model(CONFIGS["large"])
    ours = loaded(CONFIGS["large"], stock)
    source = torch.randn(3, 4001)
    padding = torch.arange(4001)[None, :] >= torch.tensor([4001, 3000, 1111])[:, None]

    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        waveforms = source.to(dtype).masked_fill(padding, 0.0)
        with torch.no_grad():
            expected = stock.to(dtype).extract_features(waveforms, padding_mask=padding)
            found = ours.to(dtype)(waveforms, padding)
        assert found.lengths.tolist() == (~expected["padding_mask"]).sum(1).tolist()
        clips = list(enumerate(found.lengths.tolist()))
        return (
            {str(row): found.frames[row, :length] for row, length in clips},
            {str(row): expected["x"][row, :length] for row, length in clips},
        )

    compare(run)


@pytest.mark.precision
@pytest.mark.parametrize("stable", [False, True])
def test_wavlm_equals_hugging_face(stable: bool) -> None:
    transformers = pytest.importorskip("transformers")
    layers = [(32, 10, 5), (32, 3, 2), (32, 2, 2)]
    hugging_face = transformers.WavLMModel(
        transformers.WavLMConfig(
            hidden_size=48,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=96,
            conv_dim=[c for c, _, _ in layers],
            conv_kernel=[k for _, k, _ in layers],
            conv_stride=[s for _, _, s in layers],
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            num_buckets=32,
            max_bucket_distance=80,
            do_stable_layer_norm=stable,
            feat_extract_norm="layer" if stable else "group",
            apply_spec_augment=False,
        )
    ).eval()
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in hugging_face.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    config = replace(
        SMALL,
        conv_feature_layers=str(layers),
        relative_position_embedding=True,
        gru_rel_pos=True,
        num_buckets=32,
        max_distance=80,
        layer_norm_first=stable,
        extractor_mode="layer_norm" if stable else "default",
    )
    ours = SpeechEncoder(config).eval()
    ours.load_state_dict({fairseq_name(k, stable): v for k, v in hugging_face.state_dict().items()})
    source = torch.randn(2, 4001)

    @torch.no_grad()
    def run(dtype: torch.dtype) -> tuple[Results, Results]:
        expected = hugging_face.to(dtype)(source.to(dtype)).last_hidden_state
        return {"": ours.to(dtype)(source.to(dtype)).frames}, {"": expected}

    compare(run)


def fairseq_name(name: str, stable: bool) -> str:
    """Translate a key of Hugging Face's to fairseq's; the positions keep torch's newer names."""
    changes = {
        "masked_spec_embed": "mask_emb",
        "feature_projection.layer_norm": "layer_norm",
        "feature_projection.projection": "post_extract_proj",
        ".conv.weight": ".0.weight",
        "pos_conv_embed.conv": "pos_conv.0",
        "attention.": "self_attn.",
        "feed_forward.intermediate_dense": "fc1",
        "feed_forward.output_dense": "fc2",
        "gru_rel_pos_linear": "grep_linear",
        "gru_rel_pos_const": "grep_a",
        "rel_attn_embed": "relative_attention_bias",
    }
    if "conv_layers" in name:
        name = name.replace("layer_norm", "2.1" if stable else "2")
    elif "encoder.layers" in name and "final" not in name:
        name = name.replace("layer_norm", "self_attn_layer_norm")
    for old, new in changes.items():
        name = name.replace(old, new)
    return name
