"""One recording explained, from a checkpoint's path to a picture."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from omegaconf import OmegaConf
from PIL import Image
from small_encoder import SIZES

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.explain.methods import attribute
from fairseq_ext.explain.recording import draw_class, draw_word, parse_target, tokens_of
from fairseq_ext.explain.targets import ClassTarget
from fairseq_ext.inference.explained import (
    explain_recording,
    explained_classifier,
    explained_recognizer,
    load_explained,
)
from fairseq_ext.inference.recognizer import CtcRecognizer
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.speech_classifier import SpeechClassifier, SpeechClassifierConfig
from fairseq_ext.scoring.trained import TrainedModel

RATE = 8000
SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abcçàŀ"]
NETWORK = {**SIZES, "conv_feature_layers": "[(16, 80, 40)] + [(16, 2, 2)] * 2"}
SAMPLES = np.random.default_rng(5).normal(scale=0.1, size=6000).astype(np.float32)


@pytest.fixture
def recognizer() -> CtcRecognizer:
    torch.manual_seed(4)
    model = ExtCtc(OmegaConf.structured(CtcConfig(**NETWORK, feature_grad_mult=0.0)), len(SYMBOLS))
    return CtcRecognizer(model.eval(), SYMBOLS, RATE, 1, OmegaConf.create({}))


@pytest.fixture
def classifier() -> TrainedModel:
    torch.manual_seed(4)
    config = SpeechClassifierConfig(**NETWORK, freeze_encoder=True)
    model = SpeechClassifier(config, [3]).eval()
    return TrainedModel(model, OmegaConf.create({}), "accent", ["balear", "central", "nord"], RATE, 1)


@pytest.fixture
def checkpoint(recognizer: CtcRecognizer, tmp_path: Path) -> Path:
    state = {
        "cfg": {
            "common": {"seed": 1},
            "model": {**NETWORK, "_name": "ext_ctc"},
            "task": {"_name": "ext_audio_ctc", "data": "/gone", "sample_rate_hz": RATE},
        },
        "model": recognizer.model.state_dict(),
        "task_state": {"symbols": SYMBOLS},
        "optimizer_history": [{"num_updates": 12}],
        "extra_state": {},
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt"


def test_targets_are_read() -> None:
    assert parse_target("word:2") == ("word", "2")
    assert parse_target("class:ca-ba") == ("class", "ca-ba")
    for text in ("word", "word:", "word:two", "char:-1", "phone:3"):
        with pytest.raises(ValueError, match=r"word:N, char:N or class:NAME expected, found"):
            parse_target(text)


def test_texts_are_spelled_in_the_recognisers_characters() -> None:
    assert tokens_of("ça", SYMBOLS) == [8, 5, 4]
    with pytest.raises(ValueError, match=r"the recogniser has no symbol for \['x', 'É'\]"):
        tokens_of("xÉa", SYMBOLS)
    with pytest.raises(ValueError, match="recogniser of SentencePiece pieces"):
        tokens_of("ça", [*SPECIAL_SYMBOLS, "▁ça"])


@pytest.mark.parametrize(("target", "name"), [("word:2", "word “ab”"), ("char:4", "char “b”")])
def test_words_and_characters_are_counted_from_1(recognizer: CtcRecognizer, target: str, name: str) -> None:
    network = explained_recognizer(recognizer).networks["layer_norm"]
    figure = draw_word(network, SAMPLES, SYMBOLS, target, ["hirescam", "occlusion"], text="ça ab")
    assert figure.get_suptitle() == f"{name} of “ça ab” (given)"
    assert [text.get_text() for text in figure.axes[0].texts] == list("çaab")
    assert len(figure.axes) == 4


def test_what_is_not_there_is_not_explained(recognizer: CtcRecognizer, classifier: TrainedModel) -> None:
    network = explained_recognizer(recognizer).networks["layer_norm"]
    with pytest.raises(
        ValueError, match="word:3 does not exist; give the number of one of these: 1 ça, 2 ab"
    ):
        draw_word(network, SAMPLES, SYMBOLS, "word:3", ["hirescam"], text="ça ab")
    with pytest.raises(ValueError, match=r"30 s at most expected, found 31\.0 s"):
        draw_word(network, np.zeros(31 * RATE, np.float32), SYMBOLS, "word:1", ["hirescam"])
    of_classes = explained_classifier(classifier).networks["layer_norm"]
    with pytest.raises(ValueError, match="the classifier has no class 'x'; name one of"):
        draw_class(of_classes, SAMPLES, classifier.labels, "class:x", ["hirescam"])


def test_layers_are_early_ones_and_all_of_them_explain(recognizer: CtcRecognizer) -> None:
    explained = explained_recognizer(recognizer)
    assert list(explained.networks) == ["layer_norm", "encoder.layers.0"]
    waveform = torch.from_numpy(SAMPLES)[None]
    num_frames = recognizer.log_probs([SAMPLES])[0].shape[1]
    for network in explained.networks.values():
        assert network.activations(waveform).shape[1] == num_frames
        assert network.grid.step_s == 160 / RATE
    with pytest.raises(
        ValueError, match="layer 'nope': the encoder has no such module; choose one such as layer_norm"
    ):
        explained_recognizer(recognizer, ["nope"])


@pytest.mark.parametrize("method", ["hirescam", "integrated_gradients"])
def test_frozen_encoders_are_explained(classifier: TrainedModel, method: str) -> None:
    network = explained_classifier(classifier).networks["layer_norm"]
    found = attribute(network, torch.from_numpy(SAMPLES)[None], ClassTarget("nord", 2), method)
    assert found.values.any()
    figure = draw_class(network, SAMPLES, classifier.labels, "class:nord", [method])
    assert figure.get_suptitle().startswith("class “nord”, probability 0.")


def test_other_classifiers_are_refused(classifier: TrainedModel) -> None:
    other = TrainedModel(torch.nn.Linear(1, 1), classifier.cfg, "", [], RATE, 1)
    with pytest.raises(ValueError, match="needs a model ext_speech_classifier, not Linear"):
        explained_classifier(other)


def test_from_a_path_to_a_picture(checkpoint: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "veu.flac", SAMPLES, RATE)
    out = tmp_path / "pictures" / "a.png"
    explain_recording(checkpoint, tmp_path / "veu.flac", "char:1", out, methods=["hirescam"], text="ça")
    assert Image.open(out).width > 500
    recognizer, explained = load_explained(checkpoint, ["encoder.layers.1"])
    assert (list(explained.networks), recognizer.num_updates) == (["encoder.layers.1"], 12)


def test_tool_says_what_it_needs() -> None:
    tool = [sys.executable, str(Path(__file__).parents[2] / "tools" / "attribute.py")]
    for arguments, message in {
        "": "give one of CHECKPOINT FILE, --run and --checkpoint",
        "a.pt b.flac": "CHECKPOINT FILE needs both",
        "--run x": "need --origin",
        "--checkpoint x --origin real": "--checkpoint needs --data",
    }.items():
        found = subprocess.run([*tool, *arguments.split()], capture_output=True, text=True, check=False)
        assert found.returncode == 2
        assert message in found.stderr
