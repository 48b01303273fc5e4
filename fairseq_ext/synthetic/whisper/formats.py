"""Write a tiny Whisper in the formats of the real ones: Hugging Face, CTranslate2 and openai-whisper.

For demonstration and tests only: it loads like a real Whisper, but random weights transcribe nothing.
"""

import io
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...files import write_bytes
from ...optional import import_optional
from .tokenizer import (
    END,
    NO_TIMESTAMPS,
    NUM_TOKENS,
    START,
    TRANSCRIBE,
    TRANSLATE,
    language_tokens,
    write_tokenizer,
)

__all__ = ["FORMATS", "new_model", "write", "write_random"]

FORMATS = ("hf", "ct2", "openai")  # Hugging Face, CTranslate2, openai-whisper
NUM_MELS = 80
MAX_POSITIONS = 1_500  # positions of the encoder: 30 s, 20 ms each
MAX_TOKENS = 448
_SPACE = 220  # a text may start neither with it nor with its end (openai-whisper, `SuppressBlank`)

# Names in the state dicts of Hugging Face and openai-whisper where they differ.
_OPENAI_NAMES = {
    "layers": "blocks",
    "self_attn": "attn",
    "encoder_attn": "cross_attn",
    "q_proj": "query",
    "k_proj": "key",
    "v_proj": "value",
    "out_proj": "out",
    "self_attn_layer_norm": "attn_ln",
    "encoder_attn_layer_norm": "cross_attn_ln",
    "fc1": "mlp.0",
    "fc2": "mlp.2",
    "final_layer_norm": "mlp_ln",
    "embed_tokens": "token_embedding",
}
_OPENAI_LAST = {
    "encoder.layer_norm": "encoder.ln_post",
    "decoder.layer_norm": "decoder.ln",
    "encoder.embed_positions.weight": "encoder.positional_embedding",
    "decoder.embed_positions.weight": "decoder.positional_embedding",
}


def write_random(
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    d_model: int = 64,
    layers: int = 2,
    heads: int = 2,
    formats: Collection[str] = FORMATS,
) -> None:
    """Write a Whisper with random weights in three formats; it needs no network and takes a few seconds.

    - `folder/hf`: `transformers.WhisperForConditionalGeneration.from_pretrained` and `WhisperProcessor`
    - `folder/ct2`: `faster_whisper.WhisperModel(..., local_files_only=True)`, `ctranslate2.models.Whisper`
    - `folder/openai.pt`: `whisper.load_model`

    For tests of the code around a Whisper: its transcripts are noise. Random weights rarely end a transcript, so
    cap the new tokens and keep to temperature 0. Equal arguments give equal bytes on one machine.

    Args:
        folder: folder to write to; existing files of these names are replaced.
        seed: random seed of the weights.
        d_model: width; an even multiple of `heads`.
        layers: layers of the encoder, and of the decoder.
        heads: heads of each attention.
        formats: of `FORMATS`; "ct2" needs the package ctranslate2.

    Raises:
        ValueError: when the width is no even multiple of the heads, or for an unknown format.
        ImportError: when a package is not installed.
    """
    write(new_model(seed=seed, d_model=d_model, layers=layers, heads=heads), folder, formats=formats)


def new_model(*, seed: int, d_model: int, layers: int, heads: int) -> Any:
    """Make a Whisper with random weights and the settings that its formats need; see `write_random` for the sizes.

    Returns:
        A `transformers.WhisperForConditionalGeneration` of 51,865 tokens and 80 mel bands, in evaluation mode.

    Raises:
        ValueError: when the width is no even multiple of the heads.
        ImportError: when a package is not installed.
    """
    import torch

    if d_model % (2 * heads):
        raise ValueError(
            f"tiny Whisper: d_model {d_model} is not a multiple of 2 * {heads} heads; change d_model"
        )
    transformers = import_optional("transformers")
    config = transformers.WhisperConfig(
        vocab_size=NUM_TOKENS,
        num_mel_bins=NUM_MELS,
        d_model=d_model,
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=4 * d_model,
        decoder_ffn_dim=4 * d_model,
        max_source_positions=MAX_POSITIONS,
        max_target_positions=MAX_TOKENS,
        decoder_start_token_id=START,
        bos_token_id=END,
        eos_token_id=END,
        pad_token_id=END,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.WhisperForConditionalGeneration(config).eval()
    model.generation_config = _generation_config(layers, heads)
    return model


def _generation_config(layers: int, heads: int) -> Any:
    # A new one: the config that a model derives for itself is not saved, and CTranslate2 would then find no
    # language.
    config = import_optional("transformers").GenerationConfig()
    settings = {
        "is_multilingual": True,
        "lang_to_id": {f"<|{name}|>": token for name, token in language_tokens().items()},
        "task_to_id": {"transcribe": TRANSCRIBE, "translate": TRANSLATE},
        "no_timestamps_token_id": NO_TIMESTAMPS,
        "max_initial_timestamp_index": 50,
        "return_timestamps": False,
        "suppress_tokens": [],
        "begin_suppress_tokens": [_SPACE, END],
        # As in openai-whisper: all heads of the upper half.
        "alignment_heads": [[layer, head] for layer in range(layers // 2, layers) for head in range(heads)],
        "max_length": MAX_TOKENS,
        "decoder_start_token_id": START,
        "bos_token_id": END,
        "eos_token_id": END,
        "pad_token_id": END,
    }
    for name, value in settings.items():
        setattr(config, name, value)
    return config


def write(model: Any, folder: str | os.PathLike[str], *, formats: Collection[str] = FORMATS) -> None:
    """Write a Whisper of `new_model` in three formats: `folder/hf`, `folder/ct2` and `folder/openai.pt`.

    Each appears when it is complete, in place of an existing one; a run that was killed leaves `folder/.unfinished`,
    which the next replaces. `formats` names those to write.

    Raises:
        ValueError: for an unknown format.
    """
    if unknown := set(formats) - set(FORMATS):
        raise ValueError(f"formats: some of {FORMATS} expected, found {sorted(unknown)}; change them")
    target = Path(folder)
    work = target / ".unfinished"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    folders = [name for name in ("hf", "ct2") if name in formats]
    if folders:
        with _quiet():
            _write_hugging_face(model, work / "hf")  # CTranslate2's converter reads it
            if "ct2" in folders:
                _write_ctranslate2(work / "hf", work / "ct2")
    for name in folders:
        shutil.rmtree(target / name, ignore_errors=True)
        os.replace(work / name, target / name)
    shutil.rmtree(work)
    if "openai" in formats:
        write_bytes(target / "openai.pt", _openai_checkpoint(model))


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the progress bars that transformers shows for a tenth of a second."""
    logging = import_optional("transformers.utils.logging")
    before = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def _write_hugging_face(model: Any, folder: Path) -> None:
    transformers = import_optional("transformers")
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=NUM_MELS).save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    file = str(folder / "tokenizer.json")
    transformers.PreTrainedTokenizerFast(tokenizer_file=file, **ends).save_pretrained(folder)


def _write_ctranslate2(source: Path, target: Path) -> None:
    """Convert the Hugging Face folder by CTranslate2's converter; weights stay float32."""
    converters = import_optional("ctranslate2.converters")
    copies = ["tokenizer.json", "preprocessor_config.json"]
    converters.TransformersConverter(str(source), copy_files=copies).convert(str(target))


def _openai_checkpoint(model: Any) -> bytes:
    import torch

    config = model.config
    sizes = {
        "n_mels": config.num_mel_bins,
        "n_audio_ctx": config.max_source_positions,
        "n_audio_state": config.d_model,
        "n_audio_head": config.encoder_attention_heads,
        "n_audio_layer": config.encoder_layers,
        "n_vocab": config.vocab_size,
        "n_text_ctx": config.max_target_positions,
        "n_text_state": config.d_model,
        "n_text_head": config.decoder_attention_heads,
        "n_text_layer": config.decoder_layers,
    }
    weights = {_openai_key(key): value for key, value in model.model.state_dict().items()}
    # Through memory, since torch writes the file's name into the file, and equal models should give equal bytes.
    buffer = io.BytesIO()
    torch.save({"dims": sizes, "model_state_dict": weights}, buffer)
    return buffer.getvalue()


def _openai_key(key: str) -> str:
    """Return openai-whisper's name for a tensor's Hugging Face name (without the leading `model.`)."""
    stem = next((stem for stem in _OPENAI_LAST if key == stem or key.startswith(f"{stem}.")), None)
    if stem is not None:
        return _OPENAI_LAST[stem] + key.removeprefix(stem)
    return ".".join(_OPENAI_NAMES.get(part, part) for part in key.split("."))
