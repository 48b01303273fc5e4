"""`ext_accent_encoder`: features from waveforms or the batch, groups, heads, an encoder as a group, embedding files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import small_accent
import torch
from model_checks import RATE_HZ, check_gradients, check_padding, clips
from omegaconf import OmegaConf
from small_encoder import SIZES

from fairseq_ext.features.voice import voice_features
from fairseq_ext.features.voice_groups import GROUPS
from fairseq_ext.features.voice_groups import RATE_HZ as VOICE_RATE_HZ
from fairseq_ext.inference.embedder import load_embedder
from fairseq_ext.models.accent_encoder import AccentEncoder, AccentEncoderConfig
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.modules.feature_groups import SpectralGroups, span_mask
from fairseq_ext.modules.group_encoder import reverse_gradient

TASK = SimpleNamespace(streams={"accent": ["a", "b", "c"], "speaker": ["s", "t"]}, sample_rate_hz=RATE_HZ)
VOICE_TASK = SimpleNamespace(streams=TASK.streams, sample_rate_hz=VOICE_RATE_HZ)
SMALL = small_accent.KEYS


def make(task: Any = TASK, **keys: Any) -> AccentEncoder:
    """Build a small model."""
    torch.manual_seed(1)
    return AccentEncoder.build_model(OmegaConf.structured(AccentEncoderConfig(**{**SMALL, **keys})), task)


def test_features_are_those_of_the_files() -> None:
    source, padding_mask = clips()
    found, lengths = SpectralGroups(("mel", "mfcc"), VOICE_RATE_HZ)(source, padding_mask)
    for i, size in enumerate((~padding_mask).sum(1).tolist()):
        frames = int(lengths[i])
        for name, expected in voice_features(source[i, :size], VOICE_RATE_HZ, ("mel", "mfcc")).items():
            torch.testing.assert_close(found[name][i, :frames], expected, rtol=1e-4, atol=1e-3)
            assert not found[name][i, frames:].any()
    assert {name: value.shape[2] for name, value in found.items()} == {
        n: len(GROUPS[n]) for n in ("mel", "mfcc")
    }


def test_features_of_the_batch_give_what_waveforms_give() -> None:
    model, (source, padding_mask) = make().eval(), clips()
    features, lengths = SpectralGroups(("mel", "mfcc"), RATE_HZ)(source, padding_mask)
    with torch.no_grad():
        expected = model(source, padding_mask)["embedding"]
        torch.testing.assert_close(model(features=features, lengths=lengths)["embedding"], expected)
    torch.testing.assert_close(expected.norm(dim=1), torch.ones(3))


def test_groups_that_waveforms_lack_are_measured() -> None:
    pytest.importorskip("parselmouth")
    model, (source, padding_mask) = make(VOICE_TASK, groups="prosody,mfcc").eval(), clips()
    assert model.measured_groups == ("prosody",)
    sizes = (~padding_mask).sum(1).tolist()
    groups = ("prosody", "mfcc")
    measured = [voice_features(source[i, :size], VOICE_RATE_HZ, groups) for i, size in enumerate(sizes)]
    features = {
        n: torch.nn.utils.rnn.pad_sequence([m[n] for m in measured], batch_first=True) for n in groups
    }
    with torch.no_grad():
        whole = model(features=features, lengths=torch.tensor([len(m["mfcc"]) for m in measured]))[
            "embedding"
        ]
        for given in ({}, {"prosody": features["prosody"]}):  # the second is what the task sends
            found = model(source, padding_mask, given)["embedding"]
            torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "keys",
    [
        {"per_clip_mean": True},
        {"transformer_layers": 0, "stride": 3},
        {"groups": "mfcc"},
        {"fusion": "embeddings"},
    ],
)
def test_padding_counts_nowhere(keys: dict[str, Any]) -> None:
    check_padding(make(**keys))


def test_level_counts_nowhere_without_clip_means() -> None:
    model, (source, padding_mask) = make(per_clip_mean=True).eval(), clips()
    with torch.no_grad():
        first, louder = (model(gain * source, padding_mask)["embedding"] for gain in (1.0, 3.0))
    torch.testing.assert_close(first, louder, rtol=1e-3, atol=1e-4)


def test_every_head_has_gradients_and_the_fusion_is_reported() -> None:
    model = make(adversary=True, mask_spans=2)
    check_gradients(model)
    assert model.group_weights() == pytest.approx({"mel": 0.5, "mfcc": 0.5})
    check_gradients(make(groups="mel", class_head=False, reconstruct=False, input_statistics=False))


def test_cosines_of_groups_count_by_their_shares() -> None:
    """A group's embedding is what the same network without the others gives."""
    model, (source, padding_mask) = make(fusion="embeddings").eval(), clips()
    with torch.no_grad():
        model.encoder.fusion.scores.copy_(torch.tensor([0.0, 1.0]))
        whole = model(source, padding_mask)
        alone = {name: make(fusion="embeddings", groups=name).eval() for name in model.groups}
        cosines = torch.zeros(3, 3)
        for i, (name, share) in enumerate(model.group_weights().items()):
            named = {
                key.replace(f"heads.{i}.", "heads.0."): value for key, value in model.state_dict().items()
            }
            own = {key: named[key] for key in alone[name].state_dict()}
            own |= {"encoder.fusion.scores": torch.zeros(1), "classes": model.classes.chunk(2, 1)[i]}
            alone[name].load_state_dict(own)
            found = alone[name](source, padding_mask)
            cosines += share * found["embedding"] @ found["embedding"].T
            torch.testing.assert_close(whole["group_logits"][i], found["logits"])
            torch.testing.assert_close(found["group_logits"][0], found["logits"])
    torch.testing.assert_close(whole["embedding"] @ whole["embedding"].T, cosines)
    assert whole["embedding"].shape[1] == 2 * found["embedding"].shape[1]


def test_checkpoints_from_before_groups_had_heads_load() -> None:
    model, (source, padding_mask) = make().eval(), clips()
    state = {
        key.replace("heads.0.norm", "pooled_norm").replace("heads.0.projection", "projection"): value
        for key, value in model.state_dict().items()
    }
    assert not any("encoder.heads" in key for key in state)
    other = AccentEncoder(model.config, RATE_HZ, [3, 2]).eval()
    other.load_state_dict(state)
    with torch.no_grad():
        expected, found = (each(source, padding_mask)["embedding"] for each in (model, other))
    assert torch.equal(expected, found)


def test_every_group_with_an_embedding_has_gradients() -> None:
    model = make(fusion="embeddings", adversary=True)
    check_gradients(model)
    assert model.group_weights() == pytest.approx({"mel": 0.5, "mfcc": 0.5})


def test_gradient_behind_the_adversary_is_reversed() -> None:
    vectors = torch.randn(2, 3, requires_grad=True)
    (reverse_gradient(vectors) * torch.arange(3.0)).sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.tolist() == [[0.0, -1.0, -2.0]] * 2


def test_masks_hide_half_a_clip_at_most_and_no_padding() -> None:
    torch.manual_seed(1)
    lengths = torch.tensor([100, 30, 1])
    hidden = torch.stack([span_mask(lengths, 100, 1, 80) for _ in range(200)])
    assert (hidden.sum(2).amax(0) <= lengths / 2).all()
    assert not hidden[:, 1, 30:].any()
    assert hidden[:, 0].float().mean(0).min() > 0  # each frame at some time


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"groups": "mel,loudness"}, "each of mel, mfcc, chroma"),
        ({"groups": "mel,mel"}, "at most once"),
        ({"groups": "encoder"}, "encoder needs model.pretrained_path"),
        ({"fusion": "late"}, "model.fusion: one of steps, embeddings expected, found 'late'"),
    ],
)
def test_keys_that_cannot_be_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**keys)


def test_adversary_needs_a_second_label() -> None:
    task = SimpleNamespace(streams={"accent": ["a", "b"]}, sample_rate_hz=RATE_HZ)
    with pytest.raises(ValueError, match=r"task\.adversary_label"):
        AccentEncoder.build_model(OmegaConf.structured(AccentEncoderConfig(**SMALL, adversary=True)), task)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the checkpoint of a small recogniser, whose encoder is taken."""
    path = tmp_path_factory.mktemp("encoder") / "ctc.pt"
    shape = {**SIZES, "extractor_mode": "layer_norm"}
    model = ExtCtc(OmegaConf.structured(CtcConfig(**shape)), 5)
    cfg = {"model": {**shape, "normalize": True}, "task": {"sample_rate_hz": RATE_HZ}}
    torch.save({"cfg": cfg, "model": model.state_dict(), "task_state": {"symbols": list("abcde")}}, path)
    return path


def test_layers_of_an_encoder_are_a_group(speech: Path) -> None:
    cfg = OmegaConf.structured(
        AccentEncoderConfig(**SMALL, groups="mfcc,encoder", pretrained_path=str(speech))
    )
    model = AccentEncoder.build_model(cfg, TASK)
    check_padding(model)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name in dict(model.named_parameters()) if name.startswith("speech.encoder.")}
    check_gradients(model)
    assert not model.train().speech.encoder.training
    # The checkpoint holds the shape: nothing else is needed.
    keys = {
        "_name": "ext_accent_encoder",
        **SMALL,
        "groups": "mfcc,encoder",
        "pretrained_path": "/no/such/file",
    }
    cfg = {"model": {**keys, **model.encoder_keys()}, "task": {"label": "accent", "sample_rate_hz": RATE_HZ}}
    state = {"task_state": {"class_names": {name: list(c) for name, c in TASK.streams.items()}}}
    path = speech.with_name("accent.pt")
    torch.save({"cfg": {**cfg, "common": {"seed": 1}}, "model": model.state_dict(), **state}, path)
    clip = clips()[0][0]
    with torch.no_grad():
        expected = model.eval()(clip[None])["embedding"]
    np.testing.assert_allclose(load_embedder(path)(clip.numpy()), expected, atol=1e-5)


def test_embedder_takes_the_checkpoint_like_any_encoder(tmp_path: Path) -> None:
    model = small_accent.write(tmp_path / "encoder.pt", RATE_HZ)
    embed = load_embedder(tmp_path / "encoder.pt")
    assert (embed.layers, embed.poolings, embed.widths) == ((0,), ("embedding",), (8,))
    clip = np.random.default_rng(1).normal(size=6000).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(clip)[None])["embedding"].numpy()
    np.testing.assert_allclose(embed(clip), expected, atol=1e-5)
    long = np.tile(clip, 50)  # 37.5 s: two windows
    assert np.linalg.norm(embed(long)) == pytest.approx(1.0, abs=1e-5)
    assert embed.about["model"] == "ext_accent_encoder"
    with pytest.raises(ValueError, match="one vector per recording"):
        load_embedder(tmp_path / "encoder.pt", layers=[1])

    # A checkpoint trained on prepared features prepares what it embeds.
    steps = {"trim": False, "band_hz": None, "loudness_lufs": -23.0}
    state = torch.load(tmp_path / "encoder.pt", weights_only=False)
    state["task_state"]["preparation"] = steps
    torch.save(state, tmp_path / "prepared.pt")
    embed = load_embedder(tmp_path / "prepared.pt")
    assert embed.about["preparation"] == steps
    np.testing.assert_allclose(
        embed(0.1 * clip), embed(0.02 * clip), atol=1e-4
    )  # BS.1770 clips above full scale
