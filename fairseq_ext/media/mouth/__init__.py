"""Mouth clips: from any video of a talking face to 96x96 grey pictures of the mouth at 25 per second, with their sound.

    prepare_file(root, video, out, settings, landmarker) -> list[ClipRow]

A folder of prepared clips holds

- `video/ID.mp4`: the mouth, 96x96, grey, full range, 25 frames per second;
- `audio/ID.wav`: 16 kHz, mono, 16 bits, 640 samples per frame, aligned with the pictures;
- `landmarks/ID.npz`: points of the face in the source, and the matrix of each crop;
- `rejected/ID.jpg`: a source frame of each clip that was rejected;
- `clips.tsv`: a row per clip (`table.ClipRow`), with what was measured, and `rejections.tsv`: counts by reason;
- `unlisted.txt`: files of clips that are no longer listed, where there are any.

From file to clip: `..video` decodes, `clock` picks 25 pictures per second, `tracker` follows one face by detections of
`landmarker` on one frame in five, `speaker` takes the one of several that speaks, `motion` follows the head in between,
`smoothing` interpolates and smooths, `template` aligns, `warp` cuts, `writer` encodes; `content` measures the crops,
`judge` accepts or rejects, `audit` shows both.
"""

from .settings import MouthSettings
from .table import ClipRow, read_clips, write_clips_table

__all__ = ["ClipRow", "MouthSettings", "read_clips", "write_clips_table"]
