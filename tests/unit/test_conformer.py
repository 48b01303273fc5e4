"""The conformer: padding, positions, gradients; against a direct computation."""

import pytest
import torch
import torch.nn.functional as F

from fairseq_ext.modules.attention import rotate
from fairseq_ext.modules.conformer import ConformerConfig, ConformerEncoder, ConvModule
from fairseq_ext.modules.padding import valid_mask


def encoder(positions: str = "relative", **keys: int) -> ConformerEncoder:
    torch.manual_seed(1)
    config = ConformerConfig(
        encoder_layers=2,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=32,
        encoder_attention_heads=4,
        conv_kernel=5,
        positions=positions,
        num_buckets=8,
        max_distance=20,
    )
    for name, value in keys.items():
        setattr(config, name, value)
    return ConformerEncoder(config)


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_padding_does_not_count(positions: str) -> None:
    model = encoder(positions).eval()
    frames, lengths = torch.randn(3, 20, 16), torch.tensor([20, 11, 1])
    noise = frames.masked_fill(~valid_mask(lengths, 20)[:, :, None], 7.0)
    together = model(noise, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model(frames[row : row + 1, :length])
        torch.testing.assert_close(together[row : row + 1, :length], alone, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(model(frames, torch.tensor([20, 3, 0]))).all()


@pytest.mark.parametrize("positions", ["relative", "rotary"])
def test_order_of_frames_counts_and_gradients_reach_all(positions: str) -> None:
    model, frames = encoder(positions), torch.randn(2, 9, 16)
    (model(frames) * torch.randn(2, 9, 16)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    model.eval()
    # Without its convolutions only positions tell the order of the frames.
    for layer in model.layers:
        torch.nn.init.zeros_(layer.conv.out.weight)
    turned = model(frames.flip(1)).flip(1)
    assert (model(frames) - turned).abs().max() > 1e-4


def test_rotated_products_depend_on_the_distance_alone() -> None:
    query, key = torch.randn(2, 1, 1, 1, 8).double().expand(2, 1, 1, 6, 8)
    products = (rotate(query) @ rotate(key).transpose(2, 3))[0, 0]
    for distance in range(-5, 6):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    torch.testing.assert_close(products[0, 0], query[0, 0, 0] @ key[0, 0, 0])


def test_convolution_is_that_of_the_paper() -> None:
    torch.manual_seed(2)
    module, frames = ConvModule(6, 3, 0.0).double(), torch.randn(1, 7, 6).double()
    normed = F.layer_norm(frames, (6,))
    value, gate = (normed @ module.gate.weight.T + module.gate.bias).chunk(2, -1)
    gated = F.pad(value * gate.sigmoid(), (0, 0, 1, 1))
    summed = sum(gated[:, k : k + 7] * module.depthwise.weight[:, 0, k] for k in range(3))
    expected = F.silu(F.layer_norm(summed, (6,))) @ module.out.weight.T + module.out.bias
    torch.testing.assert_close(module(frames, None), expected)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"conv_kernel": 4}, "an odd number expected, found 4"),
        ({"encoder_attention_heads": 3}, "3 does not divide"),
        ({"encoder_attention_heads": 16, "positions": "rotary"}, "odd width"),
        ({"positions": "none"}, "one of relative, rotary expected"),
    ],
)
def test_what_cannot_be_built_is_refused(keys: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**keys)
