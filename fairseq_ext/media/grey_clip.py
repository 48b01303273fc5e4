"""Prepared clips read back at training speed: grey pictures at 25 per second, straight from the decoder's Y plane.

Shapes: T frames, H, W sides.
"""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from .mouth.warp import to_full_range
from .picture import PictureReader
from .streams import choose_stream, open_container
from .video import VideoError, VideoMissingError

Pictures = NDArray[np.uint8]


def load_clip(path: str | os.PathLike[str], start: int = 0, num_frames: int | None = None) -> Pictures:
    """Read `num_frames` pictures of a clip from `start` on: (T, H, W) uint8, black 0, white 255.

    The clip has 25 pictures a second, as `fairseq-ext prepare mouth` writes it; they are counted, time stamps do not
    matter. A packet that cannot be decoded would shift the lips against the sound, so it is an error.

    Args:
        path: the video.
        start: number of the first picture.
        num_frames: number of pictures; None = up to the end, one at least.

    Raises:
        VideoMissingError: no such file.
        VideoError: an empty or damaged file, or too few pictures.
    """
    path = Path(path)
    if not path.is_file():
        raise VideoMissingError(f"{path}: no such file; check the root of the manifest")
    try:
        pictures = _decode(path, start, num_frames)
    except (av.error.FFmpegError, ValueError) as error:
        if isinstance(error, VideoError):
            raise
        raise VideoError(f"{path}: FFmpeg cannot read this clip ({error}); prepare it again") from error
    wanted = num_frames if num_frames is not None else max(1, len(pictures))
    if len(pictures) != wanted:
        raise VideoError(
            f"{path}: {wanted} frames from {start} on expected, found {len(pictures)}; prepare the clip again, or "
            "write the manifest again"
        )
    return np.stack(pictures)


def _decode(path: Path, start: int, num_frames: int | None) -> list[Pictures]:
    end = None if num_frames is None else start + num_frames
    return list(islice(stream_clip(path), start, end))


def stream_clip(path: Path) -> Iterator[Pictures]:
    """Decode the pictures of a clip one by one, (H, W) uint8; errors as of `load_clip`, or those of FFmpeg."""
    with open_container(path) as container:
        stream, _ = choose_stream(container, "video")
        if stream is None:
            raise VideoError(f"{path}: it has no pictures; prepare the clip again")
        stream.codec_context.thread_count = 1  # worker processes share the cores
        reader = PictureReader(stream, 0.0, container.format.name)
        for number, frame in enumerate(container.decode(stream), 1):
            if frame.is_corrupt:
                raise VideoError(f"{path}: picture {number} is damaged; prepare the clip again")
            picture = reader.read(frame)
            # The decoder uses its buffer again for later pictures.
            yield to_full_range(picture.luma.copy(), picture)
