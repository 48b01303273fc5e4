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
# Name of a row of the head that the vocabulary has no token for.
SPARE = "<spare{}>"


@dataclass(frozen=True)
class Vocabulary:
    """Rows of a CTC head, in fairseq's order.

    Attributes:
        symbols: the alphabet, without fairseq's four specials.
        rows: Hugging Face's row for each of fairseq's, specials first; None = it has none.
        unused: tokens without a row in the head, and why that does no harm.
        num_spare: rows of the head beyond the vocabulary, at the end; they have names here and, as None, never win.
    """

    symbols: list[str]
    rows: list[int | None]
    unused: dict[str, str]
    num_spare: int = 0


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

    Raises:
        ValueError: tokens and head do not fit, or a token that a fairseq dictionary cannot hold.
    """
    if any(type(row) is not int or row < 0 for row in tokens.values()):
        raise ValueError(
            f"{where}: holds a vocabulary per language, not one table of token -> row; save the model with the one you "
            "need"
        )
    _check_rows(tokens, _role_names(options), num_rows, where)
    specials = _special_rows(tokens, options, num_rows)
    if specials[0] != blank:
        raise ValueError(
            f"{where}: the padding token is at row {specials[0]}, but pad_token_id in config.json (CTC's blank) is "
            f"{blank}; correct the one that is wrong"
        )
    by_row = {row: token for token, row in tokens.items()}
    spare = [row for row in range(num_rows) if row not in by_row]
    rest = [row for row in range(num_rows) if row not in specials]
    delimiter = _name(options.get("word_delimiter_token", WORD_END))
    symbols = [_symbol(by_row.get(row, SPARE.format(row)), delimiter, options) for row in rest]
    _check_symbols(symbols, where)
    unused = {
        token: "the tokenizer adds it, the head has no row for it"
        for token, row in tokens.items()
        if row >= num_rows
    }
    rows = [*specials, *(None if row in spare else row for row in rest)]
    return Vocabulary(symbols, rows, unused, len(spare))


def write_vocabulary(symbols: Sequence[str]) -> tuple[dict[str, int], dict[str, Any]]:
    """Return `vocab.json` and `tokenizer_config.json` of an alphabet without fairseq's four; rows keep their order."""
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
    """Reorder the rows of a head's weight or bias, (rows there, ...), to (rows here, ...); see `Vocabulary.rows`.

    A row that is not there is zero in a weight, `ABSENT_BIAS` in a bias.
    """
    absent = torch.full_like(weight[0], ABSENT_BIAS if weight.dim() == 1 else 0.0)
    return torch.stack([absent if row is None else weight[row] for row in rows])


def _special_rows(tokens: Mapping[str, int], options: Mapping[str, Any], num_rows: int) -> list[int | None]:
    """Return Hugging Face's rows for fairseq's first four; a token in two roles counts in the first."""
    found: list[int | None] = []
    for name in _role_names(options):
        row = tokens.get(name, num_rows)
        found.append(None if row >= num_rows or row in found else row)
    return found


def _role_names(options: Mapping[str, Any]) -> list[str]:
    return [_name(options.get(role, usual)) or "" for role, usual in _ROLES]


def _name(token: Any) -> str | None:
    """Return the text of a token, which is written as a string or as an object with its content."""
    text = token.get("content") if isinstance(token, Mapping) else token
    if not isinstance(text, str | None):
        raise ValueError(f"tokenizer_config.json: a token expected, found {str(text)[:80]}; correct it")
    return text


def _symbol(token: str, delimiter: str | None, options: Mapping[str, Any]) -> str:
    if token == delimiter:
        return WORD_END
    return token.lower() if options.get("do_lower_case") else token


def _check_rows(tokens: Mapping[str, int], added: Sequence[str], num_rows: int, where: str) -> None:
    """Check that each row has one token; beyond the head only special ones may be, added by the tokenizer.

    The head may have more rows at its end: heads are often made as large as a multiple of 8, or for another alphabet.
    """
    rows = sorted(row for row in tokens.values() if row < num_rows)
    surplus = [token for token, row in tokens.items() if row >= num_rows and token not in added]
    has_letters = any(row < num_rows and token not in added for token, row in tokens.items())
    if rows != list(range(len(rows))) or surplus or not (has_letters or len(rows) == num_rows):
        raise ValueError(
            f"{where}: {len(rows)} tokens for the {num_rows} rows of the head, and {len(surplus)} beyond them "
            f"{surplus[:5]}; use the vocabulary that the model was trained with"
        )


def _check_symbols(symbols: Sequence[str], where: str) -> None:
    known: set[str] = set(SPECIAL_SYMBOLS)
    for symbol in symbols:
        if symbol.split() != [symbol] or symbol in known:
            raise ValueError(
                f"{where}: a fairseq dictionary cannot hold the token {symbol!r}: it is repeated, has a space, or is "
                f"among {' '.join(SPECIAL_SYMBOLS)}; rename it"
            )
        known.add(symbol)
