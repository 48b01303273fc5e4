"""labels.tsv: what is known of every clip's sound and text; filters read it, so that nothing is decoded again."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..files import atomic_write, read_lines, split_row

# What became of a clip: a text, or why there is none.
LABELLED, NO_SPEECH, OTHER_LANGUAGE, UNREADABLE, FAILED = (
    "labelled", "no_speech", "other_language", "unreadable", "failed",
)  # fmt: skip
STATES = (LABELLED, NO_SPEECH, OTHER_LANGUAGE, UNREADABLE, FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipLabel:
    """A row.

    Attributes:
        id: of the clip.
        video: that it was cut from; the vote on a language is among its clips.
        state: one of `STATES`.
        language: that the text was decoded in, or the likeliest one where there is no text; "" when not told.
        language_probability: of that language.
        languages: the likeliest ones with their probabilities, "fr:0.91 it:0.05".
        text: as the recogniser wrote it, with single spaces.
        avg_logprob: ln p per token.
        no_speech_prob: probability that nobody speaks; None where the recogniser has none.
        compression_ratio: of the text.
        loop_score: of `signals`.
        characters_per_second: of `signals`, over the speech.
        num_tokens: of the text.
        temperature: of the sampling that gave the text; 0: the likeliest found.
        duration_s: of the clip.
        speech_s: how long someone speaks, by the detector.
        model: that wrote the text.
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

    def language_probabilities(self) -> dict[str, float]:
        """Language -> probability, of the likeliest ones.

        Raises:
            ValueError: for a cell of another shape.
        """
        pairs = (item.rpartition(":") for item in self.languages.split())
        return {code: float(probability) for code, _, probability in pairs}


COLUMNS = tuple(field.name for field in fields(ClipLabel))
_PARSERS = {field.name: str(field.type) for field in fields(ClipLabel)}


def from_result(result: Mapping[str, Any]) -> ClipLabel:
    """Makes a row of what a job returned.

    Args:
        result: column -> value; other keys are ignored.

    Returns:
        The row.
    """
    return ClipLabel(**{name: result[name] for name in COLUMNS if name in result})


def to_result(label: ClipLabel) -> dict[str, Any]:
    """Inverts `from_result`.

    Args:
        label: a row.

    Returns:
        Column -> value, as JSON holds it.
    """
    return asdict(label)


def write_labels(path: str | os.PathLike[str], labels: Iterable[ClipLabel]) -> int:
    """Writes the table.

    Args:
        path: the file to appear.
        labels: the rows.

    Returns:
        Their number.
    """
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
    # A sign without a UTF-8 form may come out of a recogniser that ends amid a character.
    return "" if value is None else " ".join(str(value).encode("utf-8", "replace").decode().split())


def read_labels(path: str | os.PathLike[str]) -> Iterator[ClipLabel]:
    """Reads the table; columns may be in any order, and further ones are passed over.

    Args:
        path: the file.

    Yields:
        The rows.

    Raises:
        ValueError: naming file and line, for a missing column, a number that is none, or an unknown state.
    """
    lines = read_lines(path)
    header = next(lines, "").split("\t")
    if missing := [name for name in ("id", "video", "state", "language", "text") if name not in header]:
        raise ValueError(
            f"{path}:1: a column {missing[0]} expected, found {header}; run tools/auto_label.py again"
        )
    for number, line in enumerate(lines, 2):
        cells = dict(zip(header, split_row(line, len(header), f"{path}:{number}"), strict=True))
        try:
            yield _row(cells)
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}; run tools/auto_label.py again") from error


def _row(cells: Mapping[str, str]) -> ClipLabel:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        cell, kind = cells.get(name, ""), _PARSERS[name]
        if "str" in kind:
            values[name] = cell
        elif cell:
            values[name] = int(cell) if "int" in kind else float(cell)
    label = ClipLabel(**values)
    if label.state not in STATES or not label.id:
        raise ValueError(f"an id and a state of {STATES} expected, found {label.id!r} and {label.state!r}")
    label.language_probabilities()  # raises
    return label


def labels_path(folder: str | os.PathLike[str]) -> Path:
    """Where the table of a folder lies.

    Args:
        folder: of the labels.

    Returns:
        The path of labels.tsv.
    """
    return Path(folder) / "labels.tsv"
