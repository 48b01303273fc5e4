"""Where the faces of a video are, from left to right, so that one can be named and each be followed."""

import os
from dataclasses import dataclass

from ..picture import Picture
from ..video import MediaReader
from .landmarker import Landmarker

# Looked at from the start, one picture a second, as long as `speaker` waits before it decides.
_LOOKS_S = 10.0


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of the picture that shows most of them.

    Attributes:
        places: (x, y) of each, from 0 to 1 in the upright picture, from left to right.
        width: width of the picture, px.
        height: height of the picture, px.
    """

    places: tuple[tuple[float, float], ...] = ()
    width: int = 0
    height: int = 0

    def name(self, number: int) -> str:
        """Name a face by its number, from 0: `left face`, `face 2 of 3 from the left`."""
        count = len(self.places)
        if count == 2:
            return ("left face", "right face")[number]
        return f"face {number + 1} of {count} from the left" if count > 1 else "face"

    def nearest(self, x_px: float, y_px: float) -> int | None:
        """Return the number of the face nearest to a point of the picture, px; None where there are none."""
        at = (x_px / max(self.width, 1), y_px / max(self.height, 1))
        distances = [(x - at[0]) ** 2 + (y - at[1]) ** 2 for x, y in self.places]
        return distances.index(min(distances)) if distances else None


def find_faces(video: str | os.PathLike[str], landmarker: Landmarker, start_s: float = 0.0) -> Faces:
    """Find the faces of the ten seconds from `start_s` on.

    Raises:
        VideoError: the file cannot be read.
    """
    best, wanted_s = Faces(), start_s
    with MediaReader(video) as reader:
        for event in reader.events([(start_s, start_s + _LOOKS_S)]):
            if not isinstance(event, Picture) or event.time_s < wanted_s:
                continue
            if event.time_s > start_s + _LOOKS_S:
                break
            wanted_s = event.time_s + 1.0
            found = _look(event, landmarker)
            if len(found.places) > len(best.places):
                best = found
    return best


def _look(picture: Picture, landmarker: Landmarker) -> Faces:
    faces = landmarker.faces(picture) or landmarker.small_faces(picture)
    middles = [((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in faces]
    places = sorted((float(x / picture.width), float(y / picture.height)) for x, y in middles)
    return Faces(tuple(places), picture.width, picture.height)
