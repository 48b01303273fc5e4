"""Our own CTC recogniser labels clips through the interface of the engines."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.inference.ctc_labeller import CtcLabeller, load_ctc_labeller
from fairseq_ext.inference.recognizer import load_recognizer
from fairseq_ext.jobs import Execution
from fairseq_ext.labelling.load import CTC, find_kind
from fairseq_ext.labelling.run import Labelling, label_clips
from fairseq_ext.labelling.table import read_labels
from fairseq_ext.models.ctc import CtcConfig, ExtCtc

SYMBOLS = [*SPECIAL_SYMBOLS, "|", *"abcéo"]
SIZES: dict[str, Any] = {
    "extractor_mode": "layer_norm", "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16, 2, 2)] * 2",
    "encoder_layers": 2, "encoder_embed_dim": 24, "encoder_ffn_embed_dim": 32, "encoder_attention_heads": 4,
    "conv_pos": 16, "conv_pos_groups": 4,
}  # fmt: skip


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a checkpoint as fairseq does."""

    def make(rate_hz: int = 16_000) -> Path:
        torch.manual_seed(4)
        model = ExtCtc(OmegaConf.structured(CtcConfig(**SIZES)), len(SYMBOLS))
        with torch.no_grad():
            model.w2v_encoder.proj.weight.mul_(8.0)
        network = {**SIZES, "_name": "ext_ctc", "normalize": True, "pretrained_path": "/gone.pt"}
        task = {"_name": "ext_audio_ctc", "data": "/gone", "sample_rate_hz": rate_hz}
        state = {
            "cfg": {"common": {"seed": 1}, "model": network, "task": task}, "model": model.state_dict(),
            "task_state": {"symbols": SYMBOLS}, "optimizer_history": [{"num_updates": 12}], "extra_state": {},
        }  # fmt: skip
        torch.save(state, tmp_path / "checkpoint_best.pt")
        return tmp_path / "checkpoint_best.pt"

    return make


def test_labels_equal_the_transcripts_of_the_recogniser(make_checkpoint: Callable[..., Path]) -> None:
    path = make_checkpoint()
    assert find_kind(str(path)) == CTC
    labeller, recognizer = load_ctc_labeller(path, ["fr"]), load_recognizer(path)
    windows = [
        np.random.default_rng(i).normal(size=size).astype(np.float32) for i, size in enumerate((9000, 16_000))
    ]
    encoded = labeller.encode(windows)
    assert labeller.detect_language(encoded) == [[("fr", 1.0)]] * 2
    first, second = labeller.transcribe(encoded, ["fr", None])
    assert second is None
    assert first is not None
    assert first.text == recognizer.transcribe(windows[0])
    assert first.text
    log_probs = recognizer.log_probs(windows[:1])[0][0]
    best = log_probs[:, [0, *range(4, len(SYMBOLS))]].max(-1).values.sum().item()  # no special symbols
    assert first.avg_logprob * (first.num_tokens + 1) == pytest.approx(best, rel=1e-3)
    assert first.no_speech_prob is None
    with pytest.raises(ValueError, match="transcribes 'fr', not 'it'; use another model"):
        labeller.transcribe(encoded, ["it", None])


def test_clips_are_labelled(
    make_checkpoint: Callable[..., Path],
    spoken: dict[str, np.ndarray],
    make_clips: Callable[..., Path],
    tmp_path: Path,
) -> None:
    silence = np.zeros(16_000, np.float32)
    folder = make_clips(tmp_path / "clips", {"a": ("a.mp4", spoken["fr"]), "b": ("b.mp4", silence)})
    engine = partial(load_ctc_labeller, make_checkpoint(), ["fr"], device="cpu")
    label_clips(
        Labelling(str(folder), str(tmp_path / "out"), ("fr",)), engine, Execution(workers=0, progress=False)
    )
    first, second = read_labels(tmp_path / "out" / "labels.tsv")
    assert (first.state, first.language, first.language_probability) == ("labelled", "fr", 1.0)
    assert (first.model, first.no_speech_prob) == ("checkpoint_best.pt", None)
    assert (second.state, second.text) == ("no_speech", "")


def test_a_checkpoint_without_a_dictionary_needs_one(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint()
    whole = load_ctc_labeller(path, ["fr"], device="cpu")
    state = torch.load(path, weights_only=True)
    state["task_state"] = {}
    torch.save(state, path)
    with pytest.raises(ValueError, match=rf"0 symbols .* for {len(SYMBOLS)} outputs; give the dict"):
        load_ctc_labeller(path, ["fr"], device="cpu")
    write_dictionary(tmp_path / "dict.ltr.txt", dict.fromkeys(SYMBOLS[4:], 1))
    labeller = load_ctc_labeller(path, ["fr"], device="cpu", dictionary=tmp_path / "dict.ltr.txt")
    windows = [np.random.default_rng(0).normal(size=9000).astype(np.float32)]
    encoded = labeller.encode(windows)
    assert labeller.transcribe(encoded, ["fr"]) == whole.transcribe(encoded, ["fr"])
    write_dictionary(tmp_path / "dict.ltr.txt", {"a": 1})
    with pytest.raises(ValueError, match=rf"dict.ltr.txt: 5 symbols .* for {len(SYMBOLS)} outputs;"):
        load_ctc_labeller(path, ["fr"], device="cpu", dictionary=tmp_path / "dict.ltr.txt")


def test_unusable_recognisers_are_refused(make_checkpoint: Callable[..., Path]) -> None:
    with pytest.raises(
        ValueError, match=r"a CTC model has one language, .*pass the one that it was trained on"
    ):
        load_ctc_labeller(make_checkpoint(), ["fr", "it"])
    with pytest.raises(ValueError, match="device: cpu, cuda, cuda:N or auto expected, found 'gpu'"):
        load_ctc_labeller(make_checkpoint(), ["fr"], device="gpu")
    recognizer = load_recognizer(make_checkpoint(8000))
    with pytest.raises(ValueError, match="trained at 8000 Hz, labelling needs 16000 Hz"):
        CtcLabeller(recognizer, "fr", name="x")
