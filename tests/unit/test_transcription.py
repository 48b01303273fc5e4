"""Transcribing many files: outputs by name, damage reported, the search that was asked for."""

import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.decoding.arpa import write_arpa
from fairseq_ext.decoding.kneser_ney import train
from fairseq_ext.decoding.lm_weights import USUAL_WEIGHTS, LmWeights, write_lm_weights
from fairseq_ext.inference import transcription
from fairseq_ext.inference.recognizer import CtcRecognizer
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

RATE = 8000
SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abcçàŀ"]


@pytest.fixture(scope="module")
def recognizer() -> CtcRecognizer:
    """Random weights that say something other than blanks."""
    torch.manual_seed(4)
    sizes: dict[str, Any] = {
        "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 3",
        "encoder_layers": 1,
        "encoder_embed_dim": 24,
        "encoder_ffn_embed_dim": 32,
        "encoder_attention_heads": 4,
        "conv_pos": 16,
        "conv_pos_groups": 4,
    }
    model = ExtCtc(OmegaConf.structured(CtcConfig(**sizes)), len(SYMBOLS)).eval()
    with torch.no_grad():
        model.w2v_encoder.proj.weight.mul_(8.0)
    return CtcRecognizer(model, SYMBOLS, RATE, 0, OmegaConf.create({}))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return a recording, damage, nothing, another recording."""
    paths = [tmp_path / name for name in ("veu_ç.flac", "broken.wav", "gone.wav", "two.wav")]
    noise = 0.1 * np.random.default_rng(1).normal(size=(2, 6000))
    soundfile.write(paths[0], noise[0], RATE)
    paths[1].write_bytes(b"RIFF")
    soundfile.write(paths[3], noise[1], RATE)
    return paths


def test_damage_is_reported_and_does_not_stop_the_others(
    recognizer: CtcRecognizer, files: list[Path]
) -> None:
    found = list(transcription.transcribe_files(recognizer, files))
    assert [result.path for result in found] == files
    assert [result.words is None for result in found] == [False, True, True, False]
    assert "broken.wav" in found[1].problem
    assert "gone.wav" in found[2].problem
    for result in (found[0], found[3]):
        assert result.words
        assert " ".join(word.text for word in result.words) == recognizer.transcribe(result.path)


def test_a_recording_without_words_is_named(tmp_path: Path, recognizer: CtcRecognizer) -> None:
    with torch.no_grad():
        model = copy.deepcopy(recognizer.model)
        model.w2v_encoder.proj.bias[0] += 1000.0  # nothing but blanks
    mute = replace(recognizer, model=model)
    paths = [tmp_path / "zeros.wav", tmp_path / "low.wav"]
    for path, peak in zip(paths, (0.0, 0.1), strict=True):
        soundfile.write(path, np.full(RATE, peak), RATE)
    found = list(transcription.transcribe_files(mute, paths))
    assert [result.words for result in found] == [[], []]
    assert found[0].problem.endswith("zeros.wav: no words in 1.0 s of digital silence, every sample is zero")
    assert found[1].problem.endswith("low.wav: no words in 1.0 s of sound, peak at -20 dB")


def test_progress_counts_parts_of_a_recording(recognizer: CtcRecognizer, files: list[Path]) -> None:
    seen: list[float] = []
    list(
        transcription.transcribe_files(
            recognizer, files, window_s=0.4, overlap_s=0.1, on_progress=seen.append
        )
    )
    # 0.75 s in three windows; two that cannot be read; three windows
    assert seen == pytest.approx([1 / 3, 2 / 3, 1, 2, 3, 3 + 1 / 3, 3 + 2 / 3, 4])


def test_windows_follow_the_arguments(recognizer: CtcRecognizer, files: list[Path]) -> None:
    (whole,) = transcription.transcribe_files(recognizer, files[:1])
    (parts,) = transcription.transcribe_files(recognizer, files[:1], window_s=0.4, overlap_s=0.1)
    assert whole.words != parts.words


def test_outputs_are_named_after_the_recordings(tmp_path: Path) -> None:
    files = [Path("in/veu_ç.mp3"), Path("other/b.c.wav")]
    found = transcription.output_paths(files, tmp_path, ".srt")
    assert found == [tmp_path / "veu_ç.srt", tmp_path / "b.c.srt"]


def test_outputs_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [Path("monday/a.mp3"), Path("tuesday/a.wav")]
    with pytest.raises(ValueError, match=r"a\.txt: the output of both monday/a\.mp3 and tuesday/a\.wav"):
        transcription.output_paths(files, tmp_path, ".txt")


def test_recording_is_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its output would overwrite it"):
        transcription.output_paths([tmp_path / "a.txt"], tmp_path, ".txt")


def test_file_for_a_folder_of_outputs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("notes")
    with pytest.raises(ValueError, match="out is a file, not a folder for the outputs"):
        transcription.output_paths([Path("a.wav")], tmp_path / "out", ".txt")


def test_search_is_greedy_by_default(recognizer: CtcRecognizer, tmp_path: Path) -> None:
    def made(**options: Any) -> Any:
        return transcription.make_search(recognizer, weights=LmWeights(0.7, 2.0, -3.0), **options)

    assert made() is None
    assert made(beam_size=5).config.beam_size == 5
    write_arpa(tmp_path / "lm.arpa", train(["ça bà", "aŀa"], order=2))
    search = made(lm=tmp_path / "lm.arpa")
    config = search.config
    assert (config.beam_size, config.alpha, config.beta, config.unk_score) == (32, 0.7, 2.0, -3.0)
    assert search.lexicon is not None
    with pytest.raises(FileNotFoundError, match=r"none\.arpa: no such language model"):
        made(lm=tmp_path / "none.arpa")


def test_weights_are_those_that_evaluation_chose_for_this_model(tmp_path: Path) -> None:
    checkpoint, lm = tmp_path / "checkpoint_best.pt", tmp_path / "lm.arpa"
    assert transcription.choose_weights(checkpoint, lm) == USUAL_WEIGHTS
    chosen = LmWeights(1.5, 8.0, -20.0)
    made = {"lm": "lm.arpa", "order": 3, "beam": 32, "tuned_on": "valid"}
    write_lm_weights(checkpoint, asdict(chosen) | made)
    assert transcription.choose_weights(checkpoint, lm) == chosen
    assert transcription.choose_weights(checkpoint, lm, beta=2.0) == replace(chosen, beta=2.0)
    with_prior = replace(chosen, prior_scale=0.4, log_prior=(-0.5, -1.25))
    write_lm_weights(checkpoint, asdict(with_prior) | made)
    assert transcription.choose_weights(checkpoint, lm) == with_prior
    assert transcription.choose_weights(checkpoint, tmp_path / "other.arpa") == USUAL_WEIGHTS
    (tmp_path / "lm_weights.json").write_text("{}")
    with pytest.raises(
        ValueError, match=r"lm_weights\.json is damaged: it must hold lm, alpha, beta and unk_score"
    ):
        transcription.choose_weights(checkpoint, lm)


def test_every_format_has_a_suffix_of_its_own() -> None:
    suffixes = [suffix for suffix, _ in transcription.FORMATS.values()]
    assert len(set(suffixes)) == len(suffixes) == 3
