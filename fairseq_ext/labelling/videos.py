"""Which video a clip was cut from: its clips share a language, and all of them go to one split.

The three corpora name videos after YouTube's, so that a talk of one is known again in another.
"""

import re
from pathlib import PurePosixPath

# As the readers of corpora name clips: avspeech, voxceleb2, mtedx.
_KNOWN = (
    re.compile(r"(?:.*/)?(?P<video>[\w-]{11})_\d+\.\d{6}_\d+\.\d{6}"),
    re.compile(r"(?:.*/)?id\d{5}/(?P<video>[\w-]{11})/\d{5}"),
    re.compile(r"[a-z]{2,3}/(?:train|valid|test)/(?P<video>[\w-][\w.-]*)_\d+"),
)


def video_of(clip_id: str, source: str) -> str:
    """Names the video of a clip.

    Args:
        clip_id: the clip.
        source: the file that it was cut from, relative to the corpus's root.

    Returns:
        YouTube's name of it where the id is one of AVSpeech, VoxCeleb2 or mTEDx; the path of the file otherwise.
    """
    for pattern in _KNOWN:
        if match := pattern.fullmatch(clip_id):
            return match["video"]
    return str(PurePosixPath(source).with_suffix("")) if source else clip_id
