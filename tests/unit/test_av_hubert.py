"""Masked prediction from lips and sound: masks by seed, targets, codebooks, public checkpoints by their names."""

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from fairseq_ext.criterions.masked_units import MaskedUnitsCriterion
from fairseq_ext.data.frame_labels import FrameLabels, FrameLabelStreams
from fairseq_ext.file_errors import FileError
from fairseq_ext.inference.av_frames import AvFrames, is_av_hubert
from fairseq_ext.models.av_hubert import AvHubertConfig, ExtAvHubert
from fairseq_ext.modules.av_hubert_keys import FINE_TUNED, RENAMED, read_av_checkpoint
from fairseq_ext.modules.input_masks import InputMaskConfig, mask_input, substitute

SMALL: dict[str, Any] = {
    "front_end_width": 4,
    "front_end_blocks": "1,1",
    "encoder_layers": 2,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 32,
    "encoder_attention_heads": 4,
    "conv_pos": 8,
    "conv_pos_groups": 4,
    "final_dim": 8,
    "modality_dropout": 0.0,
}
LENGTHS = (20, 12)


def make(num_units: tuple[int, ...] = (6,), **keys: Any) -> ExtAvHubert:
    torch.manual_seed(1)
    return ExtAvHubert(AvHubertConfig(**{**SMALL, **keys}), num_units)


def batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "video": torch.randn(2, 1, 20, 24, 24, generator=generator),
        "audio": torch.randn(2, 104, 20, generator=generator),
        "padding_mask": torch.arange(20)[None] >= torch.tensor(LENGTHS)[:, None],
        "seeds": torch.tensor([5, 6]),
    }


@pytest.mark.parametrize("masking_type", ["feature", "input"])
def test_masks_follow_from_the_clip_s_seed(masking_type: str) -> None:
    model = make(masking_type=masking_type).eval()
    given = batch()
    output = model(**given)
    assert output["logits"][0].shape == (2, 20, 6)
    assert output["masked"].any(1).all()
    assert not output["masked"][1, 12:].any()
    alone = model(given["video"][1:, :, :12], given["audio"][1:, :, :12], seeds=given["seeds"][1:])
    assert torch.equal(alone["masked"][0], output["masked"][1, :12])
    torch.testing.assert_close(alone["logits"][0][0], output["logits"][0][1, :12], rtol=1e-4, atol=1e-4)
    others = [model(**{**given, "seeds": torch.tensor([5, seed])})["masked"] for seed in (7, 8, 9)]
    assert all(torch.equal(other[0], output["masked"][0]) for other in others)
    assert not all(torch.equal(other[1], output["masked"][1]) for other in others)


def test_masked_frames_are_not_seen() -> None:
    model = make(mask_prob=0.5, mask_length=4).eval()
    given = batch()
    output = model(**given)
    changed = given["audio"].clone()
    changed.transpose(1, 2)[output["masked"]] = 7.0
    torch.testing.assert_close(model(**{**given, "audio": changed})["logits"], output["logits"])


def test_masked_pictures_are_others_of_the_clip() -> None:
    video = torch.arange(40.0).view(2, 1, 20, 1, 1)
    masked = torch.zeros(2, 20, dtype=torch.bool)
    masked[0, 3:8], masked[0, 12:15], masked[1, 2:6] = True, True, True
    found = substitute(video, masked, torch.tensor(LENGTHS), torch.tensor([1, 2])).view(2, 20)
    frames = torch.arange(40.0).view(2, 20)
    assert torch.equal(found[~masked], frames[~masked])
    assert (found[masked] != frames[masked]).all()
    assert ((found[0] >= 0) & (found[0] < 20)).all()
    assert ((found[1, :12] >= 20) & (found[1, :12] < 32)).all()
    # In order, around the clip's end if need be.
    steps = found[0, 3:8].diff() % 20
    assert torch.equal(steps, torch.ones(4))
    moves = {
        int(substitute(video, masked, torch.tensor(LENGTHS), torch.tensor([seed, 2]))[0, 0, 3])
        for seed in range(30)
    }
    assert len(moves) > 5


def test_streams_have_masks_of_their_own() -> None:
    given = batch()
    config = InputMaskConfig(
        mask_prob_image=0.3, mask_length_image=2, mask_prob_audio=0.4, mask_length_audio=3
    )
    lengths = torch.tensor(LENGTHS)
    video, audio, either = mask_input(given["video"], given["audio"], lengths, given["seeds"], config)
    assert video is not None
    assert audio is not None
    unseen = (video != given["video"]).flatten(3).any(3)[:, 0]
    unheard = (audio != given["audio"]).any(1)
    assert torch.equal(unseen | unheard, either)
    assert not torch.equal(unseen, unheard)
    assert not audio.transpose(1, 2)[unheard].any()


def criterion(**weights: float) -> MaskedUnitsCriterion:
    keys = {
        "pred_masked_weight": 1.0,
        "pred_nomask_weight": 0.0,
        "penalty_weight": 0.0,
        "alarm_after": 0,
    } | weights
    return MaskedUnitsCriterion(SimpleNamespace(), **keys)  # type: ignore[arg-type]


class Fixed(torch.nn.Module):
    """Gives the same output whatever it is given."""

    def __init__(self, logits: list[Tensor], masked: Tensor) -> None:
        super().__init__()
        self.output = {"logits": logits, "masked": masked, "features_pen": torch.tensor(2.0)}

    def forward(self, **inputs: Any) -> dict[str, Any]:
        return self.output


def score(loss: MaskedUnitsCriterion, logits: list[Tensor], masked: Tensor, targets: Tensor) -> Any:
    sample = {"net_input": {}, "frame_targets": targets, "nsentences": 1, "ntokens": 4}
    return loss(Fixed(logits, masked), sample)


def test_loss_and_accuracy_of_masked_and_other_frames() -> None:
    right = math.log(0.7)
    logits = torch.tensor([[0.7, 0.2, 0.1]]).log().expand(1, 4, 3)
    masked = torch.tensor([[True, True, False, False]])
    targets = torch.tensor([[0, 1, 0, -100]])
    value, size, logged = score(
        criterion(pred_nomask_weight=0.5, penalty_weight=0.1), [logits], masked, targets
    )
    assert int(size) == 2
    expected = -(right + math.log(0.2)) - 0.5 * right + 0.1 * 2 * 2.0
    assert float(value) == pytest.approx(expected)
    assert (int(logged["masked_right_0"]), int(logged["masked_count_0"])) == (1, 2)
    assert (int(logged["unmasked_right_0"]), int(logged["unmasked_count_0"])) == (1, 1)
    mean = [0.7, 0.2, 0.1]
    assert float(logged["entropy_0"]) == pytest.approx(-sum(p * math.log(p) for p in mean))


def test_every_codebook_counts() -> None:
    first, second = torch.zeros(1, 2, 4), torch.zeros(1, 2, 8)
    targets = torch.tensor([[[1, 7], [2, -100]]])
    value, size, logged = score(criterion(), [first, second], torch.ones(1, 2, dtype=torch.bool), targets)
    assert float(value) == pytest.approx(2 * math.log(4) + math.log(8))
    assert float(size) == 1.5
    assert [int(logged[f"masked_count_{k}"]) for k in range(2)] == [2, 1]


def test_batch_without_a_clip_has_no_weight() -> None:
    sample = {"net_input": {}, "frame_targets": torch.full((1, 2), -100), "nsentences": 0, "ntokens": 0}
    value, size, logged = criterion()(
        Fixed([torch.zeros(1, 2, 4)], torch.ones(1, 2, dtype=torch.bool)), sample
    )
    assert (float(value), int(size), int(logged["num_batches"])) == (0.0, 0, 0)


def test_collapse_is_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    loss = criterion(alarm_after=3)
    alike = {"entropy_0": torch.tensor(0.1), "num_batches": 1}
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            loss.watch([alike])
    assert caplog.text.count("masked prediction has collapsed: 1.11 clusters predicted for 3 updates") == 1


def test_weights_below_0_are_refused() -> None:
    with pytest.raises(ValueError, match="one of the first two above 0 expected, found 0"):
        criterion(pred_masked_weight=0.0)


@pytest.mark.parametrize("untie", [False, True])
def test_codebooks_share_the_encoder(untie: bool) -> None:
    model = make((6, 4), untie_final_proj=untie).eval()
    assert [logits.shape[2] for logits in model(**batch())["logits"]] == [6, 4]
    assert model.final_proj.out_features == (16 if untie else 8)


def test_codebooks_are_read_beside_each_other(tmp_path: Path) -> None:
    for name, line in (("a", "0 1 2\n"), ("b", "\n")):
        (tmp_path / f"train.{name}").write_text(line, encoding="utf-8")
    streams = FrameLabelStreams([FrameLabels(tmp_path / f"train.{name}", ["0", "1", "2"]) for name in "ab"])
    assert streams.get(0, 3).tolist() == [[0, -100], [1, -100], [2, -100]]
    assert streams.unknown(2).shape == (2, 2)


def public_file(path: Path, model: ExtAvHubert, *, fine_tuned: bool = False, **config: Any) -> None:
    """Write a file with the names and keys that public checkpoints have, stale ones among them."""
    prefix = FINE_TUNED if fine_tuned else ""
    weights = {}
    for name, value in model.state_dict().items():
        old = next(old + name.removeprefix(own) for old, own in RENAMED if name.startswith(own))
        weights[prefix + old] = value
    keys = {name: value for name, value in SMALL.items() if not name.startswith("front_end")}
    pretraining: dict[str, Any] = {
        "_name": "av_hubert",
        **keys,
        "resnet_relu_type": "prelu",
        "resnet_weights": None,
        "sim_type": "cosine",
        "selection_type": "same_seq",
        "required_seq_len_multiple": 1,
        "sub_encoder_layers": 0,
        "label_rate": 25,
        "modality_fuse": "concat",
        "dropout_input": 0.1,
        "input_modality": "???",
        **config,
    }
    cfg: dict[str, Any] = {
        "model": pretraining,
        "task": {"_name": "av_hubert_pretraining", "stack_order_audio": 4},
    }
    if fine_tuned:
        weights["decoder.embed_tokens.weight"] = torch.zeros(3, 2)
        cfg = {"model": {"_name": "av_hubert_seq2seq", "decoder_layers": 6, "w2v_args": cfg}}
    torch.save({"model": weights, "cfg": cfg, "optimizer_history": [{"num_updates": 7}]}, path)


@pytest.mark.parametrize("fine_tuned", [False, True])
def test_public_checkpoint_gives_the_same(
    tmp_path: Path, fine_tuned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    model = make().eval()
    path = tmp_path / "base.pt"
    public_file(path, model, fine_tuned=fine_tuned)
    cfg = OmegaConf.structured(AvHubertConfig(pretrained_path=str(path), encoder_embed_dim=999, dropout=0.3))
    with caplog.at_level(logging.INFO):
        loaded = ExtAvHubert.build_model(cfg, SimpleNamespace(num_units=[6]))
    assert loaded.config.encoder_embed_dim == 24
    assert loaded.config.dropout == 0.3
    assert loaded.encoder_keys()["front_end_blocks"] == "1,1"
    given = batch()
    expected = model(**given)["logits"][0]
    assert torch.equal(loaded.eval()(**given)["logits"][0], expected)
    assert (
        "tensors are no part of the encoder, e.g. decoder.embed_tokens.weight" in caplog.text
    ) == fine_tuned
    assert is_av_hubert(path)
    video, audio = given["video"][0, 0], given["audio"][0].T
    hidden = model.encode(video[None, None], audio.T[None], return_hidden=True).hidden
    for layer in (0, 2):
        assert torch.equal(torch.from_numpy(AvFrames(path, layer)(video, audio)), hidden[layer][0])


def test_other_clusters_stay_at_random_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "base.pt"
    public_file(path, make())
    cfg = OmegaConf.structured(AvHubertConfig(pretrained_path=str(path)))
    with caplog.at_level(logging.INFO):
        model = ExtAvHubert.build_model(cfg, SimpleNamespace(num_units=[9]))
    assert len(model.label_embs_concat) == 9
    assert "at random values, since the clusters are others: label_embs_concat" in caplog.text


def test_networks_that_we_lack_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.pt"
    public_file(path, make(), sub_encoder_layers=2)
    with pytest.raises(
        FileError, match="sub_encoder_layers=0 expected, found 2: such an AV-HuBERT is not supported"
    ):
        read_av_checkpoint(path)


def test_incomplete_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "base.pt"
    public_file(path, make())
    state = torch.load(path, weights_only=True)
    del state["model"]["encoder.layers.1.fc1.weight"]
    torch.save(state, path)
    cfg = OmegaConf.structured(AvHubertConfig(pretrained_path=str(path)))
    with pytest.raises(ValueError, match=r"1 tensors are missing \['encoder\.layers\.1\.fc1\.weight'\]"):
        ExtAvHubert.build_model(cfg, SimpleNamespace(num_units=[6]))
    with pytest.raises(FileError, match=r"1 weights are missing, e\.g\. encoder\.layers\.1"):
        AvFrames(path, 2)


def test_layer_and_stream_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "video.pt"
    public_file(path, make(modality="video"))
    with pytest.raises(ValueError, match="its encoder has layers 0 to 2, not 3"):
        AvFrames(path, 3)
    with pytest.raises(ValueError, match="it takes video, not audio; give --modality video"):
        AvFrames(path, 1, modality="audio")
    frames = AvFrames(path, 1)
    assert frames.wanted == {"video"}
    assert frames(batch()["video"][0, 0], None).shape == (20, 24)


def test_frames_are_of_the_streams_that_training_read(tmp_path: Path) -> None:
    path = tmp_path / "both.pt"
    cfg = {
        "model": {**SMALL, "_name": "ext_av_hubert"},
        "task": {"_name": "ext_av_pretraining", "modality": "video"},
    }
    torch.save({"model": make().state_dict(), "cfg": cfg}, path)
    assert AvFrames(path, 1).wanted == {"video"}
    with pytest.raises(ValueError, match="it takes video, not audio; give --modality video"):
        AvFrames(path, 1, modality="audio")


def test_impossible_model_is_refused() -> None:
    with pytest.raises(ValueError, match="one of feature, input expected, found 'both'"):
        make(masking_type="both")
    with pytest.raises(ValueError, match="codebooks with clusters expected, found"):
        make(())
