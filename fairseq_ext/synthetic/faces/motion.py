"""Draw the movements of a speaking head, smooth in time: sway, nod, turn, blinks, glances.

Shapes: T frames.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .canvas import Floats

__all__ = ["Motion", "draw_motion"]

_BLINK_S = 0.28


@dataclass(frozen=True, slots=True)
class Motion:
    """A head over time, each field (T,)."""

    right: Floats  # shift to the right, head units
    down: Floats  # shift down, head units
    scale: Floats  # size, 1 usual
    roll: Floats  # turn in the picture's plane, radians
    yaw: Floats  # turn to a side, radians
    pitch: Floats  # nod, radians
    lids: Floats  # openness of the eyes, 0-1
    gaze_right: Floats  # direction of the eyes to the right, about -1 to 1
    gaze_down: Floats  # direction of the eyes down, about -1 to 1


def draw_motion(num_frames: int, fps: float, liveliness: float, rng: np.random.Generator) -> Motion:
    """Draw the movements of a head for T = `num_frames`; `liveliness` is 0 still, 1 usual, 2 much."""
    time_s = np.arange(num_frames) / fps
    amount = 0.35 + 0.65 * liveliness
    turned = rng.normal(0, 0.07)  # mean direction of the head
    return Motion(
        right=_wander(time_s, 2.5, rng) * 0.03 * amount,
        down=_wander(time_s, 1.8, rng) * 0.02 * amount,
        scale=1 + _wander(time_s, 4.0, rng) * 0.015 * amount,
        roll=_wander(time_s, 2.2, rng) * 0.035 * amount,
        yaw=turned + _wander(time_s, 2.0, rng) * 0.085 * amount,
        pitch=_wander(time_s, 1.3, rng) * 0.045 * amount,
        lids=_lids(time_s, rng),
        gaze_right=_glances(time_s, rng),
        gaze_down=0.5 * _glances(time_s, rng),
    )


def _wander(time_s: npt.NDArray[np.float64], period_s: float, rng: np.random.Generator) -> Floats:
    """Return a sum of slow waves with deviation about 1, clipped at 2.2."""
    periods_s = period_s * rng.uniform(0.7, 4.0, 4)
    phases = rng.uniform(0, 2 * np.pi, 4)
    waves = np.sin(2 * np.pi * time_s[:, None] / periods_s + phases) * np.sqrt(0.5)
    return np.asarray(np.clip(waves.sum(axis=1), -2.2, 2.2), np.float32)


def _lids(time_s: npt.NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Return the openness of lids that blink every few seconds, closing faster than opening."""
    lids = np.full(len(time_s), rng.uniform(0.88, 1.0))
    at_s = rng.uniform(0.5, 3.0)
    while len(time_s) and at_s < time_s[-1]:
        phase = (time_s - at_s) / _BLINK_S
        closing = np.interp(phase, [0, 0.3, 0.45, 1], [0, 1, 1, 0])
        lids = np.minimum(lids, 1 - closing)
        at_s += rng.uniform(1.8, 6.0)
    return lids.astype(np.float32)


def _glances(time_s: npt.NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Return the gaze of eyes that rest on one point, mostly near the camera, then jump to another."""
    gaze = np.zeros(len(time_s), np.float32)
    at_s = 0.0
    while len(time_s) and at_s <= time_s[-1]:
        gaze[time_s >= at_s] = np.clip(rng.normal(0, 0.3), -1, 1)
        at_s += rng.uniform(0.6, 2.5)
    return gaze
