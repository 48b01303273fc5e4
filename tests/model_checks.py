"""Checks that every registered model must pass. A model is found in fairseq's registry, never named here.

Legend: B clips, S samples of the longest, T frames.
"""

import copy
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY, build_model
from omegaconf import OmegaConf
from small_encoder import SIZES
from torch import Tensor, nn

import fairseq_ext.models  # noqa: F401 - registers them
from fairseq_ext.modules.padding import valid_mask

RATE_HZ = 8000
# Sizes of the keys that our configurations share; a model with other keys is built with its defaults. Masks are on:
# without them an encoder's mask embedding has no gradient.
TINY: dict[str, Any] = {
    **SIZES,
    "final_dim": 16,
    "latent_vars": 8,
    "num_negatives": 5,
    "projection_dim": 8,
    "mask_prob": 0.65,
    "front_end_width": 4,
    "front_end_blocks": "1,1",
}
# All that our tasks give to `build_model`: whatever a model reads of its task is here.
TASK = SimpleNamespace(
    num_classes=3,
    streams={"accent": ["balear", "central", "nord"], "gender": ["female", "male"]},
    symbols=["<s>", "<pad>", "</s>", "<unk>", "|", *"abc"],
    sample_rate_hz=RATE_HZ,
    num_units=[6],
    num_frame_classes=0,
    num_starts=0,
)
# A picture of a mouth, and the sound that goes with it, is made of so many samples.
SAMPLES_PER_FRAME = 400


def registered(base: type = object) -> list[str]:
    """Return the names of our models, those of a base class only if one is given."""
    return sorted(
        name for name, found in MODEL_REGISTRY.items() if name.startswith("ext_") and issubclass(found, base)
    )


def make(name: str, seed: int = 1) -> Any:
    """Build a small model as fairseq does, from a structured configuration for a task."""
    torch.manual_seed(seed)
    config = MODEL_DATACLASS_REGISTRY[name]
    keys = {key: value for key, value in TINY.items() if key in config.__dataclass_fields__}
    cfg = OmegaConf.structured(config(**keys))
    cfg._name = name
    return build_model(cfg, TASK)


def clips() -> tuple[Tensor, Tensor]:
    """Return (B, S) noise of unequal lengths, and its padding mask."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.tensor([4000, 2600, 1700])
    valid = valid_mask(lengths, 4000)
    return torch.randn(3, 4000, generator=generator) * valid, ~valid


def inputs(model: Any, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Any]:
    """Return what a model takes, by the names of its arguments: waveforms, or pictures and sound made of them."""
    names = inspect.signature(model.forward).parameters
    if "video" not in names:
        return {"source": source, "padding_mask": padding_mask}
    size = source.shape[1] // SAMPLES_PER_FRAME
    frames = source[:, : size * SAMPLES_PER_FRAME].view(len(source), size, SAMPLES_PER_FRAME)
    mask = None
    if padding_mask is not None:
        mask = padding_mask[:, : size * SAMPLES_PER_FRAME].view_as(frames).any(2)
    found = {
        "video": frames.view(len(source), 1, size, 20, 20),
        "audio": frames[:, :, :104].transpose(1, 2),
        "padding_mask": mask,
    }
    if "prev_output_tokens" in names:
        found["prev_output_tokens"] = torch.tensor([[2, 5, 6]]).expand(len(source), 3)
    return found


def outputs(model: Any, source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Tensor]:
    """Return the floating-point outputs of a model by name; what it draws is the same at each call."""
    torch.manual_seed(3)
    return dict(_tensors("", model(**inputs(model, source, padding_mask))))


def _tensors(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(f"{name}.{key}", item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _tensors(f"{name}.{number}", item)


@torch.no_grad()
def check_padding(model: Any) -> None:
    """Check that a clip gives the same alone and in a padded batch.

    All outputs count; of a model that sets `forward_mixes_clips`, the frames of `encode`.
    """

    def run(source: Tensor, padding_mask: Tensor | None = None) -> dict[str, Tensor]:
        if getattr(model, "forward_mixes_clips", False):
            return {"frames": model.encode(**inputs(model, source, padding_mask)).frames}
        return outputs(model, source, padding_mask)

    model.eval()
    source, padding_mask = clips()
    together = run(source, padding_mask)
    assert together, "the model gives no floating-point output"
    for i in range(len(source)):
        for name, alone in run(source[i : i + 1, ~padding_mask[i]]).items():
            found = together[name][i : i + 1]
            if alone.ndim > 2:
                found = found[:, : alone.shape[1]]  # frames beyond the clip's end mean nothing
            torch.testing.assert_close(found, alone, rtol=1e-3, atol=1e-4, msg=f"{name}: padding counts")


@torch.no_grad()
def check_save_and_load(name: str, folder: Path) -> None:
    """Check that a model built anew gives the same with the weights of a file, bit by bit."""
    first, second = make(name, seed=1).eval(), make(name, seed=2).eval()
    torch.save(first.state_dict(), folder / "weights.pt")
    second.load_state_dict(torch.load(folder / "weights.pt", weights_only=True), strict=True)
    expected, found = outputs(first, *clips()), outputs(second, *clips())
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        assert torch.equal(found[key], value), f"{key}: not the same after saving and loading"


def check_gradients(model: nn.Module) -> None:
    """Check that every parameter that is trained has a gradient that is finite and not zero."""
    model.train()
    generator = torch.Generator().manual_seed(4)
    found = [value for value in outputs(model, *clips()).values() if value.requires_grad]
    # Along random directions: a softmax's outputs, say, have a sum without gradient.
    sum((value * torch.randn(value.shape, generator=generator)).sum() for value in found).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"{name}: no gradient"
            assert torch.isfinite(parameter.grad).all(), f"{name}: gradient not finite"
            assert parameter.grad.any(), f"{name}: gradient zero"


@torch.no_grad()
def check_copy(model: Any) -> None:
    """Check that a model can be averaged (EMA): a copy gives the same, and fairseq can scale all that it holds."""
    model.eval()
    expected = outputs(model, *clips())
    for name, value in outputs(copy.deepcopy(model), *clips()).items():
        assert torch.equal(value, expected[name]), f"{name}: a copy gives another result"
    whole = [name for name, value in model.state_dict().items() if not value.is_floating_point()]
    assert not whole, f"{whole}: not floating-point, so that averaging fails"
