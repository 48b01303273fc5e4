"""The three engines load the real formats of a Whisper and agree; no result depends on the batch."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairseq_ext.labelling.devices import choose_device, gpu_of_worker
from fairseq_ext.labelling.engine import MAX_SAMPLES, Decoding, Engine, Hypothesis
from fairseq_ext.labelling.fallback import with_fallback
from fairseq_ext.labelling.faster_whisper import preload_cublas
from fairseq_ext.labelling.load import find_kind, load_engine
from fairseq_ext.labelling.log_mel import LogMel

# Padded to 30 s, as openai-whisper and transformers always do.
GREEDY = Decoding(beam_size=1, max_tokens=8, temperatures=(0.0,), padding_s=30.0)
BEAM = replace(GREEDY, beam_size=3)
PROMPTED = replace(GREEDY, prompts=(("fr", "Le chat dort."), ("pt", "Bom dia, senhor presidente.")))
MODELS = {"faster-whisper": "ct2", "openai": "openai.pt", "transformers": "hf"}


@functools.cache
def engine(folder: Path, kind: str, decoding: Decoding = GREEDY, compute_type: str = "float32") -> Engine:
    model = str(folder / MODELS[kind])
    return load_engine(model, device="cpu", compute_type=compute_type, decoding=decoding)


def windows() -> list[np.ndarray]:
    """Return noises of four lengths, different enough for a random network to tell them apart."""
    made = []
    for i, seconds in enumerate((2.0, 30.0, 0.01, 7.3)):
        time = np.arange(round(16_000 * seconds))
        noise = np.random.default_rng(i).normal(size=len(time)) * np.abs(np.sin(time * (i + 1) / 4000))
        made.append((0.05 * noise).astype(np.float32))
    return made


def labels(found: Engine, batch: list[np.ndarray], languages: list[str | None]) -> tuple[Any, list[Any]]:
    encoded = found.encode(batch)
    return found.detect_language(encoded), found.transcribe(encoded, languages)


@pytest.mark.parametrize("kind", list(MODELS))
def test_the_engine_is_found_from_the_files(whisper: Path, kind: str) -> None:
    assert find_kind(str(whisper / MODELS[kind])) == kind
    found = engine(whisper, kind)
    name = MODELS[kind] if kind == "openai" else f"{whisper.name}/{MODELS[kind]}"
    assert (found.name, len(found.languages)) == (name, 99)
    assert {"fr", "it", "es", "pt", "haw"} < found.languages


@pytest.mark.parametrize("decoding", [GREEDY, BEAM, PROMPTED], ids=["greedy", "beam", "prompts"])
@pytest.mark.parametrize("kind", ["faster-whisper", "transformers"])
def test_all_engines_agree_with_openai_whisper(whisper: Path, kind: str, decoding: Decoding) -> None:
    languages = ["fr", "it", None, "pt"]
    theirs_detected, theirs = labels(engine(whisper, "openai", decoding), windows(), languages)
    detected, transcribed = labels(engine(whisper, kind, decoding), windows(), languages)
    for row, other in zip(detected, theirs_detected, strict=True):
        assert [code for code, _ in row[:1]] == [code for code, _ in other[:1]]
        assert dict(row) == pytest.approx(dict(other), abs=1e-5)
    assert transcribed[2] is None
    for mine, other in zip(transcribed, theirs, strict=True):
        if mine is not None:
            assert (mine.text, mine.language, mine.num_tokens) == (other.text, other.language, 8)
            assert mine.avg_logprob == pytest.approx(other.avg_logprob, abs=1e-4)
            assert mine.no_speech_prob == pytest.approx(other.no_speech_prob, rel=1e-3)


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_prompt_counts_for_its_language_alone(whisper: Path, kind: str) -> None:
    languages = ["fr", "it", "es", "pt"]
    _, plain = labels(engine(whisper, kind), windows(), languages)
    _, prompted = labels(engine(whisper, kind, PROMPTED), windows(), languages)
    same = [
        a.avg_logprob == pytest.approx(b.avg_logprob, abs=1e-5) for a, b in zip(plain, prompted, strict=True)
    ]
    assert same == [False, True, True, False]
    long = replace(GREEDY, prompts=(("fr", "chat " * 300),))
    with pytest.raises(ValueError, match="at most 223 tokens expected"):
        engine(whisper, kind, long)


@pytest.mark.parametrize("decoding", [GREEDY, BEAM])
@pytest.mark.parametrize("kind", list(MODELS))
def test_a_window_does_not_depend_on_its_batch(whisper: Path, kind: str, decoding: Decoding) -> None:
    # windows of one language are searched together
    found, batch, languages = engine(whisper, kind, decoding), windows(), ["fr", "it", "fr", "fr"]
    detected, transcribed = labels(found, batch, languages)
    for i in (3, 0):
        alone_detected, alone = labels(found, batch[i : i + 1], languages[i : i + 1])
        assert alone[0].text == transcribed[i].text
        assert alone[0].avg_logprob == pytest.approx(transcribed[i].avg_logprob, abs=1e-4)
        assert dict(alone_detected[0]) == pytest.approx(dict(detected[i]), abs=1e-5)


def test_the_padding_of_a_short_window_is_encoded_once(whisper: Path) -> None:
    whole, short = (
        engine(whisper, "faster-whisper"),
        engine(whisper, "faster-whisper", replace(GREEDY, padding_s=2.0)),
    )
    batch = windows()
    padded, encoded = whole.encode(batch), short.encode(batch)
    assert encoded.shape == padded.shape
    assert np.array_equal(encoded[1], padded[1])  # a window of 30 s has no padding
    frames = 2 * 50 + 2 * 50  # of the first window and its silence
    silence = whole.encode([np.zeros(16_000, np.float32)])[0]
    assert np.abs(encoded[0, frames:] - padded[0, frames:]).mean() < np.abs(silence - padded[0]).mean() + 0.1
    assert not np.array_equal(encoded[0, :frames], padded[0, :frames])
    assert np.array_equal(short.encode(batch[:1])[0], encoded[0])  # whatever else is in the batch
    assert not np.array_equal(encoded[0, frames:], encoded[3, frames:])  # their silence is at other levels


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_part_of_a_window_has_a_language(whisper: Path, kind: str) -> None:
    found = engine(whisper, kind)
    encoded = found.encode(windows())
    (whole,) = found.detect_language(found.part(encoded, 1, 0.0, 30.0))
    assert dict(whole) == pytest.approx(dict(found.detect_language(encoded)[1]), abs=1e-4)
    (part,) = found.detect_language(found.part(encoded, 1, 3.0, 6.0))
    assert sum(dict(part).values()) == pytest.approx(1.0, abs=1e-3)
    assert dict(part) != pytest.approx(dict(whole), abs=1e-5)


def test_int8_is_close_to_float32(whisper: Path) -> None:
    detected, transcribed = labels(
        engine(whisper, "faster-whisper", compute_type="auto"), windows(), ["fr"] * 4
    )
    exact_detected, exact = labels(engine(whisper, "faster-whisper"), windows(), ["fr"] * 4)
    for i in range(4):
        assert dict(detected[i]) == pytest.approx(dict(exact_detected[i]), abs=2e-3)
        assert transcribed[i].avg_logprob == pytest.approx(exact[i].avg_logprob, abs=0.2)


@pytest.mark.parametrize("kind", list(MODELS))
def test_an_unlikely_text_is_sampled_again(whisper: Path, kind: str) -> None:
    tried = Decoding(beam_size=1, max_tokens=8, temperatures=(0.0, 1.0))
    _, transcribed = labels(engine(whisper, kind, tried), windows()[:2], ["fr", None])
    assert transcribed[0].temperature == 1.0
    assert transcribed[1] is None
    assert -12 < transcribed[0].avg_logprob < -8  # ln of one in 51,865 is -10.9
    if kind != "faster-whisper":  # whose samples cannot be drawn again
        _, again = labels(engine(whisper, kind, tried), windows()[:1], ["fr"])
        assert again[0] == transcribed[0]


def test_only_failed_windows_are_decoded_again() -> None:
    texts = {
        0: [("good words here", -0.3, 0.1)],
        1: [("no " * 60, -0.2, 0.1), ("better words", -0.5, 0.1)],  # a loop
        2: [("unlikely", -1.5, 0.1), ("still", -1.4, 0.1), ("last", -1.2, 0.1)],
        3: [("unlikely silence", -1.5, 0.9)],
    }
    calls: list[tuple[list[int], float]] = []

    def decode(chosen: Any, temperature: float) -> list[Hypothesis]:
        calls.append((list(chosen), temperature))
        return [Hypothesis(t, "fr", p, s, 3, temperature) for t, p, s in (texts[i].pop(0) for i in chosen)]

    found = with_fallback(decode, [0, 1, 2, 3], Decoding(temperatures=(0.0, 0.5, 1.0)))
    assert calls == [([0, 1, 2, 3], 0.0), ([1, 2], 0.5), ([2], 1.0)]
    assert [found[i].text for i in range(4)] == [
        "good words here",
        "better words",
        "last",
        "unlikely silence",
    ]


@pytest.mark.parametrize("num_samples", [1, 4000, 16_001, MAX_SAMPLES - 100, MAX_SAMPLES])
def test_log_mel_is_that_of_the_window_padded_to_30_s(whisper: Path, num_samples: int) -> None:
    import whisper as openai

    for scale in (0.3, 1e-4, 0.0):
        noise = np.random.default_rng(0).normal(scale=scale, size=num_samples).astype(np.float32)
        padded = openai.log_mel_spectrogram(noise, padding=MAX_SAMPLES)[:, :3000].numpy()
        np.testing.assert_allclose(LogMel(80)(noise), padded, atol=2e-3)


def test_windows_that_would_be_cut_off_are_refused(whisper: Path) -> None:
    found = engine(whisper, "faster-whisper")
    with pytest.raises(ValueError, match="from 1 to 480000 expected, found"):
        found.encode([np.zeros(MAX_SAMPLES + 1, dtype=np.float32)])
    with pytest.raises(ValueError, match="the batch is empty"):
        found.encode([])
    with pytest.raises(ValueError, match=f"language 'tlh': {whisper.name}/ct2 cannot transcribe it"):
        found.transcribe(found.encode([np.zeros(100, dtype=np.float32)]), ["tlh"])


def test_wrong_models_are_named(whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.bin \(CTranslate2\), or config\.json"):
        load_engine(str(tmp_path))
    with pytest.raises(ValueError, match="this path does not exist"):
        load_engine(str(tmp_path / "gone"))
    torch.save({"cfg": {}, "model": {"w": torch.zeros(2)}}, tmp_path / "checkpoint_best.pt")
    with pytest.raises(ValueError, match=r"kind 'ctc' is not one of .*; use inference\.ctc_labeller"):
        load_engine(str(tmp_path / "checkpoint_best.pt"))
    shutil.copytree(whisper / "ct2", tmp_path / "half")
    (tmp_path / "half" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"no tokenizer\.json, and CTranslate2 needs"):
        load_engine(str(tmp_path / "half"))
    content = (whisper / "ct2" / "model.bin").read_bytes()
    shutil.copy(whisper / "ct2" / "tokenizer.json", tmp_path / "half")
    (tmp_path / "half" / "model.bin").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="CTranslate2 cannot load this model on cpu as int8: "):
        load_engine(str(tmp_path / "half"), device="cpu")
    with pytest.raises(ValueError, match="found 'int8'"):
        load_engine(str(whisper / "openai.pt"), device="cpu", compute_type="int8")


def test_files_that_cannot_be_read_are_named_in_one_line(whisper: Path, tmp_path: Path) -> None:
    shutil.copytree(whisper / "hf", tmp_path / "hf")
    shutil.copy(whisper / "openai.pt", tmp_path / "openai.pt")
    for path in [*(tmp_path / "hf").glob("*.safetensors"), tmp_path / "openai.pt"]:
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    for model, kind in (("hf", "transformers"), ("openai.pt", "openai")):
        with pytest.raises(ValueError, match="cannot load this model on cpu: ") as caught:
            load_engine(str(tmp_path / model), kind, device="cpu")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "name"), [("faster-whisper", "./gone"), ("transformers", "gone/model")])
def test_a_name_that_cannot_be_downloaded_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, name: str
) -> None:
    pytest.importorskip("transformers", reason="needs pip install -e .[whisper]")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"{name}: .*cannot .*give ") as caught:
        load_engine(name, kind, device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("kind", list(MODELS))
def test_a_missing_gpu_is_reported_when_the_model_is_loaded(whisper: Path, kind: str) -> None:
    for device in ("cuda", "cuda:1"):
        with pytest.raises(ValueError, match=f"device {device}: .* sees 0 GPUs; use the device cpu$"):
            load_engine(str(whisper / MODELS[kind]), device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and perhaps its libraries")
def test_missing_libraries_of_a_gpu_are_named() -> None:
    with pytest.raises(ValueError, match=r"lib(cublas|cublasLt)\.so\.12.*pip install"):
        preload_cublas()


def test_devices_are_checked_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [choose_device(name, 0) for name in ("cpu", "auto")] == ["cpu", "cpu"]
    assert [choose_device(name, 2) for name in ("cpu", "auto", "cuda", "cuda:1")] == [
        "cpu",
        "cuda:0",
        "cuda:0",
        "cuda:1",
    ]
    monkeypatch.setenv("JOBS_WORKER", "3")
    assert choose_device("auto", 2) == choose_device("cuda", 2) == "cuda:1"
    assert choose_device("cuda:0", 2) == "cuda:0"
    with pytest.raises(ValueError, match=r"device cuda:2: .* sees 2 GPUs; .*or cuda:0"):
        choose_device("cuda:2", 2)
    for name in ("gpu", "cuda:x", "cuda:", ""):
        with pytest.raises(ValueError, match=f"device: cpu, cuda, cuda:N or auto expected, found '{name}'"):
            choose_device(name, 2)


def test_workers_share_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu_of_worker(4) == 0
    monkeypatch.setenv("JOBS_WORKER", "5")
    assert [gpu_of_worker(count) for count in (0, 1, 2, 4)] == [0, 0, 1, 1]
