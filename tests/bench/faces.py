"""Benchmark of drawn talking faces: CPU time per frame by picture size, detections by MediaPipe, and lip movement.

One row per size of picture and face (width in pixels): CPU milliseconds per frame of drawing (a new speaker and scene
for each phrase included) and of H.264; share of frames in which the face mesh finds a face, tracking and on its own;
Pearson's r of the driven opening and the measured lip gap over the eyes' distance: median and lowest over speakers,
and over all frames, each speaker's gaps divided by the largest.
"""

import argparse
import os
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("GLOG_minloglevel", "2")

from fairseq_ext.synthetic import phrases
from fairseq_ext.synthetic.faces.scene import Actor, Shot, render
from fairseq_ext.synthetic.faces.video import write_media
from fairseq_ext.synthetic.faces.visemes import mouth_track
from fairseq_ext.synthetic.films import cast
from fairseq_ext.synthetic.voices import speak

# Width and height of the picture, pixels per head unit: a face is 0.94 units wide.
SIZES = ((224, 224, 108.0), (640, 360, 105.0), (640, 360, 55.0), (1280, 720, 200.0))
FPS = 25.0
STATIC_EVERY = 5


@dataclass
class Measured:
    """Sums over the speakers."""

    draw_s: float = 0.0
    encode_s: float = 0.0
    num_frames: int = 0
    num_tracked: int = 0
    num_alone: int = 0
    num_alone_found: int = 0
    gaps: list[np.ndarray] = field(default_factory=list)
    driven: list[np.ndarray] = field(default_factory=list)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--speakers", type=int, default=25, help="in small pictures; a fifth in others (default: 25)"
    )
    parser.add_argument("--seed", type=int, default=1, help="another one gives other people (default: 1)")
    return parser.parse_args()


def lip_gap(mesh: Any, picture: np.ndarray) -> float:
    """Return the distance of the inner lips relative to that of the outer corners of the eyes; NaN without a face."""
    faces = mesh.process(picture).multi_face_landmarks
    if not faces:
        return float("nan")
    height, width = picture.shape[:2]
    lip, chin, left, right = (faces[0].landmark[index] for index in (13, 14, 33, 263))
    return (
        (chin.y - lip.y) * height / float(np.hypot((right.x - left.x) * width, (right.y - left.y) * height))
    )


def film(
    size: tuple[int, int, float], number: int, seed: int, found: Measured
) -> tuple[list[Any], np.ndarray]:
    """Return the frames of a phrase of one speaker, and the mouth openings that drove them."""
    width, height, unit_px = size
    language = phrases.LANGUAGES[number % len(phrases.LANGUAGES)]
    speaker = cast("bench", language, number // len(phrases.LANGUAGES) + 1, seed=seed)[-1]
    speech = speak(speaker.voice, phrases.draw(language, "train", number + 1, seed=seed)[-1].text)
    track = mouth_track(speech.phonemes, int(speech.duration_s * FPS), FPS)
    actor = Actor(speaker.look, 0.5, 0.45, unit_px, track)
    times_s = [time.process_time()]
    frames = list(render(Shot(width, height, FPS, len(track), (actor,), number)))
    times_s.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder:
        write_media(Path(folder, "a.mp4"), frames, size=(height, width))
    times_s.append(time.process_time())
    found.draw_s += times_s[1] - times_s[0]
    found.encode_s += times_s[2] - times_s[1]
    found.num_frames += len(frames)
    return frames, track[:, 0]


def measure(size: tuple[int, int, float], num_speakers: int, seed: int) -> Measured:
    """Measure one picture size."""
    import cv2
    from mediapipe.python.solutions.face_mesh import FaceMesh

    found = Measured()
    with FaceMesh(static_image_mode=False) as tracker, FaceMesh(static_image_mode=True) as static:
        for number in range(num_speakers):
            frames, opening = film(size, number, seed, found)
            pictures = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420)) for frame in frames]
            tracker.reset()
            gap = np.array([lip_gap(tracker, picture) for picture in pictures])
            alone = np.array([lip_gap(static, picture) for picture in pictures[::STATIC_EVERY]])
            seen = np.isfinite(gap)
            found.num_tracked += int(seen.sum())
            found.num_alone += len(alone)
            found.num_alone_found += int(np.isfinite(alone).sum())
            if seen.sum() > 10:
                found.gaps.append(gap[seen] / gap[seen].max())
                found.driven.append(opening[seen])
    return found


def row(size: tuple[int, int, float], found: Measured) -> str:
    """Format the row of the table."""
    each = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(found.gaps, found.driven, strict=True)]
    together = np.corrcoef(np.concatenate(found.gaps), np.concatenate(found.driven))[0, 1] if each else np.nan
    follows = f"{np.median(each):6.2f} {min(each):6.2f} {together:6.2f}" if each else "     -      -      -"
    return (
        f"{size[0]:5d}x{size[1]:<4d} {0.94 * size[2]:5.0f} {found.num_frames:7d} "
        f"{found.draw_s / found.num_frames * 1e3:6.2f} {found.encode_s / found.num_frames * 1e3:7.2f} "
        f"{found.num_tracked / found.num_frames:8.3f} {found.num_alone_found / found.num_alone:6.3f} {follows}"
    )


def main() -> None:
    """Print the table."""
    warnings.filterwarnings("ignore", category=UserWarning)
    args = parse_args()
    print("   picture  face  frames   draw  encode  tracked  alone  r med  r min  r all")
    for index, size in enumerate(SIZES):
        speakers = args.speakers if index == 0 else max(1, args.speakers // 5)
        print(row(size, measure(size, speakers, args.seed)), flush=True)


if __name__ == "__main__":
    main()
