"""Recognisers: from a CTC checkpoint's path to text; wrong files are refused with the reason."""

import logging
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fairseq.data import Dictionary
from omegaconf import OmegaConf
from preloaded import Preloaded
from small_encoder import SLOWER

from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.decoding.ctc import BeamConfig, BeamSearch
from fairseq_ext.decoding.subtitles import to_text
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.inference.recognizer import CtcRecognizer, load_recognizer
from fairseq_ext.media.audio import AudioError
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

RATE = 8000
SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abcçàŀ"]
CLIPS = [
    np.random.default_rng(n).normal(size=size).astype(np.float32) for n, size in enumerate([6000, 4000, 800])
]


@pytest.fixture
def state() -> dict[str, Any]:
    """Return what fairseq stores of a training; the weights predict something other than blanks."""
    torch.manual_seed(4)
    model = ExtCtc(OmegaConf.structured(CtcConfig(**SLOWER)), len(SYMBOLS))
    with torch.no_grad():
        model.w2v_encoder.proj.weight.mul_(8.0)
    network = {**SLOWER, "_name": "ext_ctc", "normalize": True, "pretrained_path": "/gone/pretrained.pt"}
    task = {"_name": "ext_audio_ctc", "data": "/gone", "sample_rate_hz": RATE}
    return {
        "cfg": {"common": {"seed": 1}, "model": network, "task": task},
        "model": model.state_dict(),
        "task_state": {"symbols": SYMBOLS},
        "optimizer_history": [{"num_updates": 12}],
        "extra_state": {},
    }


@pytest.fixture
def path(state: dict[str, Any], tmp_path: Path) -> Path:
    """Write a checkpoint alone in a folder."""
    folder = tmp_path / "alone"
    folder.mkdir()
    torch.save(state, folder / "checkpoint_best.pt")
    return folder / "checkpoint_best.pt"


@pytest.fixture
def recognizer(path: Path) -> CtcRecognizer:
    return load_recognizer(path)


def test_needs_nothing_but_the_file(path: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "model.pt"
    moved.parent.mkdir()
    shutil.move(path, moved)
    loaded = load_recognizer(str(moved))
    assert loaded.symbols == SYMBOLS
    assert (loaded.sample_rate_hz, loaded.num_updates) == (RATE, 12)
    assert loaded.model.config.normalize
    assert not loaded.model.training
    assert loaded.hop_s == 40 / RATE
    assert loaded.cfg.task._name == "ext_audio_ctc"


def test_log_probabilities_do_not_depend_on_the_batch(recognizer: CtcRecognizer) -> None:
    together, lengths = recognizer.log_probs(CLIPS)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together.exp().sum(2), torch.ones(together.shape[:2]))
    for row, clip in enumerate(CLIPS):
        alone, own = recognizer.log_probs([clip])
        assert own[0] == lengths[row] == alone.shape[1]
        torch.testing.assert_close(together[row, : lengths[row]], alone[0], atol=1e-5, rtol=1e-5)


def test_stock_checkpoints_of_both_ages_load(
    state: dict[str, Any], recognizer: CtcRecognizer, tmp_path: Path
) -> None:
    dictionary = Dictionary()
    for symbol in SYMBOLS[4:]:
        dictionary.add_symbol(symbol)
    inner = {"model": SLOWER, "task": {"sample_rate": RATE, "normalize": True}}
    new = {
        **state,
        "cfg": {"model": {"_name": "wav2vec_ctc", "w2v_args": inner}, "task": {"data": "/gone"}},
        "task_state": {"target_dictionary": dictionary},
    }
    flat = Namespace(sample_rate=RATE, normalize=True, **SLOWER)
    old = {"args": Namespace(arch="wav2vec_ctc", w2v_args=flat), "model": state["model"]}
    expected = recognizer.log_probs(CLIPS)[0]
    torch.save(new, tmp_path / "new.pt")
    found = load_recognizer(tmp_path / "new.pt")
    assert found.symbols == SYMBOLS
    assert torch.equal(found.log_probs(CLIPS)[0], expected)
    torch.save(old, tmp_path / "old.pt")
    with pytest.raises(ValueError, match=r"old\.pt: 0 symbols .* for 11 outputs; give the dict\.ltr\.txt"):
        load_recognizer(tmp_path / "old.pt")
    write_dictionary(tmp_path / "dict.ltr.txt", dict.fromkeys(SYMBOLS[4:], 1))
    found = load_recognizer(tmp_path / "old.pt", dictionary=tmp_path / "dict.ltr.txt")
    assert found.symbols == SYMBOLS
    assert torch.equal(found.log_probs(CLIPS)[0], expected)


def test_averaged_weights_are_preferred(state: dict[str, Any], path: Path) -> None:
    averaged = {name: torch.zeros_like(value) for name, value in state["model"].items()}
    torch.save({**state, "extra_state": {"ema": averaged}}, path)
    assert not load_recognizer(path).model.w2v_encoder.proj.weight.any()


def test_file_and_waveform_give_the_same_text(recognizer: CtcRecognizer, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "veu_à.flac", 0.1 * CLIPS[0], RATE)
    samples, _ = soundfile.read(tmp_path / "veu_à.flac", dtype="float32")
    text = recognizer.transcribe(tmp_path / "veu_à.flac")
    assert text == recognizer.transcribe(samples)
    assert set(text) <= set("abcçàŀ ")
    assert len(set(text) & set("çàŀ")) > 0


def test_words_are_those_of_the_text_within_the_recording(recognizer: CtcRecognizer) -> None:
    search = BeamSearch(SYMBOLS, BeamConfig(beam_size=4))
    for method in (None, search):
        words = recognizer.timed_words(CLIPS[0], method)
        assert to_text(words).strip() == recognizer.transcribe(CLIPS[0], method)
        times = [time for word in words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert 0.0 <= times[0] < times[-1] <= 6000 / RATE


def test_long_recording_is_heard_in_windows(recognizer: CtcRecognizer) -> None:
    waveform = np.tile(CLIPS[0], 6)
    whole = recognizer.log_probs([waveform])[0][0]
    assert torch.equal(torch.cat(list(recognizer.log_probs_of_long(waveform))), whole)
    parts = torch.cat(list(recognizer.log_probs_of_long(waveform, window_s=1.5, overlap_s=0.5)))
    assert parts.shape == whole.shape
    # attention sees less of the recording, but what it sees is the same
    assert (parts.argmax(1) == whole.argmax(1)).float().mean() > 0.6


def test_windows_are_as_long_as_the_longest_recordings_in_training(
    state: dict[str, Any], recognizer: CtcRecognizer, tmp_path: Path
) -> None:
    assert recognizer.window_s == 20.0  # the file does not say
    for long_s, expected in ((2.25, 2.25), (0.3, 2.0), (40.0, 20.0)):
        state["task_state"]["long_s"] = long_s
        torch.save(state, tmp_path / "checkpoint.pt")
        assert load_recognizer(tmp_path / "checkpoint.pt").window_s == expected
    state["task_state"]["long_s"] = 2.25
    torch.save(state, tmp_path / "checkpoint.pt")
    waveform = np.tile(CLIPS[0], 6)
    parts = torch.cat(list(recognizer.log_probs_of_long(waveform, window_s=2.25, overlap_s=0.75)))
    assert torch.equal(
        torch.cat(list(load_recognizer(tmp_path / "checkpoint.pt").log_probs_of_long(waveform))), parts
    )


@pytest.mark.parametrize("size", [0, 1, 20, 44])
def test_recording_shorter_than_a_frame_is_empty(recognizer: CtcRecognizer, size: int) -> None:
    assert recognizer.transcribe(np.zeros(size, dtype=np.float32)) == ""
    assert recognizer.timed_words(np.zeros(size, dtype=np.float32)) == []


def test_unreadable_recording_is_named(recognizer: CtcRecognizer, tmp_path: Path) -> None:
    (tmp_path / "bad.mp3").write_bytes(b"no sound")
    with pytest.raises(AudioError, match=r"bad\.mp3"):
        recognizer.transcribe(tmp_path / "bad.mp3")


@pytest.mark.parametrize("waveforms", [[], [np.zeros((2, 400), dtype=np.float32)]])
def test_other_shapes_are_refused(recognizer: CtcRecognizer, waveforms: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"needs one or more waveforms of shape \(S,\)"):
        recognizer.log_probs(waveforms)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such checkpoint"):
        load_recognizer(tmp_path / "none.pt")


def test_encoder_without_output_layer_is_no_recogniser(state: dict[str, Any], tmp_path: Path) -> None:
    prefix = "w2v_encoder.w2v_model."
    weights = {k.removeprefix(prefix): v for k, v in state["model"].items() if k.startswith(prefix)}
    torch.save({**state, "model": weights}, tmp_path / "pretrained.pt")
    with pytest.raises(ValueError, match=r"pretrained\.pt is not a recogniser: it holds an encoder"):
        load_recognizer(tmp_path / "pretrained.pt")


def test_classifiers_are_no_recognisers(state: dict[str, Any], tmp_path: Path) -> None:
    prefix = "w2v_encoder.w2v_model."
    weights = {
        k.replace(prefix, "encoder."): v
        for k, v in state["model"].items()
        if not k.startswith("w2v_encoder.proj")
    }
    task = {"_name": "ext_audio_classification", "label": "accent", "sample_rate_hz": RATE}
    cases = (
        ("ext_speech_classifier", weights, "is not a recogniser"),
        ("ext_lstm", {"classifier.1.bias": torch.zeros(2)}, "has no wav2vec .* encoder"),
    )
    for name, model, expected in cases:
        cfg = {**state["cfg"], "model": {**SLOWER, "_name": name}, "task": task}
        found = {**state, "cfg": cfg, "model": model, "task_state": {"class_names": ["balear", "central"]}}
        torch.save(found, tmp_path / "accents.pt")
        with pytest.raises(
            ValueError, match=rf"accents\.pt {expected}: it holds a classifier \({name}\) of accent"
        ):
            load_recognizer(tmp_path / "accents.pt")


def test_dictionary_of_another_size_is_named(path: Path, tmp_path: Path) -> None:
    write_dictionary(tmp_path / "dict.ltr.txt", {"a": 1})
    with pytest.raises(ValueError, match=r"dict\.ltr\.txt: 5 symbols .* for 11 outputs"):
        load_recognizer(path, dictionary=tmp_path / "dict.ltr.txt")


def test_loader_of_classifiers_points_here(path: Path) -> None:
    with pytest.raises(ValueError, match=r"load it with inference\.recognizer\.load_recognizer"):
        load_model(path)


def test_file_without_a_sample_rate_gets_the_usual_one(
    state: dict[str, Any], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    del state["cfg"]["task"]["sample_rate_hz"]
    torch.save(state, path)
    with caplog.at_level(logging.WARNING):
        assert load_recognizer(path).sample_rate_hz == 16000
    assert "does not give its sample rate; 16000 Hz" in caplog.text


def test_missing_device_is_reported_before_the_file_is_read(path: Path) -> None:
    for device in ("gpu", f"cuda:{torch.cuda.device_count()}"):
        for load in (load_recognizer, load_model):
            expected = f"device {device}: torch cannot use it .*choose another, such as cpu"
            with pytest.raises(ValueError, match=expected) as info:
                load(path.with_name("gone.pt"), device)
            assert len(str(info.value)) < 300


def test_command_reports_wrong_settings_and_names_in_a_sentence(
    path: Path, tmp_path: Path, repository: Path, preloaded: Preloaded
) -> None:
    tool = [repository / "tools" / "transcribe.py", path]
    soundfile.write(tmp_path / "x.wav", CLIPS[0], RATE)
    wrong = {
        "window": ["--window-s", "3", "--overlap-s", "4"],
        "alpha": ["--alpha", "0.7"],
        "lm": ["--lm", "gone.arpa"],
        "files": [str(tmp_path), str(tmp_path / "gone.wav")],
    }
    said = {}
    for name, options in wrong.items():
        done = preloaded.run([*tool, tmp_path / "x.wav", *options])
        assert done.returncode
        assert "Traceback" not in done.stderr
        said[name] = done.stderr
    assert "an overlap from 0 to less than the window expected" in said["window"]
    assert "give --lm too" in said["alpha"]
    assert "gone.arpa: no such language model" in said["lm"]
    assert "with alpha" not in said["lm"]
    assert "this is a folder, not an audio file" in said["files"]
    assert "gone.wav: no such audio file; check the path" in said["files"]
    assert "2 of 3 recordings could not be read" in said["files"]
