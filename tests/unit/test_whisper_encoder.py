"""The encoder of Whisper as the start of our models; tests/parity/test_whisper_encoder.py compares its numbers."""

import logging
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_whisper
import soundfile
import torch
from omegaconf import OmegaConf
from small_encoder import SIZES

from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.features.dump import _features, waveform_rows
from fairseq_ext.inference.explained import explained_recognizer
from fairseq_ext.inference.frames import EncoderFrames
from fairseq_ext.inference.recognizer import load_recognizer
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.speech_classifier import SpeechClassifier, SpeechClassifierConfig
from fairseq_ext.modules.encoders import EncoderConfig, build_encoder
from fairseq_ext.modules.padding import pad_waveforms
from fairseq_ext.modules.pretrained_encoder import READOUT, load_encoder, read_encoder
from fairseq_ext.modules.whisper_encoder import WhisperEncoder, log_mel, sinusoids

SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abc"]
RATE = 16000
# The last one ends within a frame of 20 ms, and the one before is shorter than one.
CLIPS = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in (9000, 6400, 100, 7999)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_whisper.write(tmp_path / "whisper")


@pytest.fixture
def encoder(folder: Path) -> WhisperEncoder:
    source = read_encoder(folder)
    encoder = build_encoder(EncoderConfig(**source.shape))
    load_encoder(encoder, source)
    assert isinstance(encoder, WhisperEncoder)
    return encoder.eval()


def task(sample_rate_hz: int = RATE) -> Any:
    return SimpleNamespace(symbols=SYMBOLS, sample_rate_hz=sample_rate_hz, streams={"accent": ["a", "b"]})


def ctc(folder: Path, **keys: Any) -> ExtCtc:
    return ExtCtc.build_model(OmegaConf.structured(CtcConfig(pretrained_path=str(folder), **keys)), task())


def test_folder_gives_shape_rate_and_weights(folder: Path) -> None:
    source = read_encoder(folder)
    assert source.shape["encoder_type"] == "whisper"
    assert (source.shape["encoder_embed_dim"], source.shape["encoder_layers"]) == (24, 2)
    assert (source.sample_rate_hz, source.normalize, source.head) == (RATE, False, {})
    assert not any("decoder" in name for name in source.weights)
    assert all(value.dtype == torch.float32 for value in source.weights.values())


def test_a_clip_is_the_same_alone_and_in_a_batch(encoder: WhisperEncoder) -> None:
    with torch.no_grad():
        together = encoder(*pad_waveforms(CLIPS), return_hidden=True)
        assert together.lengths.tolist() == [29, 20, 1, 25]
        assert (
            together.lengths.tolist() == encoder.frame_lengths(torch.tensor([len(c) for c in CLIPS])).tolist()
        )
        for i, clip in enumerate(CLIPS):
            alone = encoder(clip[None], return_hidden=True)
            for found, expected in zip(
                [*together.hidden, together.frames], [*alone.hidden, alone.frames], strict=True
            ):
                torch.testing.assert_close(found[i, : expected.shape[1]], expected[0], atol=2e-5, rtol=1e-5)


def test_what_the_padding_holds_does_not_count(encoder: WhisperEncoder) -> None:
    source, padding = pad_waveforms(CLIPS)
    with torch.no_grad():
        expected = encoder(source, padding)
        found = encoder(source.masked_fill(padding, 5.0), padding)
    assert torch.equal(found.frames, expected.frames)


def test_frames_before_the_transformer_are_those_of_30_seconds_with_silence(encoder: WhisperEncoder) -> None:
    with torch.no_grad():
        short, _ = encoder.conv_frames(CLIPS[3][None])
        long, _ = encoder.conv_frames(torch.nn.functional.pad(CLIPS[3], (0, 480000 - 7999))[None])
    assert (short.shape[1], long.shape[1]) == (25, 1500)
    torch.testing.assert_close(short, long[:, :25])


def test_longer_clips_are_refused(encoder: WhisperEncoder) -> None:
    with pytest.raises(ValueError, match=r"positions for 30 s, found 30\.00 s; set task\.max_duration_s"):
        encoder(torch.zeros(1, 480001))


def test_a_longer_recording_is_an_unreadable_row_of_a_dump(folder: Path, tmp_path: Path) -> None:
    for name, size in (("a", 8000), ("b", 480_001)):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(size), RATE)
    (tmp_path / "train.tsv").write_text(f"{tmp_path}\na.wav\t8000\nb.wav\t480001\n", encoding="utf-8")
    rows, problems = _features(waveform_rows(tmp_path, "train", EncoderFrames(folder, 1)), range(2))
    assert [len(row) for row in rows] == [25, 0]
    assert problems[0].startswith("row 2: Whisper's encoder has positions for 30 s")


def test_clips_of_nothing_and_of_silence_are_finite(encoder: WhisperEncoder) -> None:
    for source in (torch.zeros(2, 0), torch.zeros(1, 5000)):
        found = encoder(source)
        assert found.frames.isfinite().all()
        assert found.lengths.tolist() == [math.ceil(source.shape[1] / 320)] * len(source)


def test_positions_are_those_of_whisper() -> None:
    found = sinusoids(1500, 8)
    rates = [10_000 ** (-i / 3) for i in range(4)]
    expected = [math.sin(700 * rate) for rate in rates] + [math.cos(700 * rate) for rate in rates]
    torch.testing.assert_close(found[700], torch.tensor(expected), atol=1e-3, rtol=0)


def test_loudness_moves_all_bands_alike() -> None:
    source = torch.randn(1, 8000)
    found = [log_mel(scale * source, 50, 80) for scale in (0.1, 1.0)]
    # 20 dB are 2 in log10 of the power, and 4 dB of that are one unit
    torch.testing.assert_close(found[1] - found[0], torch.full_like(found[0], 0.5), atol=1e-4, rtol=0)


def trained_names(model: ExtCtc, num_updates: int) -> set[str]:
    model.zero_grad()
    model.train()
    model.set_num_updates(num_updates)
    model(*pad_waveforms(CLIPS))["logits"].square().sum().backward()
    return {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}


def test_ctc_trains_the_output_layer_then_all(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        model = ctc(folder, freeze_finetune_updates=5, mask_prob=0.5, mask_length=2)
    assert "output layer left at random values, since the file has none" in caplog.text
    head = {"w2v_encoder.proj.weight", "w2v_encoder.proj.bias"}
    assert trained_names(model, 4) == head
    keys = {name for name, _ in model.named_parameters() if name.endswith("k_proj.bias")}
    # The bias of a key adds the same to all products with a query.
    assert trained_names(model, 5) | keys == {name for name, _ in model.named_parameters()}
    frozen = ctc(folder, freeze_feature_extractor=True)
    assert not any(".feature_extractor." in name for name in trained_names(frozen, 0))


def test_layers_have_decaying_rates(folder: Path) -> None:
    model = ctc(folder, layer_decay=0.5, encoder_lr_scale=0.1)
    scales = {
        name.removeprefix("w2v_encoder.w2v_model."): p.optim_overrides["optimizer"]["lr_scale"]  # type: ignore[attr-defined]
        for name, p in model.named_parameters()
        if hasattr(p, "optim_overrides")
    }
    assert [scales[f"encoder.layers.{i}.fc1.weight"] for i in range(2)] == pytest.approx([0.025, 0.05])
    assert scales["encoder.layer_norm.weight"] == 0.05
    assert scales["feature_extractor.conv1.weight"] == 0.0125


def test_checkpoint_loads_without_the_folder(folder: Path, tmp_path: Path) -> None:
    model = ctc(folder).eval()
    network = OmegaConf.merge(OmegaConf.structured(CtcConfig()), model.encoder_keys(), {"_name": "ext_ctc"})
    state = {
        "cfg": {"model": OmegaConf.to_container(network), "task": {"sample_rate_hz": RATE}},
        "model": model.state_dict(),
        "task_state": {"symbols": SYMBOLS},
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    shutil.rmtree(folder)
    recognizer = load_recognizer(tmp_path / "checkpoint.pt")
    assert recognizer.hop_s == 0.02
    scores, lengths = recognizer.log_probs([clip.numpy() for clip in CLIPS])
    with torch.no_grad():
        expected = model(*pad_waveforms(CLIPS))
    torch.testing.assert_close(scores, expected["logits"].log_softmax(2))
    assert lengths.tolist() == expected["lengths"].tolist()
    long = recognizer.log_probs_of_long(np.tile(CLIPS[0].numpy(), 70), window_s=20.0)
    assert sum(len(part) for part in long) == math.ceil(70 * 9000 / 320)  # 39 s, in windows
    explained = explained_recognizer(recognizer)
    assert list(explained.networks) == ["layer_norm", "encoder.layers.0"]


def test_classifier_and_features_start_from_it_too(folder: Path, encoder: WhisperEncoder) -> None:
    cfg = OmegaConf.structured(SpeechClassifierConfig(pretrained_path=str(folder), freeze_encoder=True))
    model = SpeechClassifier.build_model(cfg, task()).eval()
    with torch.no_grad():
        source, padding = pad_waveforms(CLIPS)
        together = model(source, padding)["embedding"]
        alone = model(CLIPS[1][None])["embedding"]
        expected = encoder(CLIPS[0][None], return_hidden=True).hidden[1][0]
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)
    frames = EncoderFrames(folder, 1)
    assert frames.sample_rate_hz == RATE
    np.testing.assert_allclose(frames(CLIPS[0].numpy()), expected.numpy(), atol=1e-5)
    assert frames(np.zeros(0, dtype=np.float32)).shape == (0, 24)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_type": "bert"}, "model_type wav2vec2, hubert, wavlm or whisper expected, found 'bert'"),
        ({"model_type": "wav2vec2"}, r"the weight 'model\..*' belongs to none of wav2vec2, hubert, wavlm"),
        ({"scale_embedding": True}, "scale_embedding = False expected, found True"),
        ({"max_source_positions": 750}, "max_source_positions = 1500 expected, found 750"),
        ({"d_model": None}, "d_model: a whole number expected, found None"),
        ({"d_model": 24_000}, "the network of the configuration cannot be that of the weights"),
        ({"encoder_layers": 3}, r"no .*encoder\.layers\.2\."),
        ({"encoder_ffn_dim": 48}, r"size mismatch for .*fc1\.weight"),
        ({"lacks": "embed_positions"}, r"no encoder\.positions;"),
    ],
)
def test_folders_of_others_are_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ctc(small_whisper.write(tmp_path, **keys))


def test_folder_without_weights_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"neither model\.safetensors nor"):
        ctc(folder)


def test_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="encoder_type: one of speech, whisper expected, found 'mel'"):
        build_encoder(EncoderConfig(encoder_type="mel"))


def test_another_sample_rate_is_reported(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ExtCtc.build_model(OmegaConf.structured(CtcConfig(pretrained_path=str(folder))), task(8000))
    assert "trained at 16000 Hz, the task has 8000 Hz" in caplog.text


def saved(model: ExtCtc, path: Path) -> Path:
    """Write what fairseq stores of a training, without its optimizer."""
    keys = READOUT
    network = {**model.encoder_keys(), **{key: model.config[key] for key in keys}, "_name": "ext_ctc"}
    state = {"cfg": {"model": network, "task": {"sample_rate_hz": RATE}}, "model": model.state_dict()}
    torch.save({**state, "task_state": {"symbols": SYMBOLS}}, path)
    return path


def test_sum_over_layers_is_trained_and_read_again(folder: Path, tmp_path: Path) -> None:
    model = ctc(folder, layers="weighted", normalize_layers=True, freeze_finetune_updates=5)
    head = {f"w2v_encoder.{name}" for name in ("proj.weight", "proj.bias", "layer_sum.scores")}
    assert trained_names(model, 0) == head
    last = {f"w2v_encoder.w2v_model.encoder.layer_norm.{name}" for name in ("weight", "bias")}
    assert not trained_names(model, 5) & last  # it comes after the last layer
    assert model.layer_sum is not None
    with torch.no_grad():
        model.layer_sum.scores.copy_(torch.tensor([1.0, -2.0, 0.5]))
        expected = model.eval()(CLIPS[0][None])["logits"].log_softmax(2)
    path = saved(model, tmp_path / "checkpoint.pt")
    found, _ = load_recognizer(path).log_probs([CLIPS[0].numpy()])
    torch.testing.assert_close(found, expected)
    again = ctc(path, layers="weighted", normalize_layers=True)
    assert again.layer_sum is not None
    assert again.layer_sum.scores.tolist() == [1.0, -2.0, 0.5]


def test_recognisers_that_hugging_face_lacks_are_not_converted(folder: Path, tmp_path: Path) -> None:
    path = saved(ctc(folder), tmp_path / "checkpoint.pt")
    with pytest.raises(
        ValueError, match="the encoder is that of a Whisper, for which Hugging Face has no such model"
    ):
        convert(path, tmp_path / "out")
    with pytest.raises(ValueError, match=r"needs no conversion: give it as model\.pretrained_path"):
        convert(folder, tmp_path / "out.pt")
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES, layers="weighted")), len(SYMBOLS))
    with pytest.raises(ValueError, match=r"its head reads a sum over layers.* train with model\.layers=last"):
        convert(saved(model, path), tmp_path / "out")
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES, head_layers=1, head_dim=8)), len(SYMBOLS))
    with pytest.raises(ValueError, match=r"its head has convolutions.* train with model\.head_layers=0"):
        convert(saved(model, path), tmp_path / "out")


def test_convolutions_of_the_head_are_trained_and_read_again(folder: Path, tmp_path: Path) -> None:
    model = ctc(folder, head_layers=2, head_dim=8, head_kernel=3, freeze_finetune_updates=5)
    assert {name.split(".")[1] for name in trained_names(model, 0)} == {"proj", "head"}
    path, batch = saved(model, tmp_path / "checkpoint.pt"), pad_waveforms(CLIPS)
    alone = model.eval()(CLIPS[1][None])["logits"]
    torch.testing.assert_close(model(*batch)["logits"][1:2, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)
    found, _ = load_recognizer(path).log_probs([CLIPS[1].numpy()])
    torch.testing.assert_close(found, alone.log_softmax(2))
    again = ctc(path, head_layers=2, head_dim=8, head_kernel=3)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    with pytest.raises(ValueError, match=r"model\.head_kernel: an odd number expected, found 4"):
        ctc(folder, head_layers=1, head_kernel=4)


def test_output_layer_of_other_layers_starts_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(ctc(folder), tmp_path / "checkpoint.pt")
    with caplog.at_level(logging.WARNING):
        ctc(path, layers="weighted")
    assert "since it is for model.layers=last" in caplog.text
    with pytest.raises(ValueError, match=r"model\.layers: one of weighted, last expected, found 'first'"):
        ctc(folder, layers="first")
