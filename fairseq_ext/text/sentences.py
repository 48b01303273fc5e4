"""Text for language models: spelled as the manifest, without the sentences that recognisers are scored on."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..files import read_lines
from .normalize import unread
from .published import Report, published_lines, table_rows
from .spelling import NAME, Spelling, read_spelling

# The column of Common Voice's validated_sentences.tsv and of its tables of clips.
COLUMN = "sentence"
# Texts of a manifest; they are spelled already.
SPELLED = ".wrd"

PathName = str | os.PathLike[str]


@dataclass(frozen=True)
class TrainingText:
    """The training text of a language model.

    Attributes:
        sentences: spelled sentences in order, with repetitions.
        num_held_out: number of sentences that were dropped because they are scored.
        skipped: a line for each row or sentence that was left out otherwise, with its place and the reason.
    """

    sentences: list[str]
    num_held_out: int
    skipped: list[str] = field(default_factory=list)


def read_sentences(path: PathName, report: Report) -> Iterator[tuple[int, str]]:
    """Stream number and text of the lines of a text file, or of the column `sentence` of a .tsv file, never quoted.

    `report` receives one line for each row that cannot be read and is skipped; of .wrd files none is.

    Raises:
        ValueError: a .tsv file has no such column, or a .wrd file is damaged.
    """
    if os.fspath(path).endswith(SPELLED):
        return enumerate(read_lines(path), 1)
    if os.fspath(path).endswith(".tsv"):
        return ((number, row[COLUMN]) for number, row in table_rows(path, (COLUMN,), report))
    return published_lines(path, report)


def common_spelling(files: Iterable[PathName], *, language: str = "", case: str = "") -> Spelling:
    """Return the spelling that the manifests of .wrd files state; without a record, what is chosen.

    An empty language or case is that of the record.

    Raises:
        ValueError: the records differ from each other or from what is chosen, or there is none and no language.
    """
    folders = dict.fromkeys(Path(path).parent for path in files if os.fspath(path).endswith(SPELLED))
    found = {folder: spelling for folder in folders if (spelling := read_spelling(folder)) is not None}
    if len(set(found.values())) > 1:
        listed = "; ".join(f"{folder}: {spelling.describe()}" for folder, spelling in found.items())
        raise ValueError(f"the texts are spelled in several ways ({listed}); give those of one spelling")
    for folder, spelling in found.items():
        spelling.check(folder, language=language, case=case)
    chosen = next(iter(found.values()), Spelling("", case or "lower"))
    if not (chosen.language or language):
        raise ValueError(f"no {NAME} beside the texts names their language; give it (--language)")
    return replace(chosen, language=chosen.language or language)


def training_text(
    files: Iterable[PathName], held_out: Iterable[PathName], spelling: Spelling
) -> TrainingText:
    """Spell sentences, and drop those that are scored and those that cannot be read.

    Args:
        files: text, see `read_sentences`; .wrd files are taken as they are.
        held_out: the same of the development and test splits.
        spelling: spelling of the recogniser's manifest.

    Raises:
        ValueError: no sentence is left.
    """
    skipped: list[str] = []
    scored = {text for path in held_out for text in _spelled(path, spelling, skipped.append)}
    skipped.clear()  # what is scored and cannot be read is not missing here
    spelled = [text for path in files for text in _spelled(path, spelling, skipped.append)]
    kept = [text for text in spelled if text not in scored]
    if not kept:
        raise ValueError(
            f"language model: all of {len(spelled)} sentences are held out or empty, and {len(skipped)} cannot be "
            "read; give more text"
        )
    return TrainingText(kept, len(spelled) - len(kept), skipped)


def _spelled(path: PathName, spelling: Spelling, report: Report) -> Iterator[str]:
    """Yield the texts of a file that are not empty."""
    is_spelled = os.fspath(path).endswith(SPELLED)
    for number, text in read_sentences(path, report):
        if not is_spelled and (
            signs := unread(text, spelling.language) if not spelling.punctuation else None
        ):
            report(f"{path}:{number}: {' '.join(signs)} cannot be read: {text!r}; left out")
        elif found := text if is_spelled else spelling(text):
            yield found
