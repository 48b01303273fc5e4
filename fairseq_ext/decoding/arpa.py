"""ARPA files of n-gram models, as KenLM, SRILM and others write and read them; plain, or by gzip, bzip2 or xz.

After `\\data\\` come the counts, then one section per order with the lines `log10 p`, n-gram, and, below the highest
order, log10 of the back-off weight where it is not 0. Fields are separated by tabs or spaces.
"""

import bz2
import gzip
import lzma
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np

from ..file_errors import reading
from ..files import atomic_write
from .ngram import UNKNOWN, Floats, NgramModel
from .trie import NO_NODE, Ints, Trie

_LN_10 = math.log(10)
# log10 p of unknown words where the model has no <unk>, as in KenLM.
MISSING_UNKNOWN_LOG10 = -100.0
_HEAD = 64  # bytes that tell the formats apart
_COMPRESSED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open,
}  # fmt: skip
_GIVE_ARPA = "only ARPA text can be read; give the ARPA file it was made from"
_OTHER_FORMATS = {
    b"mmap lm http://kheafield.com/code": f"a binary language model of KenLM (build_binary); {_GIVE_ARPA}",
    b"SRILM_BINARY_NGRAM": "a binary language model of SRILM; write it as text (ngram -lm FILE -write-lm FILE.arpa)",
    b"blmt": f"a binary language model of IRSTLM (compile-lm); {_GIVE_ARPA}",
    b"Qblmt": f"a binary language model of IRSTLM (compile-lm); {_GIVE_ARPA}",
    b"PK\x03\x04": "a zip archive; unpack it and give the ARPA file in it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it (zstd -d) or compress it by gzip, bzip2 or xz",
    b"\xff\xfe": "not UTF-8 text but UTF-16; convert it (iconv -f UTF-16 -t UTF-8)",
    b"\xfe\xff": "not UTF-8 text but UTF-16; convert it (iconv -f UTF-16 -t UTF-8)",
}
_COUNT = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)", re.ASCII)


@dataclass(slots=True)
class _Section:
    """The n-grams of one order, in the order of the file.

    Attributes:
        log10_prob: log10 p of N n-grams.
        log10_backoff: log10 of their back-off weights.
        ids: order * N word ids, n-gram after n-gram.
    """

    log10_prob: list[float] = field(default_factory=list)
    log10_backoff: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)


def write_arpa(path: str | os.PathLike[str], model: NgramModel) -> None:
    """Write a model, with 7 decimals."""
    levels = range(1, model.order + 1)
    with atomic_write(path) as file:
        file.write("\\data\\\n")
        for k in levels:
            file.write(f"ngram {k}={model.trie.starts[k + 1] - model.trie.starts[k]}\n")
        texts = [""]
        for k in levels:
            texts = _texts(model, k, texts)
            file.write(f"\n\\{k}-grams:\n")
            file.writelines(_lines_of(model, k, texts))
        file.write("\n\\end\\\n")


def _texts(model: NgramModel, level: int, shorter: list[str]) -> list[str]:
    """Return the n-grams of a level as texts, given those of the next shorter level."""
    parents, last = model.trie.level(level)
    first = model.trie.starts[level - 1]
    pairs = zip((parents - first).tolist(), last.tolist(), strict=True)
    return [f"{shorter[parent]} {model.words[word]}".lstrip(" ") for parent, word in pairs]


def _lines_of(model: NgramModel, level: int, texts: list[str]) -> Iterator[str]:
    nodes = slice(model.trie.starts[level], model.trie.starts[level + 1])
    probs = (model.log_prob[nodes] / _LN_10).tolist()
    if level == model.order:
        return (f"{prob:.7f}\t{text}\n" for prob, text in zip(probs, texts, strict=True))
    weights = (model.backoff[nodes] / _LN_10).tolist()
    rows = zip(probs, texts, weights, strict=True)
    return (f"{prob:.7f}\t{text}\t{weight:.7f}\n" for prob, text, weight in rows)


def read_arpa(path: str | os.PathLike[str]) -> NgramModel:
    """Read a model of any order; where it has no `<unk>`, unknown words get `MISSING_UNKNOWN_LOG10`.

    Raises:
        ValueError: the file is not in ARPA format, cut off or damaged; the message names file and line.
    """
    lines = _numbered_lines(path)
    counts, header = _read_counts(lines, path)
    ids: dict[str, int] = {}
    sections: list[_Section] = []
    for k, count in enumerate(counts, 1):
        _expect(header, f"\\{k}-grams:", path)
        section, header = _read_section(lines, k, k == len(counts), ids, path)
        if len(section.log10_prob) != count:
            raise ValueError(
                f"{path}:{header[0]}: {count} {k}-grams expected, found {len(section.log10_prob)}; get the file again"
            )
        sections.append(section)
    _expect(header, "\\end\\", path)
    if UNKNOWN not in ids:
        _add_unknown(ids, sections[0])
    words = list({number: word for word, number in ids.items()}.values())
    return _model(words, sections, path)


def _numbered_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, and an empty one at the end."""
    number = 0
    with reading(path, "an ARPA file"), _open(path) as file:
        for number, line in enumerate(file, 1):
            if b"\0" in line:
                raise ValueError(f"{path}:{number}: a binary file; only ARPA text can be read, give that")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip(" \t\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}:{number}: not UTF-8 text ({error}); convert the file with iconv"
                ) from error
            if text:
                yield number, text
    yield number + 1, ""


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file by what it begins with, whatever its name."""
    with open(path, "rb") as raw:
        head = raw.read(_HEAD)
    for start, what in _OTHER_FORMATS.items():
        if head.startswith(start):
            raise ValueError(f"{path}:1: {what}")
    opened = next((opened for start, opened in _COMPRESSED.items() if head.startswith(start)), open)
    return cast(BinaryIO, opened(path, "rb"))


def _expect(line: tuple[int, str], header: str, path: str | os.PathLike[str]) -> None:
    if line[1] != header:
        raise ValueError(f"{path}:{line[0]}: {header} expected, found {line[1][:80]!r}; get the file again")


def _read_counts(
    lines: Iterator[tuple[int, str]], path: str | os.PathLike[str]
) -> tuple[list[int], tuple[int, str]]:
    """Return the number of n-grams of each order, and the line after the counts."""
    line = next((line for line in lines if line[1] in {"\\data\\", ""}), (1, ""))
    _expect(line, "\\data\\", path)
    counts: list[int] = []
    for number, text in lines:
        match = _COUNT.fullmatch(text)
        if match is None:
            if not counts:
                raise ValueError(
                    f"{path}:{number}: ngram 1=... expected, found {text[:80]!r}; get the file again"
                )
            return counts, (number, text)
        if int(match[1]) != len(counts) + 1:
            raise ValueError(
                f"{path}:{number}: ngram {len(counts) + 1}=... expected, found {text!r}; get the file again"
            )
        counts.append(int(match[2]))
    raise AssertionError("the lines end with an empty one")


def _read_section(
    lines: Iterator[tuple[int, str]],
    order: int,
    is_highest: bool,
    ids: dict[str, int],
    path: str | os.PathLike[str],
) -> tuple[_Section, tuple[int, str]]:
    """Read the n-grams of an order, and number the words of unigrams; return the line after them, too."""
    section = _Section()
    for number, text in lines:
        if text.startswith("\\") or not text:
            return section, (number, text)
        # not str.split(), which would cut words at a no-break space
        cells = re.split(r"[ \t]+", text)
        try:
            if order == 1:
                _add_word(cells[1], len(section.log10_prob), ids)
            section.ids += [ids[word] for word in cells[1 : order + 1]]
            section.log10_prob.append(_log10(cells[0]))
            section.log10_backoff.append(_log10(cells[order + 1]) if len(cells) == order + 2 else 0.0)
            if not order + 1 <= len(cells) <= order + 2 - is_highest:
                raise ValueError(f"{len(cells)} fields")
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(
                f"{path}:{number}: log10 p, {order} words of the unigrams and a back-off weight below the highest "
                f"order expected, found {text[:80]!r} ({error}); get the file again"
            ) from error
    raise AssertionError("the lines end with an empty one")


def _log10(text: str) -> float:
    value = float(text)
    if math.isnan(value) or value == math.inf:
        raise ValueError(f"{text} is no logarithm of a probability")
    return value


def _add_word(word: str, number: int, ids: dict[str, int]) -> None:
    if word in ids:
        raise ValueError(f"{word!r} occurs twice")
    ids[word] = number
    if word == "<UNK>":  # the name of SRILM's -map-unk in some recipes
        ids[UNKNOWN] = number


def _add_unknown(ids: dict[str, int], unigrams: _Section) -> None:
    ids[UNKNOWN] = len(unigrams.log10_prob)
    unigrams.ids.append(ids[UNKNOWN])
    unigrams.log10_prob.append(MISSING_UNKNOWN_LOG10)
    unigrams.log10_backoff.append(0.0)


def _model(words: list[str], sections: list[_Section], path: str | os.PathLike[str]) -> NgramModel:
    trie = Trie(len(words))
    # Both arrays start with the root, whose values are not used.
    log_prob: list[Floats] = [np.zeros(1)]
    backoff: list[Floats] = [np.zeros(1)]
    for k, section in enumerate(sections, 1):
        rows = np.array(section.ids, dtype=np.int64).reshape(-1, k)
        nodes = _add_rows(trie, rows, words, path)
        # Nodes are sorted by context and word; the lines of the file may have any order.
        place = np.empty(len(nodes), dtype=np.int64)
        place[nodes - trie.starts[-2]] = np.arange(len(nodes))
        log_prob.append(np.array(section.log10_prob)[place] * _LN_10)
        backoff.append(np.array(section.log10_backoff)[place] * _LN_10)
    return NgramModel(words, trie, np.concatenate(log_prob), np.concatenate(backoff))


def _add_rows(trie: Trie, rows: Ints, words: list[str], path: str | os.PathLike[str]) -> Ints:
    """Add the n-grams of the next order and return their nodes."""
    k = rows.shape[1]
    parents = trie.find(rows[:, :-1])
    lost = np.flatnonzero(parents == NO_NODE)
    if len(lost):
        shown = " ".join(words[i] for i in rows[lost[0]])
        raise ValueError(
            f"{path}: the first {k - 1} words of the {k}-gram {shown!r} are not in the file as an n-gram; make it "
            "again without pruning contexts"
        )
    nodes = trie.add_level(parents, rows[:, -1])
    if len(np.unique(nodes)) != len(nodes):
        first = int(np.argmax(np.bincount(nodes)[nodes] > 1))
        shown = " ".join(words[i] for i in rows[first])
        raise ValueError(f"{path}: the {k}-gram {shown!r} occurs twice; get the file again")
    return nodes
