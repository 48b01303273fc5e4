"""A video to look at: the source, the crop of the mouth beside it, and below them the text as it is read.

Shapes: H W pixels.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ..decoding.subtitles import TimedWord
from ..media.mouth.clock import FrameClock
from ..media.mouth.frames import decode_frames
from ..media.mouth.settings import FRAMES_PER_S
from ..media.mouth.table import ClipRow
from ..media.mouth.warp import opencv, thumbnail
from ..media.picture import Picture
from ..media.video import MediaReader
from ..optional import import_optional

_HEIGHT, _BAR = 288, 48  # of the pictures and of the text below them
_FONT_PX = 22
_SECONDS = 4.0  # a word stays for so long


def write_side_by_side(
    path: Path, video: str | os.PathLike[str], clip: ClipRow, crops: Path, words: Sequence[TimedWord]
) -> None:
    """Write the video of a clip.

    Args:
        path: file to write, .mp4.
        video: the source.
        clip: row of the clip; its start and end say what part of the source it shows.
        crops: its pictures.
        words: what was read, by time in the clip.
    """
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = None
        for number, (source, crop) in enumerate(
            zip(_source(video, clip), decode_frames(crops), strict=False)
        ):
            picture = _joined(source, crop, _text(words, number / FRAMES_PER_S))
            if stream is None:
                stream = out.add_stream("libx264", rate=FRAMES_PER_S)
                stream.height, stream.width = picture.shape
                stream.pix_fmt = "yuv420p"
                stream.options = {"preset": "veryfast", "crf": "23"}
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts = number
            out.mux(stream.encode(frame))
        if stream is not None:
            out.mux(stream.encode(None))


def _source(video: str | os.PathLike[str], clip: ClipRow) -> Iterator[NDArray[np.uint8]]:
    """Yield the upright pictures of the source, one for each frame of the clip."""
    span = (clip.start_s or 0.0, float("inf") if clip.end_s is None else clip.end_s)
    clock = FrameClock(clip.start_s, clip.end_s)
    with MediaReader(video) as reader:
        for event in reader.events([span]):
            if isinstance(event, Picture):
                yield from map(_scaled, clock.add(event))
    yield from map(_scaled, clock.finish())


def _scaled(picture: Picture) -> NDArray[np.uint8]:
    return thumbnail(picture, max(1, round(picture.width * _HEIGHT / picture.height)))


def _text(words: Sequence[TimedWord], time_s: float) -> str:
    """Return the words read by now, without those of long ago."""
    return " ".join(word.text for word in words if time_s - _SECONDS <= word.start_s <= time_s)


def _joined(source: NDArray[np.uint8], crop: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    cv2 = opencv()
    sides = [
        cv2.resize(side, (max(2, round(side.shape[1] * _HEIGHT / side.shape[0])), _HEIGHT))
        for side in (source, crop)
    ]
    picture = np.hstack(sides)
    width = picture.shape[1] // 2 * 2  # H.264 needs even sizes
    bar = np.zeros((_BAR, width), np.uint8)
    return np.vstack([picture[:, :width], _written(bar, text)])


def _written(bar: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Write white text into the middle of a black bar, in a font that has letters with marks."""
    image_module, draw_module, font_module = map(
        import_optional, ("PIL.Image", "PIL.ImageDraw", "PIL.ImageFont")
    )
    image = image_module.fromarray(bar)
    # The font that matplotlib brings along: Pillow's own has no letters with marks.
    file = Path(import_optional("matplotlib").get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    draw, font = draw_module.Draw(image), font_module.truetype(str(file), _FONT_PX)
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    place = ((bar.shape[1] - (right - left)) // 2, (bar.shape[0] - (bottom - top)) // 2 - top)
    draw.text(place, text, fill=255, font=font)
    return np.asarray(image)
