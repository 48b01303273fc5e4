"""Multilingual TEDx (mTEDx): talks in eight languages, cut into sentences with transcripts written by people.

Layout, as unpacked (release 1.0; Spanish, French, Portuguese, Italian, Russian, Greek, Arabic, German):
`{l}-{l}/data/{split}/wav/{talk}.flac`, one file per talk, mono, named after its YouTube video;
`{l}-{l}/data/{split}/txt/segments`, lines `{segment} {talk} {start_s} {end_s}`, such as `0u7tTptBo9I_0004 0u7tTptBo9I
42.91 45.26`; `txt/{split}.{l}`, one transcript per line; `txt/{split}.yaml`, one `- {duration: 2.35, offset: 42.91,
speaker_id: ..., wav: 0u7tTptBo9I.wav}` per line, keys in any order (the file it names is a .flac all the same). Rows of
the three belong together by their number. splits: train, valid, test. `vtt/` and the translations are not read.

The archives hold no video. Where the talks' videos were fetched from YouTube they are looked for in `VIDEO_FOLDERS`,
of which `video/{l}/{split}/{talk}.mp4` is MuAViC's. Many have been deleted since; the talks without one are counted.

Size (OpenSLR 100): es 189 h, fr 189 h, pt 164 h, it 107 h, ru 53 h, el 30 h, ar 18 h, de 15 h. Of these train
(MuAViC, arXiv:2303.00628): es 178 h of 987 speakers, fr 176 h of 948, pt 153 h of 810, it 101 h of 487.

Source: https://www.openslr.org/100, Salesky et al. 2021 (arXiv:2102.01757). Licence: CC BY-NC-ND 4.0.
"""

import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path

from ..manifest import SPLITS, Utterance
from ..text.published import Report, as_written, published_lines
from .flow_yaml import flow_mappings

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 16_000  # what `num_samples` counts at; the flac files have 44.1 or 48 kHz
VIDEO_FOLDERS = (
    "video/{language}/{split}",
    "{language}-{language}/data/{split}/video",
    "{language}-{language}/data/{split}/mp4",
    "video/{language}",
    "video",
)
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm")

_FOLDER = re.compile(r"([a-z]{2,3})-\1")
_NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)  # of a talk or segment; it becomes a path
# The two files that hold times round them differently; a row further off belongs to another sentence.
_SAME_TIME_S = 0.5
_NAMED = 10  # of the talks that are gone; hundreds may be


def recordings_folder(root: str | os.PathLike[str]) -> Path:
    """Return the folder that holds `fr-fr/` and the like, `root` or above it; the paths of `read` are relative to it.

    Raises:
        FileNotFoundError: when there is none.
    """
    return _languages(Path(root))[0]


def _languages(root: Path) -> tuple[Path, list[str]]:
    if _FOLDER.fullmatch(root.resolve().name) and (root / "data").is_dir():
        return root.resolve().parent, [root.resolve().name.partition("-")[0]]
    names = sorted(os.listdir(root)) if root.is_dir() else []
    found = [name for name in names if _FOLDER.fullmatch(name) and (root / name / "data").is_dir()]
    if not found:
        raise FileNotFoundError(
            f"{root}: {{l}}-{{l}}/data/, for example fr-fr/data/, is missing; unpack mtedx_fr.tgz there"
        )
    return root, [name.partition("-")[0] for name in found]


def read(
    root: str | os.PathLike[str],
    *,
    languages: Sequence[str] | None = None,
    splits: Sequence[str] = SPLITS,
    video: bool | None = None,
    on_problem: Report | None = None,
) -> Iterator[Utterance]:
    """Read the sentences of every talk (see `corpora/__init__.py` for the contract).

    Utterances come by language, split and row, with ids such as `fr/train/0u7tTptBo9I_0004`; start and end are times
    in the talk, `num_samples` is their distance at 16 kHz, transcripts are as written.

    Args:
        languages: ISO 639-1 codes; None for all that are there.
        video: whether paths are of videos (a talk without one is skipped) or of the flac files; None for videos
            when any talk of the corpus has one.
        on_problem: receives a line per sentence that was skipped, and one per split about all talks without a
            recording; by default it is logged as a warning.

    Raises:
        FileNotFoundError: for a root or language that is not there, or a split without its text.
        ValueError: when transcripts and segments are not equally many, since no row could be trusted then.
    """
    folder, found = _languages(Path(root))
    report = on_problem or log.warning
    if absent := sorted(set(languages or ()) - set(found)):
        raise FileNotFoundError(
            f"{folder}: {absent[0]}-{absent[0]}/data/ is missing, only {found} is there; unpack it"
        )
    if video is None:
        video = any(_videos(folder, language, split) for language in found for split in SPLITS)
    for language in languages or found:
        for split in splits:
            if (folder / f"{language}-{language}" / "data" / split).is_dir():
                yield from _Split(folder, language, split, video, report).read()
            else:
                report(f"{folder}/{language}-{language}/data/{split}: the folder is missing; skipped")


class _Split:
    """One split of one language."""

    def __init__(self, root: Path, language: str, split: str, video: bool, report: Report) -> None:
        self._root, self._language, self._split, self._report = root, language, split, report
        self._data = root / f"{language}-{language}" / "data" / split
        self._videos = _videos(root, language, split) if video else None
        self._media: dict[str, str | None] = {}
        self._lengths_s: dict[str, float] = {}
        self._ids: dict[str, str] = {}
        self._lost: Counter[str] = Counter()  # segments by talk
        self._damage: dict[str, str] = {}  # what is wrong with a talk's flac file

    def read(self) -> Iterator[Utterance]:
        text = self._data / "txt"
        segments, sentences = text / "segments", text / f"{self._split}.{self._language}"
        for where, line, sentence, facts in self._rows(segments, sentences, text / f"{self._split}.yaml"):
            try:
                utterance = self._utterance(where, line, sentence, facts)
            except ValueError as error:
                self._report(f"{where}: {error}; skipped")
            else:
                if utterance is not None:
                    yield utterance
        if self._lost:
            self._report_lost()

    def _report_lost(self) -> None:
        medium = "flac file" if self._videos is None else "video"
        talks = [f"{talk}{self._damage.get(talk, '')}" for talk in self._lost]
        names = [*talks[:_NAMED], *([f"{len(talks) - _NAMED} more"] if len(talks) > _NAMED else [])]
        self._report(
            f"{self._data}: no {medium} for {len(talks)} of {len(self._media)} talks, whose {self._lost.total()} "
            f"segments are skipped: {', '.join(names)}"
        )

    def _rows(
        self, segments: Path, sentences: Path, facts: Path
    ) -> Iterator[tuple[str, str, str, dict[str, str] | None]]:
        """Yield ("file:line", segment, sentence, yaml row) after checking that there are equally many."""
        num_rows = _count(segments)[1]
        num_lines, num_texts = _count(sentences)
        counts = {sentences: max(min(num_lines, num_rows), num_texts)}  # the last ones may be empty
        yaml_rows: Iterator[dict[str, str] | None] = repeat(None)
        if facts.is_file():
            counts[facts] = sum(1 for _ in flow_mappings(facts, lambda _: None))
            yaml_rows = flow_mappings(facts, self._report)
        else:
            self._report(f"{facts}: the file is missing; talks are taken as speakers")
        for path, count in counts.items():
            if count != num_rows:
                raise ValueError(
                    f"{path}: {num_rows} rows, as in {segments.name}, expected, found {count}; unpack the corpus again"
                )
        rows, texts = published_lines(segments, self._report), published_lines(sentences, self._report)
        for (number, row), (_, text), row_facts in islice(
            zip(rows, texts, yaml_rows, strict=False), num_rows
        ):
            yield f"{segments}:{number}", row, text, row_facts

    def _utterance(
        self, where: str, line: str, sentence: str, facts: dict[str, str] | None
    ) -> Utterance | None:
        """Return None for a segment of a talk without a recording; raise ValueError for an unusable one."""
        segment, talk, start_s, end_s = _segment(line)
        speaker = _speaker(facts, talk, start_s)
        path = self._path(talk)
        if path is None:
            self._lost[talk] += 1
            return None
        end_s = self._end_s(where, talk, start_s, end_s)
        if not (transcript := as_written(sentence)):
            raise ValueError("the transcript is an empty line")
        if first := self._ids.get(segment):
            raise ValueError(f"{segment} occurs twice (first at {first})")
        self._ids[segment] = where
        return Utterance(
            id=f"{self._language}/{self._split}/{segment}",
            path=path,
            num_samples=round((end_s - start_s) * SAMPLE_RATE_HZ),
            transcript=transcript,
            speaker=speaker or talk,
            language=self._language,
            split=self._split,
            start_s=start_s,
            end_s=end_s,
        )

    def _path(self, talk: str) -> str | None:
        """Find the talk's recording."""
        if talk not in self._media:
            flac = self._data / "wav" / f"{talk}.flac"
            path: str | None = flac.relative_to(self._root).as_posix()
            try:
                self._lengths_s[talk] = _flac_length_s(flac)
            except (OSError, ValueError) as error:
                path = None
                if self._videos is None and not isinstance(error, FileNotFoundError):
                    self._damage[talk] = f" ({getattr(error, 'strerror', None) or error})"
            self._media[talk] = path if self._videos is None else self._videos.get(talk)
        return self._media[talk]

    def _end_s(self, where: str, talk: str, start_s: float, end_s: float) -> float:
        """Cut a segment off where its talk ends, if that is known."""
        length_s = self._lengths_s.get(talk, math.inf)
        if start_s >= length_s:
            raise ValueError(f"the segment starts at {start_s} s, after the end of {talk} ({length_s:.2f} s)")
        if end_s > length_s:
            self._report(
                f"{where}: the segment ends at {end_s} s, after the end of {talk} ({length_s:.2f} s); cut off there"
            )
        return min(end_s, length_s)


def _videos(root: Path, language: str, split: str) -> dict[str, str]:
    """Return talk -> path of its video relative to the root; the first folder and suffix win."""
    found: dict[str, str] = {}
    for pattern in reversed(VIDEO_FOLDERS):
        folder = pattern.format(language=language, split=split)
        names = os.listdir(root / folder) if (root / folder).is_dir() else []
        for suffix in reversed(VIDEO_SUFFIXES):
            found |= {
                name.removesuffix(suffix): f"{folder}/{name}" for name in names if name.endswith(suffix)
            }
    return found


def _segment(line: str) -> tuple[str, str, float, float]:
    cells = line.split()
    if len(cells) != 4 or not (_NAME.fullmatch(cells[0]) and _NAME.fullmatch(cells[1])):
        raise ValueError(f"{line!r} is not of the form `segment talk start end`")
    start_s, end_s = _time_s(cells[2]), _time_s(cells[3])
    if end_s <= start_s:
        raise ValueError(f"the end {end_s} is not after the start {start_s}")
    return cells[0], cells[1], start_s, end_s


def _time_s(text: str) -> float:
    try:
        time_s = float(text)
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s < math.inf:
        raise ValueError(f"{text!r} is no time in seconds")
    return time_s


def _speaker(facts: dict[str, str] | None, talk: str, start_s: float) -> str | None:
    """Check that the row of the yaml file is of this segment; None without such a file."""
    if facts is None:
        return None
    named = os.path.splitext(facts.get("wav", ""))[0]
    if named != talk or abs(_time_s(facts.get("offset", "")) - start_s) > _SAME_TIME_S:
        raise ValueError(
            f"{talk} at {start_s} s expected in the yaml's row, found {named} at {facts.get('offset')} s"
        )
    return facts.get("speaker_id")


def _count(path: Path) -> tuple[int, int]:
    """Count lines, and lines without the empty ones at the end."""
    num_lines = num_filled = 0
    for num_lines, line in published_lines(path, lambda _: None):
        num_filled = num_lines if line.strip() else num_filled
    return num_lines, num_filled


def _flac_length_s(path: Path) -> float:
    """Read the header, https://www.rfc-editor.org/rfc/rfc9639 section 8.2; inf where it states none.

    Raises:
        ValueError: for a file of another format or one that is cut off in its header.
    """
    with open(path, "rb") as file:
        header = file.read(42)
    if len(header) < 42 or header[:4] != b"fLaC" or header[4] & 0x7F != 0:
        raise ValueError(f"{header[:4]!r} and {len(header)} bytes of header found")
    packed = int.from_bytes(header[18:26], "big")  # 20 bits rate, 3 channels, 5 sample size, 36 samples
    rate_hz, num_samples = packed >> 44, packed & ((1 << 36) - 1)
    return num_samples / rate_hz if rate_hz and num_samples else math.inf
