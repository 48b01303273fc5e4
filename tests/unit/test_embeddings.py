"""A network over a split: order, padding, unreadable recordings, projections; and the files of scored systems."""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_whisper
import torch
from torch import Tensor, nn

from fairseq_ext.checkpoints.load import load_layers
from fairseq_ext.commands import score_probe
from fairseq_ext.inference.frames import EncoderFrames
from fairseq_ext.media.audio import load
from fairseq_ext.modules.encoder_layers import EncoderLayers
from fairseq_ext.modules.encoders import EncoderConfig, build_encoder
from fairseq_ext.modules.front_end import FrontEnd, FrontEndConfig
from fairseq_ext.modules.layer_statistics import LayerStatistics, part_means
from fairseq_ext.scoring import embeddings, evaluation, probing, trainings
from fairseq_ext.scoring.embeddings import padded
from fairseq_ext.scoring.groups import read_group_file
from fairseq_ext.scoring.predictions import read_embeddings, read_predictions
from fairseq_ext.scoring.scored_system import ScoredSystem, is_scored

RATE = 8000
LABELS = list("0123456789")


class Spectra(nn.Module):
    """A small network: the mean spectrum of the clip, and a linear classifier on it."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.front_end = FrontEnd(FrontEndConfig(), RATE)
        torch.manual_seed(1)
        self.classifier = nn.Linear(40, num_classes) if num_classes else None

    def forward(self, source: Tensor, padding_mask: Tensor) -> dict[str, Tensor | None]:
        features, lengths = self.front_end(source, padding_mask)
        embedding = features.sum(1) / lengths[:, None]
        logits = self.classifier(embedding) if self.classifier else None
        return {"embedding": embedding, "logits": logits, "projection": None}


def loaded(num_classes: int = 10) -> Any:
    task = {"label": "digit", "sample_rate_hz": RATE, "augment": {"noise_prob": 1.0, "_name": None}}
    cfg = SimpleNamespace(task=SimpleNamespace(**task), model={"_name": "ext_spectra"})
    return SimpleNamespace(
        model=Spectra(num_classes).eval(), cfg=cfg, labels=LABELS[:num_classes], sample_rate_hz=RATE
    )


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory, make_corpus: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder / "manifests", folder / "audio", {"train": ["a", "b"], "test": ["c", "d"]})
    return folder / "manifests"


def test_embeddings_do_not_depend_on_the_batch(manifests: Path) -> None:
    split = embeddings.read_split(manifests, "test", "digit")
    one, many = (embeddings.extract(loaded().model, split.entries, RATE, batch_size=size) for size in (1, 7))
    assert one.rows.tolist() == many.rows.tolist() == list(range(40))
    assert np.allclose(one.embedding, many.embedding, atol=1e-4)
    assert one.logits is not None
    assert one.logits.shape == (40, 10)


def test_network_without_classifier_has_no_logits(manifests: Path) -> None:
    split = embeddings.read_split(manifests, "test", "digit").subset([3, 1])
    found = embeddings.extract(loaded(0).model, split.entries, RATE)
    assert found.logits is None
    assert split.targets == ("1", "0")


def test_padding_mask_marks_the_padding() -> None:
    batch = embeddings.padded([np.ones(3, np.float32), np.ones(5, np.float32)])
    assert batch["padding_mask"].tolist() == [[False] * 3 + [True] * 2, [False] * 5]
    assert batch["source"].sum(1).tolist() == [3, 5]


def test_unreadable_recordings_are_counted(tmp_path: Path, make_corpus: Callable[..., None]) -> None:
    make_corpus(tmp_path / "m", tmp_path / "audio", {"train": ["a"], "test": ["c"]})
    (tmp_path / "audio" / "3_c_1.wav").write_bytes(b"RIFF")
    system = ScoredSystem("spectra", "published", 1, "synthetic", "test")
    found = evaluation.evaluate(loaded(), system, tmp_path / "out", data=tmp_path / "m")
    assert (found["n"], found["num_unreadable"]) == (19, 1)
    assert (tmp_path / "out" / "unreadable.tsv").read_text().startswith("3_c_1\t")
    assert "3_c_1" not in read_predictions(tmp_path / "out" / "predictions.tsv").ids


def test_groups_and_calibration_stand_beside_the_scores(manifests: Path, tmp_path: Path) -> None:
    system = ScoredSystem("spectra", "loso/c", 1, "synthetic", "test")
    found = evaluation.evaluate(
        loaded(), system, tmp_path, data=manifests, groups=["speaker"], has_calibration=True
    )
    assert {name: scores["n"] for name, scores in found["per_group"]["speaker"].items()} == {"c": 20, "d": 20}
    assert found["per_group"]["speaker"]["c"]["accuracy"] == found["per_speaker"]["c"]["accuracy"]
    assert sum(part["n"] for part in found["calibration"]["bins"]) == 40
    ids, groups = read_group_file(tmp_path / "groups.tsv")
    assert groups["speaker"] == [id_.split("_")[1] for id_ in ids]
    plain = evaluation.evaluate(loaded(), system, tmp_path / "plain", data=manifests)
    assert not {"per_group", "calibration"} & plain.keys()


def test_recordings_too_long_for_the_network_are_counted(manifests: Path) -> None:
    model = loaded().model
    split = embeddings.read_split(manifests, "test", "digit")
    lengths = [entry.num_samples for entry in split.entries]
    model.longest_s = float(np.median(lengths)) / RATE
    found = embeddings.extract(model, split.entries, RATE)
    kept = [i for i, n in enumerate(lengths) if n <= np.median(lengths)]
    assert found.rows.tolist() == kept
    assert 0 < len(found.failures) == len(lengths) - len(kept)
    assert "s at most; cut the recording" in found.failures[0][1]


def test_long_recordings_make_small_batches(monkeypatch: pytest.MonkeyPatch, manifests: Path) -> None:
    split = embeddings.read_split(manifests, "test", "digit")
    expected = embeddings.extract(loaded().model, split.entries, RATE)
    longest_s = max(entry.num_samples for entry in split.entries) / RATE
    monkeypatch.setattr(embeddings, "MAX_BATCH_S", 2.5 * longest_s)
    sizes: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        embeddings, "padded", lambda w, d="cpu": sizes.append((len(w), max(map(len, w)))) or padded(w, d)
    )
    found = embeddings.extract(loaded().model, split.entries, RATE)
    assert all(size * length <= 2.5 * longest_s * RATE for size, length in sizes)
    assert np.allclose(found.embedding, expected.embedding, atol=1e-4)


def test_nothing_readable_is_an_error(tmp_path: Path, make_corpus: Callable[..., None]) -> None:
    make_corpus(tmp_path / "m", tmp_path / "audio", {"test": ["c"]}, per_digit=1)
    for path in (tmp_path / "audio").iterdir():
        path.write_bytes(b"")
    split = embeddings.read_split(tmp_path / "m", "test", "digit")
    with pytest.raises(ValueError, match="none of 10 utterances can be read"):
        embeddings.extract(loaded().model, split.entries, RATE)


def test_evaluation_writes_all_files(manifests: Path, tmp_path: Path) -> None:
    system = ScoredSystem("spectra", "loso/c", 3, "synthetic", "tools/evaluate.py")
    out = system.folder(tmp_path)
    assert out == tmp_path / "loso" / "c" / "spectra" / "seed3"
    evaluation.evaluate(loaded(), system, out, data=manifests)
    assert is_scored(out)
    predictions = read_predictions(out / "predictions.tsv")
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["metrics"]["accuracy"]["value"] == pytest.approx(
        (predictions.predicted == predictions.targets).mean()
    )
    assert metrics["num_parameters"] == 40 * 10 + 10
    assert set(metrics["per_speaker"]) == {"c", "d"}
    assert read_embeddings(out / "embeddings.npz")["embedding"].shape == (40, 40)
    with np.load(out / "spectrograms.npz") as views:
        names = views["names"].tolist()
        assert {"no augmentation", "noise at 10 dB", "time masks", "as trained 1"} <= set(names)
        plain, trained = (views[f"view_{names.index(n)}"] for n in ("no augmentation", "as trained 1"))
    assert plain.shape[1] == 40
    assert plain.shape != trained.shape or not np.allclose(plain, trained)


def test_network_without_classifier_is_refused(manifests: Path, tmp_path: Path) -> None:
    system = ScoredSystem("spectra", "published", 1, "synthetic", "")
    with pytest.raises(ValueError, match=r"use fairseq-ext score probe"):
        evaluation.evaluate(loaded(0), system, tmp_path, data=manifests)


def test_unknown_label_is_named(manifests: Path, tmp_path: Path) -> None:
    system = ScoredSystem("spectra", "published", 1, "synthetic", "")
    with pytest.raises(ValueError, match="found \\['4'"):
        evaluation.evaluate(loaded(4), system, tmp_path, data=manifests)


def test_probes_share_one_pass(manifests: Path, tmp_path: Path) -> None:
    """Tones are linearly separable in the mean spectrum: the probe classifies unseen speakers without errors."""
    rows = {ScoredSystem("probe", p, 1, "synthetic", ""): manifests for p in ("published", "labels/2")}
    lines = list(probing.probe_checkpoint(Path("c.pt"), rows, tmp_path, lambda _: loaded(0), label="digit"))
    assert len(lines) == 2
    found = [json.loads((system.folder(tmp_path) / "metrics.json").read_text()) for system in rows]
    assert found[0]["metrics"] == found[1]["metrics"]
    assert found[0]["metrics"]["accuracy"]["value"] == 1.0
    assert found[0]["probe"]["n_train"] == 40
    again = list(probing.probe_checkpoint(Path("c.pt"), rows, tmp_path, never, label="digit"))
    assert all("already scored" in line for line in again)


def test_each_recording_is_embedded_once(
    manifests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one manifest tests what another trains on, as folds do."""
    swapped = tmp_path / "swapped"
    shutil.copytree(manifests, swapped)
    for path in list(swapped.glob("train.*")):
        other = path.with_name(path.name.replace("train", "test"))
        content = path.read_bytes(), other.read_bytes()
        other.write_bytes(content[0])
        path.write_bytes(content[1])
    seen, extract = [], embeddings.extract

    def counted(model: Any, entries: Any, *args: Any, **options: Any) -> Any:
        seen.extend(entries)
        return extract(model, entries, *args, **options)

    monkeypatch.setattr(embeddings, "extract", counted)
    systems = [ScoredSystem("probe", f"loso/{name}", 1, "synthetic", "") for name in "ab"]
    probing.probe(loaded(0), systems, [manifests, swapped], tmp_path / "scores", label="digit")
    assert len(seen) == len(set(seen)) == 80


def test_probe_without_a_readable_test_recording_is_refused(
    make_corpus: Callable[..., None], tmp_path: Path
) -> None:
    make_corpus(tmp_path / "m", tmp_path / "audio", {"train": ["a", "b"], "test": ["c"]}, per_digit=1)
    for entry in embeddings.read_split(tmp_path / "m", "test", "digit").entries:
        Path(entry.path).write_bytes(b"")
    system = ScoredSystem("probe", "published", 1, "synthetic", "")
    with pytest.raises(ValueError, match="none of 10 utterances of a split can be read"):
        probing.probe(loaded(0), [system], [tmp_path / "m"], tmp_path, label="digit")


def test_probe_is_fitted_on_views_and_scored_without(manifests: Path, tmp_path: Path) -> None:
    system = ScoredSystem("probe", "published", 1, "synthetic", "")
    (result,) = probing.probe(loaded(0), [system], [manifests], tmp_path, label="digit", num_views=2)
    assert (result["probe"]["n_train"], result["probe"]["num_views"], result["n"]) == (40, 2, 40)
    assert len(read_predictions(system.folder(tmp_path) / "predictions.tsv").ids) == 40


def test_short_clips_have_all_parts() -> None:
    frames = torch.arange(8.0).view(1, 8, 1).repeat(4, 1, 1)
    found = part_means(frames, torch.tensor([8, 2, 1, 0]), 3)
    expected = [[0.5, 3.0, 6.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_layers_of_any_encoder_are_probed_at_a_multiple_of_the_rate(manifests: Path, tmp_path: Path) -> None:
    """The training speakers choose the layer; nothing of the test speakers is seen before."""
    folder, system = small_whisper.write(tmp_path / "whisper"), ScoredSystem("probe", "p", 1, "synthetic", "")
    trained = load_layers(folder, parts=(1, 3))
    by_layer = ((0, 1), (0, 3), (1, 1), (1, 3), (2, 1), (2, 3))
    assert trained.model.candidates == tuple((0.0, *layer_and_parts) for layer_and_parts in by_layer)
    options = {"label": "digit", "manifest_rate_hz": RATE}
    (result,) = probing.probe(trained, [system], [manifests], tmp_path / "scores", **options)
    about = result["probe"]
    accuracies = about["inner_accuracy_by_candidate"]
    best = max(accuracies, key=lambda name: accuracies[name])
    assert (len(accuracies), best) == (6, f"layer {about['layer']}, parts {about['parts']}, silence 0 s")
    assert result["n"] == 40
    found = read_embeddings(system.folder(tmp_path / "scores") / "embeddings.npz")["embedding"]
    assert found.shape == (40, 24 * (about["parts"] + 1))  # means of the parts, and the deviation
    split = embeddings.read_split(manifests, "test", "digit")
    frames = EncoderFrames(folder, about["layer"])(load(split.entries[3].path, sample_rate_hz=16000))
    bounds = [len(frames) * i // about["parts"] for i in range(1, about["parts"])]
    expected = np.concatenate([part.mean(0) for part in np.split(frames, bounds)])
    assert np.allclose(found[3, : len(expected)], expected, atol=1e-3)
    assert load_layers(folder, (2,), untrained=True).model.candidates == ((0.0, 2, 1),)
    with pytest.raises(ValueError, match="has layers 0 to 2, not 3; choose others"):
        load_layers(folder, (1, 3))
    with pytest.raises(ValueError, match="16000 Hz, which is no multiple of the manifests' 11025 Hz"):
        probing.probe(trained, [system], [manifests], tmp_path, label="digit", manifest_rate_hz=11025)


@pytest.mark.parametrize("kind", ["whisper", "wav2vec2"])
def test_only_frames_of_the_clip_count_between_silence(kind: str, tmp_path: Path) -> None:
    """They are those of a longer clip that holds the silence; other clips of the batch change nothing."""
    model, hop = layers_between_silence(kind, tmp_path)
    clips = [torch.randn(length, generator=torch.Generator().manual_seed(1)) for length in (4000, 2500, 700)]
    found = model(**embeddings.padded([clip.numpy() for clip in clips]))["embedding"]
    assert found.shape[1] == sum(model.widths)
    width = model.widths[0]
    for clip, row in zip(clips, found, strict=True):
        alone = model(clip[None])["embedding"][0]
        torch.testing.assert_close(row, alone, atol=1e-4, rtol=1e-4)
        around = torch.nn.functional.pad(clip, (5 * hop, 5 * hop))[None]
        own = int(model.encoder.encoder.frame_lengths(torch.tensor([len(clip)])))
        frames = model.encoder.encoder(around, return_hidden=True).hidden[1][:, 5 : 5 + own]
        expected = torch.cat([frames.mean(1)[0], (frames.var(1, correction=0)[0] + 1e-5).sqrt()])
        torch.testing.assert_close(row[width:], expected, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(row[:width], row[width:], atol=1e-3)  # without silence, and with it


def layers_between_silence(kind: str, folder: Path) -> tuple[LayerStatistics, int]:
    """Return layer 1 of a small encoder, without silence and with 5 frames of it; and the samples of a frame."""
    if kind == "whisper":
        model = load_layers(small_whisper.write(folder / "whisper"), (1,), pads_s=(0.0, 0.1)).model
        assert [c.pad_s for c in model.candidates] == [0.0, 0.1]
        return model, 320
    keys = {
        "encoder_embed_dim": 24,
        "encoder_ffn_embed_dim": 48,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
    }
    layers = "[(16, 10, 5)] + [(16, 3, 2)] * 2"
    config = EncoderConfig(conv_feature_layers=layers, conv_pos=8, conv_pos_groups=2, **keys)
    encoder = build_encoder(config).eval()
    return LayerStatistics(EncoderLayers(encoder, (1,), False), (1,), (0.0, 100 / 16_000), 16_000).eval(), 20


def test_durations_are_read() -> None:
    assert score_probe.seconds("0,0.5") == (0.0, 0.5)
    for text in ("1;2", "-1", "inf", "nan", ""):
        with pytest.raises(argparse.ArgumentTypeError, match=r"seconds such as 0,0\.5,1 expected, found"):
            score_probe.seconds(text)


def test_silence_without_layers_is_refused(tmp_path: Path) -> None:
    given = ["--checkpoint", "c.pt", "--data", f"p={tmp_path}", "--system", "s", "--scores", str(tmp_path)]
    parser = argparse.ArgumentParser()
    score_probe.add_arguments(parser)
    args = parser.parse_args([*given, "--origin", "real", "--label", "digit", "--pad-s", "1"])
    with pytest.raises(argparse.ArgumentError, match="--parts and --pad-s need --layers"):
        score_probe.run(args)


def test_whole_numbers_are_read() -> None:
    assert score_probe.whole_numbers("3,0,3") == (3, 0, 3)
    with pytest.raises(argparse.ArgumentTypeError, match="whole numbers such as 0,3,6 expected, found '1-3'"):
        score_probe.whole_numbers("1-3")


def never(path: str, /, *, label: str) -> Any:
    raise AssertionError(f"{path} was loaded although there was nothing to do")


def test_run_is_scored_once(manifests: Path, tmp_path: Path) -> None:
    for place, is_done in (("published/spectra/seed1", True), ("loso/c/spectra/seed2", False)):
        folder = tmp_path / "train" / place
        folder.mkdir(parents=True)
        (folder / trainings.LAST_CHECKPOINT).touch()
        if is_done:
            (folder / trainings.DONE).touch()
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "published").symlink_to(manifests)
    jobs = trainings.finished_trainings(tmp_path, "synthetic", "x")
    assert [(job.system.partition, job.system.name, job.system.seed) for job in jobs] == [
        ("published", "spectra", 1)
    ]
    assert "accuracy" in next(evaluation.evaluate_all(jobs, lambda _, label: loaded()))
    assert "already scored" in next(evaluation.evaluate_all(jobs, never))
    assert "accuracy" in next(evaluation.evaluate_all(jobs, lambda _, label: loaded(), force=True))
    assert "probe" in next(evaluation.evaluate_all(jobs, lambda _, label: loaded(0), force=True))


def clusters() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    names = np.repeat(np.arange(3), 20)
    return (10 * np.eye(3, 6)[names] + generator.normal(size=(60, 6))).astype(np.float32), names


@pytest.mark.parametrize("method", embeddings.PROJECTIONS)
def test_projection_keeps_clusters_and_repeats(method: str) -> None:
    points, names = clusters()
    plane = embeddings.project(points, method, seed=1)
    assert plane.shape == (60, 2)
    assert np.array_equal(plane, embeddings.project(points, method, seed=1))
    distance = np.linalg.norm(plane[:, None] - plane[None], axis=-1) + np.diag(np.full(60, np.inf))
    assert (names[distance.argmin(axis=1)] == names).mean() > 0.95


@pytest.mark.parametrize("count", [4, 7, 16, 21])
def test_small_sets_can_be_laid_out(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    points[:, 0] = 1.0  # a dimension that never changes
    for method in embeddings.PROJECTIONS:
        assert np.isfinite(embeddings.project(points, method)).all()


def test_projection_refuses_what_it_cannot_do() -> None:
    points, _ = clusters()
    with pytest.raises(ValueError, match="found 'PCA'"):
        embeddings.project(points, "PCA")
    with pytest.raises(ValueError, match="at least 4"):
        embeddings.project(points[:3], "t-SNE")


def test_absent_split_has_no_locations(manifests: Path) -> None:
    assert embeddings.read_locations(manifests, "valid") == {}
    assert len(embeddings.read_locations(manifests, "test")) == 40
