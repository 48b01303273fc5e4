"""Small clips for the tests, as `fairseq-ext prepare mouth` writes them: a flash and a click at chosen frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from fairseq_ext.corpora.clip_layout import audio_path, video_path
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.mouth.writer import GreyWriter

RATE_HZ, PER_FRAME = 16_000, 640
FLASH, DARK = 250, 20


def write_clip(root: Path, name: str, num_frames: int, event: int | None = None, seed: int = 1) -> None:
    """Write a clip of noise; frame `event` is bright, and the sound is loud exactly while it is shown."""
    rng = np.random.default_rng(seed)
    video, sound = root / video_path(audio_path(name)), root / audio_path(name)
    for path in (video, sound):
        path.parent.mkdir(parents=True, exist_ok=True)
    writer = GreyWriter(video, crf=0)
    for frame in range(num_frames):
        level = FLASH if frame == event else DARK
        picture = level + rng.integers(-5, 5, (96, 96))
        picture[:, :48] += 3  # left and right differ
        writer.add(picture.clip(0, 255).astype(np.uint8))
    writer.close()
    samples: NDArray[Any] = 1e-3 * rng.standard_normal(num_frames * PER_FRAME)
    if event is not None:
        samples[event * PER_FRAME : (event + 1) * PER_FRAME] *= 300
    soundfile.write(sound, samples, RATE_HZ, subtype="PCM_16")


def write_split(
    folder: Path, root: Path, lengths: Sequence[int], split: str = "train", events: Sequence[int] = ()
) -> None:
    """Write clips of so many frames each, and their manifest."""
    rows = []
    for number, size in enumerate(lengths):
        name = f"{split}{number}"
        write_clip(root, name, size, events[number] if events else None, seed=number + 1)
        rows.append(Utterance(name, audio_path(name), size * PER_FRAME, size, transcript="bin blue"))
    write_manifest(folder, split, rows, root=root)
