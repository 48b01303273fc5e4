"""`clips.tsv`: a row per clip, rejected ones included, with the measurements and the reason of a rejection."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...files import atomic_write, read_lines, split_row

TABLE = "clips.tsv"
SUMMARY = "rejections.tsv"
# Less comes from rounded lengths, or sound longer than the picture: undamaged files miss at most 0.07 s.
_MISSING_S = 0.2

# Why a clip is rejected, and what can be done about it.
REASONS = {
    "missing": "no such file, or none with its sound: fix the list and add --update, or put the file there and add "
    "--retry-rejected",
    "unreadable": "FFmpeg cannot open it: copy it again",
    "joined": "its time stamps start again: several recordings one after the other; join them with ffmpeg's concat "
    "demuxer, or copy each by itself",
    "no_video": "it holds no video stream: an audio file, or a cover picture",
    "beyond_end": "the segment starts after the end of its file: the file was cut off, or the times are wrong",
    "cut_off": "more of the segment, or of the length that the file states, than --max-missing-s is missing: copy the "
    "file again",
    "video_gap": "the picture stands still for longer than --max-gap-s: damage, or slides",
    "too_short": "fewer frames than --min-frames",
    "no_face": "no face in any frame; if it is a mouth crop already, prepare it with --input mouth",
    "face_lost": "the face is out of sight for longer than --max-gap-s or more often than --min-detection-rate allows",
    "face_late": "no face in the first --max-late-s of the clip or of a scene: let the segment start later",
    "face_outside": "more of the crop than --max-outside lies outside of the picture: half a face, or the chin cut off",
    "low_contrast": "less contrast than --min-contrast: too dark, or HDR, which ffmpeg's tonemap filter converts",
    "lips_still": "the lips move less than --min-lip-motion: a photograph, or somebody who listens",
    "few_pictures": "fewer different pictures per second than --min-picture-rate",
    "damaged": "more packets than --max-bad-share of the frames could not be decoded: copy the file again",
    "face_small": "the face is narrower than --min-face-px",
    "face_turned": "the head is turned farther than --max-yaw-deg",
    "av_mismatch": "sound and picture differ in length by more than --max-av-difference-s",
    "failed": "an error of the program: see jobs/crop/problems.tsv, then --retry-failed",
    "not_square": "with --input mouth a square picture is expected; without it the mouth is found in a face",
}


@dataclass(frozen=True, slots=True)
class ClipRow:
    """The result for a clip: measurements and verdict.

    Attributes:
        id: id of the clip, the name of its files.
        source: path of the video, relative to the root of the corpus.
        start_s: start of the segment in the file, s; None: the whole file.
        end_s: end of the segment, s; None: the end of the file.
        num_frames: number of frames, 25 per second.
        num_samples: number of samples at 16 kHz, 640 per frame.
        detection_rate: share of detections that found the face.
        longest_gap_s: longest gap, from a failed detection to the next successful one, s.
        face_size_px: median size of the face in the source: square root of the area of its box, px.
        jitter_px: mean distance between detected and smoothed face, in pixels of the crop.
        yaw_deg: median absolute turn of the head to the side, degrees.
        num_faces: largest number of faces in one frame.
        choice: rule by which the face was chosen: only, largest, nearest (to the position that the corpus gives), sound
            (its lips move with the sound), motion (the others' do not move).
        num_resets: how often the face was chosen anew, after a cut or a loss.
        num_cuts: number of scene cuts.
        av_difference_s: length of the sound minus that of the pictures, before the sound is trimmed or padded, s.
        missing_s: part of the segment (or of the length stated in the file) that the file does not hold, s.
        num_bad_packets: number of packets and pictures that could not be decoded.
        audio: ok, silent (only zeros), none (no sound stream: the wav file is silence), damaged (gaps are silence).
        tracks: which of several streams and channels were read, and why.
        late_s: longest start of a scene in which the face is not seen, s.
        outside: mean share of the crop outside of the picture.
        contrast: mean standard deviation of the levels of a crop, of 255.
        lip_motion: change of the lips from detection to detection, relative to the contrast.
        picture_rate: pictures per second that differ from the one before, at most 25.
        status: ok or rejected.
        reason: a key of `REASONS`, or "".
        detail: details of the reason.
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
    tracks: str = ""
    late_s: float = 0.0
    outside: float | None = None
    contrast: float | None = None
    lip_motion: float | None = None
    picture_rate: float | None = None
    status: str = "ok"
    reason: str = ""
    detail: str = ""

    @property
    def is_damaged(self) -> bool:
        """Whether the file is cut off or damaged within the clip; the clip may still be ok."""
        return self.missing_s > _MISSING_S or self.num_bad_packets > 0

    def to_json(self) -> dict[str, Any]:
        """Return the values by column, for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ClipRow":
        """Build a row from the values of `to_json`."""
        return cls(**values)


COLUMNS = tuple(item.name for item in fields(ClipRow))
_NEW = {"tracks", "late_s", "outside", "contrast", "lip_motion", "picture_rate"}
_OLD_COLUMNS = tuple(
    name for name in COLUMNS if name not in _NEW
)  # of tables from before crops were measured
_TYPES = {item.name: item.type for item in fields(ClipRow)}  # str, int, float, or one of them and None


def write_clips_table(clips: str | os.PathLike[str], rows: Iterable[ClipRow]) -> Counter[str]:
    """Write `clips.tsv`, and `rejections.tsv` with the number of clips per reason and what to do.

    The rows are streamed. Returns clips by reason; "" for accepted ones.
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
    """Stream the rows of `clips.tsv`: only those with status "ok" or "rejected"; None: all.

    Raises:
        ValueError: with file and line, for another header or a cell of the wrong type.
    """
    path = Path(clips) / TABLE
    columns: tuple[str, ...] = ()
    for number, line in enumerate(read_lines(path), 1):
        where = f"{path}:{number}"
        if number == 1:
            columns = tuple(line.split("\t"))
            if columns not in {COLUMNS, _OLD_COLUMNS}:
                raise ValueError(
                    f"{where}: expected columns {', '.join(COLUMNS)}, found {line!r}; prepare the clips again"
                )
            continue
        cells = split_row(line, len(columns), where)
        row = ClipRow(**{name: _value(name, cell, where) for name, cell in zip(columns, cells, strict=True)})
        if status is None or row.status == status:
            yield row


def count_damaged(clips: str | os.PathLike[str]) -> int:
    """Count the accepted clips whose file is cut off or damaged."""
    return sum(row.is_damaged for row in read_clips(clips))


def _cell(value: object) -> str:
    """Format a cell; times keep six digits, so that segments read back as they were."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return " ".join(str(value).split())


def _value(name: str, cell: str, where: str) -> Any:
    cell_type = _TYPES[name]
    if cell_type is str:
        return cell
    if cell == "" and cell_type in {int | None, float | None}:
        return None
    try:
        return int(cell) if cell_type in {int, int | None} else float(cell)
    except ValueError as error:
        raise ValueError(
            f"{where}: expected a number as {name}, found {cell!r}; prepare the clips again"
        ) from error
