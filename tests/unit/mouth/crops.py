"""Checks of mouth crops."""

import wave
from pathlib import Path

import numpy as np

from fairseq_ext.media.mouth.table import ClipRow
from fairseq_ext.media.mouth.template import KEPT, apply


def mouth_px(out: Path, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the lips and of the outer corners of the eyes in the crops: (T, 2) and (T, 2, 2)."""
    with np.load(out / "landmarks" / f"{clip_id}.npz") as file:
        assert tuple(file["indices"]) == KEPT
        moved = [
            apply(m.astype(float), p.astype(float))
            for m, p in zip(file["matrix"], file["points"], strict=True)
        ]
    points = np.stack(moved)
    return points[:, 5:].mean(axis=1), points[:, [0, 3]]


def check_mouth(out: Path, row: ClipRow, crops: np.ndarray) -> None:
    """Check the lengths of the files, and that the mouth is centred, upright and of the size of the template."""
    assert (row.status, row.reason) == ("ok", ""), row
    assert len(crops) == row.num_frames
    with wave.open(str(out / "audio" / f"{row.id}.wav")) as file:
        assert file.getnframes() == row.num_samples == 640 * row.num_frames
    lips, eyes = mouth_px(out, row.id)
    assert len(lips) == row.num_frames
    assert np.abs(lips - 47.5).max() < 6
    across = eyes[:, 1] - eyes[:, 0]
    assert 70 < np.median(across[:, 0]) < 90
    assert np.abs(across[:, 1]).max() < 8
    assert crops.std() > 10
