"""Benchmark of mouth clips on real faces: default settings, a detection on every frame, and the stock script.

Each clip of --source is made again as H.264 at 224x224 (the face as VoxCeleb2 has it), at 360x288, and at 1280x720 (the
face scaled up with the picture), with its sound. `prepare_file` then makes the whole clip: decoding of picture and
sound, detections, smoothing, warp, x264, wav, landmarks, all files flushed to disk. CPU ms per frame is of the
whole process with all its threads (getrusage), models loaded before. `stock` is what scripts usually do, on the same
files: decode to RGB, MediaPipe's full-range detector in every frame, warp, x264; no sound, no landmarks file.

`centre px` is the distance in the crop between the same point of the source as drawn with the default settings and with
a detection on every frame: mean and 99th percentile. `PSNR` is between the two clips as encoded.

Measured on the five GRID clips of 75 frames (MediaPipe 0.10.14, two cores, one idle; the least of 12 rounds, which
differ by a sixth from run to run):

    size      default   every frame   stock   centre px (99th percentile)   PSNR dB
    224x224   2.19      6.65          8.52    0.31 (1.5)                     40.7
    360x288   2.62      7.19          9.74    0.33 (1.4)                     39.5
    1280x720  6.71      12.21         13.61   0.40 (1.9)                     38.3

`moving heads`: the same clips at 360x288 with the picture moved by `PATHS`; mean distance of the mouth from the crop's
centre in px, by a detection on every frame of the unmoved picture and the known path. Bar: 2 px. Before the position
followed the head it was 4.4 to 5.9 px.

With a detection every fourth frame instead of the fifth: 2.34 to 2.73, 2.5 to 3.2 and 6.4 to 7.6 ms in three runs,
0.22, 0.24 and 0.27 px. Ten times the length takes 4% more memory.
"""

import argparse
import resource
import shutil
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from fairseq_ext.media.clips import Segment, VideoFile, videos_in
from fairseq_ext.media.mouth.landmarker import Landmarker
from fairseq_ext.media.mouth.prepare import prepare_file
from fairseq_ext.media.mouth.settings import SIZE_PX, MouthSettings
from fairseq_ext.media.mouth.smoothing import pose_of
from fairseq_ext.media.mouth.template import KEPT, apply, invert
from fairseq_ext.media.mouth.tracker import Tracker
from fairseq_ext.media.mouth.warp import opencv
from fairseq_ext.media.mouth.writer import GreyWriter
from fairseq_ext.media.picture import Picture
from fairseq_ext.media.video import MediaReader

DEFAULT = MouthSettings().detect_every
SIZES = {"224x224": (224, 224), "360x288": (360, 288), "1280x720": (1280, 720)}


# (x, y) shift in px at times in s, for a face some 120 px wide: a nod, a deep nod, a walk, a shake of the head.
PATHS: dict[str, Callable[[Any], Any]] = {
    "still": lambda t: np.stack([0 * t, 0 * t], axis=1),
    "nod": lambda t: np.stack([0 * t, 10 * np.sin(3 * np.pi * t)], axis=1),
    "bow": lambda t: np.stack([0 * t, 20 * np.sin(2 * np.pi * t)], axis=1),
    "walk": lambda t: np.stack([30 * np.sin(0.8 * np.pi * t), 6 * np.sin(4 * np.pi * t)], axis=1),
    "shake": lambda t: np.stack([8 * np.sin(5 * np.pi * t), 0 * t], axis=1),
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "grid"
    parser.add_argument(
        "--source", type=Path, default=beside, help="folder of videos (default: the GRID clips)"
    )
    parser.add_argument("--clips", type=int, default=5, help="how many of them (default: 5)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="the least CPU time of so many rounds (default: 3)"
    )
    return parser.parse_args()


def cpu_s() -> float:
    """Return the CPU seconds of this process and its threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def make_version(source: Path, target: Path, size: tuple[int, int]) -> None:
    """Scale the picture to fill the size, crop the rest, and copy the sound."""
    cv2 = opencv()
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"preset": "medium", "crf": "20"}
        audio: Any = out.add_stream("aac", rate=44100, layout="stereo")
        pictures, sounds = 0, 0
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                picture = frame.to_ndarray(format="rgb24")
                scale = max(size[0] / picture.shape[1], size[1] / picture.shape[0])
                shape = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
                picture = cv2.resize(
                    picture, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
                )
                left, top = (shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2
                cut = np.ascontiguousarray(picture[top : top + size[1], left : left + size[0]])
                new = av.VideoFrame.from_ndarray(cut, format="rgb24")
                new.pts, pictures = pictures, pictures + 1
                out.mux(video.encode(new))
            else:
                frame.pts, frame.time_base = sounds, Fraction(1, 44100)
                sounds += frame.samples
                out.mux(audio.encode(frame))
        for stream in (video, audio):
            out.mux(stream.encode(None))


def ours(
    folder: Path, videos: Sequence[VideoFile], out: Path, settings: MouthSettings, models: Landmarker
) -> int:
    """Make the clips; return the number of frames."""
    rows = [row for video in videos for row in prepare_file(folder, video, out, settings, models)]
    assert all(row.status == "ok" for row in rows), rows
    return sum(row.num_frames for row in rows)


def stock(folder: Path, videos: Sequence[VideoFile], detector: Any, out: Path) -> int:
    """Run the usual script: every frame to RGB, detector, crop around the mouth keypoint, encode."""
    cv2 = opencv()
    num_frames = 0
    for video in videos:
        writer, points = GreyWriter(out / "stock.mp4", 18), [(0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.5, 0.6)]
        with av.open(str(folder / video.path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24")
                height, width = rgb.shape[:2]
                found = detector.process(rgb).detections
                if found:  # a face that fills the picture it does not always find
                    points = [(p.x * width, p.y * height) for p in found[0].location_data.relative_keypoints]
                eyes, mouth = np.subtract(points[1], points[0]), points[3]
                scale, turn = 50 / np.hypot(*eyes), np.degrees(np.arctan2(eyes[1], eyes[0]))
                matrix = cv2.getRotationMatrix2D(mouth, turn, scale)
                matrix[:, 2] += 48 - np.array(mouth)
                writer.add(cv2.warpAffine(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), matrix, (96, 96)))
                num_frames += 1
        writer.close()
    return num_frames


def settings(detect_every: int) -> MouthSettings:
    """Return settings that keep every clip: at 1280x720 faces are scaled up beyond the picture's edge."""
    return MouthSettings(detect_every=detect_every, max_outside=1)


def least_ms(work: Callable[[], int], rounds: int) -> float:
    """Return CPU ms per frame: the least of several rounds after one to warm up."""
    work()
    found = []
    for _ in range(rounds):
        start = cpu_s()
        num_frames = work()
        found.append((cpu_s() - start) / num_frames * 1000)
    return min(found)


def write_moved(path: Path, pictures: Sequence[np.ndarray], shifts: np.ndarray) -> None:
    """Write grey pictures (H, W) moved by (T, 2) px as H.264; the border is repeated."""
    cv2 = opencv()
    height, width = pictures[0].shape
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "veryfast", "crf": "20"}
        for number, (picture, (x, y)) in enumerate(zip(pictures, shifts, strict=True)):
            move = np.array([[1.0, 0, x], [0, 1, y]])
            planes = np.full((height * 3 // 2, width), 128, np.uint8)  # Y, then U and V: no colour
            planes[:height] = cv2.warpAffine(
                picture, move, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))


def mouths_in(path: Path, models: Landmarker) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the grey pictures of a video and the middle of the mouth in each, (T, 2), a mean over three detections."""
    with MediaReader(path) as reader:
        pictures = [e for e in reader.events([(0.0, np.inf)]) if isinstance(e, Picture)]
    tracker = Tracker(models)
    meshes = [tracker.detect(picture, number) for number, picture in enumerate(pictures)]
    tracker.close()
    assert all(mesh is not None for mesh in meshes)
    found = np.stack([pose_of(mesh[list(KEPT), :2])[-1] for mesh in meshes if mesh is not None])
    padded = np.pad(found, ((1, 1), (0, 0)), mode="edge")
    return [p.luma for p in pictures], (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def off_px(source: Path, name: str, models: Landmarker, folder: Path) -> float:
    """Move the picture of a video by a path, make a clip of it, and return the mean distance of the mouth from its
    centre, px."""
    pictures, mouths = mouths_in(source, models)
    shifts = PATHS[name](np.arange(len(pictures)) / 25)
    path = folder / f"{source.stem}_{name}.mp4"
    write_moved(path, pictures, shifts)
    video = VideoFile(path.name, (Segment(path.stem),))
    (row,) = prepare_file(folder, video, folder / "moved", MouthSettings(), models)
    assert row.status == "ok", row
    with np.load(folder / "moved" / "landmarks" / f"{row.id}.npz") as file:
        shown = [apply(m.astype(float), p) for m, p in zip(file["matrix"], mouths + shifts, strict=True)]
    return float(np.hypot(*(np.array(shown) - (SIZE_PX - 1) / 2).T).mean())


def frames_of(path: Path) -> np.ndarray:
    """Return all pictures of a clip: (T, 96, 96)."""
    with av.open(str(path)) as container:
        planes = [f.planes[0] for f in container.decode(video=0)]
    return np.stack([np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[:, :96] for p in planes]).astype(
        float
    )


def compare(one: Path, other: Path, names: Sequence[str]) -> tuple[float, float, float]:
    """Return mean and 99th percentile of the distance of the crop centres, and PSNR in dB."""
    distances, errors = [], []
    for name in names:
        first, second = (np.load(folder / "landmarks" / f"{name}.npz")["matrix"] for folder in (one, other))
        for a, b in zip(first.astype(float), second.astype(float), strict=True):
            centre = np.array([47.5, 47.5])
            distances.append(np.hypot(*(apply(b, apply(invert(a), centre)) - centre)))
        difference = frames_of(one / "video" / f"{name}.mp4") - frames_of(other / "video" / f"{name}.mp4")
        errors.append((difference**2).mean(axis=(1, 2)))
    psnr = 10 * np.log10(255**2 / np.concatenate(errors).mean())
    return float(np.mean(distances)), float(np.percentile(distances, 99)), float(psnr)


def bench(folder: Path, size: str, models: Landmarker, detector: Any, rounds: int) -> None:
    """Measure one size and print its row."""
    videos = [VideoFile(v.path, (Segment(v.segments[0].id),)) for v in videos_in(folder)]
    outs = {every: folder / f"every{every}" for every in (1, DEFAULT)}
    times = {
        every: least_ms(lambda out=out, k=every: ours(folder, videos, out, settings(k), models), rounds)
        for every, out in outs.items()
    }
    stock_ms = least_ms(lambda: stock(folder, videos, detector, folder), 1)
    names = [v.segments[0].id for v in videos]
    mean, tail, psnr = compare(outs[1], outs[DEFAULT], names)
    figures = f"{times[DEFAULT]:8.2f} {times[1]:8.2f} {stock_ms:8.2f}"
    print(f"{size:>9} {figures} {mean:8.3f} {tail:8.2f} {psnr:8.1f}", flush=True)


def main() -> None:
    """Make the versions, then measure each."""
    args = parse_args()
    from mediapipe.python.solutions import face_detection

    models = Landmarker()
    detector = face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.5)
    columns = ("size", "default", "every 1", "stock", "centre", "p99 px", "PSNR dB")
    print(
        f"CPU ms per frame; default: a detection every {DEFAULT} frames\n"
        + " ".join(f"{c:>{9 if i == 0 else 8}}" for i, c in enumerate(columns))
    )
    for name in PATHS:
        with tempfile.TemporaryDirectory() as temporary:
            off = [
                off_px(args.source / video.path, name, models, Path(temporary))
                for video in videos_in(args.source)[: args.clips]
            ]
        print(f"moving heads: {name:>5} {np.mean(off):.2f} px, most {max(off):.2f} px", flush=True)
    for name, size in SIZES.items():
        folder = Path(tempfile.mkdtemp())
        try:
            for video in videos_in(args.source)[: args.clips]:
                make_version(args.source / video.path, folder / f"{Path(video.path).stem}.mp4", size)
            bench(folder, name, models, detector, args.rounds)
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
