"""Write frames and samples as mp4: H.264 and AAC, interleaved, equal bytes for equal input.

Shapes: T frames of H x W pixels; N samples.
"""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from .canvas import Image

__all__ = ["write_media"]

# With macroblock-tree rate control some runs gave other bytes for equal frames (libx264 of PyAV 18, one thread);
# without it, 36 runs gave the same bytes.
_X264 = {"preset": "veryfast", "x264-params": "mbtree=0"}
_CHUNK = 1024  # samples of an AAC frame


def write_media(
    path: Path,
    frames: Iterable[Image] | None,
    *,
    size: tuple[int, int] = (0, 0),
    fps: Fraction = Fraction(25),
    samples: npt.NDArray[np.float32] | None = None,
    sample_rate_hz: int = 44_100,
    quality: int = 23,
    is_fast_start: bool = False,
) -> int:
    """Write an mp4 or m4a; return its number of frames T.

    Args:
        path: path of the file, with any suffix.
        frames: T frames as `scene.render` yields them; None: audio only.
        size: H and W.
        fps: frames per second.
        samples: (N,) mono in [-1, 1]; None: no audio.
        sample_rate_hz: sample rate of the samples.
        quality: CRF of H.264, lower is better; 23 is x264's default.
        is_fast_start: put the index in front, as for streaming; a truncated file can then be read up to its end.
    """
    options = {"movflags": "+faststart"} if is_fast_start else {}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        film = None
        if frames is not None:
            film = container.add_stream("libx264", rate=fps, options={**_X264, "crf": str(quality)})
            film.height, film.width, film.pix_fmt = *size, "yuv420p"
            film.codec_context.thread_count = 1
        sound = None
        if samples is not None:
            sound = container.add_stream("aac", rate=sample_rate_hz, layout="mono")
            sound.bit_rate = 96_000
        spoken, num_frames = 0, 0
        for index, planes in enumerate(frames or ()):
            assert film is not None, "made above"
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = index, 1 / fps
            container.mux(film.encode(picture))
            num_frames += 1
            if sound is not None and samples is not None:
                until = int((index + 1) / fps * sample_rate_hz)
                spoken = _encode_sound(container, sound, samples, spoken, until)
        if sound is not None and samples is not None:
            _encode_sound(container, sound, samples, spoken, len(samples) + _CHUNK)
            container.mux(sound.encode(None))
        if film is not None:
            container.mux(film.encode(None))
    return num_frames


def _encode_sound(
    container: av.container.OutputContainer,
    sound: av.AudioStream,
    samples: npt.NDArray[np.float32],
    start: int,
    until: int,
) -> int:
    """Encode whole chunks up to a sample, the last one perhaps shorter; return the next sample."""
    while start < len(samples) and start + _CHUNK <= until:
        chunk = np.ascontiguousarray(samples[None, start : start + _CHUNK])
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = sound.rate, start, Fraction(1, sound.rate)
        container.mux(sound.encode(frame))
        start += _CHUNK
    return start
