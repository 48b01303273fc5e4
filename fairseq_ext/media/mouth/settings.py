"""Settings of mouth clips, with their units; the defaults were measured with `tests/bench/mouth.py`."""

import argparse
from dataclasses import dataclass, field, fields
from typing import Any

FRAMES_PER_S = 25
SIZE_PX = 96
INPUTS = ("face", "mouth")


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class MouthSettings:
    """Settings of a preparation; the help of each is in its metadata."""

    input: str = _setting("face", "face: find the mouth; mouth: the videos are mouth crops already")
    detect_every: int = _setting(
        5, "frames from one detection to the next; between them the face is interpolated"
    )
    smoothing_frames: int = _setting(6, "frames on either side that are averaged to smooth the crop; 0: none")
    mouth_scale: float = _setting(
        1.0, "above 1: closer to the mouth; 1: 96 px are 1.2 times the eyes' outer corners"
    )
    min_detection_rate: float = _setting(0.8, "least share of detections that find the face, 0 to 1")
    max_gap_s: float = _setting(1.0, "longest gap without the face that is interpolated, in seconds")
    min_face_px: float = _setting(32.0, "narrowest face in the source, in pixels")
    max_yaw_deg: float = _setting(
        90.0, "largest turn of the head to the side (median over the clip), in degrees"
    )
    max_late_s: float = _setting(
        0.08,
        "longest start of a scene without the face, in seconds; it is shown where the face is found later",
    )
    max_outside: float = _setting(
        0.3, "largest share of the crop outside of the picture, 0 to 1 (GRID: 0 to 0.12; half a face: 0.5)"
    )
    min_contrast: float = _setting(
        10.0,
        "least standard deviation of the crop's levels, of 255 (GRID: 20 to 29; PQ shown as SDR: 9; dark: 2)",
    )
    min_lip_motion: float = _setting(
        0.08,
        "least change of the lips relative to the contrast (GRID: 0.13 to 0.40; photographs: 0.01 to 0.05)",
    )
    min_picture_rate: float = _setting(
        8.0, "fewest different pictures per second; fewer miss syllables, of which there are some 4"
    )
    max_bad_share: float = _setting(
        0.2, "most packets that cannot be decoded, relative to the frames of the clip, 0 to 1"
    )
    min_frames: int = _setting(10, "shortest clip, in frames at 25 per second")
    max_missing_s: float = _setting(
        0.5,
        "longest part of a segment, or of the length that a file states, that may be missing at the end, s",
    )
    max_av_difference_s: float = _setting(
        1.0, "largest difference in length between sound and picture, in seconds"
    )
    crf: int = _setting(18, "quality of the H.264 clips (lower is better and larger)")

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.input not in INPUTS:
            raise ValueError(f"input: expected one of {', '.join(INPUTS)}, found {self.input!r}")
        least = {"detect_every": 1, "smoothing_frames": 0, "min_frames": 1, "crf": 0, "max_gap_s": 0.0}
        least |= dict.fromkeys(("max_late_s", "min_contrast", "min_lip_motion", "min_picture_rate"), 0.0)
        most = {"min_detection_rate": 1.0, "crf": 51, "max_yaw_deg": 180.0, "min_picture_rate": FRAMES_PER_S}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name}: expected {smallest} or more, found {getattr(self, name)}")
        for name, largest in most.items():
            if getattr(self, name) > largest:
                raise ValueError(f"{name}: expected {largest} or less, found {getattr(self, name)}")
        if not 0.1 <= self.mouth_scale <= 10:
            raise ValueError(f"mouth_scale: expected 0.1 to 10, found {self.mouth_scale}; 1 is usual")


def add_arguments(parser: argparse.ArgumentParser, defaults: MouthSettings | None = None) -> None:
    """Add an option per setting, `--detect-every` and so on; without `defaults` those of `MouthSettings`."""
    group = parser.add_argument_group("clips")
    for item in fields(MouthSettings):
        default = getattr(defaults or MouthSettings(), item.name)
        kind, text = type(item.default), f"{item.metadata['help']} (default: {default})"
        choices = INPUTS if item.name == "input" else None
        group.add_argument(
            f"--{item.name.replace('_', '-')}", type=kind, default=default, help=text, choices=choices
        )


def from_args(args: argparse.Namespace) -> MouthSettings:
    """Build the settings from a parsed command line."""
    return MouthSettings(**{item.name: getattr(args, item.name) for item in fields(MouthSettings)})
