"""Groups of an accent encoder: shares, what moves without one, pictures; from a small random checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import small_accent
import soundfile
import torch

from fairseq_ext.checkpoints.encoder import weights_sha256
from fairseq_ext.commands import main
from fairseq_ext.file_errors import FileError
from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.inference.group_explained import explain_groups
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.report import extras
from fairseq_ext.scoring.classifiers import centroids, saved
from fairseq_ext.scoring.classifiers.choice import choose_parameters
from fairseq_ext.scoring.classifiers.fitted import fit_single
from fairseq_ext.scoring.classifiers.training_set import Feature, TrainingSet

RATE = 16_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write noises of two colours by two speakers each, a damaged file, a checkpoint and a classifier."""
    root, rows, waves = tmp_path_factory.mktemp("corpus"), [], []
    for number in range(4):
        wave = np.random.default_rng(number).normal(size=4000 + 400 * number).astype(np.float32) * 0.1
        wave = np.cumsum(wave) * 0.1 if number % 2 else wave
        soundfile.write(root / f"{number}.wav", wave, RATE, subtype="FLOAT")
        rows.append(Utterance(f"u/{number}", f"{number}.wav", len(wave), speaker=f"s{number // 2}"))
        waves.append(wave.astype(np.float32))
    (root / "bad.wav").write_bytes(b"RIFF")
    rows.append(Utterance("bad", "bad.wav", 4000, speaker="s2"))
    labels = {"accent": lambda u: "es" if u.id in ("u/1", "u/3") else "ca"}
    write_manifest(root / "manifests", "test", rows, root=root, labels=labels)
    small_accent.write(root / "accent.pt")
    vectors = load_embedder(root / "accent.pt")(waves)[:, 0]
    training = TrainingSet(lambda _: vectors, np.array([0, 1, 0, 1]), ["s0", "s0", "s1", "s1"], 2, 1)
    choice = choose_parameters(training, Feature((0,), "embedding"), centroids.CENTROID)
    about = {"encoder": str(root / "accent.pt"), "encoder_sha256": weights_sha256(str(root / "accent.pt"))}
    saved.save(root / "classifier", fit_single(training, choice, ("ca", "es")), about)
    return root


def test_shares_moves_and_scores(corpus: Path, tmp_path: Path) -> None:
    found = explain_groups(
        corpus / "accent.pt", corpus / "manifests", tmp_path, classifier=corpus / "classifier", num_pictures=0
    )
    assert found.shares == pytest.approx({"mel": 0.5, "mfcc": 0.5})
    assert (found.num_recordings, [id_ for id_, _ in found.skipped]) == (4, ["bad"])
    assert found.macro_recall[""] == 1.0
    assert found.macro_recall.keys() == {"", "mel", "mfcc"}
    # Without mfcc the features of the batch would be its mean.
    model = small_accent.write(tmp_path / "again.pt")
    wave, _ = soundfile.read(corpus / "0.wav", dtype="float32")
    features, lengths = model.spectral(torch.from_numpy(wave)[None], None)
    mean = model.norms["mfcc"].norm.running_mean
    features["mfcc"] = mean.expand_as(features["mfcc"]).clone()
    with torch.no_grad():
        whole = model(torch.from_numpy(wave)[None])["embedding"]
        without = model(features=features, lengths=lengths)["embedding"]
    one = explain_groups(
        corpus / "accent.pt", corpus / "manifests", tmp_path / "one", max_recordings=1, num_pictures=0
    )
    assert one.moved["mfcc"] == pytest.approx(1 - float((whole * without).sum()), abs=1e-5)
    assert 0.001 < one.moved["mfcc"] < 2


def test_a_classifier_of_another_training_is_refused(corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "seed2.pt"
    state = torch.load(corpus / "accent.pt", weights_only=False)
    torch.save({**state, "of_another_seed": True}, other)
    with pytest.raises(FileError, match="its weights are not those that the classifier"):
        explain_groups(other, corpus / "manifests", tmp_path, classifier=corpus / "classifier")


def test_the_command_writes_what_the_report_shows(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run" / "attribution"
    given = [corpus / "accent.pt", "--data", corpus / "manifests", "--out", out]
    assert main.main(["--traceback", "explain", *map(str, given)]) == 0
    printed = capsys.readouterr()
    assert "mel\tshare 50.0 %\tmoves " in printed.out
    assert "4 recordings, 1 skipped" in printed.out
    assert "skipped: bad" in printed.err
    (table,) = extras.read_tables(tmp_path / "run")
    assert table["header"][-1] == "Variance reconstructed, %"
    assert [row[0] for row in table["rows"]] == ["all", "mel", "mfcc"]
    pictures = list(extras._pictures(out))
    assert len(pictures) == 3
    assert all(p.png.startswith(b"\x89PNG") and "Reconstructed" in p.title for p in pictures)  # type: ignore[union-attr]
    assert json.loads((out / "groups-1-u_0.json").read_text())["title"] == "Reconstructed features, u/0"


def test_others_are_refused(corpus: Path, tmp_path: Path) -> None:
    small_accent.write(tmp_path / "plain.pt", reconstruct=False)
    explain_groups(tmp_path / "plain.pt", corpus / "manifests", tmp_path)
    assert not list(tmp_path.glob("*.png"))
    assert "no heads that reconstruct" in (tmp_path / "groups.json").read_text()
    with pytest.raises(SystemExit):
        main.main(["explain", str(corpus / "accent.pt"), "--out", str(tmp_path)])
