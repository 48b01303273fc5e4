"""The video of a clip: clips of a video vote on its language together, and all of them go to one split.

AVSpeech, VoxCeleb2 and mTEDx name videos by their YouTube ids, so that a video is recognised across corpora.
"""

import re
from pathlib import PurePosixPath

# Ids of clips as the readers in corpora/ write them: avspeech, voxceleb2, mtedx.
_KNOWN = (
    re.compile(r"(?:.*/)?(?P<video>[\w-]{11})_\d+\.\d{6}_\d+\.\d{6}"),
    re.compile(r"(?:.*/)?id\d{5}/(?P<video>[\w-]{11})/\d{5}"),
    re.compile(r"[a-z]{2,3}/(?:train|valid|test)/(?P<video>[\w-][\w.-]*)_\d+"),
)


def video_of(clip_id: str, source: str) -> str:
    """Return the name of a clip's video.

    It is the YouTube id when the clip is of AVSpeech, VoxCeleb2 or mTEDx; otherwise the path of the file that it was
    cut from, relative to the corpus's root, without its suffix.
    """
    for pattern in _KNOWN:
        if match := pattern.fullmatch(clip_id):
            return match["video"]
    return str(PurePosixPath(source).with_suffix("")) if source else clip_id
