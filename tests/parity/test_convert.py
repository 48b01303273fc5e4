"""Conversion against Hugging Face's own classes: same weights, same numbers, both ways."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from reference64 import Results, compare
from torch import Tensor

from fairseq_ext.checkpoints.convert import convert
from fairseq_ext.checkpoints.load import load_model
from fairseq_ext.checkpoints.speech_model import Report
from fairseq_ext.data.labels import SPECIAL_SYMBOLS
from fairseq_ext.inference.recognizer import load_recognizer
from fairseq_ext.models.ctc import CtcConfig, ExtCtc
from fairseq_ext.models.wav2vec2 import ExtWav2Vec2
from fairseq_ext.modules.hf_config import config_to_fairseq
from fairseq_ext.text.units import to_characters

FAMILIES = ("wav2vec2", "hubert", "wavlm")
NUM_SAMPLES = 4000
Export = Callable[..., Any]


def tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a folder."""
    from safetensors.torch import load_file

    found: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return found


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check that names, types and bits are the same."""
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype, name
        assert torch.equal(found[name], value), name


def transcribe_there(folder: Path, source: Tensor) -> list[str]:
    """Transcribe with transformers and the folder alone; transformers keeps repeated spaces."""
    import transformers

    processor = transformers.Wav2Vec2Processor.from_pretrained(folder)
    network = transformers.AutoModelForCTC.from_pretrained(folder).eval()
    rate = processor.feature_extractor.sampling_rate
    inputs = processor(list(source.numpy()), sampling_rate=rate, return_tensors="pt").input_values
    texts = processor.batch_decode(network(inputs).logits.argmax(2))
    return [" ".join(text.split()) for text in texts]


def labels_of(text: str, symbols: list[str]) -> Tensor:
    """Return the rows of the units of a text; some alphabets have a space for |."""
    space = "|" if "|" in symbols else " "
    return torch.tensor([[symbols.index(unit.replace("|", space)) for unit in to_characters(text)]])


@pytest.mark.precision
@pytest.mark.parametrize("alphabet", ["facebook", "users"])
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_recogniser_has_the_same_layers_text_and_loss(
    family: str, large: bool, alphabet: str, export: Export, tmp_path: Path
) -> None:
    theirs = export(tmp_path / "theirs", family, large=large, alphabet=alphabet)
    convert(theirs.folder, tmp_path / "ours.pt")
    recognizer = load_recognizer(tmp_path / "ours.pt")
    ours, symbols = recognizer.model, recognizer.symbols
    source = F.layer_norm(torch.randn(2, NUM_SAMPLES), (NUM_SAMPLES,))  # as those of the large models come
    texts = [recognizer.transcribe(waveform.numpy()) for waveform in source]
    assert texts == transcribe_there(theirs.folder, source)
    assert min(map(len, texts)) > 10

    def prepared(dtype: torch.dtype) -> Tensor:
        # Our large models normalise, theirs leave it to the feature extractor.
        return F.layer_norm(source.to(dtype), (NUM_SAMPLES,)) if large else source.to(dtype)

    @cache
    def layers(dtype: torch.dtype) -> list[tuple[Results, Results]]:
        frames, hidden = theirs.to(dtype).layers(prepared(dtype))
        found = ours.to(dtype).encode(source.to(dtype), return_hidden=True)
        pairs = zip([found.frames, *found.hidden[1:]], [frames, *hidden], strict=True)
        return [({"": mine}, {"": other}) for mine, other in pairs]

    for which in range(1 + theirs.network.config.num_hidden_layers):
        compare(lambda dtype, which=which: layers(dtype)[which])

    def loss(dtype: torch.dtype) -> tuple[Results, Results]:
        log_probs = ours.to(dtype)(source[:1].to(dtype))["logits"].log_softmax(2).transpose(0, 1)
        targets = labels_of("l'aŀlà ça", symbols)
        sizes = torch.tensor([len(log_probs)]), torch.tensor([targets.shape[1]])
        found = F.ctc_loss(log_probs, targets, *sizes, reduction="sum")
        letters = labels_of("l'aŀlà ça", theirs.tokens)
        return {"": found}, {"": theirs.to(dtype).network(prepared(dtype)[:1], labels=letters).loss}

    compare(loss, num_roundings=NUM_SAMPLES // 20)  # a rounding per frame


@pytest.mark.parametrize(
    ("family", "head"),
    [(family, head) for family in FAMILIES for head in ("Model", "ForCTC")]
    + [("wav2vec2", "ForPreTraining")],
)
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_there_and_back_gives_the_same_bits(
    family: str, head: str, large: bool, export: Export, tmp_path: Path
) -> None:
    theirs = export(tmp_path / "theirs", family, head, large=large)
    there = convert(theirs.folder, tmp_path / "ours.pt")
    back = convert(tmp_path / "ours.pt", tmp_path / "back")
    assert_same(tensors(tmp_path / "back"), tensors(theirs.folder))
    before, after = (
        json.loads((path / "config.json").read_text()) for path in (theirs.folder, tmp_path / "back")
    )
    sizes_of_heads = {
        "latent_vars",
        "latent_groups",
        "latent_dim",
        "final_dim",
        "logit_temp",
        "num_negatives",
    }
    kept, found = config_to_fairseq(before, ""), config_to_fairseq(after, "")
    for key in kept.keys() - (sizes_of_heads if head == "ForCTC" else set()):
        assert found[key] == kept[key], key
    for key in ("model_type", "architectures", "feat_extract_norm", "hidden_size"):
        assert after[key] == before[key]
    assert_accounted(there, tensors(theirs.folder), torch.load(tmp_path / "ours.pt")["model"])
    assert_accounted(back, torch.load(tmp_path / "ours.pt")["model"], tensors(tmp_path / "back"))


def assert_accounted(report: Report, source: Mapping[str, Tensor], result: Mapping[str, Tensor]) -> None:
    """Check that each weight of either side has its line in the report."""
    assert {*report.mapped, *report.left_out} == set(source)
    assert {*report.mapped.values(), *report.filled} == set(result)
    assert set(report.mapped) & set(report.left_out) == set()
    text = "\n".join(report.lines())
    for name in {**report.left_out, **report.filled}:
        assert re.sub(r"(?<=layers\.)\d+", "*", name) in text


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_precision_is_kept(dtype: torch.dtype, export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "wav2vec2")
    theirs.network.to(dtype).save_pretrained(theirs.folder)
    convert(theirs.folder, tmp_path / "ours.pt")
    convert(tmp_path / "ours.pt", tmp_path / "back")
    assert_same(tensors(tmp_path / "back"), tensors(theirs.folder))
    assert json.loads((tmp_path / "back" / "config.json").read_text())["torch_dtype"] in str(dtype)


def test_files_of_every_kind_give_the_same(export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "wavlm", large=True)
    whole = tensors(theirs.folder)
    convert(theirs.folder, tmp_path / "whole.pt")
    theirs.network.save_pretrained(theirs.folder, max_shard_size="50KB")
    (theirs.folder / "model.safetensors").unlink()
    assert len(list(theirs.folder.glob("model-*.safetensors"))) > 1
    convert(theirs.folder, tmp_path / "shards.pt")
    for file in theirs.folder.glob("model*"):
        file.unlink()
    # torch's format came with the older spelling of weight norm
    older = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in whole.items()
    }
    assert set(older) != set(whole)
    torch.save(older, theirs.folder / "pytorch_model.bin")
    convert(theirs.folder, tmp_path / "bin.pt")
    expected = torch.load(tmp_path / "whole.pt")["model"]
    for name in ("shards.pt", "bin.pt"):
        assert_same(torch.load(tmp_path / name)["model"], expected)


def test_rows_of_a_foreign_alphabet_come_back_as_their_letters(export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "wav2vec2", alphabet="users")
    convert(theirs.folder, tmp_path / "ours.pt")
    convert(tmp_path / "ours.pt", tmp_path / "back")
    before, after = tensors(theirs.folder), tensors(tmp_path / "back")
    rows = json.loads((tmp_path / "back" / "vocab.json").read_text(encoding="utf-8"))
    names = {" ": "|", "[PAD]": "<pad>", "[UNK]": "<unk>"}
    for row, token in enumerate(theirs.tokens):
        found = rows.pop(names.get(token, token))
        assert torch.equal(after["lm_head.weight"][found], before["lm_head.weight"][row])
        assert torch.equal(after["lm_head.bias"][found], before["lm_head.bias"][row])
    assert set(rows) == {"<s>", "</s>"}
    assert all(
        after["lm_head.bias"][row] == -1e4 and not after["lm_head.weight"][row].any() for row in rows.values()
    )


@pytest.mark.precision
@torch.no_grad()
def test_pretrained_model_has_the_same_targets_and_predictions(export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", "wav2vec2", "ForPreTraining", large=True)
    convert(theirs.folder, tmp_path / "ours.pt")
    ours = load_model(tmp_path / "ours.pt").model
    assert type(ours) is ExtWav2Vec2
    source = torch.randn(2, NUM_SAMPLES)

    def run(dtype: torch.dtype, part: str) -> tuple[Results, Results]:
        expected = theirs.to(dtype).network(source.to(dtype))
        features, _ = ours.to(dtype).features(source.to(dtype))
        found = ours.final_proj(ours.encode(source.to(dtype)).frames)
        if part == "projected_quantized_states":
            found = ours.project_q(ours.quantizer(features.flatten(0, 1)).vectors).view_as(found)
        return {part: found}, {part: expected[part]}

    for part in ("projected_states", "projected_quantized_states"):
        compare(lambda dtype, part=part: run(dtype, part))


@pytest.mark.precision
@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_fine_tuning_starts_from_a_converted_model(family: str, export: Export, tmp_path: Path) -> None:
    theirs = export(tmp_path / "theirs", family, "Model", large=True)
    report = convert(theirs.folder, tmp_path / "ours.pt")
    assert any(name.startswith("quantizer.") for name in report.filled)
    task = SimpleNamespace(symbols=[*SPECIAL_SYMBOLS, "|", "ç"], sample_rate_hz=16000)
    cfg = OmegaConf.structured(CtcConfig(pretrained_path=str(tmp_path / "ours.pt")))
    ours = ExtCtc.build_model(cfg, task).eval()
    assert ours.config.normalize
    source = torch.randn(1, NUM_SAMPLES)
    again = load_model(tmp_path / "ours.pt").model  # pre-training can go on from it, too

    def run(dtype: torch.dtype, model: Any) -> tuple[Results, Results]:
        normalized = F.layer_norm(source.to(dtype), (NUM_SAMPLES,))
        # In pre-training the task normalises, in fine-tuning the model.
        found = model.to(dtype).encode(source.to(dtype) if model is ours else normalized).frames
        return {"": found}, {"": theirs.to(dtype).layers(normalized)[0]}

    for model in (ours, again):
        compare(lambda dtype, model=model: run(dtype, model))


@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("embed_dim", [48, 32], ids=["projection", "no projection"])
@torch.no_grad()
def test_transformers_transcribes_with_our_training(
    embed_dim: int, large: bool, export: Export, tmp_path: Path
) -> None:
    symbols = [*SPECIAL_SYMBOLS, "|", "a", "à", "ç", "·", "ŀ", "'"]
    torch.manual_seed(3)
    config = CtcConfig(
        conv_feature_layers="[(32, 10, 5)] + [(32, 3, 2), (32, 2, 2)]",
        encoder_layers=2,
        encoder_embed_dim=embed_dim,
        encoder_ffn_embed_dim=64,
        encoder_attention_heads=4,
        conv_pos=16,
        conv_pos_groups=4,
        conv_bias=large,
        layer_norm_first=large,
        extractor_mode="layer_norm" if large else "default",
        normalize=large,
    )
    ours = ExtCtc(config, len(symbols)).eval()
    for parameter in ours.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    ours.w2v_encoder.proj.bias[1:4] = -20.0
    state = {  # as a training leaves it, averaged weights included
        "cfg": {"model": {**vars(config), "_name": "ext_ctc"}, "task": {"sample_rate_hz": 8000}},
        "model": {name: torch.zeros_like(value) for name, value in ours.state_dict().items()},
        "task_state": {"symbols": symbols},
        "optimizer_history": [{"num_updates": 7}],
        "extra_state": {"ema": ours.state_dict()},
    }
    torch.save(state, tmp_path / "checkpoint_best.pt")
    report = convert(tmp_path / "checkpoint_best.pt", tmp_path / "theirs")
    source = torch.randn(2, NUM_SAMPLES)
    recognizer = load_recognizer(tmp_path / "checkpoint_best.pt")
    texts = [recognizer.transcribe(waveform.numpy()) for waveform in source]
    assert transcribe_there(tmp_path / "theirs", source) == texts
    assert min(map(len, texts)) > 10
    assert ("wav2vec2.feature_projection.projection.weight" in report.filled) == (embed_dim == 32)
    preprocessor = json.loads((tmp_path / "theirs" / "preprocessor_config.json").read_text())
    # group norm hides the scale of a recording, so that the texts would not tell
    assert (preprocessor["do_normalize"], preprocessor["sampling_rate"]) == (large, 8000)
    assert_accounted(report, ours.state_dict(), tensors(tmp_path / "theirs"))
    convert(tmp_path / "theirs", tmp_path / "again.pt")
    again = torch.load(tmp_path / "again.pt")
    assert_same(again["model"], ours.state_dict())
    assert again["task_state"]["symbols"] == symbols


def test_our_defaults_are_those_of_transformers(export: Export) -> None:
    import transformers

    for name in ("Wav2Vec2Config", "HubertConfig", "WavLMConfig"):
        full = getattr(transformers, name)().to_dict()
        bare = {"model_type": full["model_type"]}
        assert config_to_fairseq(bare, "") == config_to_fairseq(full, "")
