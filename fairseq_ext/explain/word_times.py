"""Files with the times at which each word of a recording was spoken, which some corpora have.

Layout: a header, then rows of `id` or `clip`, `word_number` (from 0), `word`, `start_s`, `end_s`, tab-separated.
A synthetic Common Voice has one such file beside its tsv files, `SYNTHETIC_times.tsv`, which names the clips;
connected digits have `{split}.times.tsv` in the manifest folder, which name the utterances.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..files import read_lines, split_row

COLUMNS = ("word_number", "word", "start_s", "end_s")
# First column -> whether it names a file rather than an utterance.
NAMES = {"id": False, "clip": True}
OF_COMMON_VOICE = "SYNTHETIC_times.tsv"


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word, spelled as in the transcript, with its start and end."""

    word: str
    start_s: float
    end_s: float


# Utterance -> number of the word in the transcript, from 0 -> the word with its times.
WordTimes = dict[str, dict[int, SpokenWord]]


def read_word_times(paths: Iterable[Path]) -> WordTimes:
    """Read files of word times; an utterance, or some of its words, may be missing.

    Raises:
        ValueError: a file has another layout, or a word ends before it starts.
    """
    found: WordTimes = defaultdict(dict)
    for path in paths:
        lines = read_lines(path)
        first, *rest = next(lines, "").split("\t")
        if first not in NAMES or tuple(rest) != COLUMNS:
            raise ValueError(
                f"{path}:1: the columns id (or clip), {', '.join(COLUMNS)} expected, found {[first, *rest]}; give "
                "a file of word times"
            )
        for number, line in enumerate(lines, 2):
            name, word_number, word = _parse(line, f"{path}:{number}")
            found[PurePath(name).stem if NAMES[first] else name][word_number] = word
    return dict(found)


def _parse(line: str, where: str) -> tuple[str, int, SpokenWord]:
    name, number, word, start, end = split_row(line, 5, where)
    try:
        found = int(number), SpokenWord(word, float(start), float(end))
    except ValueError as error:
        raise ValueError(
            f"{where}: a number and two times expected, found {line!r} ({error}); write the file again"
        ) from error
    if not (0 <= found[1].start_s < found[1].end_s < math.inf and found[0] >= 0):
        raise ValueError(
            f"{where}: 0 <= start_s < end_s expected, found {start} and {end}; write the file again"
        )
    return name, *found


def find_word_times(data: Path, corpus: Path | None, splits: Sequence[str]) -> list[Path]:
    """Find files of word times where corpora put them; none, as for most real recordings, unless all are there."""
    of_splits = [data / f"{split}.times.tsv" for split in splits]
    if all(path.is_file() for path in of_splits):
        return of_splits
    beside = corpus / OF_COMMON_VOICE if corpus else None
    return [beside] if beside and beside.is_file() else []
