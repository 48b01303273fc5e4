"""Conversion of checkpoints: what is wrong with a source is said, and nothing is left behind."""

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from convertible import PREPROCESSOR, SIZES, WEIGHTS, change, drop, own_checkpoint
from safetensors.torch import load_file, save_file

from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.checkpoints.fairseq_file import write_model
from fairseq_ext.checkpoints.speech_model import Report, SpeechModel, pick
from fairseq_ext.inference.recognizer import load_recognizer
from fairseq_ext.models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config
from fairseq_ext.modules.pretrained_encoder import read_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a recogniser's folder as transformers does."""
    convert(own_checkpoint(tmp_path / "own.pt"), tmp_path / "theirs")
    return tmp_path / "theirs"


def test_folder_is_an_encoder_but_no_recogniser_yet(folder: Path, tmp_path: Path) -> None:
    """Its encoder needs no conversion: the same weights as in the checkpoint; its vocabulary does."""
    found, expected = read_encoder(folder), read_encoder(tmp_path / "own.pt")
    assert (found.shape, found.sample_rate_hz) == (
        {key: expected.shape[key] for key in found.shape},
        expected.sample_rate_hz,
    )
    assert found.weights.keys() == expected.weights.keys()
    assert all(torch.equal(value, expected.weights[name]) for name, value in found.weights.items())
    with pytest.raises(
        ValueError,
        match=r"is not a recogniser: it holds a CTC recogniser of Hugging Face \(wav2vec2\); give ctc\.pt",
    ):
        load_recognizer(folder)


def test_files_follow_the_umask(tmp_path: Path) -> None:
    own_checkpoint(tmp_path / "own.pt")
    before = os.umask(0o027)
    try:
        convert(tmp_path / "own.pt", tmp_path / "theirs")
    finally:
        os.umask(before)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "theirs").iterdir()}
    assert modes == dict.fromkeys(modes, "0o640")
    assert WEIGHTS in modes


def test_heads_for_another_purpose_are_listed_not_lost(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    others = ("classifier.weight", "projector.bias", "layer_weights", "quantizer.codevectors")
    save_file({**weights, **{name: torch.ones(1) for name in others}}, folder / WEIGHTS)
    report = convert(folder, tmp_path / "ours.pt")
    assert set(report.left_out) == set(others)
    text = "\n".join(report.lines())
    assert all(name in text for name in others)
    assert f"{len(weights)} mapped, 4 left out, 0 filled" in text


def test_mask_embedding_is_filled_in_reported_and_dropped_on_the_way_back(
    folder: Path, tmp_path: Path
) -> None:
    drop(folder, "wav2vec2.masked_spec_embed")
    change(folder / "config.json", mask_time_prob=0.0, mask_feature_prob=0.0)
    report = convert(folder, tmp_path / "ours.pt")
    assert set(report.filled) == {"w2v_encoder.w2v_model.mask_emb"}
    report = convert(tmp_path / "ours.pt", tmp_path / "again")
    assert "w2v_encoder.w2v_model.mask_emb" in report.left_out
    assert load_file(tmp_path / "again" / WEIGHTS).keys() == load_file(folder / WEIGHTS).keys()


def test_folder_without_preprocessor_has_the_defaults_of_transformers(folder: Path, tmp_path: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    report = convert(folder, tmp_path / "ours.pt")
    assert "no preprocessor_config.json or processor_config.json" in "\n".join(report.lines())
    cfg = torch.load(tmp_path / "ours.pt")["cfg"]
    assert cfg["model"]["normalize"]
    assert cfg["task"]["sample_rate_hz"] == 16000


@pytest.mark.parametrize("is_beside", [True, False])
def test_feature_extractor_of_a_processor_counts(is_beside: bool, folder: Path, tmp_path: Path) -> None:
    """Since version 5 transformers writes it there; an older file beside it is not used."""
    found = json.loads((folder / PREPROCESSOR).read_text()) | {"do_normalize": True, "sampling_rate": 12000}
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": found}))
    if not is_beside:
        (folder / PREPROCESSOR).unlink()
    convert(folder, tmp_path / "ours.pt")
    cfg = torch.load(tmp_path / "ours.pt")["cfg"]
    assert (cfg["model"]["normalize"], cfg["task"]["sample_rate_hz"]) == (True, 12000)


def test_rows_beyond_the_vocabulary_are_kept_and_never_win(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights["lm_head.weight"] = torch.cat([weights["lm_head.weight"], 100 * torch.ones(3, 16)])
    weights["lm_head.bias"] = torch.cat([weights["lm_head.bias"], 100 * torch.ones(3)])
    save_file(weights, folder / WEIGHTS)
    change(folder / "config.json", vocab_size=14)
    report = convert(folder, tmp_path / "ours.pt")
    assert "3 rows more than vocab.json has tokens" in "\n".join(report.lines())
    recognizer = load_recognizer(tmp_path / "ours.pt")
    assert recognizer.symbols[-3:] == ["<spare11>", "<spare12>", "<spare13>"]
    log_probs, _ = recognizer.log_probs([np.random.default_rng(0).normal(size=2000).astype(np.float32)])
    assert log_probs.shape[2] == 14
    assert log_probs[..., 11:].exp().max() == 0
    convert(tmp_path / "ours.pt", tmp_path / "again")
    assert len(load_file(tmp_path / "again" / WEIGHTS)["lm_head.bias"]) == 14


@pytest.mark.parametrize("file", ["added_tokens.json", "tokenizer_config.json"])
def test_added_tokens_name_rows_that_the_vocabulary_lacks(file: str, folder: Path, tmp_path: Path) -> None:
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    row = vocabulary.pop("</s>")
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    with pytest.raises(ValueError, match="10 tokens for the 11 rows"):
        convert(folder, tmp_path / "ours.pt")
    added = (
        {"</s>": row} if file == "added_tokens.json" else {"added_tokens_decoder": {row: {"content": "</s>"}}}
    )
    (folder / file).touch()
    (folder / file).write_text(json.dumps({**json.loads((folder / file).read_text() or "{}"), **added}))
    convert(folder, tmp_path / "ours.pt")
    expected = torch.load(tmp_path / "own.pt")["model"]["w2v_encoder.proj.weight"]
    assert torch.equal(torch.load(tmp_path / "ours.pt")["model"]["w2v_encoder.proj.weight"], expected)


def test_difference_of_the_two_normalisers_is_reported(tmp_path: Path) -> None:
    for normalize in (False, True):
        source = own_checkpoint(tmp_path / f"{normalize}.pt", normalize=normalize)
        notes = convert(source, tmp_path / f"{normalize}").notes
        assert any("quiet" in note for note in notes) == normalize


def test_padding_that_a_group_norm_counts_is_reported(tmp_path: Path) -> None:
    for mode in ("default", "layer_norm"):
        source = own_checkpoint(tmp_path / f"{mode}.pt", extractor_mode=mode)
        notes = convert(source, tmp_path / mode).notes
        assert any("one recording at a time" in note for note in notes) == (mode == "default")


def test_family_can_be_chosen(tmp_path: Path) -> None:
    convert(own_checkpoint(tmp_path / "own.pt"), tmp_path / "theirs", family="hubert")
    config = json.loads((tmp_path / "theirs" / "config.json").read_text())
    assert config["architectures"] == ["HubertForCTC"]
    assert all(name.startswith(("hubert.", "lm_head.")) for name in load_file(tmp_path / "theirs" / WEIGHTS))
    with pytest.raises(ValueError, match="a model with no relative positions cannot become wavlm"):
        convert(tmp_path / "own.pt", tmp_path / "wavlm", family="wavlm")


def test_pieces_are_reported(tmp_path: Path) -> None:
    path = own_checkpoint(tmp_path / "own.pt", symbols=["▁pla", "ça", "▁a"])
    assert any("▁" in note for note in convert(path, tmp_path / "theirs").notes)
    convert(tmp_path / "theirs", tmp_path / "ours.pt")
    assert torch.load(tmp_path / "ours.pt")["task_state"]["symbols"][4:] == ["▁pla", "ça", "▁a"]


def test_interrupted_writing_leaves_nothing(tmp_path: Path) -> None:
    config = Wav2Vec2Config(**SIZES)
    weights = ExtWav2Vec2(config).state_dict()
    model = SpeechModel("wav2vec2", vars(config), weights, None, False, 16000)
    model.weights["mask_emb"] = (weights["mask_emb"] for _ in ())  # type: ignore[assignment] - cannot be pickled
    with pytest.raises(TypeError):
        write_model(model, tmp_path / "ours.pt")
    assert list(tmp_path.iterdir()) == []


def test_report_joins_layers() -> None:
    report = Report(mapped={f"a.layers.{i}.x": f"b.layers.{i}.y" for i in range(12)})
    assert report.lines() == [
        "mapped    a.layers.*.x -> b.layers.*.y (12 tensors)",
        "12 mapped, 0 left out, 0 filled",
    ]


def test_picking_keeps_only_the_keys_of_the_dataclass() -> None:
    found = pick(Wav2Vec2Config, {"encoder_layers": 2, "w2v_path": "x", "_name": "wav2vec2"})
    assert (found.encoder_layers, found.encoder_embed_dim) == (2, 768)


def run_command(repository: Path, monkeypatch: pytest.MonkeyPatch, *arguments: Path) -> None:
    """Run the tool in this process: its start-up is fairseq's."""
    program = str(repository / "tools" / "convert_checkpoint.py")
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    runpy.run_path(program, run_name="__main__")


def test_command_accounts_for_the_weights(
    folder: Path,
    tmp_path: Path,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_command(repository, monkeypatch, folder, tmp_path / "ours.pt")
    printed = capsys.readouterr().out
    assert "mapped    lm_head.weight -> w2v_encoder.proj.weight\n" in printed
    assert printed.endswith(f"{len(load_file(folder / WEIGHTS))} mapped, 0 left out, 0 filled\n")
    assert (tmp_path / "ours.pt").exists()
