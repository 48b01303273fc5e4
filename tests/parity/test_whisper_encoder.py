"""The encoder of Whisper gives the hidden states of transformers, on small random weights and on real ones."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fairseq_ext.modules.whisper_encoder as ours
from fairseq_ext.media.audio import load
from fairseq_ext.modules.encoders import EncoderConfig, build_encoder
from fairseq_ext.modules.pretrained_encoder import load_encoder, read_encoder

REAL = Path.home() / ".cache" / "fairseq_ext" / "whisper-base-hf"
SPEECH = Path(__file__).resolve().parents[3] / "shared/data/speechocean762/wav/0036/000360013.ogg"


def noise() -> Tensor:
    """Return two clips padded to 30 s with silence, (2, 480000)."""
    clips = torch.randn(2, 40_000, generator=torch.Generator().manual_seed(3))
    clips[1, 31_111:] = 0.0
    return torch.nn.functional.pad(clips, (0, 440_000))


def features(source: Tensor, num_mels: int) -> Tensor:
    """Return the log-mel spectrogram by transformers, (B, M, F)."""
    from transformers import WhisperFeatureExtractor

    extract = WhisperFeatureExtractor(feature_size=num_mels)
    found: Tensor = extract(
        [row.numpy() for row in source], sampling_rate=16000, return_tensors="pt"
    ).input_features
    return found


@torch.no_grad()
def states_of_transformers(encoder: Any, spectrum: Tensor) -> list[Tensor]:
    """Return the input of each layer and what comes after the last norm."""
    found: list[Tensor] = []

    def keep(_: Any, args: Any, named: Any) -> None:
        found.append(args[0] if args else named["hidden_states"])

    handles = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in encoder.layers]
    last = encoder(spectrum).last_hidden_state
    for handle in handles:
        handle.remove()
    return [*found, last]


@torch.no_grad()
def states(encoder: Any, source: Tensor) -> list[Tensor]:
    """Return the same of our encoder, whose hidden states include the output of the last layer, before the norm."""
    found = encoder(source, return_hidden=True)
    return [*found.hidden[:-1], found.frames]


def loaded(folder: Path) -> Any:
    source = read_encoder(folder)
    encoder = build_encoder(EncoderConfig(**source.shape))
    load_encoder(encoder, source)
    return encoder.eval()


def distances(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    """Return the largest difference in each layer as a share of the layer's root mean square."""
    assert len(found) == len(expected)
    return [
        float((a - b).abs().max() / b.square().mean().sqrt()) for a, b in zip(found, expected, strict=True)
    ]


@pytest.mark.parametrize("num_mels", [80, 128])
def test_small_random_weights(tmp_path: Path, num_mels: int) -> None:
    from transformers import WhisperConfig, WhisperModel

    torch.manual_seed(5)
    config = WhisperConfig(
        vocab_size=8, d_model=32, encoder_layers=3, decoder_layers=1, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, num_mel_bins=num_mels, init_std=0.2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    model = WhisperModel(config).eval()
    model.save_pretrained(tmp_path / "whisper")
    expected = states_of_transformers(model.encoder, features(noise(), num_mels))
    assert max(distances(states(loaded(tmp_path / "whisper"), noise()), expected)) < 1e-4


@pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no {REAL}; tools/real_whisper.py of the shared folder brings it"
)
def test_real_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64 every layer agrees; in float32 ours is no further from float64 than that of transformers.

    Float32 rounds some channels of the upper layers, which reach 500 where the layer's root mean square is 3: the
    float32 of transformers itself is 2e-3 of that away from its float64.
    """
    from transformers import WhisperModel

    model = WhisperModel.from_pretrained(REAL, dtype=torch.float32).encoder.eval()
    if SPEECH.is_file():
        clip = torch.from_numpy(load(SPEECH, sample_rate_hz=16000))
        source = torch.nn.functional.pad(clip, (0, 480_000 - len(clip)))[None]
    else:
        source = noise()[:1]
    spectrum, encoder = features(source, 80), loaded(REAL)
    assert float((ours.log_mel(source, 3000, 80).mT - spectrum).abs().max()) < 2e-5
    rounded = states_of_transformers(model, spectrum)
    exact = states_of_transformers(copy.deepcopy(model).double(), spectrum.double())
    theirs, own = distances(rounded, exact), distances(states(encoder, source), exact)
    assert all(mine < 1.5 * their + 1e-5 for mine, their in zip(own, theirs, strict=True)), (own, theirs)
    monkeypatch.setattr(ours, "log_mel", lambda *_: spectrum.mT)
    assert max(distances(states(encoder.double(), source), exact)) < 1e-4
