"""A tiny Whisper in the real formats: every runtime loads it, all agree, and the tokenizer equals openai's."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairseq_ext.synthetic.whisper import write_random
from fairseq_ext.synthetic.whisper.formats import new_model, write
from fairseq_ext.synthetic.whisper.tokenizer import (
    NO_TIMESTAMPS,
    NUM_TOKENS,
    START,
    TIMESTAMPS,
    TRANSCRIBE,
    vocabulary_file,
)

whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed: pip install -e .[whisper]")
ctranslate2 = pytest.importorskip("ctranslate2", reason="pip install -e .[whisper]")
faster_whisper = pytest.importorskip("faster_whisper", reason="pip install -e .[whisper]")
transformers = pytest.importorskip("transformers", reason="pip install -e .[hf]")

PROMPT = [START, START + 1, TRANSCRIBE, NO_TIMESTAMPS, 440, 1029]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whisper")
    write_random(path, seed=3)
    return path


@pytest.fixture(scope="module")
def hugging_face(folder: Path) -> Any:
    return transformers.WhisperForConditionalGeneration.from_pretrained(folder / "hf", local_files_only=True)


@pytest.fixture(scope="module")
def ours(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder / "hf", local_files_only=True)


def noise(seed: int, num_samples: int = 48_000) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.1, size=num_samples).astype(np.float32)


def mel(samples: np.ndarray) -> torch.Tensor:
    padded = whisper.pad_or_trim(torch.from_numpy(samples))
    return whisper.log_mel_spectrogram(padded)[None]  # (1, 80, 3000)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_tokenizer_is_that_of_openai(ours: Any) -> None:
    theirs = whisper.tokenizer.get_tokenizer(True, num_languages=99, language="en", task="transcribe")
    rng = random.Random(0)
    alphabets = [range(32, 127), range(0xA0, 0x250), range(0x400, 0x500), range(0x4E00, 0x5000), range(9, 14)]
    texts = [
        "anne achète trois pommes",
        "I'll've we're DON'T",
        "  two\n\n spaces ",
        "हिन्दी",
        "🙂🙃",
        "l’aigua",
    ]
    texts += [
        "".join(chr(rng.choice(rng.choice(alphabets))) for _ in range(rng.randint(1, 30)))
        for _ in range(3000)
    ]
    for text in texts:
        numbers = ours.encode(text, add_special_tokens=False)
        assert numbers == theirs.encode(text), text
        assert ours.decode(numbers, clean_up_tokenization_spaces=False) == text


def test_special_tokens_have_the_numbers_of_openai(ours: Any) -> None:
    theirs = whisper.tokenizer.get_tokenizer(True, num_languages=99, language="en", task="transcribe")
    assert len(ours) == NUM_TOKENS
    for name, number in theirs.special_tokens.items():
        assert ours.convert_tokens_to_ids(name) == number, name
    assert theirs.timestamp_begin == TIMESTAMPS.start
    assert theirs.sot_sequence_including_notimestamps == (START, START + 1, TRANSCRIBE, NO_TIMESTAMPS)


def test_openai_and_hugging_face_agree(folder: Path, hugging_face: Any) -> None:
    theirs = whisper.load_model(str(folder / "openai.pt"), device="cpu")
    assert theirs.is_multilingual
    tokens = torch.tensor([PROMPT])
    with torch.no_grad():
        expected = hugging_face(input_features=mel(noise(1)), decoder_input_ids=tokens).logits
        torch.testing.assert_close(theirs(mel(noise(1)), tokens), expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.1  # an untied or missing table would give a constant


def test_ctranslate2_agrees(folder: Path, hugging_face: Any) -> None:
    theirs = ctranslate2.models.Whisper(str(folder / "ct2"), device="cpu", intra_threads=1)
    assert theirs.is_multilingual
    features = mel(noise(2))
    encoded = theirs.encode(ctranslate2.StorageView.from_array(features.numpy()))
    expected = hugging_face.model.encoder(features).last_hidden_state
    np.testing.assert_allclose(np.asarray(encoded), expected.detach().numpy(), atol=1e-4)
    (found,) = theirs.detect_language(encoded)
    with torch.no_grad():
        logits = hugging_face(input_features=features, decoder_input_ids=torch.tensor([[START]])).logits[0, 0]
    probabilities = logits[START + 1 : START + 100].softmax(-1)
    names = [
        name for name, _ in sorted(hugging_face.generation_config.lang_to_id.items(), key=lambda x: x[1])
    ]
    assert len(found) == len(names) == 99
    assert dict(found) == pytest.approx(dict(zip(names, probabilities.tolist(), strict=True)), abs=1e-4)
    (result,) = theirs.generate(
        encoded, [PROMPT[:4]], beam_size=1, max_length=12, return_scores=True, return_no_speech_prob=True
    )
    tokens = torch.tensor([PROMPT[:4] + result.sequences_ids[0][:-1]])
    with torch.no_grad():
        scores = hugging_face(input_features=features, decoder_input_ids=tokens).logits[0, 3:]
    # The first token may be neither a space nor the end, and timestamps are off.
    scores[:, TIMESTAMPS.start :] = -torch.inf
    scores[0, hugging_face.generation_config.begin_suppress_tokens] = -torch.inf
    assert scores.argmax(-1).tolist() == result.sequences_ids[0]
    assert 0 < result.no_speech_prob < 1


def test_faster_whisper_runs(folder: Path) -> None:
    model = faster_whisper.WhisperModel(
        str(folder / "ct2"), device="cpu", compute_type="int8", local_files_only=True, cpu_threads=1
    )
    segments, info = model.transcribe(
        noise(4), beam_size=1, temperature=0.0, max_new_tokens=5, condition_on_previous_text=False
    )
    assert info.language in whisper.tokenizer.LANGUAGES
    assert all(np.isfinite(segment.avg_logprob) for segment in segments)
    assert len(info.all_language_probs or ()) == 99


def test_hugging_face_generates(folder: Path, hugging_face: Any) -> None:
    processor = transformers.WhisperProcessor.from_pretrained(folder / "hf", local_files_only=True)
    inputs = processor(noise(5), sampling_rate=16_000, return_tensors="pt")
    assert inputs.input_features.shape == (1, 80, 3000)
    tokens = hugging_face.generate(
        inputs.input_features, language="fr", task="transcribe", max_new_tokens=4, do_sample=False
    )
    assert tokens.shape[1] >= 4
    assert isinstance(processor.batch_decode(tokens, skip_special_tokens=True)[0], str)


def test_same_seed_same_bytes_and_what_was_there_is_replaced(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ct2").mkdir()
    (tmp_path / "ct2" / "stale").write_text("x")
    (tmp_path / ".unfinished" / "hf").mkdir(parents=True)
    before = torch.get_rng_state()
    write_random(tmp_path, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert digests(tmp_path) == digests(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct2", "hf", "openai.pt"]


def test_another_seed_and_size(tmp_path: Path) -> None:
    write(new_model(seed=4, d_model=16, layers=1, heads=1), tmp_path)
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["d_model"] == 16
    first = whisper.load_model(str(tmp_path / "openai.pt"), device="cpu").decoder.token_embedding.weight
    assert first.shape == (NUM_TOKENS, 16)
    other = new_model(seed=5, d_model=16, layers=1, heads=1).model.decoder.embed_tokens.weight
    assert not torch.equal(first, other)


def test_one_format_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model(seed=4, d_model=16, layers=1, heads=1)
    monkeypatch.setattr(
        "fairseq_ext.synthetic.whisper.formats._write_ctranslate2", None
    )  # as if it were not there
    write(model, tmp_path, formats=["openai"])
    assert [path.name for path in tmp_path.iterdir()] == ["openai.pt"]
    with pytest.raises(ValueError, match=r"formats: some of .* expected, found \['onnx'\]"):
        write(model, tmp_path, formats=["onnx"])


def test_invalid_arguments_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"d_model 64 is not a multiple of 2 \* 3 heads"):
        write_random(tmp_path, heads=3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"openai-whisper .*pip install 'fairseq-ext\[whisper\]'"):
        vocabulary_file()
