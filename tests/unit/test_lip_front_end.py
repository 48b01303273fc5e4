"""Front ends of lip readers: the plain module's results in any batch; streams fused, dropped by seed, missing."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairseq_ext.modules.av_encoder_input import AvFrontEnd, AvFrontEndConfig
from fairseq_ext.modules.lip_front_end import LipFrontEnd, block_counts
from fairseq_ext.modules.masking import draw_uniform
from fairseq_ext.modules.prelu import PReLU
from fairseq_ext.modules.winograd import convolve

SMALL = (4, "2,1,1", 1)
LENGTHS = (7, 5, 2)


@pytest.fixture(scope="module")
def plain() -> Any:
    """Return the plain module of the benchmark."""
    return runpy.run_path(str(Path(__file__).parents[1] / "bench/lip_front_end.py"))["Plain"]


def clips(side: int = 40, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return (B, 1, T, H, W) noise, not 0 on padding, and lengths (B,)."""
    video = torch.randn(len(LENGTHS), 1, max(LENGTHS), side, side, generator=torch.Generator().manual_seed(1))
    return video.to(dtype), torch.tensor(LENGTHS)


def gradients(model: nn.Module, output: Tensor) -> Mapping[str, Tensor]:
    """Return the gradients of parameters along a random direction of the output."""
    model.zero_grad()
    direction = torch.randn(output.shape, generator=torch.Generator().manual_seed(2)).to(output)
    (output * direction).sum().backward()
    return {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("size", [SMALL, (4, "1,1", 2), (6, "2,2,2,2", 1)])
@pytest.mark.parametrize("train", [True, False])
def test_plain_module_gives_the_same(plain: Any, size: tuple[int, str, int], train: bool) -> None:
    torch.manual_seed(1)
    reference, ours = plain(*size).double(), LipFrontEnd(*size).double()
    ours.load_state_dict(reference.state_dict())
    for model in (reference, ours):
        model.train(train)
    video, _ = clips(dtype=torch.double)
    expected, found = reference(video), ours(video)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    wanted = gradients(reference, expected)
    got = gradients(ours, found)
    assert wanted.keys() == got.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(got[name], value, rtol=1e-7, atol=1e-9, msg=name)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, check_dtype=False, msg=name)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_negative_slopes_are_not_pooled_first(plain: Any, sign: float) -> None:
    reference, ours = plain(*SMALL).double(), LipFrontEnd(*SMALL).double()
    with torch.no_grad():
        reference.frontend3D[2].weight.mul_(sign)
        reference.frontend3D[1].weight.mul_(-1)
    ours.load_state_dict(reference.state_dict())
    video, _ = clips(dtype=torch.double)
    torch.testing.assert_close(ours(video), reference(video), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("train", [True, False])
def test_padding_does_not_count(train: bool) -> None:
    torch.manual_seed(1)
    model = LipFrontEnd(*SMALL).train(train)
    video, lengths = clips()
    together = model(video, lengths)
    assert not together[1, 5:].any()
    other = video.clone()
    for number, size in enumerate(LENGTHS):
        other[number, :, size:] = 100.0
    assert torch.equal(model(other, lengths), together)
    longer = torch.nn.functional.pad(video, (0, 0, 0, 0, 0, 9))
    torch.testing.assert_close(model(longer, lengths)[:, :7], together, rtol=0, atol=1e-5)
    if not train:
        for number, size in enumerate(LENGTHS):
            alone = model(video[number : number + 1, :, :size])
            torch.testing.assert_close(together[number : number + 1, :size], alone, rtol=0, atol=1e-5)


def test_statistics_are_those_of_valid_frames() -> None:
    torch.manual_seed(1)
    model = LipFrontEnd(*SMALL)
    video, _ = clips()
    model(video, torch.tensor([7, 7, 0]))
    padded = model.frontend3D[1].running_mean.clone()
    model.frontend3D[1].reset_running_stats()
    model(video[:2])
    torch.testing.assert_close(model.frontend3D[1].running_mean, padded)


@pytest.mark.parametrize(("channels", "height", "width"), [(256, 6, 6), (256, 3, 3), (8, 5, 7), (8, 1, 2)])
def test_fewer_products_give_the_same_convolution(channels: int, height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(1)
    planes = torch.randn(2, channels, height, width, generator=generator, requires_grad=True)
    weight = torch.randn(channels + 8, channels, 3, 3, generator=generator) / (3 * channels**0.5)
    weight.requires_grad_()
    exact = [value.detach().double().requires_grad_() for value in (planes, weight)]
    expected = torch.nn.functional.conv2d(*exact, padding=1)
    found = convolve(planes, weight)
    direction = torch.randn(found.shape, generator=generator)
    wanted = torch.autograd.grad((expected * direction).sum(), exact)
    got = torch.autograd.grad((found * direction).sum(), (planes, weight))
    for value, truth in zip((found, *got), (expected, *wanted), strict=True):
        assert float((value - truth).detach().abs().max() / truth.detach().std()) < 1e-4


def test_prelu_gives_torch_s_gradients() -> None:
    generator = torch.Generator().manual_seed(1)
    ours, torchs = PReLU(3).double(), nn.PReLU(3).double()
    with torch.no_grad():
        ours.weight.copy_(torch.tensor([0.5, -0.1, 0.0]))
        torchs.weight.copy_(ours.weight)
    given = torch.randn(2, 3, 4, 5, dtype=torch.double, generator=generator)
    found = []
    for model in (ours, torchs):
        planes = given.clone().requires_grad_()
        model(planes).square().sum().backward()
        found.append((planes.grad, model.weight.grad))
    torch.testing.assert_close(*found)


def test_keys_are_the_published_ones() -> None:
    keys = LipFrontEnd().state_dict().keys()
    assert {
        "frontend3D.0.weight",
        "frontend3D.1.running_mean",
        "frontend3D.2.weight",
        "trunk.layer1.0.conv1.weight",
        "trunk.layer1.0.relu1.weight",
        "trunk.layer4.1.bn2.bias",
        "trunk.layer2.0.downsample.1.weight",
    } <= keys
    assert sum(value.numel() for value in LipFrontEnd().parameters()) == pytest.approx(11.2e6, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"blocks": "2,x"}, "front_end_blocks: '2,x' is no list of whole numbers"),
        ({"width": 0}, "1 or more expected, found 0, 1"),
        ({"activation": "gelu"}, "one of prelu, relu, swish expected, found 'gelu'"),
    ],
)
def test_impossible_sizes_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LipFrontEnd(**options)
    assert block_counts("2, 1,1") == [2, 1, 1]


def front_end(**keys: Any) -> AvFrontEnd:
    torch.manual_seed(1)
    config = AvFrontEndConfig(front_end_width=4, front_end_blocks="1,1", encoder_embed_dim=8, **keys)
    return AvFrontEnd(config)


def batch() -> tuple[Tensor, Tensor, Tensor]:
    video, lengths = clips()
    audio = torch.randn(3, 104, 7, generator=torch.Generator().manual_seed(3))
    return video, audio, torch.arange(7)[None] >= lengths[:, None]


@pytest.mark.parametrize("fusion", ["concat", "add"])
def test_missing_stream_is_zeros(fusion: str) -> None:
    model = front_end(modality_fuse=fusion).eval()
    video, audio, padding = batch()
    assert model(video, audio, padding).shape == (3, 7, 8)
    silent, unseen = model(video, None, padding), model(None, audio, padding)
    for kept, alone in (("feature_extractor_audio", silent), ("feature_extractor_video", unseen)):
        gone = front_end(modality_fuse=fusion).eval()
        extractor = getattr(gone, kept)
        (extractor["proj"] if isinstance(extractor, nn.ModuleDict) else extractor.proj).requires_grad_(False)
        for value in (
            extractor["proj"] if isinstance(extractor, nn.ModuleDict) else extractor.proj
        ).parameters():
            value.zero_()
        torch.testing.assert_close(gone(video, audio, padding), alone)


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_network_of_one_stream_takes_no_other(modality: str) -> None:
    model = front_end(modality=modality).eval()
    video, audio, padding = batch()
    given = model(video if modality == "video" else None, None if modality == "video" else audio, padding)
    assert torch.equal(model(video, audio, padding), given)
    with pytest.raises(ValueError, match=rf"model\.modality={modality}: the batch holds no stream of it"):
        model(None if modality == "video" else video, audio if modality == "video" else None)


@pytest.mark.parametrize(("audio_dropout", "gone"), [(1.0, "audio"), (0.0, "video")])
def test_dropped_stream_is_as_if_missing(audio_dropout: float, gone: str) -> None:
    model = front_end(modality_dropout=1.0, audio_dropout=audio_dropout)
    video, audio, padding = batch()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()  # its statistics would be those of other frames
    dropped = model(video, audio, padding, torch.tensor([1, 2, 3]))
    expected = model(None if gone == "video" else video, None if gone == "audio" else audio, padding)
    torch.testing.assert_close(dropped, expected)


def test_streams_are_dropped_by_seed() -> None:
    model = front_end(modality_dropout=0.5)
    video, audio, _ = batch()
    seeds = torch.arange(400)
    keep = model._keep(400, seeds, seeds.device, video, audio)
    shares = [float(value.double().mean()) for value in keep if value is not None]
    assert shares == pytest.approx([0.75, 0.75], abs=0.06)
    again = model._keep(1, seeds[7:8], seeds.device, video, audio)
    assert [bool(value[0]) for value in again if value is not None] == [
        bool(v[7]) for v in keep if v is not None
    ]
    assert model.eval()._keep(400, seeds, seeds.device, video, audio) == (None, None)
    assert float(draw_uniform(seeds, "a").sub(draw_uniform(seeds, "b")).abs().min()) > 0


def test_clip_s_dropped_pictures_leave_the_others_alone() -> None:
    model = front_end(modality_dropout=0.5)
    video, audio, padding = batch()
    many = torch.arange(400)
    keeps = model._keep(400, many, many.device, video, audio)[0]
    assert keeps is not None
    kept, dropped = many[keeps], many[~keeps]
    seeds = torch.stack([kept[0], dropped[0], kept[1]])
    first = model(video, audio, padding, seeds)
    other = video.clone()
    other[1] = torch.randn_like(other[1])
    assert torch.equal(model(other, audio, padding, seeds), first)


def test_impossible_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="one of concat, add expected, found 'mix'"):
        front_end(modality_fuse="mix")
    with pytest.raises(ValueError, match=r"modality_dropout: 0 to 1 expected, found 1\.5"):
        front_end(modality_dropout=1.5)
