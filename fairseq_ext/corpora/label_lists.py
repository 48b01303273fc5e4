"""The label lists published for visual speech in languages with little data, and lists in their formats.

Three formats, UTF-8, tab-separated, without header:

mtedx      `0u7tTptBo9I_0004	42.91	45.26	et pourtant on vient tous de locéan`; the Italian training list adds
           `.mp4` to the segment. Transcripts of the corpus, so written by people: train, valid, test.
voxceleb2  `dev/mp4/id08977/3ap0QSyN6Vc/00008.mp4	text`; also `test/mp4/...`. By Whisper large-v2: train only.
avspeech   `enSzPLXxw8I_115.715600_119.986533.mp4	text`. By Whisper likewise.

Rows (train/valid/test of mtedx, then voxceleb2 and avspeech): French 58,426/333/235, 66,943, 69,020; Italian
26,108/252/309, 19,261, 38,227; Spanish 44,532/403/302, 22,682, 151,173; Portuguese 52,058/532/401, 4,844, 176,601.

The texts are not normalised alike: those of mtedx have lost their apostrophes without a space (`locéan`), those of
voxceleb2 keep them, and hold digits, emoji, repeated loops and lines in other scripts; normalise and filter both.

Source: the public GitHub repository JeongHun0716/vsr-low (its statistics, and its lists counted), Yeo et al. 2024
(arXiv:2309.08535). It states no licence.
"""

import logging
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..files import atomic_write
from ..manifest import SPLITS, Utterance
from ..text.published import Report, as_written, published_lines

log = logging.getLogger(__name__)

KINDS = ("mtedx", "voxceleb2", "avspeech")
AUTOMATIC = frozenset({"voxceleb2", "avspeech"})  # who wrote their labels is a machine

# First columns.
_NAMES: Mapping[str, re.Pattern[str]] = {
    "mtedx": re.compile(r"([\w-][\w.-]*?)(?:\.mp4)?", re.ASCII),
    "voxceleb2": re.compile(r"(?:dev|test)/mp4/(id\d{5}/[\w-]+/\d{5})\.mp4", re.ASCII),
    "avspeech": re.compile(r"([\w-]+_\d+\.\d{6}_\d+\.\d{6})\.mp4", re.ASCII),
}
_COLUMNS = {"mtedx": 4, "voxceleb2": 2, "avspeech": 2}
# What separates the rest of an id from its speaker, and of how many parts it is.
_AFTER_SPEAKER = {"mtedx": ("_", 1), "voxceleb2": ("/", 2), "avspeech": ("_", 2)}


@dataclass(frozen=True, slots=True)
class Label:
    """One row of a list.

    Attributes:
        id: id of our clip: `fr/train/0u7tTptBo9I_0004`, `id08977/3ap0QSyN6Vc/00008`, `enSz..._115.715600_119.986533`.
        start_s: start in the talk; None in lists of clips.
        end_s: end in the talk.
        text: text as written, with the double spaces that removed dashes have left.
        name: the row's first column, which holds more than the id: the tree of VoxCeleb2, a suffix.
        speaker: speaker as the corpus's reader names him: the talk, the person, the video.
    """

    id: str
    start_s: float | None
    end_s: float | None
    text: str
    name: str
    speaker: str | None = None


def _check_split(kind: str, split: str) -> None:
    """Refuse automatic labels for the splits that results are measured on."""
    if kind not in KINDS or split not in SPLITS:
        raise ValueError(
            f"label list: format {kind!r}, split {split!r}: choose one of {KINDS} and one of {SPLITS}"
        )
    if kind in AUTOMATIC and split != "train":
        raise ValueError(
            f"label list of {kind} for {split}: its labels are automatic, which is no ground for error rates; use "
            "them for train"
        )


def find_kind(path: str | os.PathLike[str]) -> str:
    """Return the format of a list, one of `KINDS`, by its first row; raise ValueError for a row of no format."""
    _, line = next(published_lines(path, lambda _: None), (1, ""))
    cells = line.split("\t")
    for kind in ("voxceleb2", "avspeech", "mtedx"):
        if len(cells) == _COLUMNS[kind] and _NAMES[kind].fullmatch(cells[0].strip()):
            return kind
    raise ValueError(f"{path}:1: {line!r} is no row of {', '.join(KINDS)}; give one of these lists")


def read_list(
    path: str | os.PathLike[str],
    *,
    split: str,
    kind: str | None = None,
    language: str | None = None,
    on_problem: Report | None = None,
) -> Iterator[Label]:
    """Stream the labels of a list, each id once, in the order of the rows.

    Args:
        split: train, valid or test; automatic labels are for train.
        kind: format of the list, one of `KINDS`; None recognises it by the first row.
        language: ISO 639-1 code of the talks; needed for the ids of mtedx.
        on_problem: receives one line per row that was skipped; by default it is logged as a warning.

    Raises:
        ValueError: for automatic labels outside of train, an unknown format, or mtedx without language.
    """
    report = on_problem or log.warning
    kind = kind or find_kind(path)
    _check_split(kind, split)
    if kind == "mtedx" and not language:
        raise ValueError(f"{path}: the language of the talks is not known; give its code (--language fr)")
    prefix = f"{language}/{split}/" if kind == "mtedx" else ""
    first: dict[str, int] = {}
    for number, line in published_lines(path, report):
        try:
            label = _label(line, kind, prefix)
            if label.id in first:
                raise ValueError(f"{label.id} occurs twice (first on line {first[label.id]})")
        except ValueError as error:
            report(f"{path}:{number}: {error}; skipped")
        else:
            first[label.id] = number
            yield label


def _label(line: str, kind: str, prefix: str) -> Label:
    cells = line.split("\t")
    name = cells[0].strip()
    match = _NAMES[kind].fullmatch(name)
    if len(cells) != _COLUMNS[kind] or match is None:
        raise ValueError(f"{line!r} is not {_COLUMNS[kind]} columns of the format {kind}")
    if not as_written(cells[-1]):
        raise ValueError(f"{name} has no text")
    start_s, end_s = _times_s(cells[1:3]) if kind == "mtedx" else (None, None)
    separator, num_parts = _AFTER_SPEAKER[kind]
    speaker = match[1].rsplit(separator, num_parts)[0]
    return Label(prefix + match[1], start_s, end_s, cells[-1], name, speaker)


def _times_s(cells: list[str]) -> tuple[float, float]:
    try:
        start_s, end_s = (float(cell) for cell in cells)
    except ValueError:
        start_s = end_s = math.nan
    if not 0 <= start_s < end_s < math.inf:
        raise ValueError(f"{' '.join(cells)!r} is not a start and a later end in seconds")
    return start_s, end_s


def write_list(path: str | os.PathLike[str], labels: Iterable[Label], kind: str) -> int:
    """Write a list in a format of `KINDS`; what `read_list` took without complaint comes back byte by byte.

    Raises:
        ValueError: for a label that the format cannot hold. No file is changed then.
    """
    num_rows = 0
    with atomic_write(path) as file:
        for label in labels:
            times = [] if label.start_s is None else [_time(label.start_s), _time(label.end_s)]
            row = "\t".join([label.name, *times, label.text])
            _label(row, kind, "")  # raises
            if "\n" in row or "\r" in row:
                raise ValueError(f"{label.name}: the text {label.text!r} is not one line; normalise it")
            file.write(row + "\n")
            num_rows += 1
    return num_rows


def _time(time_s: float | None) -> str:
    """Return a time with two decimals as published, more where they matter."""
    text = f"{time_s:.2f}"
    return text if float(text) == time_s else str(time_s)


def apply_labels(
    utterances: Iterable[Utterance],
    labels: Iterable[Label],
    *,
    split: str,
    language: str | None = None,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Give clips the texts of a list and drop those that it does not name; the order stays.

    Clips get text, split, language and, where they lack it, speaker.

    Args:
        utterances: utterances of a reader or of a manifest of prepared clips.
        labels: labels as `read_list` yields them; held in memory.
        split: split that was passed to `read_list`, and that of the results.
        language: language of the labels; None keeps that of the utterances.
        on_problem: receives one line when labels are left over; by default it is logged as a warning.
    """
    wanted = {label.id: (as_written(label.text), label.speaker) for label in labels}
    num_labels = len(wanted)
    for utterance in utterances:
        if utterance.id in wanted:
            text, speaker = wanted.pop(utterance.id)
            yield replace(
                utterance,
                transcript=text,
                split=split,
                language=language or utterance.language,
                speaker=utterance.speaker or speaker,
            )
    if wanted:
        (on_problem or log.warning)(
            f"label list: the clips of {len(wanted)} of {num_labels} labels are missing, the first "
            f"{next(iter(wanted))}; they were deleted, not fetched or rejected"
        )
