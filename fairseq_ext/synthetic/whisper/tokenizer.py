"""Whisper's multilingual tokenizer as a `tokenizer.json`, from the vocabulary inside openai-whisper: no download.

openai-whisper ships ranks (a token's bytes and its id), the tokenizers library requires merges: which two tokens
a token is made of. A token's merge is the two parts that byte-pair encoding makes of its bytes when only lower ranks
may be joined (Sennrich et al. 2016, section 3.2: merges are learnt in the order of their ranks).

Ids: 50,257 ranks (0-50,256; the last one is empty), then 107 special tokens, then 1,501 timestamps of 20 ms.
"""

import base64
import functools
import importlib.util
import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...files import atomic_write
from ...optional import import_optional

__all__ = [
    *("END", "NO_SPEECH", "NO_TIMESTAMPS", "NUM_TOKENS", "START", "TIMESTAMPS", "TIMESTAMP_S", "TRANSCRIBE"),
    *("TRANSLATE", "language_tokens", "load_tokenizer", "write_tokenizer"),
]

NUM_TOKENS = 51_865
END = 50_257
START = 50_258
TRANSLATE, TRANSCRIBE = 50_358, 50_359
NO_SPEECH, NO_TIMESTAMPS = 50_362, 50_363
TIMESTAMPS = range(50_364, NUM_TOKENS)
TIMESTAMP_S = 0.02
_NUM_LANGUAGES = 99  # in the vocabulary of 51,865 tokens; large-v3 has one more (Cantonese)


def language_tokens() -> dict[str, int]:
    """Return language -> id of its token in the multilingual vocabulary, {"en": 50259, "zh": 50260, ...}."""
    languages = list(import_optional("transformers.models.whisper.tokenization_whisper").LANGUAGES)[
        :_NUM_LANGUAGES
    ]
    return {language: START + 1 + i for i, language in enumerate(languages)}


def write_tokenizer(path: str | os.PathLike[str]) -> None:
    """Write a `tokenizer.json` that encodes as openai-whisper's tokenizer does."""
    with atomic_write(path) as file:
        file.write(_content())


def load_tokenizer() -> Any:
    """Load the same tokenizer, a `tokenizers.Tokenizer`, without a file."""
    return import_optional("tokenizers").Tokenizer.from_str(_content())


@functools.cache
def _content() -> str:
    ranks = _ranks(vocabulary_file())
    symbols = _byte_symbols()

    def spell(token: bytes) -> str:
        return "".join(symbols[byte] for byte in token)

    merges = [_merge(token, rank, ranks) for token, rank in ranks.items() if len(token) > 1]
    model = {
        "type": "BPE",
        "vocab": {spell(token): rank for token, rank in ranks.items()},
        "merges": [[spell(left), spell(right)] for left, right in merges],
        "dropout": None,
        "unk_token": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
    }
    bytes_as_symbols = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "post_processor": None,
        "added_tokens": list(_added_tokens()),
        "pre_tokenizer": bytes_as_symbols,
        "decoder": bytes_as_symbols,
        "model": model,
    }
    return json.dumps(content, ensure_ascii=False)


def _ranks(path: Path) -> dict[bytes, int]:
    rows = (line.split() for line in path.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in rows}


def _byte_symbols() -> list[str]:
    """Return GPT-2's printable character for each byte (Radford et al. 2019, `bytes_to_unicode`)."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _merge(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """Return the last two parts of a token when only lower ranks are merged."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        joined = [ranks.get(left + right, rank) for left, right in pairwise(parts)]
        lowest = min(joined)
        assert lowest < rank, f"{token!r} cannot be merged"
        i = joined.index(lowest)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]


def _added_tokens() -> Iterator[dict[str, Any]]:
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in language_tokens())]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    special += ["<|nospeech|>", "<|notimestamps|>"]
    times = [f"<|{i * TIMESTAMP_S:.2f}|>" for i in range(len(TIMESTAMPS))]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    for number, content in enumerate(special + times, END):
        yield {"id": number, "content": content, **flags, "special": number < TIMESTAMPS.start}


def vocabulary_file() -> Path:
    """Find `multilingual.tiktoken` inside openai-whisper without importing it, which takes seconds."""
    spec = importlib.util.find_spec("whisper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "assets", "multilingual.tiktoken")
        if path.is_file():
            return path
    raise ImportError(
        "the vocabulary of openai-whisper is not installed; run pip install 'fairseq-ext[whisper]'"
    )
