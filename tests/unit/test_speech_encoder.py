"""The encoder by itself: padding, short clips, masks, layers left out, names of older and newer checkpoints."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fairseq_ext.modules.conv_layers import conv_lengths, parse_conv_layers, receptive_field
from fairseq_ext.modules.speech_encoder import SpeechEncoder, SpeechEncoderConfig

SMALL = SpeechEncoderConfig(
    conv_feature_layers="[(24, 10, 5)] + [(24, 3, 2)] * 2 + [(24,2,2)]",
    encoder_layers=2,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=64,
    encoder_attention_heads=4,
    conv_pos=17,
    conv_pos_groups=4,
)
CONFIGS = {
    "base": SMALL,
    "large": replace(SMALL, extractor_mode="layer_norm", layer_norm_first=True, conv_bias=True),
    "WavLM": replace(
        SMALL, relative_position_embedding=True, gru_rel_pos=True, num_buckets=16, max_distance=40
    ),
    "kernels": replace(SMALL, conv_feature_layers="[(24, 7, 4), (16, 2, 3), (24, 5, 3), (24, 3, 1)]"),
    "gabor": replace(SMALL, conv_feature_layers="[(24, 320, 20)] + [(24, 3, 2)]", extractor_init="gabor"),
}


@pytest.fixture(params=CONFIGS, name="encoder")
def _encoder(request: pytest.FixtureRequest) -> SpeechEncoder:
    return make(CONFIGS[request.param])


def make(config: SpeechEncoderConfig) -> SpeechEncoder:
    """Return an encoder with weights far from their initial values, without dropout."""
    torch.manual_seed(1)
    encoder = SpeechEncoder(config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return encoder


def padded(clips: list[Tensor], filler: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return a batch with its padding mask."""
    lengths = torch.tensor([len(clip) for clip in clips])
    source = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
    mask = torch.arange(source.shape[1])[None] >= lengths[:, None]
    return source.masked_fill(mask, filler), mask


@pytest.mark.parametrize("filler", [0.0, 3.0])
def test_padding_does_not_reach_a_valid_frame(encoder: SpeechEncoder, filler: float) -> None:
    clips = [torch.randn(size) + 0.5 for size in (3000, 1234, 400)]
    source, mask = padded(clips, filler)
    with torch.no_grad():
        batch = encoder(source, mask, return_hidden=True)
        for row, clip in enumerate(clips):
            alone = encoder(clip[None], return_hidden=True)
            size = int(alone.lengths)
            assert size == batch.frames.new_tensor(int(batch.lengths[row]))
            for mine, theirs in zip(
                [alone.frames, *alone.hidden], [batch.frames, *batch.hidden], strict=True
            ):
                torch.testing.assert_close(mine[0, :size], theirs[row, :size], atol=1e-5, rtol=0)


def test_padding_does_not_reach_a_gradient() -> None:
    encoder = make(SMALL)
    clips = [torch.randn(size) for size in (3000, 1234)]
    direction = torch.randn(encoder.out_dim)

    def gradients(*batches: tuple[Tensor, Tensor]) -> list[Tensor]:
        encoder.zero_grad()
        for source, mask in batches:
            output = encoder(source, mask)
            for row, size in enumerate(output.lengths.tolist()):
                (output.frames[row, :size] @ direction).sum().backward(retain_graph=True)
        return [p.grad.clone() for p in encoder.parameters() if p.grad is not None]

    for mine, theirs in zip(
        gradients(padded(clips)), gradients(*(padded([clip]) for clip in clips)), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [0, 1, 5, 49, 50, 400])
def test_clip_of_any_length_gives_finite_frames(encoder: SpeechEncoder, size: int) -> None:
    output = encoder(torch.randn(2, size))
    assert output.frames.shape[1] >= 1
    assert output.lengths.tolist() == encoder.frame_lengths(torch.tensor([size] * 2)).tolist()
    assert output.frames.isfinite().all()
    long = torch.randn(1000)
    source, mask = padded([long, torch.randn(size)])
    both = encoder(source, mask)
    assert both.frames.isfinite().all()
    torch.testing.assert_close(both.frames[0], encoder(long[None]).frames[0], atol=1e-5, rtol=0)
    both.frames[0].sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_lengths_are_those_of_the_convolutions(encoder: SpeechEncoder) -> None:
    for size in range(60, 400, 7):
        frames, _ = encoder.features(torch.randn(1, size))
        expected = int(encoder.frame_lengths(torch.tensor([size])))
        assert frames.shape[1] == max(expected, 1)
    shortest = receptive_field(encoder.feature_extractor.layers)
    assert encoder.frame_lengths(torch.tensor([shortest - 1, shortest])).tolist() == [0, 1]


def test_base_geometry_is_the_published_one() -> None:
    layers = parse_conv_layers(SpeechEncoderConfig().conv_feature_layers)
    assert receptive_field(layers) == 400
    assert conv_lengths(torch.tensor([16000, 399, 0]), layers).tolist() == [49, 0, 0]
    with torch.device("meta"):
        assert SpeechEncoder(SpeechEncoderConfig()).hop_samples == 320


def test_level_of_the_waveform_does_not_matter_after_the_group_norm() -> None:
    encoder = make(SMALL)
    source = torch.randn(1, 2000)
    expected, _ = encoder.features(source)
    torch.testing.assert_close(encoder.features(20 * source + 3)[0], expected, atol=1e-4, rtol=0)


def test_masked_frames_are_not_seen() -> None:
    encoder = make(SMALL)
    source = torch.randn(1, 2000)
    size = int(encoder.frame_lengths(torch.tensor([2000])))
    everything = torch.ones(1, size, dtype=torch.bool)
    first = encoder(source, time_mask=everything).frames
    torch.testing.assert_close(encoder(torch.randn(1, 2000), time_mask=everything).frames, first)
    assert not torch.allclose(encoder(source).frames, first)


def test_masked_channels_are_not_seen() -> None:
    encoder = make(replace(SMALL, encoder_embed_dim=24, encoder_attention_heads=4))
    features = torch.randn(1, 30, 24)
    channels = torch.arange(24)[None] < 10
    changed = features.clone()
    changed[:, :, :10] += 5
    expected = encoder.contextualize(features, None, channel_mask=channels).frames
    found = encoder.contextualize(changed, None, channel_mask=channels).frames
    torch.testing.assert_close(found, expected)


def test_dropped_layers_follow_the_seed() -> None:
    encoder = make(
        replace(SMALL, encoder_layerdrop=0.5, encoder_layers=6, dropout=0.0, attention_dropout=0.0)
    )
    source = torch.randn(1, 1000)

    def unchanged(seed: int) -> list[bool]:
        torch.manual_seed(seed)
        hidden = encoder.train()(source, return_hidden=True).hidden
        return [torch.equal(a, b) for a, b in itertools.pairwise(hidden)]

    draws = [unchanged(seed) for seed in range(8)]
    assert draws == [unchanged(seed) for seed in range(8)]
    assert 10 < sum(map(sum, draws)) < 38
    hidden = encoder.eval()(source, return_hidden=True).hidden
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(hidden))


@pytest.mark.parametrize(("scale", "expected"), [(1.0, 1.0), (0.1, 0.1), (0.0, 0.0)])
def test_gradient_of_the_convolutions_is_scaled(scale: float, expected: float) -> None:
    source = torch.randn(1, 1000)
    norms = []
    for factor in (1.0, scale):
        encoder = make(replace(SMALL, feature_grad_mult=factor))
        encoder(source).frames.square().mean().backward()
        weight = encoder.feature_extractor.conv_layers[1]["0"].weight
        norms.append(0.0 if weight.grad is None else float(weight.grad.norm()))
    assert norms[1] == pytest.approx(expected * norms[0], rel=1e-4)


def test_frozen_convolutions_need_no_gradient() -> None:
    encoder = make(SMALL)
    encoder.feature_extractor.requires_grad_(False)
    frames, _ = encoder.conv_frames(torch.randn(1, 1000))
    assert not frames.requires_grad
    encoder(torch.randn(1, 1000)).frames.sum().backward()
    assert encoder.encoder.layers[0].fc1.weight.grad is not None


def test_newer_names_of_the_position_weights_load() -> None:
    encoder, other = make(SMALL), SpeechEncoder(SMALL)
    weights = encoder.state_dict()
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        moved = weights.pop(f"encoder.pos_conv.0.{old}")
        weights[f"encoder.pos_conv.0.parametrizations.weight.{new}"] = moved
    other.load_state_dict(weights)
    for name, value in other.state_dict().items():
        assert torch.equal(value, encoder.state_dict()[name])


def test_bfloat16_stays_close() -> None:
    encoder = make(SMALL)
    source = torch.randn(2, 2000)
    with torch.no_grad():
        expected = encoder(source).frames
        found = encoder.bfloat16()(source.bfloat16()).frames
    assert found.dtype == torch.bfloat16
    assert float((found.float() - expected).abs().mean() / expected.abs().mean()) < 0.03


@pytest.mark.parametrize(
    "text", ["", "[]", "[(512, 10)]", "[(512, 0, 5)]", "__import__('os').getcwd()", "[(1, 2, 3)] +", "5"]
)
def test_bad_layers_are_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"conv_feature_layers: .* is not a list of \(channels, kernel, stride\)"
    ):
        parse_conv_layers(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_attention_heads": 5}, "encoder_attention_heads: 5 does not divide .* \\(32\\)"),
        ({"conv_pos_groups": 5}, "conv_pos_groups: 5 does not divide .* \\(32\\)"),
        ({"activation_fn": "gleu"}, "activation_fn: one of gelu"),
        ({"extractor_mode": "layernorm"}, "extractor_mode: one of default, layer_norm expected"),
    ],
)
def test_bad_sizes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpeechEncoder(replace(SMALL, **change))
