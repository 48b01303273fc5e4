"""Fairseq's dictionaries, `dict.{label}.txt`: a line `symbol count` for each symbol of a label stream, in order."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from .files import atomic_write, read_lines

# Fairseq adds these four to every dictionary; a file that lists one is rejected by it.
_RESERVED = {"<s>", "<pad>", "</s>", "<unk>"}
# Characters without a UTF-8 form, and the byte-order mark, which names another encoding at the start of a file.
_UNSAFE = re.compile("[\0\ufeff\ud800-\udfff]")


def write_dictionary(path: str | os.PathLike[str], counts: Mapping[str, int]) -> None:
    """Write symbols and how often they occur, in the order of the mapping.

    Raises:
        ValueError: for a symbol that fairseq would split or refuse.
    """
    with atomic_write(path) as file:
        for symbol, count in counts.items():
            _check_symbol(symbol, str(path))
            file.write(f"{symbol} {count}\n")


def read_dictionary(path: str | os.PathLike[str]) -> list[str]:
    """Return the symbols of a dictionary in order, without the four that fairseq adds.

    Raises:
        FileNotFoundError: no such file.
        ValueError: for a line that is not `symbol count` and for a repeated symbol.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such dictionary; write it with dictionary.write_dictionary")
    symbols: dict[str, None] = {}
    for number, line in enumerate(read_lines(path), 1):
        symbol, _, count = line.rpartition(" ")
        if not count.isdigit():
            raise ValueError(
                f"{path}:{number}: {line!r} is not of the form `symbol count`; write the dictionary again"
            )
        _check_symbol(symbol, f"{path}:{number}")
        if symbol in symbols:
            raise ValueError(f"{path}:{number}: the symbol {symbol!r} occurs twice; delete one")
        symbols[symbol] = None
    return list(symbols)


def _check_symbol(symbol: str, where: str) -> None:
    if symbol in _RESERVED or symbol.split() != [symbol] or _UNSAFE.search(symbol):
        raise ValueError(
            f"{where}: the symbol {symbol!r} has spaces or is one of {sorted(_RESERVED)}; rename it"
        )
