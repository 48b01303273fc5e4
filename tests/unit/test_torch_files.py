"""Files of torch: every place that loads one compares the checksums first."""

import ast
from pathlib import Path

import pytest
import torch

import fairseq_ext
from fairseq_ext.labelling.load import find_kind, load_engine
from fairseq_ext.torch_files import TorchFileError, loading

MODULES = sorted(Path(fairseq_ext.__file__).parent.rglob("*.py"))


def is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".", 1)[-1] == name


def test_every_torch_load_is_in_a_block_that_checks_the_file() -> None:
    found = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if "torch.load" not in text:
            continue
        tree = ast.parse(text)
        checked = {
            id(call)
            for block in ast.walk(tree)
            if isinstance(block, ast.With)
            and any(is_call(item.context_expr, "loading") for item in block.items)
            for call in ast.walk(block)
        }
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
        ]
        found += [path.name for _ in calls]
        assert all(id(call) in checked for call in calls), path
    assert len(found) >= 4


def flipped(path: Path) -> None:
    """Flip a bit of the weights of an archive."""
    content = bytearray(path.read_bytes())
    at = content.index(torch.full((64,), 3.0).numpy().tobytes())
    content[at + 9] ^= 1
    path.write_bytes(content)


def test_a_damaged_model_of_a_labeller_is_named_before_a_package_loads_it(tmp_path: Path) -> None:
    whole = {"dims": {"n_mels": 80}, "model_state_dict": {"a": torch.full((64,), 3.0)}}
    path = tmp_path / "openai.pt"
    torch.save(whole, path)
    assert find_kind(str(path)) == "openai"
    flipped(path)
    folder = tmp_path / "hf"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    path.with_name("hf").joinpath("pytorch_model.bin").write_bytes(path.read_bytes())
    expected = r"it is damaged \(the checksum of .* does not match\); copy it again"
    with pytest.raises(TorchFileError, match=rf"openai\.pt: {expected}"):
        find_kind(str(path))
    with pytest.raises(TorchFileError, match=rf"openai\.pt: {expected}"):
        load_engine(str(path), "openai")
    with pytest.raises(TorchFileError, match=rf"pytorch_model\.bin: {expected}"):
        load_engine(str(folder))
    with pytest.raises(TorchFileError, match=expected), loading(path):
        raise AssertionError("loaded")


def test_what_is_no_archive_has_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_text("version https://example.org")
    with pytest.raises(TorchFileError, match=r"a\.pt: it is text, ") as caught, loading(path):
        torch.load(path, weights_only=True)
    assert not caught.value.is_damaged
