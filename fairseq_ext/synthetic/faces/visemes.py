"""Mouth parameters of every frame from phoneme times, with coarticulation.

Shapes: T frames, P phonemes' sounds.

Neighbours share the mouth by dominance (Cohen and Massaro, "Modeling coarticulation in synthetic visual speech",
1993): each sound pulls each parameter towards its own value, strongly or weakly, the less the further away in time.
So /u/ rounds the /s/ before it, while /p/ leaves the width to its neighbours. A closure is not averaged: lips that
touch stay closed for as long as the sound lasts.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..speech import Phoneme

__all__ = ["PARAMETERS", "mouth_track", "viseme"]

# Opening: 0 closed to 1 wide, below 0 pressed together. Width: -1 rounded to 1 spread. Teeth and tongue: how much of
# them shows between open lips, 0 to 1. Tuck: the lower lip under the upper teeth, 0 to 1.
PARAMETERS = ("opening", "width", "teeth", "tongue", "tuck")

Track = npt.NDArray[np.float32]


class Viseme(NamedTuple):
    """Values of `PARAMETERS` for a class of sounds, weights of opening and width, and the largest opening allowed."""

    opening: float
    width: float
    teeth: float
    tongue: float
    tuck: float = 0.0
    opening_weight: float = 1.0
    width_weight: float = 1.0
    most_open: float = 2.0


# Set by eye for the usual classes of sounds that look alike; not measured on a real speaker.
_VISEMES = {
    "rest": Viseme(0.0, 0.0, 0.0, 0.0, opening_weight=0.7, width_weight=0.4),
    "bilabial": Viseme(-0.15, 0.0, 0.0, 0.0, opening_weight=3.0, width_weight=0.15, most_open=-0.1),
    "labiodental": Viseme(0.10, 0.1, 1.0, 0.0, 1.0, opening_weight=3.0, width_weight=0.3, most_open=0.14),
    "approximant": Viseme(0.14, -0.1, 0.2, 0.0, 0.2, opening_weight=1.5, width_weight=0.3, most_open=0.3),
    "dental": Viseme(0.24, 0.15, 0.5, 0.9, opening_weight=1.2, width_weight=0.3, most_open=0.45),
    "alveolar": Viseme(0.20, 0.15, 0.6, 0.45, opening_weight=1.2, width_weight=0.25, most_open=0.45),
    "sibilant": Viseme(0.12, 0.5, 1.0, 0.0, opening_weight=1.6, width_weight=0.5, most_open=0.3),
    "postalveolar": Viseme(0.24, -0.75, 0.9, 0.0, opening_weight=1.4, width_weight=1.5, most_open=0.4),
    "lateral": Viseme(0.36, 0.1, 0.3, 1.0, opening_weight=0.8, width_weight=0.25),
    "palatal": Viseme(0.26, 0.5, 0.4, 0.5, opening_weight=0.8, width_weight=0.6),
    "velar": Viseme(0.30, 0.0, 0.2, 0.2, opening_weight=0.5, width_weight=0.15),
    "rhotic": Viseme(0.30, -0.15, 0.2, 0.3, opening_weight=0.6, width_weight=0.3),
    "labiovelar": Viseme(0.16, -1.0, 0.0, 0.0, opening_weight=1.3, width_weight=2.0),
    "open": Viseme(1.0, 0.15, 0.3, 0.15, opening_weight=1.3),
    "open front": Viseme(0.75, 0.4, 0.45, 0.15, opening_weight=1.1),
    "mid front": Viseme(0.55, 0.6, 0.5, 0.15),
    "close front": Viseme(0.26, 1.0, 0.75, 0.1, width_weight=1.3),
    "mid back": Viseme(0.62, -0.65, 0.0, 0.0, width_weight=1.4),
    "mid front rounded": Viseme(0.45, -0.6, 0.1, 0.0, width_weight=1.4),
    "close back": Viseme(0.24, -1.0, 0.0, 0.0, width_weight=1.8),
    "close front rounded": Viseme(0.18, -0.95, 0.1, 0.0, width_weight=1.8),
    "central": Viseme(0.38, 0.0, 0.25, 0.1, opening_weight=0.7, width_weight=0.5),
}
_SOUNDS = {
    "bilabial": "pbm",
    "labiodental": "fvɱʋ",
    "approximant": "βɸ",
    "dental": "θð",
    "alveolar": "tdnɗ",
    "sibilant": "szɕʑ",
    "postalveolar": "ʃʒ",
    "lateral": "lɫ",
    "palatal": "jɲʎçʝ",
    "velar": "kɡgŋxɣhɦʔ",
    "rhotic": "rɾʁʀɹ",
    "labiovelar": "wɥ",
    "open": "aɑɐ",
    "open front": "æʌ",
    "mid front": "eɛ",
    "close front": "iɪᵻ",
    "mid back": "oɔɒ",
    "mid front rounded": "øœ",
    "close back": "uʊ",
    "close front rounded": "y",
    "central": "əɜɨɚ",
}
_CLASS_OF = {sound: name for name, sounds in _SOUNDS.items() for sound in sounds}

_DECAY_S = 0.045  # time outside a sound over which its dominance falls to 1/e
_RELEASE_PER_S = 12.0  # how fast lips part after a closure: from closed to open in 80 ms
_REST = 0.35  # dominance of the mouth at rest, away from any sound


class _Sound(NamedTuple):
    start_s: float
    end_s: float
    viseme: Viseme


def viseme(ipa: str) -> list[str]:
    """Return the classes of a phoneme's sounds: two for an affricate or a diphthong, none for an unknown sound.

    Args:
        ipa: symbol of a phoneme, such as "ˈaɪ"; stress, length and nasality do not show on the lips.
    """
    return [_CLASS_OF[sound] for sound in ipa if sound in _CLASS_OF]


def mouth_track(phonemes: Sequence[Phoneme], num_frames: int, fps: float) -> Track:
    """Return the mouth parameters in the middle of each frame, at rest where nobody speaks.

    Args:
        phonemes: spoken phonemes, in order of time.
        num_frames: T.
        fps: frames per second.

    Returns:
        (T, 5) float32, columns as in `PARAMETERS`.
    """
    sounds = _sounds(phonemes)
    times_s = (np.arange(num_frames) + 0.5) / fps
    if not sounds:
        return np.zeros((num_frames, len(PARAMETERS)), np.float32)
    track = _blend(sounds, times_s)
    track[:, 0] = np.minimum(track[:, 0], _ceiling(sounds, times_s))
    return track.astype(np.float32)


def _sounds(phonemes: Sequence[Phoneme]) -> list[_Sound]:
    """Return the sounds in order; two sounds of one phoneme share its time."""
    found = []
    for start_s, end_s, ipa in phonemes:
        classes = viseme(ipa)
        edges = np.linspace(start_s, end_s, len(classes) + 1)
        found += [
            _Sound(float(a), float(b), _VISEMES[name])
            for a, b, name in zip(edges, edges[1:], classes, strict=False)
        ]
    return found


def _blend(sounds: list[_Sound], times_s: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Average the sounds' values by dominance; rest dominates where no sound is near."""
    values = np.array([sound.viseme[:5] for sound in sounds])  # (P, 5)
    weights = np.array([[s.viseme.opening_weight, s.viseme.width_weight, 1.0, 1.0, 1.0] for s in sounds])
    spans = np.array([(sound.start_s, sound.end_s) for sound in sounds])
    rest, rest_weights = np.array(_VISEMES["rest"][:5]), np.array([0.7, 0.4, 1.0, 1.0, 1.0])
    out = np.empty((len(times_s), values.shape[1]))
    for index, time_s in enumerate(times_s):
        near = slice(*np.searchsorted(spans[:, 0], (time_s - 0.6, time_s + 0.6)))
        middle, half = spans[near].mean(axis=1), np.diff(spans[near]).ravel() / 2
        away_s = np.maximum(np.abs(time_s - middle) - 0.6 * half, 0.0)
        dominance = weights[near] * np.exp(-away_s / _DECAY_S)[:, None]  # (near, 5)
        silence_s = max(float(np.min(np.abs(time_s - middle) - half, initial=1.0)), 0.0)
        still = rest_weights * _REST * (1 - np.exp(-silence_s / _DECAY_S)) + 1e-6
        out[index] = (dominance * values[near]).sum(0) + still * rest
        out[index] /= dominance.sum(0) + still
    return out


def _ceiling(sounds: list[_Sound], times_s: npt.NDArray[np.floating[Any]]) -> npt.NDArray[Any]:
    """Return the largest opening that closures allow at each time."""
    ceiling = np.full(len(times_s), 2.0)
    for start_s, end_s, shape in sounds:
        if shape.most_open < 1.0:
            away_s = np.maximum(np.maximum(start_s - times_s, times_s - end_s), 0.0)
            ceiling = np.minimum(ceiling, shape.most_open + _RELEASE_PER_S * away_s)
    return ceiling
