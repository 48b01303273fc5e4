"""What every registered model must do, and that a wrong model is caught without being named anywhere."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fairseq.models
import pytest
from model_checks import check_copy, check_gradients, check_padding, check_save_and_load, make, registered

import fairseq_ext.models

WRONG = '''
from dataclasses import dataclass

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.models import BaseFairseqModel, register_model


@dataclass
class Config(FairseqDataclass):
    pass


class Right(BaseFairseqModel):
    """Energy of the signal, scaled: independent of padding, saved, trained."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.randn(2))

    @classmethod
    def build_model(cls, cfg, task):
        return cls()

    def energy(self, source, padding_mask):
        count = source.shape[1] if padding_mask is None else (~padding_mask).sum(1, keepdim=True)
        return source.square().sum(1, keepdim=True) / count

    def forward(self, source, padding_mask=None):
        return {"logits": self.energy(source, padding_mask) * self.scale}


@register_model("ext_right", dataclass=Config)
class Registered(Right):
    pass


@register_model("ext_padding_counts", dataclass=Config)
class PaddingCounts(Right):
    def energy(self, source, padding_mask):
        return source.square().mean(1, keepdim=True)


@register_model("ext_forgets", dataclass=Config)
class Forgets(Right):
    """Has a random buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.randn(2), persistent=False)

    def forward(self, source, padding_mask=None):
        return {"logits": self.energy(source, padding_mask) * self.scale + self.shift}


@register_model("ext_unused", dataclass=Config)
class Unused(Right):
    def __init__(self):
        super().__init__()
        self.spare = torch.nn.Parameter(torch.randn(2))


@register_model("ext_detached", dataclass=Config)
class Detached(Right):
    def __init__(self):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.randn(2))

    def forward(self, source, padding_mask=None):
        return {"logits": self.energy(source, padding_mask) * self.scale + self.shift * 0.0}


@register_model("ext_counts", dataclass=Config)
class Counts(Right):
    """Has an integer buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1, dtype=torch.long))
'''


@pytest.mark.parametrize("name", registered())
def test_padding_does_not_count(name: str) -> None:
    check_padding(make(name))


@pytest.mark.parametrize("name", registered())
def test_saved_and_loaded_model_gives_the_same(name: str, tmp_path: Path) -> None:
    check_save_and_load(name, tmp_path)


@pytest.mark.parametrize("name", registered())
def test_gradients_reach_every_parameter(name: str) -> None:
    check_gradients(make(name))


@pytest.mark.parametrize("name", registered())
def test_model_can_be_averaged(name: str) -> None:
    check_copy(make(name))


def test_every_file_of_models_is_checked() -> None:
    files = [path for path in Path(fairseq_ext.models.__path__[0]).glob("*.py") if path.stem[0] != "_"]
    assert registered() == sorted(f"ext_{path.stem}" for path in files)


@pytest.fixture
def wrong_models(tmp_path: Path) -> Iterator[list[str]]:
    """Register the models of a new file for the time of a test; gives their names."""
    registries: list[dict[str, Any]] = [
        value for name, value in vars(fairseq.models).items() if name.endswith("_REGISTRY")
    ]
    before = [dict(registry) for registry in registries]
    known = registered()
    path = tmp_path / "wrong_models.py"
    path.write_text(WRONG, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("wrong_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["wrong_models"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield [name for name in registered() if name not in known]
    del sys.modules["wrong_models"]
    for registry, content in zip(registries, before, strict=True):
        registry.clear()
        registry.update(content)


def test_wrong_models_fail_without_being_named(wrong_models: list[str], tmp_path: Path) -> None:
    checks: dict[str, Callable[[str], None]] = {
        "padding": lambda name: check_padding(make(name)),
        "saving": lambda name: check_save_and_load(name, tmp_path),
        "gradients": lambda name: check_gradients(make(name)),
        "averaging": lambda name: check_copy(make(name)),
    }
    failed: dict[str, list[str]] = {name: [] for name in wrong_models}
    for name in wrong_models:
        for what, check in checks.items():
            try:
                check(name)
            except AssertionError:
                failed[name].append(what)
    assert failed == {
        "ext_counts": ["averaging"],
        "ext_detached": ["gradients"],
        "ext_forgets": ["saving"],
        "ext_padding_counts": ["padding"],
        "ext_right": [],
        "ext_unused": ["gradients"],
    }
