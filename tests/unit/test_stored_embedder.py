"""Embeddings from a store of features are those from the waveforms; what a store cannot give is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from synthetic_voice import RATE, voice

from fairseq_ext.commands import main
from fairseq_ext.inference.stored_embedder import StoredEmbedder
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.models.accent_encoder import AccentEncoder, AccentEncoderConfig
from fairseq_ext.scoring.embedding_files import encoder_settings, read_embeddings

pytest.importorskip("pyarrow")

SMALL: dict[str, Any] = {
    "width": 8,
    "num_blocks": 1,
    "ffn_width": 16,
    "position_kernel": 4,
    "attention_heads": 2,
}
PREPARATION = {"trim": True, "band_hz": None, "loudness_lufs": -23.0}


def checkpoint(path: Path, preparation: dict[str, Any] | None = PREPARATION, rate_hz: int = RATE) -> Path:
    keys = {**SMALL, "embedding_dim": 8, "groups": "mel,mfcc"}
    task = type("Task", (), {"streams": {"accent": ["a", "b"]}, "sample_rate_hz": rate_hz})()
    torch.manual_seed(1)
    model = AccentEncoder.build_model(OmegaConf.structured(AccentEncoderConfig(**keys)), task)
    cfg = {
        "model": {"_name": "ext_accent_encoder", **keys},
        "task": {"label": "accent", "sample_rate_hz": rate_hz},
        "common": {"seed": 1},
    }
    state = {"class_names": {"accent": ["a", "b"]}, "preparation": preparation}
    torch.save({"cfg": cfg, "model": model.state_dict(), "task_state": state}, path)
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write three recordings, one of them silent, with a manifest and a store of their features."""
    root = tmp_path_factory.mktemp("corpus")
    waves = {"a": voice()[2000:9000], "b": voice()[4000:16_000], "silent": np.zeros(4000)}
    for name, wave in waves.items():
        soundfile.write(root / f"{name}.wav", wave, RATE)
    rows = [Utterance(name, f"{name}.wav", len(wave), speaker=name) for name, wave in waves.items()]
    write_manifest(root / "manifest", "test", rows, root=root)
    made = [
        "features",
        "--manifest",
        str(root / "manifest"),
        "--out",
        str(root / "store"),
        "--groups",
        "mel,mfcc",
    ]
    assert main.main(["--traceback", *made, "--workers", "0"]) == 0
    return root


def embed(out: Path, *given: Any) -> Any:
    arguments = ["embed", *given, "--out", out, "--workers", "0"]
    assert main.main(["--traceback", *map(str, arguments)]) == 0
    return read_embeddings(out)


def test_vectors_are_those_of_the_waveforms(corpus: Path, tmp_path: Path) -> None:
    encoder = checkpoint(tmp_path / "encoder.pt")
    given = ("--encoder", encoder, "--manifest", corpus / "manifest")
    stored = embed(tmp_path / "stored", *given, "--features", corpus / "store")
    heard = embed(tmp_path / "heard", *given)
    assert list(stored.ids) == list(heard.ids) == ["a", "b"]
    np.testing.assert_allclose(stored.embedding, heard.embedding, atol=1e-4)
    about = [json.loads((tmp_path / name / "about.json").read_text()) for name in ("stored", "heard")]
    assert about[0].keys() == about[1].keys()
    assert (
        encoder_settings(about[0])
        == encoder_settings(about[1])
        == {"encoder_training": about[0]["config_hash"]}
    )
    assert "silent\tsilent: no features in" in (tmp_path / "stored" / "skipped.tsv").read_text()


def test_windows_of_a_long_recording_are_averaged(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = StoredEmbedder(checkpoint(tmp_path / "encoder.pt"), corpus / "store", "cpu")
    whole = embedder.embed(["b", "a"])
    monkeypatch.setattr("fairseq_ext.inference.stored_embedder._WINDOW", 20)
    parts = embedder.embed(["b", "a"])
    for one, other in zip(whole, parts, strict=True):
        assert np.linalg.norm(other.vectors) == pytest.approx(1.0, abs=1e-5)
        assert not np.allclose(one.vectors, other.vectors, atol=1e-4)
        assert one.duration_s == other.duration_s


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"preparation": None}, "features prepared by"), ({"rate_hz": 8000}, "features at 8000 Hz expected")],
)
def test_a_store_of_another_kind_is_refused(
    changed: dict[str, Any], message: str, corpus: Path, tmp_path: Path
) -> None:
    encoder = checkpoint(tmp_path / "encoder.pt", **changed)
    with pytest.raises(ValueError, match=message):
        StoredEmbedder(encoder, corpus / "store", "cpu")


def test_features_are_for_a_checkpoint_and_a_manifest(
    corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--features", corpus / "store", "--encoder", "mfcc", "--manifest", corpus / "manifest"]
    with pytest.raises(SystemExit):
        main.main([*map(str, ["embed", *given, "--out", corpus / "out"])])
    assert "--features is for the checkpoint of an accent encoder" in capsys.readouterr().err
