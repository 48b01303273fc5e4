"""Films to look at: pictures at 25 per second in any player, with sound, and text below the picture.

Shapes: pictures are (H, W) or (H, W, 3) uint8, grey or red, green, blue; sound is (S,) int16 at 16 kHz.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ..files import atomic_path
from ..optional import import_optional
from .mouth.settings import FRAMES_PER_S
from .sound import SAMPLE_RATE_HZ

FONT_PX = 22
_BLOCK = SAMPLE_RATE_HZ // FRAMES_PER_S  # samples of a picture


class Film:
    """A film that is being written; the first picture sets its size, which is cut to even numbers for H.264."""

    def __init__(self, container: Any, sound: NDArray[np.int16] | None) -> None:
        """Start without a picture; `sound` is that of the film from its first picture on."""
        self._container, self._sound = container, sound
        self._video: Any = None
        self._audio: Any = None
        self._number = 0

    def add(self, picture: NDArray[np.uint8]) -> None:
        """Append a picture, and the sound that goes with it."""
        if self._video is None:
            self._start(picture)
        height, width = self._video.height, self._video.width
        kind = "gray" if picture.ndim == 2 else "rgb24"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format=kind)
        frame.pts = self._number
        self._container.mux(self._video.encode(frame))
        if self._audio is not None and self._sound is not None:
            block = self._sound[self._number * _BLOCK : (self._number + 1) * _BLOCK]
            if len(block):
                self._container.mux(self._audio.encode(_sound_frame(block, self._number * _BLOCK)))
        self._number += 1

    def finish(self) -> None:
        """Write what the encoders hold back."""
        for stream in filter(None, (self._video, self._audio)):
            self._container.mux(stream.encode(None))

    def _start(self, picture: NDArray[np.uint8]) -> None:
        self._video = self._container.add_stream("libx264", rate=FRAMES_PER_S)
        self._video.height, self._video.width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"preset": "veryfast", "crf": "23"}
        if self._sound is not None:
            self._audio = self._container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")


def _sound_frame(block: NDArray[np.int16], start: int) -> Any:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block)[None], format="s16", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = SAMPLE_RATE_HZ, Fraction(1, SAMPLE_RATE_HZ), start
    return frame


@contextmanager
def write_film(path: Path, sound: NDArray[np.int16] | None = None) -> Iterator[Film]:
    """Open a film, .mp4, that appears under its name when the block succeeds; without a picture there is no file."""
    with atomic_path(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        film = Film(container, sound)
        yield film
        film.finish()


def caption(width: int, height: int, text: str) -> NDArray[np.uint8]:
    """Write white text into the middle of a black bar (H, W), in a font that has letters with marks.

    A text that is too long loses its beginning.
    """
    image_module, draw_module = import_optional("PIL.Image"), import_optional("PIL.ImageDraw")
    image = image_module.new("L", (width, height))
    draw, font = draw_module.Draw(image), _font()
    while " " in text and draw.textlength(text, font=font) > width:
        text = text.partition(" ")[2]
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    place = ((width - (right - left)) // 2, (height - (bottom - top)) // 2 - top)
    draw.text(place, text, fill=255, font=font)
    return np.asarray(image)


@cache
def _font() -> Any:
    # The font that matplotlib brings along: Pillow's own has no letters with marks.
    file = Path(import_optional("matplotlib").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return import_optional("PIL.ImageFont").truetype(str(file), FONT_PX)
