"""Accept or reject a clip by its measurements."""

from collections.abc import Iterator
from dataclasses import replace

from .settings import MouthSettings
from .table import ClipRow

Verdict = tuple[bool, str, str]  # whether it fails, reason, detail


def judged(row: ClipRow, settings: MouthSettings, *, problem: tuple[str, str], gap_s: float) -> ClipRow:
    """Return the row with its status and, when rejected, the first reason that applies.

    `problem` is reason and detail from the crops, or empty strings; `gap_s` the longest time between two pictures.
    """
    for failed, reason, detail in (
        *_of_the_file(row, settings, gap_s),
        (bool(problem[0]), *problem),
        *_of_the_face(row, settings),
        *_of_the_content(row, settings),
        *_of_the_sound(row, settings),
    ):
        if failed:
            return replace(row, status="rejected", reason=reason, detail=detail)
    return row


def _of_the_file(row: ClipRow, settings: MouthSettings, gap_s: float) -> Iterator[Verdict]:
    yield row.num_frames == 0 and bool(row.start_s), "beyond_end", f"no picture from {row.start_s} s on"
    yield row.num_frames == 0, "no_video", "no picture could be decoded"
    yield gap_s > settings.max_gap_s, "video_gap", f"{gap_s:.2f} s without a new picture"
    yield row.missing_s > settings.max_missing_s, "cut_off", f"{row.missing_s:.2f} s are missing"
    yield row.num_frames < settings.min_frames, "too_short", f"{row.num_frames} frames"
    too_many = row.num_bad_packets > settings.max_bad_share * row.num_frames
    yield too_many, "damaged", f"{row.num_bad_packets} bad packets in {row.num_frames} frames"


def _of_the_face(row: ClipRow, settings: MouthSettings) -> Iterator[Verdict]:
    if row.detection_rate is not None:
        rate = row.detection_rate
        yield rate < settings.min_detection_rate, "face_lost", f"found in {rate:.0%} of the detections"
    if row.face_size_px is not None:
        yield row.face_size_px < settings.min_face_px, "face_small", f"{row.face_size_px} px"
    if row.yaw_deg is not None:
        yield row.yaw_deg > settings.max_yaw_deg, "face_turned", f"{row.yaw_deg} degrees"


def _of_the_content(row: ClipRow, settings: MouthSettings) -> Iterator[Verdict]:
    yield row.late_s > settings.max_late_s, "face_late", f"first seen after {row.late_s:.2f} s"
    if row.outside is not None:
        yield row.outside > settings.max_outside, "face_outside", f"{row.outside:.0%} of the crop"
    if row.contrast is not None:
        yield row.contrast < settings.min_contrast, "low_contrast", f"{row.contrast} of 255 levels"
    if row.lip_motion is not None:
        yield row.lip_motion < settings.min_lip_motion, "lips_still", f"{row.lip_motion:.3f}"
    if row.picture_rate is not None:
        yield row.picture_rate < settings.min_picture_rate, "few_pictures", f"{row.picture_rate} per second"


def _of_the_sound(row: ClipRow, settings: MouthSettings) -> Iterator[Verdict]:
    if row.av_difference_s is not None:
        too_much = abs(row.av_difference_s) > settings.max_av_difference_s
        yield too_much, "av_mismatch", f"sound {row.av_difference_s:+.2f} s against the picture"
