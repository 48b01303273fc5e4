"""Read and write labels.tsv: all that labelling found out about each clip, so that filters need no second decoding."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..files import atomic_write, read_lines, split_row

# The state of a clip: it has a text, or the reason for having none.
LABELLED, NO_SPEECH, NO_TEXT, OTHER_LANGUAGE, DAMAGED, UNREADABLE, FAILED = STATES = (
    "labelled", "no_speech", "no_text", "other_language", "damaged", "unreadable", "failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLabel:
    """The label of a clip, a row of labels.tsv.

    The scores of its text are explained at `engine.Hypothesis`, `engine.compression_ratio` and in `signals`.

    Attributes:
        video: video that it was cut from, whose clips vote on a language together.
        state: one of `STATES`.
        language: language that the text was decoded in, or the likeliest one where there is no text; "" if unknown.
        languages: the likeliest languages with their probabilities, "fr:0.91 it:0.05".
        text: text as the recogniser spells it, with single spaces.
        speech_s: detected speech.
        model: name of the recogniser.
        parts: the same for each part of some seconds, where there are several: "fr:0.98,it:0.01 es:0.97,pt:0.02".
        detail: why there is no text.
        first_look: the languages as first heard, where they were so unsure that the recording was looked at again, see
            `second_look`; "" where it was not.
    """

    id: str
    video: str
    state: str
    language: str = ""
    language_probability: float = 0.0
    languages: str = ""
    text: str = ""
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None
    loop_score: float | None = None
    characters_per_second: float | None = None
    num_tokens: int = 0
    temperature: float | None = None
    duration_s: float = 0.0
    speech_s: float = 0.0
    model: str = ""
    parts: str = ""
    detail: str = ""
    first_look: str = ""

    def language_probabilities(self) -> dict[str, float]:
        """Parse `languages`: language -> probability. Raises ValueError when the cell is not written so."""
        return _probabilities(self.languages.split())

    def part_languages(self) -> list[dict[str, float]]:
        """Parse `parts`, as `language_probabilities`."""
        return [_probabilities(part.split(",")) for part in self.parts.split()]


def _probabilities(items: Iterable[str]) -> dict[str, float]:
    pairs = (item.rpartition(":") for item in items)
    return {code: float(probability) for code, _, probability in pairs}


COLUMNS = tuple(field.name for field in fields(ClipLabel))
_TYPES = {field.name: str(field.type) for field in fields(ClipLabel)}


def from_result(result: Mapping[str, Any]) -> ClipLabel:
    """Make a row of what a job returned, column -> value; other keys are ignored."""
    return ClipLabel(**{name: result[name] for name in COLUMNS if name in result})


def write_labels(path: str | os.PathLike[str], labels: Iterable[ClipLabel]) -> int:
    """Write the table; return the number of rows."""
    num_rows = 0
    with atomic_write(path) as file:
        print(*COLUMNS, sep="\t", file=file)
        for label in labels:
            print(*(_cell(getattr(label, name)) for name in COLUMNS), sep="\t", file=file)
            num_rows += 1
    return num_rows


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    # A recogniser that stops within a character may return a lone surrogate, which UTF-8 cannot encode.
    return "" if value is None else " ".join(str(value).encode("utf-8", "replace").decode().split())


def read_labels(path: str | os.PathLike[str]) -> Iterator[ClipLabel]:
    """Read the table; columns may be in any order, and unknown ones are ignored.

    Raises:
        ValueError: naming file and line, for a missing column, an invalid number, or an unknown state.
    """
    lines = read_lines(path)
    header = next(lines, "").split("\t")
    if missing := [name for name in ("id", "video", "state", "language", "text") if name not in header]:
        raise ValueError(
            f"{path}:1: a column {missing[0]} expected, found {header}; run fairseq-ext label auto again"
        )
    for number, line in enumerate(lines, 2):
        cells = dict(zip(header, split_row(line, len(header), f"{path}:{number}"), strict=True))
        try:
            yield _row(cells)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}; run fairseq-ext label auto again") from error


def _row(cells: Mapping[str, str]) -> ClipLabel:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        cell, type_name = cells.get(name, ""), _TYPES[name]
        if "str" in type_name:
            values[name] = cell
        elif cell:
            values[name] = int(cell) if "int" in type_name else float(cell)
    label = ClipLabel(**values)
    if label.state not in STATES or not label.id:
        raise ValueError(f"an id and a state of {STATES} expected, found {label.id!r} and {label.state!r}")
    label.language_probabilities(), label.part_languages()  # raise
    return label


def labels_path(folder: str | os.PathLike[str]) -> Path:
    """Return the path of labels.tsv in a folder of labels."""
    return Path(folder) / "labels.tsv"
