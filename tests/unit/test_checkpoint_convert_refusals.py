"""What cannot be converted is refused with the reason, and nothing is written."""

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from convertible import PREPROCESSOR, WEIGHTS, change, drop, own_checkpoint, rename, truncate
from safetensors.torch import load_file, save_file

from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.inference.recognizer import load_recognizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a recogniser's folder as transformers does."""
    convert(own_checkpoint(tmp_path / "own.pt"), tmp_path / "theirs")
    return tmp_path / "theirs"


def run_command(repository: Path, monkeypatch: pytest.MonkeyPatch, *arguments: Path) -> None:
    """Run the tool in this process: its start-up is fairseq's."""
    program = str(repository / "tools" / "convert_checkpoint.py")
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    runpy.run_path(program, run_name="__main__")


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "unknown architecture": (
        lambda f: change(f / "config.json", model_type="whisper"),
        r"config\.json: model_type wav2vec2, hubert, wavlm expected, found 'whisper'",
    ),
    "adapter": (
        lambda f: change(f / "config.json", add_adapter=True),
        "add_adapter = False expected, found True",
    ),
    "norm": (lambda f: change(f / "config.json", layer_norm_eps=1e-6), "layer_norm_eps"),
    "activation": (lambda f: change(f / "config.json", hidden_act="selu"), "gelu.*expected, found 'selu'"),
    "extractor": (lambda f: change(f / "config.json", feat_extract_norm="batch"), "group or layer expected"),
    "convolutions": (
        lambda f: change(f / "config.json", conv_kernel=[10]),
        "have different lengths, 2, 1, 2",
    ),
    "width": (
        lambda f: change(f / "config.json", intermediate_size=25),
        r"intermediate_dense.* of shape \(25.* found \(24",
    ),
    "fewer layers": (
        lambda f: change(f / "config.json", num_hidden_layers=2),
        r"0 missing .* 16 surplus \['wav2vec2\.encoder\.layers\.2",
    ),
    "more layers": (
        lambda f: change(f / "config.json", num_hidden_layers=4),
        "16 missing .*encoder.layers.3",
    ),
    "no config.json": (lambda f: (f / "config.json").unlink(), r"theirs: no config\.json in this folder"),
    "half a config.json": (lambda f: truncate(f / "config.json"), r"config\.json is not JSON in UTF-8"),
    "Latin-1": (
        lambda f: (f / "vocab.json").write_bytes(b'{"\xe7": 1}'),
        r"vocab\.json is not JSON in UTF-8",
    ),
    "list": (lambda f: (f / "config.json").write_text("[]"), "holds a list, not a JSON object"),
    "missing tensor": (
        lambda f: drop(f, "wav2vec2.encoder.layers.1.attention.k_proj.bias"),
        r"1 missing \(by fairseq's names: \['encoder\.layers\.1\.self_attn\.k_proj\.bias'\]\)",
    ),
    "strange tensor": (
        lambda f: rename(f, "lm_head.bias", "lm_tail.bias"),
        "the weight 'lm_tail.bias' belongs to none of",
    ),
    "half the weights": (lambda f: truncate(f / WEIGHTS), r"model\.safetensors: the weights cannot be read"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), r"neither model\.safetensors nor pytorch_model\.bin"),
    "missing shard": (
        lambda f: (
            (f / WEIGHTS).rename(f / "gone")
            and (f / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"x": "model-1.safetensors"}}')
        ),
        r"model-1\.safetensors: this shard of the weights is missing",
    ),
    "shard without its tensors": (
        lambda f: (
            (f / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"x": "part"}}))
            and (f / WEIGHTS).rename(f / "part")
        ),
        r"the shards lack 1 of 1 tensors, such as x",
    ),
    "pickled code": (
        lambda f: (f / WEIGHTS).unlink() or torch.save({"x": subprocess.Popen}, f / "pytorch_model.bin"),
        r"pytorch_model\.bin: the weights cannot be read.*the class \w+\.Popen",
    ),
    "no vocabulary": (lambda f: (f / "vocab.json").unlink(), r"a CTC model needs vocab\.json"),
    "vocabulary of another size": (
        lambda f: change(f / "config.json", vocab_size=12),
        "vocab_size is 12, but lm_head has 11 rows",
    ),
    "letter too many": (
        lambda f: change(f / "vocab.json", x=11),
        r"11 tokens for the 11 rows of the head, and 1 .*\['x'\]",
    ),
    "two letters for a row": (lambda f: change(f / "vocab.json", x=10), "12 tokens for the 11 rows"),
    "many layers": (
        lambda f: change(f / "config.json", num_hidden_layers=10**9),
        r"theirs: the network of the configuration cannot be that of the weights \(it would have \d+ parameters",
    ),
    "wide": (lambda f: change(f / "config.json", hidden_size=10**9), "it would have"),
    "type": (
        lambda f: change(f / "config.json", hidden_size=[16]),
        r"hidden_size: a value such as 768 expected",
    ),
    "no number": (lambda f: change(f / "config.json", num_hidden_layers=2**63), "num_hidden_layers: a value"),
    "sizes of convolutions": (lambda f: change(f / "config.json", conv_dim=5), "conv_dim: a list of whole"),
    "quantizer": (
        lambda f: change(f / "config.json", num_codevectors_per_group=10**9),
        r"theirs: damaged .* values of heads that the file lacks",
    ),
    "rate": (
        lambda f: change(f / PREPROCESSOR, sampling_rate=0),
        "a sampling_rate of 1 to 1000000 Hz expected",
    ),
    "switch": (lambda f: change(f / PREPROCESSOR, do_normalize="no"), "do_normalize true or false expected"),
    "shards": (
        lambda f: (
            (f / WEIGHTS).unlink()
            or (f / f"{WEIGHTS}.index.json").write_text('{"weight_map": {"x": "../y"}}')
        ),
        "no weight_map of tensors to files",
    ),
    "token": (lambda f: change(f / "tokenizer_config.json", pad_token=[1]), "a token expected, found"),
    "blank": (lambda f: change(f / "config.json", pad_token_id=4), "padding token is at row 0, .* is 4;"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_folder_is_refused_with_the_reason(damage: str, folder: Path, tmp_path: Path) -> None:
    spoil, message = DAMAGES[damage]
    spoil(folder)
    before = sorted(tmp_path.iterdir())
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        convert(folder, tmp_path / "ours.pt")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"layer_type": "conformer"}, "layer_type = 'transformer' expected, found 'conformer'"),
        ({"pos_conv_depth": 5}, "pos_conv_depth = 1 expected, found 5"),
        ({"relative_position_embedding": True}, "a model with ungated relative positions"),
        ({"activation_fn": "relu_squared"}, "found 'relu_squared'"),
        ({"encoder_layers": 4}, r"own\.pt: .*16 missing"),
    ],
)
def test_network_that_transformers_lacks_is_refused(
    keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = own_checkpoint(tmp_path / "own.pt")
    state = torch.load(path)
    if keys.get("relative_position_embedding"):
        own_checkpoint(path, **keys)
    else:
        state["cfg"]["model"].update(keys)
        torch.save(state, path)
    with pytest.raises(ValueError, match=message):
        convert(path, tmp_path / "theirs")
    assert sorted(tmp_path.iterdir()) == [path]


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lstm.pt"
    torch.save({"cfg": {"model": {"_name": "ext_lstm"}, "task": {}}, "model": {"x": torch.ones(1)}}, path)
    with pytest.raises(
        ValueError,
        match=r"lstm\.pt holds a model 'ext_lstm', not a wav2vec 2\.0, HuBERT or WavLM model",
    ):
        convert(path, tmp_path / "theirs")
    with pytest.raises(FileNotFoundError, match=r"none\.pt"):
        convert(tmp_path / "none.pt", tmp_path / "theirs")


def test_classifier_is_refused_as_such(tmp_path: Path) -> None:
    path = own_checkpoint(tmp_path / "accents.pt")
    state = torch.load(path)
    state["cfg"]["model"] |= {"_name": "ext_speech_classifier", "pretrained_path": "ssl/checkpoint_last.pt"}
    state["cfg"]["task"]["label"] = "accent"
    state["task_state"] = {"class_names": ["balear", "central"]}
    torch.save(state, path)
    with pytest.raises(
        ValueError,
        match=r"accents\.pt holds a classifier \(ext_speech_classifier\) of accent, not a wav2vec .* with a CTC head; "
        r"its head cannot be converted: convert the checkpoint it started from, ssl/checkpoint_last\.pt$",
    ):
        convert(path, tmp_path / "theirs")
    assert sorted(tmp_path.iterdir()) == [path]


def test_weight_of_unknown_purpose_is_refused(tmp_path: Path) -> None:
    path = own_checkpoint(tmp_path / "own.pt")
    state = torch.load(path)
    state["model"]["w2v_encoder.w2v_model.encoder.adapter.weight"] = torch.ones(1)
    torch.save(state, path)
    with pytest.raises(ValueError, match=r"1 surplus \['w2v_encoder\.w2v_model\.encoder\.adapter\.weight'\]"):
        convert(path, tmp_path / "theirs")


def test_nothing_is_written_over(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.pt").write_text("precious")
    with pytest.raises(FileExistsError, match=r"ours\.pt exists already"):
        convert(folder, tmp_path / "ours.pt")
    assert (tmp_path / "ours.pt").read_text() == "precious"
    with pytest.raises(FileExistsError, match="theirs exists already"):
        convert(tmp_path / "own.pt", folder)


def test_projection_between_equal_widths_is_refused_unless_it_does_nothing(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "own.pt", encoder_embed_dim=8)
    convert(source, tmp_path / "theirs")
    report = convert(tmp_path / "theirs", tmp_path / "ours.pt")
    assert set(report.left_out) == {f"wav2vec2.feature_projection.projection.{p}" for p in ("weight", "bias")}
    weights = load_file(tmp_path / "theirs" / WEIGHTS)
    weights["wav2vec2.feature_projection.projection.weight"][0, 1] = 0.5
    save_file(weights, tmp_path / "theirs" / WEIGHTS)
    with pytest.raises(ValueError, match=r"feature_projection\.projection is not an identity"):
        convert(tmp_path / "theirs", tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"encoder_layers": 10**9}, r"own\.pt: the network of the configuration cannot be that"),
        ({"conv_feature_layers": "[(8, 10, 5)] * 1000000000"}, r"own\.pt.*not a list of"),
        ({"conv_feature_layers": "[(1000000000, 10, 5)]"}, r"own\.pt.*it would have"),
        ({"encoder_embed_dim": "wide"}, r"own\.pt.*cannot be that"),
    ],
)
def test_sizes_are_checked_before_anything_is_allocated(
    keys: dict[str, Any], message: str, tmp_path: Path
) -> None:
    state = torch.load(own_checkpoint(tmp_path / "own.pt"))
    state["cfg"]["model"].update(keys)
    torch.save(state, tmp_path / "own.pt")
    for use in (load_recognizer, lambda path: convert(path, tmp_path / "out")):
        with pytest.raises(ValueError, match=message):
            use(tmp_path / "own.pt")


def test_command_reports_damaged_weights(
    folder: Path, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truncate(folder / WEIGHTS)
    with pytest.raises(
        SystemExit, match=r"^convert_checkpoint\.py: .*model\.safetensors: the weights cannot be read"
    ):
        run_command(repository, monkeypatch, folder, tmp_path / "ours.pt")
