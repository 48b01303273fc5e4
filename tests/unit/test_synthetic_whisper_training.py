"""Training of a tiny Whisper: the network equals Whisper's, examples match their targets, it learns, it resumes."""

import json
import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fairseq_ext.synthetic import phrases
from fairseq_ext.synthetic.whisper import tokenizer
from fairseq_ext.synthetic.whisper.examples import IGNORE, Vocabulary, draw_batch, draw_example
from fairseq_ext.synthetic.whisper.muon import Muon, orthogonal
from fairseq_ext.synthetic.whisper.network import Network, Padding
from fairseq_ext.synthetic.whisper.recordings import Recording, log_mel, mel_filters, mel_power, record
from fairseq_ext.synthetic.whisper.settings import Settings
from fairseq_ext.synthetic.whisper.training import Trainer, train

transformers = pytest.importorskip("transformers", reason="pip install -e .[hf]")
pytest.importorskip("ctranslate2", reason="pip install -e .[whisper]")
pytest.importorskip("whisper", reason="pip install -e .[whisper]")
pytest.importorskip("espeakng_loader", reason="pip install -e .[synthetic]")

from fairseq_ext.synthetic.whisper.formats import MAX_POSITIONS, new_model  # noqa: E402

SMALL = Settings(languages=("es", "fr"), updates=6, batch_size=4, recordings=3, d_model=16, layers=1, heads=1)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [r for language in SMALL.languages for r in record(language, SMALL.recordings, seed=0)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    encoder = tokenizer.load_tokenizer()
    return Vocabulary(SMALL.languages, lambda text: encoder.encode(text).ids)


@pytest.fixture
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_input_equals_that_of_whisper() -> None:
    samples = np.random.default_rng(0).normal(scale=0.1, size=480_000).astype(np.float32)
    samples[90_000:] = 0
    theirs = transformers.WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt")
    ours = log_mel(mel_power(samples, mel_filters()))
    torch.testing.assert_close(ours, theirs.input_features[0], atol=1e-4, rtol=1e-4)


def test_the_network_equals_that_of_whisper() -> None:
    whisper = new_model(seed=1, d_model=32, layers=2, heads=2)
    tokens = [5, 700, *range(50_257, 50_364)]
    network = Network(whisper, tokens)
    mel, inputs = torch.randn(1, 80, 3000), torch.tensor([[3, 9, 1, 0]])
    theirs = torch.tensor([[tokens[i] for i in row] for row in inputs])
    with torch.no_grad():
        expected = whisper(input_features=mel, decoder_input_ids=theirs).logits
        logits, memory = network(mel, inputs)
        torch.testing.assert_close(logits[..., :-1], expected[..., tokens], atol=1e-5, rtol=1e-4)
        encoded = whisper.model.encoder(mel).last_hidden_state
        torch.testing.assert_close(memory, encoded, atol=1e-5, rtol=1e-4)
        network.copy_to(whisper)
        logits = network(mel, inputs)[0]
        full = whisper(input_features=mel, decoder_input_ids=theirs).logits
    torch.testing.assert_close(full[..., tokens], logits[..., :-1], atol=1e-5, rtol=1e-4)
    # The last logit stands for all other tokens, which are equally likely.
    shares, own = full.softmax(-1), logits.softmax(-1)
    torch.testing.assert_close(shares[..., tokens], own[..., :-1])
    torch.testing.assert_close(shares[..., 6], own[..., -1] / (tokenizer.NUM_TOKENS - len(tokens)))


def test_a_few_positions_represent_the_padding() -> None:
    network = Network(new_model(seed=2, d_model=32, layers=2, heads=2), range(300))
    generator = torch.Generator().manual_seed(0)
    mel = torch.full((1, 80, 3000), -0.5)
    mel[..., :200] = torch.randn(1, 80, 200, generator=generator)
    inputs = torch.randint(300, (1, 7), generator=generator)
    short = mel[..., :206]
    with torch.no_grad():
        full, memory = network(mel, inputs)
        all_of_it, same = network(short, inputs, Padding(102, MAX_POSITIONS, MAX_POSITIONS - 102, generator))
        some, near = network(short, inputs, Padding(102, MAX_POSITIONS, 64, generator))
        none, far = network(short, inputs)
    # The end of the 30 s is heard by the last convolution alone.
    torch.testing.assert_close(same[:, :100], memory[:, :100], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(all_of_it, full, atol=1e-3, rtol=1e-3)
    error = (some - full).abs().mean()
    assert error < 0.25 * (none - full).abs().mean()
    assert (near[:, :100] - memory[:, :100]).abs().mean() < 0.1 * (
        far[:, :100] - memory[:, :100]
    ).abs().mean()


def test_padding_positions_share_the_rest() -> None:
    padding = Padding(100, 1500, 16, torch.Generator().manual_seed(0))
    positions = padding.positions.tolist()
    assert positions == sorted(set(positions))
    assert 100 <= positions[0] < positions[-1] < 1500
    assert math.exp(padding.bias) * 16 == pytest.approx(1400)


@pytest.mark.parametrize("shape", [(20, 20), (8, 50), (50, 8)])
def test_orthogonal_makes_singular_values_alike(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    inner = left.T @ found @ right.T
    assert (inner - inner.diag().diag()).abs().max() < 1e-3  # the same singular vectors
    assert inner.diag()[:-2].min() > 0.6
    assert inner.diag().max() < 1.3


def test_muon_finds_a_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(6, 4))
    wanted = torch.randn(6, 4, generator=generator)
    optimizer = Muon([weight], lr=0.05, weight_decay=0.0)
    for _ in range(200):
        optimizer.zero_grad()
        torch.autograd.backward((weight - wanted).square().sum())
        optimizer.step()
    assert (weight - wanted).abs().max() < 0.2


def test_recordings_hold_their_words(recordings: list[Recording]) -> None:
    assert len(recordings) == 6
    drawn = [p.words for language in SMALL.languages for p in phrases.draw(language, "train", 300, seed=0)]
    for recording in recordings:
        assert len(recording.edges) == len(recording.words) + 1
        assert all(a < b for a, b in pairwise(recording.edges))
        assert 0 <= recording.edges[0] < recording.edges[-1] <= recording.power.shape[1]
        # A word is louder than the margins.
        inside = recording.power[:, recording.edges[0] : recording.edges[-1]]
        assert inside.mean() > recording.power[:, : recording.edges[0]].mean()
    assert not {r.words for r in recordings} & set(drawn[:5])  # other phrases than seed 0 of a corpus


def test_examples_match_their_targets(recordings: list[Recording], vocabulary: Vocabulary) -> None:
    words = {number: word for word, number in vocabulary.classes.items()}
    by_language = {name: [r for r in recordings if r.language == name] for name in SMALL.languages}
    lengths = set()
    for seed in range(60):
        example = draw_example(by_language, vocabulary, random.Random(seed))
        assert example.power.shape == (80, len(example.classes))
        heard = [words[n] for n in torch.unique_consecutive(example.classes).tolist() if n]
        assert tuple(heard) == example.words
        assert set(example.words) <= phrases.vocabulary(example.language)
        lengths.add(len(example.words))
    assert lengths >= {0, 6}


def test_batches_have_the_form_of_whispers_input(recordings: list[Recording], vocabulary: Vocabulary) -> None:
    batch = draw_batch(recordings, vocabulary, 64, random.Random(1))
    again = draw_batch(recordings, vocabulary, 64, random.Random(1))
    assert torch.equal(batch.mel, again.mel)
    assert batch.mel.shape[-1] == 2 * batch.classes.shape[-1]
    assert torch.equal(batch.mel[..., -4:], batch.mel[..., -1:].expand(-1, 80, 4))
    encoder = tokenizer.load_tokenizer()
    kinds = set()
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        asked = [vocabulary.tokens[i] for i in inputs if i != vocabulary.unused]
        assert asked[0] == tokenizer.START
        assert asked[1] in vocabulary.languages.values()
        assert asked[2] == tokenizer.TRANSCRIBE
        if vocabulary.unused in targets:
            assert vocabulary.tokens[targets[0]] == tokenizer.NO_SPEECH
            kinds.add("silence")
            continue
        said = [vocabulary.tokens[i] for i in targets if i != IGNORE]
        assert said[0] == asked[1]
        assert said[-1] == tokenizer.END
        timed = asked[3] != tokenizer.NO_TIMESTAMPS
        kinds.add("timed" if timed else "plain")
        times = [token for token in said if token >= tokenizer.TIMESTAMPS.start]
        assert len(times) == (2 if timed else 0)
        assert all(a < b for a, b in pairwise(times))
        text = encoder.decode([token for token in said if token < tokenizer.END])
        assert text.startswith(" ")
        assert set(text.split()) <= set(vocabulary.words)
    assert kinds == {"silence", "timed", "plain"}


@pytest.mark.usefixtures("one_thread")
def test_it_learns(recordings: list[Recording]) -> None:
    settings = replace(SMALL, updates=60, batch_size=4, d_model=32)
    trainer = Trainer(settings, recordings)
    losses = []
    for _ in range(settings.updates):
        trainer.step()
        losses.append(trainer.loss)
    assert losses[0] > 4
    assert losses[-1] < 0.75 * losses[0]


class Killed(Exception):
    """An exception that ends a run in the middle."""


@pytest.mark.usefixtures("one_thread")
def test_a_killed_run_continues_to_the_same_weights(tmp_path: Path) -> None:
    train(tmp_path / "one", settings=SMALL)

    def kill(what: str, done: int, total: int, loss: float) -> None:
        if (what, done) == ("updates", 4):
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "two", settings=SMALL, on_progress=kill, save_every_s=0.0)
    assert not (tmp_path / "two" / "training.json").exists()
    with pytest.raises(ValueError, match=r"\.training\.pt: made with other settings, seed 0 instead of 1"):
        train(tmp_path / "two", settings=replace(SMALL, seed=1))
    seen: list[tuple[str, int]] = []
    train(
        tmp_path / "two",
        settings=SMALL,
        on_progress=lambda what, done, total, loss: seen.append((what, done)),
    )
    assert [done for what, done in seen if what == "updates"] == [4, 5, 6]  # the fourth was not saved
    for name in ("hf/model.safetensors", "ct2/model.bin", "openai.pt", "training.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert not (tmp_path / "two" / ".training.pt").exists()
    seen.clear()
    train(
        tmp_path / "two",
        settings=SMALL,
        on_progress=lambda what, done, total, loss: seen.append((what, done)),
    )
    assert seen == []
    assert math.isfinite(json.loads((tmp_path / "two" / "training.json").read_text())["loss"])
    with pytest.raises(ValueError, match=r"training\.json: made with other settings, updates 6 instead of 7"):
        train(tmp_path / "two", settings=replace(SMALL, updates=7))


def test_invalid_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="languages: found xx, expected some of en, es, fr, it, pt;"):
        train(tmp_path, settings=Settings(languages=("xx",)))
    with pytest.raises(ValueError, match="updates of at least 1"):
        train(tmp_path, settings=Settings(updates=0))
