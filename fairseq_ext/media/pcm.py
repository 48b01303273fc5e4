"""Samples of a stream of raw 16-bit PCM, such as a microphone gives.

Shapes: S samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 32768.0
_CHUNK = 1 << 16  # bytes at most; a pipe gives what is there


def pcm_samples(chunks: Iterable[bytes]) -> Iterator[NDArray[np.float32]]:
    """Yield the samples (S,) of chunks of little-endian signed 16-bit PCM, full scale = 1; chunks may cut samples.

    Raises:
        ValueError: the stream ends within a sample.
    """
    rest = b""
    for chunk in chunks:
        joined = rest + chunk
        whole = len(joined) // 2 * 2
        rest = joined[whole:]
        yield np.frombuffer(joined[:whole], dtype="<i2").astype(np.float32) / np.float32(_FULL_SCALE)
    if rest:
        raise ValueError(
            "the stream ends within a sample of 16 bits; send whole samples (s16le, one channel)"
        )


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what a pipe or file has, as soon as it is there, up to its end."""
    read = getattr(stream, "read1", stream.read)
    while chunk := read(_CHUNK):
        yield chunk
