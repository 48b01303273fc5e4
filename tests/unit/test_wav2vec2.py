"""The pre-training model: what decides its draws, padding, short clips, what the encoder keeps."""

from dataclasses import replace

import pytest
import torch

from fairseq_ext.models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config
from fairseq_ext.modules.speech_encoder import SpeechEncoder

SMALL = Wav2Vec2Config(
    conv_feature_layers="[(24, 10, 5)] + [(24, 3, 2)] * 2 + [(24,2,2)]",
    encoder_layers=2,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=64,
    encoder_attention_heads=4,
    conv_pos=16,
    conv_pos_groups=4,
    final_dim=16,
    latent_vars=8,
    num_negatives=9,
    dropout=0.0,
    attention_dropout=0.0,
)


def make(**changes: object) -> ExtWav2Vec2:
    """Return a model in training mode, without dropout."""
    torch.manual_seed(1)
    return ExtWav2Vec2(replace(SMALL, **changes)).train()


def test_seeds_decide_and_the_global_state_does_not() -> None:
    model, source = make(), torch.randn(2, 3000)
    torch.manual_seed(5)
    first = model(source, seeds=[3, 2**62 + 5])["logits"]
    torch.manual_seed(6)
    assert torch.equal(model(source, seeds=[3, 2**62 + 5])["logits"], first)
    assert not torch.equal(model(source, seeds=[4, 2**62 + 5])["logits"], first)


def test_masks_of_a_clip_do_not_depend_on_its_batch() -> None:
    model = make()
    together = model.draw_masks(None, 3, 70, torch.tensor([5, 6, 7]))
    alone = model.draw_masks(None, 1, 70, torch.tensor([6]))
    assert set(together.positions[1].tolist()) <= set(alone.positions[0].tolist())
    assert together.time[1].sum() == together.positions.shape[1]


def test_padding_changes_nothing_when_targets_are_equally_many() -> None:
    model, source = make(), torch.randn(2, 3000)
    mask = torch.zeros(2, 3000, dtype=torch.bool)
    expected = model(source, seeds=[1, 2])
    longer = torch.cat([source, torch.ones(2, 500)], dim=1)
    padded = torch.cat([mask, torch.ones(2, 500, dtype=torch.bool)], dim=1)
    for found in (model(source, mask, [1, 2]), model(longer, padded, [1, 2])):
        for name in ("logits", "features_pen", "prob_perplexity", "code_perplexity"):
            torch.testing.assert_close(found[name], expected[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sizes", [(3000, 100), (3000, 60), (300, 10), (1, 1), (90, 90)])
def test_short_clips_give_finite_gradients(sizes: tuple[int, int]) -> None:
    model = make()
    source = torch.randn(2, max(sizes))
    padding = torch.arange(max(sizes))[None] >= torch.tensor(sizes)[:, None]
    output = model(source, padding, [1, 2])
    logits = output["logits"]
    loss = (logits.logsumexp(2) - logits[:, :, 0]).sum() + output["features_pen"] + output["prob_perplexity"]
    loss.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_encoder_takes_what_is_not_of_pre_training() -> None:
    model = make().eval()
    encoder = SpeechEncoder(SMALL).eval()
    report = encoder.load_state_dict(model.state_dict(), strict=False)
    assert report.missing_keys == []
    assert {key.split(".")[0] for key in report.unexpected_keys} == {"quantizer", "project_q", "final_proj"}
    source = torch.randn(2, 2000)
    torch.testing.assert_close(encoder(source).frames, model.encode(source).frames)


def test_temperature_follows_the_updates() -> None:
    model = make(latent_temp=(2.0, 0.5, 0.9))
    model.set_num_updates(5)
    assert model(torch.randn(2, 2000), seeds=[1, 2])["temp"] == pytest.approx(2 * 0.9**5)


def test_learns_to_tell_frames_apart() -> None:
    # tones of changing pitch: what is masked follows from what is around it
    model = make(mask_prob=0.3, mask_length=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    time = torch.arange(2000) / 2000
    losses = []
    for step in range(30):
        phase = torch.rand(4, 1, generator=torch.Generator().manual_seed(step))
        source = torch.sin(300 * time * (1 + torch.sin(6 * time + 6 * phase)))
        output = model(source, seeds=[4 * step + clip for clip in range(4)])
        loss = (output["logits"].logsumexp(2) - output["logits"][:, :, 0]).mean()
        diversity = 1 - output["prob_perplexity"] / output["num_vars"]
        optimizer.zero_grad()
        (loss + 0.1 * diversity).backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])
