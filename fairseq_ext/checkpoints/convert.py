"""Conversion of speech models: folders of Hugging Face (wav2vec 2.0, HuBERT, WavLM) and checkpoints of fairseq.

The numbers stay: frames, layers, transcripts and CTC loss are those of the source, and a model that goes there and back
has the same tensors. What one side cannot compute is refused, and every weight is accounted for.
"""

from pathlib import Path
from typing import Any

import torch

from ..file_errors import reading
from ..modules.hf_config import config_to_fairseq, config_to_hugging_face
from ..modules.hf_encoder import PROJECTION, fairseq_name, preprocessor_settings, projects_nothing
from ..modules.hf_folder import CONFIG, PREPROCESSOR, PROCESSOR, Folder, read_folder, write_folder
from ..modules.hf_keys import CTC_HEAD, PRETRAINING_HEADS, to_hugging_face, with_family
from ..text.units import are_pieces
from . import fairseq_file
from .fairseq_file import Reader
from .hf_vocab import ABSENT_BIAS, SPARE, Vocabulary, head_to_fairseq, read_vocabulary, write_vocabulary
from .speech_model import Report, SpeechModel

# transformers adds 1e-7 to the variance before the root, fairseq 1e-5: at an RMS of 0.01, 5% of the amplitude.
_TWO_NORMALISERS = (
    "transformers and fairseq normalise quiet clips differently: below an RMS of 0.02 amplitudes differ by more than "
    "1%, and with them the numbers"
)
_GROUP_NORM = (
    "transformers' group norm counts the padding of a batch: give it one recording at a time, or texts of the shorter "
    "ones may differ from ours"
)


def convert(
    source: Path,
    out: Path,
    *,
    reader: Reader = "fairseq_ext",
    family: str | None = None,
    dictionary: Path | None = None,
) -> Report:
    """Convert a folder of Hugging Face to a fairseq checkpoint, or a file of fairseq to a folder; report every weight.

    Args:
        reader: program whose classes a written fairseq checkpoint names.
        family: model family of a written folder, see `hf_config.FAMILIES`; None = that of the checkpoint.
        dictionary: `dict.ltr.txt`, for a fairseq CTC checkpoint that does not hold its own.

    Raises:
        FileNotFoundError: the source is not there.
        FileExistsError: `out` is there already.
        ValueError: a source that is damaged, of another architecture, or that the other side cannot compute.
        ImportError: a package that is needed is missing.
    """
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; check the path")
    what = "a folder of Hugging Face" if source.is_dir() else "a checkpoint of fairseq"
    with reading(source, what, advice="download it again, or give another"):
        model, report = (
            _read_hugging_face(source) if source.is_dir() else fairseq_file.read_model(source, dictionary)
        )
        filled = model.fill() if source.is_dir() else {}
    if source.is_dir():
        names = fairseq_file.write_model(model, out, reader, filled)
        report.mapped = {theirs: names[ours] for theirs, ours in report.mapped.items()}
        report.filled = {names[name]: reason for name, reason in filled.items()}
    else:
        _write_hugging_face(model, report, source, out, family or model.family)
    if model.normalize:
        report.notes.append(_TWO_NORMALISERS)
    return report


def _read_hugging_face(folder: Path) -> tuple[SpeechModel, Report]:
    """Read a folder; the report maps to fairseq's bare names."""
    content = read_folder(folder)
    config = config_to_fairseq(content.config, str(folder / CONFIG))
    report = Report()
    is_ctc = "lm_head.weight" in content.weights
    weights = {}
    for name, value in content.weights.items():
        ours = fairseq_name(name, config["extractor_mode"], folder)
        if ours is None:
            report.left_out[name] = (
                "head for another purpose than CTC: only the encoder below it is converted"
            )
        elif is_ctc and ours.startswith(PRETRAINING_HEADS):
            report.left_out[name] = (
                "pre-training head beside a CTC head: fairseq's CTC models have no place for it"
            )
        else:
            weights[ours], report.mapped[name] = value, ours
    preprocessor = preprocessor_settings(content)
    if not content.preprocessor:
        report.notes.append(f"no {PREPROCESSOR} or {PROCESSOR}: transformers' defaults taken, {preprocessor}")
    model = SpeechModel(
        family=content.config["model_type"],
        config=config,
        weights=weights,
        symbols=None,
        normalize=preprocessor["do_normalize"],
        sample_rate_hz=preprocessor["sampling_rate"],
    )
    _drop_identity(model, report, folder)
    model.check(str(folder), report.mapped)
    if is_ctc:
        _arrange_head(model, report, content, folder)
    return model, report


def _write_hugging_face(model: SpeechModel, report: Report, source: Path, folder: Path, family: str) -> None:
    """Write a folder that transformers loads; the report is completed in place with Hugging Face's names."""
    _leave_out_heads(model, report, family)
    model.check(str(source), report.mapped)
    filled = _add_identity(model)
    config = config_to_hugging_face(
        model.config,
        family,
        str(source),
        vocab_size=len(model.weights[f"{CTC_HEAD}weight"]) if model.head == "ctc" else 0,
        pretraining=model.head == "pretraining",
        mask_embedding="mask_emb" in model.weights,
    )
    config["torch_dtype"] = str(model.weights["layer_norm.weight"].dtype).removeprefix("torch.")
    names = {name: _hugging_face_name(name, model, family) for name in model.weights}
    write_folder(folder, _files(model, config), {names[name]: value for name, value in model.weights.items()})
    report.mapped = {theirs: names[ours] for theirs, ours in report.mapped.items()}
    report.filled = {names[name]: reason for name, reason in filled.items()}
    if config["feat_extract_norm"] == "group":
        report.notes.append(_GROUP_NORM)
    if are_pieces(model.symbols or []):
        report.notes.append("transformers joins the pieces as they are: replace ▁ by a space in its texts")


def _drop_identity(model: SpeechModel, report: Report, folder: Path) -> None:
    """Drop a projection that does nothing: Hugging Face always projects, fairseq only between different widths."""
    if not projects_nothing(model.weights, model.config["encoder_embed_dim"], folder):
        return
    for theirs, ours in list(report.mapped.items()):
        if ours.startswith(PROJECTION):
            del report.mapped[theirs], model.weights[ours]
            report.left_out[theirs] = "an identity, which fairseq leaves out"


def _add_identity(model: SpeechModel) -> dict[str, str]:
    if "post_extract_proj.weight" in model.weights:
        return {}
    norm = model.weights["layer_norm.weight"]
    model.weights["post_extract_proj.weight"] = torch.eye(len(norm), dtype=norm.dtype)
    model.weights["post_extract_proj.bias"] = torch.zeros_like(norm)
    reason = "an identity: Hugging Face always projects, fairseq only between different widths"
    return {f"post_extract_proj.{part}": reason for part in ("weight", "bias")}


def _arrange_head(model: SpeechModel, report: Report, content: Folder, folder: Path) -> None:
    num_rows = len(model.weights[f"{CTC_HEAD}weight"])  # checked: weight and bias fit the encoder
    if content.tokens is None:
        raise FileNotFoundError(
            f"{folder}: a CTC model needs vocab.json, which is missing; download it again"
        )
    if content.config.get("vocab_size", num_rows) != num_rows:
        raise ValueError(
            f"{folder / CONFIG}: vocab_size is {content.config['vocab_size']}, but lm_head has {num_rows} rows; "
            "configuration and weights are of different models"
        )
    blank = content.config.get("pad_token_id") or 0
    vocabulary = read_vocabulary(
        content.tokens, content.tokenizer, blank, num_rows, str(folder / "vocab.json")
    )
    for part in ("weight", "bias"):
        name = f"{CTC_HEAD}{part}"
        model.weights[name] = head_to_fairseq(model.weights[name], vocabulary.rows)
    model.symbols = vocabulary.symbols
    report.notes += _about_rows(vocabulary)


def _about_rows(vocabulary: Vocabulary) -> list[str]:
    rows = vocabulary.rows
    notes = [f"token {token!r} left out: {reason}" for token, reason in vocabulary.unused.items()]
    if vocabulary.num_spare:
        notes.append(
            f"the head has {vocabulary.num_spare} rows more than vocab.json has tokens: they are kept, named "
            f"{SPARE.format('N')}, and never chosen"
        )
    if rows != list(range(len(rows))):
        notes.append(f"rows of the CTC head in fairseq's order, from Hugging Face's {rows}")
    if None in rows:
        notes.append(
            f"rows that Hugging Face has not (None) have weight 0 and bias {ABSENT_BIAS:g}: never chosen"
        )
    return notes


def _leave_out_heads(model: SpeechModel, report: Report, family: str) -> None:
    """Leave out pre-training heads that Hugging Face's model has no place for."""
    if family == "wav2vec2" and model.head == "pretraining":
        return
    reason = (
        "pre-training head without a quantiser: wav2vec2 there always has one"
        if family == "wav2vec2"
        else f"pre-training head: {family} has none there"
    )
    for theirs, ours in list(report.mapped.items()):
        if ours.startswith(PRETRAINING_HEADS):
            del report.mapped[theirs], model.weights[ours]
            report.left_out[theirs] = reason


def _hugging_face_name(name: str, model: SpeechModel, family: str) -> str:
    theirs = to_hugging_face(name, model.config["extractor_mode"], family)
    assert theirs is not None  # the weights have been compared with the configuration
    return theirs if model.head == "none" else with_family(theirs, family)


def _files(model: SpeechModel, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    preprocessor = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": model.sample_rate_hz,
        "do_normalize": model.normalize,
        "padding_side": "right",
        "padding_value": 0.0,
        # transformers' group norm counts the padding, mask or not; its models of this kind were trained without one
        "return_attention_mask": model.config["extractor_mode"] == "layer_norm",
    }
    files = {CONFIG: config, PREPROCESSOR: preprocessor}
    if model.symbols is None:
        return files
    vocabulary, options = write_vocabulary(model.symbols)
    specials = {role: token for role, token in options.items() if token in list(vocabulary)[:4]}
    return {
        **files,
        "vocab.json": vocabulary,
        "tokenizer_config.json": options,
        "special_tokens_map.json": specials,
    }
