"""Alphabets of CTC models: Hugging Face's `vocab.json` and its companions, and the rows of a fairseq dictionary.

fairseq's rows are 0 `<s>` (CTC's blank), 1 `<pad>`, 2 `</s>`, 3 `<unk>`, then the alphabet, `|` after each word.
Hugging Face's are in any order; its blank is the padding token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..data.labels import SPECIAL_SYMBOLS
from ..text.units import WORD_END

# The role that a row of fairseq has in Hugging Face, and the name the token usually has there.
_ROLES = (
    ("pad_token", "<pad>"),
    ("bos_token", "<s>"),
    ("eos_token", "</s>"),
    ("unk_token", "<unk>"),
)
# A row that Hugging Face lacks must never be chosen, nor weigh in the softmax: exp(-10000) is 0 in any precision.
ABSENT_BIAS = -1e4


@dataclass(frozen=True)
class Vocabulary:
    """Rows of a CTC head, in fairseq's order.

    Attributes:
        symbols: the alphabet, without fairseq's four specials.
        rows: Hugging Face's row for each of fairseq's, specials first; None = it has none.
        unused: tokens without a row in the head, and why that does no harm.
    """

    symbols: list[str]
    rows: list[int | None]
    unused: dict[str, str]


def read_vocabulary(
    tokens: Mapping[str, Any], options: Mapping[str, Any], blank: int, num_rows: int, where: str
) -> Vocabulary:
    """Arrange Hugging Face's tokens as a fairseq dictionary.

    Args:
        tokens: `vocab.json` with the added tokens: token -> row.
        options: `tokenizer_config.json`.
        blank: `pad_token_id` of `config.json`, the row that was trained as CTC's blank.
        num_rows: number of rows of the head.
        where: file or folder that the messages name.

    Returns:
        The alphabet and where its rows are.

    Raises:
        ValueError: tokens and head do not fit, or a token that a fairseq dictionary cannot hold.
    """
    if any(not isinstance(row, int) for row in tokens.values()):
        raise ValueError(
            f"{where}: token -> row expected, found a vocabulary per language; save the model with the one you need"
        )
    _check_rows(tokens, _role_names(options), num_rows, where)
    specials = _special_rows(tokens, options, num_rows)
    if specials[0] != blank:
        raise ValueError(
            f"{where}: the padding token at row {blank} (pad_token_id in config.json, CTC's blank) expected, found it "
            f"at {specials[0]}; correct the one that is wrong"
        )
    by_row = {row: token for token, row in tokens.items()}
    rest = [row for row in range(num_rows) if row not in specials]
    delimiter = _name(options.get("word_delimiter_token", WORD_END))
    symbols = [_symbol(by_row[row], delimiter, options) for row in rest]
    _check_symbols(symbols, where)
    unused = {
        token: "the tokenizer adds it, the head has no row for it"
        for token, row in tokens.items()
        if row >= num_rows
    }
    return Vocabulary(symbols, [*specials, *rest], unused)


def write_vocabulary(symbols: Sequence[str]) -> tuple[dict[str, int], dict[str, Any]]:
    """Name fairseq's rows as Hugging Face does; the order of the rows stays.

    Args:
        symbols: the alphabet, without fairseq's four specials.

    Returns:
        The contents of `vocab.json` and `tokenizer_config.json`.
    """
    names = [*(name for _, name in _ROLES), *symbols]
    options: dict[str, Any] = dict(_ROLES)
    options.update(
        tokenizer_class="Wav2Vec2CTCTokenizer",
        do_lower_case=False,
        word_delimiter_token=WORD_END if WORD_END in symbols else None,
        clean_up_tokenization_spaces=False,  # it would join "l'" and what follows in its own way
    )
    return {name: row for row, name in enumerate(names)}, options


def head_to_fairseq(weight: Tensor, rows: Sequence[int | None]) -> Tensor:
    """Reorder the rows of a head's weight or bias.

    Args:
        weight: (rows there, ...).
        rows: see `Vocabulary`.

    Returns:
        (rows here, ...); a row that is not there is zero in a weight, `ABSENT_BIAS` in a bias.
    """
    absent = torch.full_like(weight[0], ABSENT_BIAS if weight.dim() == 1 else 0.0)
    return torch.stack([absent if row is None else weight[row] for row in rows])


def _special_rows(tokens: Mapping[str, int], options: Mapping[str, Any], num_rows: int) -> list[int | None]:
    """Hugging Face's rows for fairseq's first four; a token in two roles counts in the first."""
    found: list[int | None] = []
    for name in _role_names(options):
        row = tokens.get(name, num_rows)
        found.append(None if row >= num_rows or row in found else row)
    return found


def _role_names(options: Mapping[str, Any]) -> list[str]:
    return [_name(options.get(role, usual)) or "" for role, usual in _ROLES]


def _name(token: Any) -> str | None:
    """Return a token's text; files hold it as a string or in a table under "content"."""
    return token.get("content") if isinstance(token, Mapping) else token


def _symbol(token: str, delimiter: str | None, options: Mapping[str, Any]) -> str:
    if token == delimiter:
        return WORD_END
    return token.lower() if options.get("do_lower_case") else token


def _check_rows(tokens: Mapping[str, int], added: Sequence[str], num_rows: int, where: str) -> None:
    """Every row of the head has one token; tokens beyond it are special ones, which the tokenizer adds by itself."""
    rows = sorted(row for row in tokens.values() if row < num_rows)
    surplus = [token for token, row in tokens.items() if row >= num_rows and token not in added]
    if rows != list(range(num_rows)) or surplus:
        raise ValueError(
            f"{where}: one token for each of the head's {num_rows} rows expected, found {len(rows)} and {len(surplus)} "
            f"beyond them {surplus[:5]}; take the vocabulary that the model was trained with"
        )


def _check_symbols(symbols: Sequence[str], where: str) -> None:
    known: set[str] = set(SPECIAL_SYMBOLS)
    for symbol in symbols:
        if symbol.split() != [symbol] or symbol in known:
            raise ValueError(
                f"{where}: unique tokens without spaces, and none of {' '.join(SPECIAL_SYMBOLS)} expected, found "
                f"{symbol!r}; a fairseq dictionary cannot hold it, rename it"
            )
        known.add(symbol)
