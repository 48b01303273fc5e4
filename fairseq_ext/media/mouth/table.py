"""`clips.tsv`: one row per clip, the rejected ones too, with what was measured and why it was rejected."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...files import atomic_write, read_lines, split_row

TABLE = "clips.tsv"
SUMMARY = "rejections.tsv"
_MISSING_S = (
    0.2  # less is a rounded length, or sound that outlasts the picture (whole files miss 0.07 s at most)
)

# Why a clip is rejected, and what can be done about it.
REASONS = {
    "missing": "no such file, or none with its sound: mend the list and add --update, or put the file there and add "
    "--retry-rejected",
    "unreadable": "FFmpeg cannot open it: copy it again",
    "no_video": "it holds no moving picture: an audio file, or the wrong stream",
    "beyond_end": "the segment starts behind the end of its file: the file was cut off, or the times are of another",
    "cut_off": "more of the segment than --max-missing-s is missing: copy the file again",
    "video_gap": "the picture stands still for longer than --max-gap-s: damage, or slides",
    "too_short": "fewer frames than --min-frames",
    "no_face": "no face in any frame; if it is a mouth crop already, prepare it with --input mouth",
    "face_lost": "the face is out of sight for longer than --max-gap-s or more often than --min-detection-rate allows",
    "face_small": "the face is narrower than --min-face-px",
    "face_turned": "the head is turned farther than --max-yaw-deg",
    "av_mismatch": "sound and picture differ in length by more than --max-av-difference-s",
    "failed": "the program failed at it: see jobs/problems.tsv, then --retry-failed",
    "not_square": "with --input mouth a square picture is expected; without it the mouth is found in a face",
}


@dataclass(frozen=True, slots=True)
class ClipRow:
    """What became of a clip.

    Attributes:
        id: names its files.
        source: the video, relative to the corpus's root.
        start_s: of the segment, in the file's time; None: the whole file.
        end_s: of the segment; None: the end of the file.
        num_frames: at 25 per second.
        num_samples: at 16 kHz; 640 per frame.
        detection_rate: share of looks that found the face.
        longest_gap_s: longest stretch without it, from a look in vain to the next that found it.
        face_size_px: median side of the face in the source: the square root of its box.
        jitter_px: mean distance from the face as seen to the smoothed one, in pixels of the crop.
        yaw_deg: median turn of the head to the side, absolute.
        num_faces: most faces seen at once.
        choice: the rule that chose this one: only, largest, nearest.
        num_resets: how often the face was taken up anew, after a cut or a loss.
        num_cuts: scene cuts.
        av_difference_s: length of the sound less that of the picture, before the sound was fitted.
        missing_s: of the segment (or of the length that the file states), not in the file.
        num_bad_packets: packets and pictures that could not be decoded.
        audio: ok, silent (only zeros), none (no sound stream: the wav file is silence), damaged (gaps are silence).
        status: ok or rejected.
        reason: a key of `REASONS`, or "".
        detail: more about the reason.
    """

    id: str
    source: str
    start_s: float | None = None
    end_s: float | None = None
    num_frames: int = 0
    num_samples: int = 0
    detection_rate: float | None = None
    longest_gap_s: float | None = None
    face_size_px: float | None = None
    jitter_px: float | None = None
    yaw_deg: float | None = None
    num_faces: int | None = None
    choice: str = ""
    num_resets: int = 0
    num_cuts: int = 0
    av_difference_s: float | None = None
    missing_s: float = 0.0
    num_bad_packets: int = 0
    audio: str = ""
    status: str = "ok"
    reason: str = ""
    detail: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether the file is cut off or damaged where the clip is; enough may be left for it to be ok."""
        return self.missing_s > _MISSING_S or self.num_bad_packets > 0

    def to_json(self) -> dict[str, Any]:
        """Return the row for a record of a job.

        Returns:
            Values by column.
        """
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ClipRow":
        """Make a row of a record.

        Args:
            values: of `to_json`.

        Returns:
            The row.
        """
        return cls(**values)


COLUMNS = tuple(item.name for item in fields(ClipRow))
_KINDS = {item.name: item.type for item in fields(ClipRow)}  # str, int, float, or one of them and None


def write_clips_table(clips: str | os.PathLike[str], rows: Iterable[ClipRow]) -> Counter[str]:
    """Write `clips.tsv`, and `rejections.tsv`: how many clips each reason cost and what to do.

    Args:
        clips: the folder of prepared clips.
        rows: of all clips, streamed.

    Returns:
        Clips by reason; "" for those that are ok.
    """
    counts: Counter[str] = Counter()
    with atomic_write(Path(clips) / TABLE) as file:
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            counts[row.reason] += 1
            file.write("\t".join(_cell(getattr(row, name)) for name in COLUMNS) + "\n")
    with atomic_write(Path(clips) / SUMMARY) as file:
        file.write("reason\tclips\tshare\tmeaning\n")
        for reason, count in counts.most_common():
            if reason:
                meaning = REASONS.get(reason, "")
                file.write(f"{reason}\t{count}\t{count / counts.total():.4f}\t{meaning}\n")
    return counts


def read_clips(clips: str | os.PathLike[str], *, status: str | None = "ok") -> Iterator[ClipRow]:
    """Stream the rows of `clips.tsv`.

    Args:
        clips: the folder of prepared clips.
        status: only those ("ok", "rejected"); None: all.

    Yields:
        Rows in the table's order.

    Raises:
        ValueError: naming file and line, for another header or a cell of another kind.
    """
    path = Path(clips) / TABLE
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}:{number}"
        if number == 1:
            if tuple(line.split("\t")) != COLUMNS:
                raise ValueError(
                    f"{where}: columns {', '.join(COLUMNS)} expected, found {line!r}; prepare it again"
                )
            continue
        cells = split_row(line, len(COLUMNS), where)
        row = ClipRow(**{name: _value(name, cell, where) for name, cell in zip(COLUMNS, cells, strict=True)})
        if status is None or row.status == status:
            yield row


def count_damaged(clips: str | os.PathLike[str]) -> int:
    """Count the clips that are ok although their file is cut off or damaged.

    Args:
        clips: the folder of prepared clips.

    Returns:
        How many; columns missing_s and num_bad_packets say which.
    """
    return sum(row.is_damaged for row in read_clips(clips))


def _cell(value: object) -> str:
    """Whole and short: times keep six digits, so that segments come back as they were."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return " ".join(str(value).split())


def _value(name: str, cell: str, where: str) -> Any:
    kind = _KINDS[name]
    if kind is str:
        return cell
    if cell == "" and kind in {int | None, float | None}:
        return None
    try:
        return int(cell) if kind in {int, int | None} else float(cell)
    except ValueError as error:
        raise ValueError(f"{where}: a number as {name} expected, found {cell!r}; prepare it again") from error
