"""Which of several faces speaks: the one whose lips move, with the sound where there is some.

All faces of the first picture are followed for ten seconds; then one is left. Its crops wait until then, 9 KB each.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..picture import Picture
from ..sound import SAMPLE_RATE_HZ
from .content import follows_sound
from .crops import Crop, FaceCrops
from .settings import FRAMES_PER_S, MouthSettings
from .table import ClipRow

_DECIDED_AFTER = 10 * FRAMES_PER_S
_MOST_FACES = 4
# Lead in correlation with the sound of a smaller face over the largest: in pairs of GRID clips, who speak at the
# same time, the wrong one leads by 0.32 once in a hundred; a sound moved by 0.8 s is some 1.0 behind.
_CLEARLY = 0.4
_PER_FRAME = SAMPLE_RATE_HZ // FRAMES_PER_S


class SpeakerCrops:
    """Crops of the face that speaks; the largest one until and unless another moves its lips more like the sound."""

    def __init__(
        self, make: Callable[[tuple[float, float] | None], FaceCrops], settings: MouthSettings
    ) -> None:
        """Start without a face; `make` makes the crops of the face near a position, or of the largest one."""
        self._make, self._settings = make, settings
        self._faces = [make(None)]  # the largest first
        self._held: list[list[Crop]] = []  # by face, while there are several
        self._num_frames = 0
        self._energies = np.zeros(0)

    @property
    def problem(self) -> tuple[str, str]:
        return self._faces[0].problem

    @property
    def lost(self) -> bool:
        return self._faces[0].lost

    def add(self, picture: Picture) -> list[Crop]:
        self._num_frames += 1
        crops = [face.add(picture) for face in self._faces]
        if self._num_frames == 1:
            rivals = [self._make(at) for at in self._faces[0].other_faces[: _MOST_FACES - 1]]
            crops += [face.add(picture) for face in rivals]
            self._faces += rivals
            self._held = [[] for _ in self._faces]
        return self._hold(crops, last=self._num_frames == _DECIDED_AFTER)

    def finish(self) -> list[Crop]:
        return self._hold([face.finish() for face in self._faces], last=True)

    def add_sound(self, start: int, samples: NDArray[np.int16]) -> None:
        """Add a stretch of sound; `start` is the position of its first sample in the clip."""
        frames = np.arange(start, start + len(samples)) // _PER_FRAME
        if len(self._faces) > 1 and len(samples) and frames[-1] >= 0:
            squares = np.bincount(frames[frames >= 0], samples[frames >= 0].astype(float) ** 2 / _PER_FRAME)
            longer = np.zeros(max(len(squares), len(self._energies)))
            longer[: len(self._energies)] = self._energies
            longer[: len(squares)] += squares
            self._energies = longer

    def measured(self, row: ClipRow) -> ClipRow:
        return self._faces[0].measured(row)

    @property
    def seen(self) -> list[tuple[int, int]]:
        return self._faces[0].seen

    def landmarks(self) -> dict[str, NDArray[Any]]:
        return self._faces[0].landmarks()

    def close(self) -> None:
        for face in self._faces:
            face.close()

    def _hold(self, crops: list[list[Crop]], *, last: bool) -> list[Crop]:
        """Return the crops of the only face; of several, those held so far once the last one has come."""
        if len(self._faces) == 1:
            return crops[0]
        for held, new in zip(self._held, crops, strict=True):
            held += new
        if not last:
            return []
        self._decide()
        return self._held[0]

    def _decide(self) -> None:
        """Put the chosen face first and return the models of the others."""
        best, rule = self._speaker()
        order = [best, *(i for i in range(len(self._faces)) if i != best)]
        self._faces, self._held = [self._faces[i] for i in order], [self._held[best]]
        for face in self._faces[1:]:
            face.close()
        del self._faces[1:]
        self._faces[0].chosen(rule)

    def _speaker(self) -> tuple[int, str]:
        least = self._settings.min_lip_motion
        moving = [
            i
            for i, f in enumerate(self._faces)
            if (f.content.lip_motion or 0.0) >= least and not f.problem[0]
        ]
        if not moving:
            return 0, "largest"
        scores = [follows_sound(self._faces[i].content.changes, self._energies) for i in moving]
        best = int(np.argmax(scores))
        if scores[best] > scores[0] + _CLEARLY:
            return moving[best], "sound"
        return moving[0], "largest" if moving[0] == 0 else "motion"
