"""Embeddings: statistics of frames, windows, batches, what is skipped."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_whisper
import soundfile
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from small_encoder import SIZES

from fairseq_ext.checkpoints.encoder import load_encoder_layers, weights_sha256
from fairseq_ext.file_errors import FileError
from fairseq_ext.inference import embedding_sources
from fairseq_ext.inference.embedder import Embedded, load_embedder
from fairseq_ext.line_index import AudioEntry
from fairseq_ext.media.recording_windows import recording_windows
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.speech_classifier import SpeechClassifier, SpeechClassifierConfig
from fairseq_ext.modules.frame_statistics import POOLINGS, frame_statistics
from fairseq_ext.modules.padding import pad_waveforms

RATE = 16_000
Floats = NDArray[np.float32]


def noise(num_samples: int, seed: int = 1) -> Floats:
    return (0.1 * np.random.default_rng(seed).normal(size=num_samples)).astype(np.float32)


def checkpoint(path: Path, model: Any, name: str, **keys: Any) -> Path:
    """Write a checkpoint of ours with random layer weights."""
    if model.layer_sum is not None:
        torch.nn.init.normal_(model.layer_sum.scores)
    cfg = {"model": {**SIZES, **keys, "_name": name}, "task": {"sample_rate_hz": RATE}}
    torch.save({"cfg": cfg, "model": model.state_dict()}, path)
    return path


@pytest.fixture
def recogniser(tmp_path: Path) -> Path:
    """Return the checkpoint of a group-norm encoder under a CTC layer."""
    torch.manual_seed(4)
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), 9).eval()
    return checkpoint(tmp_path / "ctc.pt", model, "ext_ctc")


@pytest.fixture
def whisper(tmp_path: Path) -> Path:
    return small_whisper.write(tmp_path / "whisper")


def test_statistics_of_pieces_are_those_of_the_whole() -> None:
    frames = torch.randn(40, 3, generator=torch.Generator().manual_seed(1)) + 50.0
    pieces, lengths = pad_waveforms([*frames[:, 0].split([7, 1, 32])])
    assert lengths.shape == pieces.shape
    batch = torch.nn.utils.rnn.pad_sequence(list(frames.split([7, 1, 32])), batch_first=True)
    first, *rest = frame_statistics([batch, 2 * batch], torch.tensor([7, 1, 32]))
    for piece in rest:
        first = first.joined(piece)
    exact = frames.double()
    parts = [exact.mean(0), exact.amax(0), exact[0], exact[-1], exact.std(0, correction=0)]
    expected = torch.cat(parts).numpy()
    np.testing.assert_allclose(first.pooled(POOLINGS), [expected, 2 * expected], rtol=1e-6)
    none = frame_statistics([batch[:1]], torch.tensor([0]))[0]
    assert none.joined(piece) is piece
    assert piece.joined(none) is piece


@pytest.mark.parametrize("num_samples", [50, 200, 220, 221, 430, 1000])
def test_windows_cover_a_recording_once(num_samples: int) -> None:
    clip = noise(num_samples)
    windows = list(recording_windows(clip, RATE, 200, overlap=20, multiple=10))
    joined = np.concatenate([*(window[:-20] for window in windows[:-1]), windows[-1]])
    np.testing.assert_array_equal(joined, clip)
    assert all(100 <= len(window) <= 220 for window in windows) or len(windows) == 1
    assert all((len(window) - 20) % 10 == 0 for window in windows[:-1])


@pytest.mark.parametrize("kind", ["recogniser", "whisper"])
def test_a_vector_does_not_depend_on_the_batch(kind: str, request: pytest.FixtureRequest) -> None:
    embed = load_embedder(request.getfixturevalue(kind), poolings=POOLINGS)
    clips = [noise(size, size) for size in (9000, 500, 4001, 16000, 8999)]
    together = embed(clips)
    assert together.shape == (5, len(embed.layers), 24 * 5)
    alone = np.stack([embed(clip) for clip in clips])
    size = np.sqrt(np.square(alone).mean((0, 2), keepdims=True))
    assert (np.abs(together - alone) / size).max() < 1e-5


def test_layers_are_numbered_as_documented(recogniser: Path, whisper: Path) -> None:
    assert load_embedder(recogniser).layers == (0, 1, 2)
    assert load_embedder(whisper).layers == (0, 1, 2, 3)  # 3 is 2 after the norm above it
    assert load_embedder(whisper, [2, 0, 2]).layers == (2, 0)
    for path in (recogniser, whisper):
        every = load_embedder(path)(noise(5000))
        below = load_embedder(path, [1, 0])
        np.testing.assert_allclose(below(noise(5000)), every[[1, 0]], atol=1e-6)
        assert isinstance(below._source, embedding_sources.EncoderSource)
        assert len(below._source._layers.encoder.encoder.layers) == 1  # nothing above is computed
    for path, layers, message in (
        (recogniser, 3, "its encoder has layers 0 to 2, not 3"),
        (whisper, [-2], "layers 0 to 3, not -2"),
        (whisper, "last", "all, weighted or numbers expected, found 'last'"),
        (whisper, [], "none given"),
        (whisper, "weighted", "without trained weights of a sum"),
    ):
        with pytest.raises(ValueError, match=message):
            load_embedder(path, layers)


@pytest.mark.parametrize("name", ["ext_ctc", "ext_speech_classifier"])
@pytest.mark.parametrize("normalize_layers", [False, True])
def test_weighted_sum_is_what_the_trained_head_reads(
    name: str, normalize_layers: bool, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"layers": "weighted", "normalize_layers": normalize_layers}
    torch.manual_seed(2)
    model: Any
    if name == "ext_ctc":
        model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES, **keys)), 9).eval()
    else:
        config = OmegaConf.structured(SpeechClassifierConfig(**SIZES, **keys, pooling="mean"))
        model = SpeechClassifier(config, [3]).eval()
    embed = load_embedder(checkpoint(tmp_path / "c.pt", model, name, **keys), "weighted", "mean")
    clip = noise(6000)
    with torch.no_grad():
        hidden = model.encode(torch.from_numpy(clip)[None], return_hidden=True).hidden
        expected = model.layer_sum(hidden)[0].mean(0)
    np.testing.assert_allclose(embed(clip), expected[None].numpy(), atol=1e-6)
    assert embed.layers == (-1,)
    np.testing.assert_allclose(sum(embed.about["layer_weights"]), 1.0, rtol=1e-6)


def test_a_long_recording_has_the_statistics_of_the_frames_of_its_windows(
    recogniser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_sources, "WINDOW_S", 0.5)
    clip, path = noise(40_123), tmp_path / "long.wav"
    soundfile.write(path, clip, RATE, subtype="FLOAT")
    embed = load_embedder(recogniser, poolings=POOLINGS)
    model, _ = load_encoder_layers(recogniser)
    hop = model.encoder.hop_samples
    windows = list(
        recording_windows(clip, RATE, 8000 // hop * hop, overlap=embed._source.overlap, multiple=hop)
    )
    with torch.no_grad():
        frames = torch.cat([model(torch.from_numpy(w)[None])[0][2][0] for w in windows])
    assert len(frames) == model.encoder.frame_lengths(torch.tensor([len(clip)]))[0]
    parts = [frames.mean(0), frames.amax(0), frames[0], frames[-1], frames.std(0, correction=0)]
    for recording in (path, clip, AudioEntry(path, 0, len(clip), is_whole=True)):
        np.testing.assert_allclose(embed(recording)[2], torch.cat(parts).numpy(), atol=1e-5)
    np.testing.assert_allclose(embed(AudioEntry(path, 1000, 30_000)), embed(clip[1000:31_000]), atol=1e-5)
    for entry in (AudioEntry(path, 0, 40_124), AudioEntry(path, 0, 30_000, is_whole=True)):
        with pytest.raises(FileError, match="write the manifest again"):
            embed(entry)


def test_silence_around_a_clip_is_heard_and_not_counted(whisper: Path) -> None:
    clip = noise(9000)
    with torch.no_grad():
        model, _ = load_encoder_layers(whisper, final_norm=True)
        layers, _ = model(torch.nn.functional.pad(torch.from_numpy(clip), (16_000, 16_000))[None])
    expected = np.stack([frames[0, 50:79].mean(0).numpy() for frames in layers])
    found = load_embedder(whisper, poolings="mean", pad_s=1.0)([clip, noise(5000)])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(found, load_embedder(whisper, poolings="mean")([clip, noise(5000)])[0])
    assert np.abs(load_embedder(whisper, poolings="mean", pad_s=0.0)(clip) - expected).max() > 1e-3


def test_silence_is_for_whisper_and_leaves_room_for_the_clip(recogniser: Path, whisper: Path) -> None:
    with pytest.raises(ValueError, match="silence of 1 s around each clip is for Whisper"):
        load_embedder(recogniser, pad_s=1.0)
    with pytest.raises(ValueError, match="leaves 0 s of Whisper's 30 s; 10 s are the most"):
        load_embedder(whisper, pad_s=15.0)


@pytest.mark.parametrize("kind", ["mfcc", "logmel", "prosody", "recogniser", "whisper"])
def test_what_cannot_be_embedded_is_named_and_the_rest_is_there(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "prosody":
        pytest.importorskip("parselmouth")
    embed = load_embedder(request.getfixturevalue(kind) if kind in ("recogniser", "whisper") else kind)
    clips = {"short": noise(48), "silent": np.zeros(8000, np.float32), "good": noise(8000)}
    for name, clip in clips.items():
        soundfile.write(tmp_path / f"{name}.wav", clip, RATE)
    soundfile.write(tmp_path / "slow.flac", clips["good"][::2], RATE // 2)
    (tmp_path / "text.wav").write_text("no sound")
    names = ["short.wav", "good.wav", "silent.wav", "text.wav", "absent.wav", "slow.flac"]
    found = embed.embed([tmp_path / name for name in names])
    reasons = [str(item) if isinstance(item, FileError) else "" for item in found]
    expected = (
        "0.003 s, shorter than a frame of 0.025 s",
        "",
        "silence, no sample above",
        "text.wav",
        "no such audio file",
        "",
    )
    for name, reason, part in zip(names, reasons, expected, strict=True):
        assert part in reason, name
        assert (name in reason) == bool(part)
    good = [item for item in found if isinstance(item, Embedded)]
    assert [item.duration_s for item in good] == [0.5, 0.5]
    assert all(np.isfinite(item.vectors).all() for item in good)
    with pytest.raises(FileError, match="silence"):
        embed(tmp_path / "silent.wav")


def test_features_are_the_statistics_of_their_frames() -> None:
    embed = load_embedder("mfcc", poolings="mean+std")
    clip = noise(8000)
    frames = embedding_sources.MfccFrames()(clip)
    np.testing.assert_allclose(embed(clip)[0], np.concatenate([frames.mean(0), frames.std(0)]), rtol=1e-4)
    assert (embed.poolings, embed.widths, embed.layers) == (("mean", "std"), (39, 39), (0,))
    assert load_embedder("logmel", 0).widths == (120, 120)
    with pytest.raises(
        ValueError, match=r"poolings among mean, max, .* found attention; .*model\.pooling=attention"
    ):
        load_embedder("mfcc", poolings="attention")
    with pytest.raises(ValueError, match="mfcc has the one layer 0"):
        load_embedder("mfcc", [1])


def test_the_hash_is_that_of_the_file(recogniser: Path, whisper: Path) -> None:
    import hashlib

    assert weights_sha256(recogniser) == hashlib.sha256(recogniser.read_bytes()).hexdigest()
    weights = (whisper / "model.safetensors").read_bytes()
    assert load_embedder(whisper).about["sha256"] == hashlib.sha256(weights).hexdigest()
