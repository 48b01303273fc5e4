"""HTML pages to check clips by eye: a strip of frames of each clip with its measurements, the doubtful ones first.

Each page is one self-contained HTML file. Rejected clips come first, by reason, with the
source frame that shows the problem; then the accepted ones, worst first.
"""

import base64
import html
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ...files import atomic_write
from ...leftovers import remove_leftovers
from .clip import rejected_image
from .crops import jpeg
from .settings import SIZE_PX
from .table import REASONS, ClipRow, read_clips

FOLDER = "audit"
_DAMAGED = "file cut off or damaged"
_FRAMES = 10  # per strip
_SHOWN = (
    "num_frames", "detection_rate", "longest_gap_s", "face_size_px", "jitter_px", "yaw_deg", "num_faces", "choice",
    "num_resets", "num_cuts", "av_difference_s", "missing_s", "num_bad_packets", "audio", "tracks", "late_s", "outside",
    "contrast", "lip_motion", "picture_rate",
)  # fmt: skip
_STYLE = """body{font:14px system-ui,sans-serif;margin:1em auto;max-width:1040px;padding:0 1em;color:#1a1a1a}
figure{margin:0 0 1em;border-top:1px solid #ccc;padding-top:.5em}figcaption{margin-bottom:.3em}
img{display:block;max-width:100%}b.no{color:#a00}span{display:inline-block;margin-right:1em;color:#444}
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left;border-bottom:1px solid #ddd}
nav{margin:1em 0}nav a{margin-right:.6em}"""


def badness(row: ClipRow) -> tuple[bool, str, float]:
    """Return the key that orders clips for inspection: rejected ones by reason, then accepted ones, worst first."""
    parts = (
        2 * (1 - (1.0 if row.detection_rate is None else row.detection_rate)),
        row.longest_gap_s or 0.0,
        (row.jitter_px or 0.0) / 2,
        (row.yaw_deg or 0.0) / 45,
        abs(row.av_difference_s or 0.0),
        20 / max(row.face_size_px or 200.0, 1.0),
        0.2 * row.num_resets,
        1.0 * row.is_damaged,
        row.outside or 0.0,
        0.1 / max(row.lip_motion or 1.0, 0.01),
    )
    return row.status == "ok", row.reason, -sum(parts)


def write_audit(
    clips: str | os.PathLike[str],
    *,
    per_page: int = 100,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `audit/index.html`, which it returns, and its pages.

    Args:
        limit: largest number of clips, the worst ones; None: all.
        on_progress: called with the number of clips done and the total.

    Raises:
        ValueError: for a table without a row.
    """
    rows = sorted(read_clips(clips, status=None), key=lambda row: (*badness(row), row.id))
    if not rows:
        raise ValueError(f"{clips}: the table of clips is empty; prepare some clips first")
    shown = rows[:limit]
    pages = [shown[i : i + per_page] for i in range(0, len(shown), per_page)]
    folder = Path(clips) / FOLDER
    remove_leftovers(folder)
    for number, page in enumerate(pages):
        figures = []
        for index, row in enumerate(page, 1):
            figures.append(_figure(clips, row))
            if on_progress is not None:
                on_progress(number * per_page + index, len(shown))
        links = _links(number, len(pages))
        with atomic_write(folder / _name(number)) as file:
            file.writelines([_head(f"Clips, page {number + 1} of {len(pages)}"), links, *figures, links])
    with atomic_write(folder / "index.html") as file:
        file.write(_head("Mouth clips") + _summary(rows) + _contents(pages))
    now = set(map(_name, range(len(pages))))
    _remove(path for path in folder.glob("page*.html") if path.name not in now)
    return folder / "index.html"


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def strip_of(path: str | os.PathLike[str], num_frames: int = _FRAMES) -> NDArray[np.uint8] | None:
    """Put frames of a clip, spread evenly, side by side, (96, 96 * num_frames) uint8; None if it cannot be read."""
    try:
        with av.open(str(path)) as container:
            planes = [frame.planes[0] for frame in container.decode(video=0)]
    except (av.error.FFmpegError, OSError):
        return None
    if not planes:
        return None
    wanted = [planes[i] for i in np.linspace(0, len(planes) - 1, num_frames).round().astype(int)]
    return np.hstack(
        [np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[:SIZE_PX, :SIZE_PX] for p in wanted]
    )


def _figure(clips: str | os.PathLike[str], row: ClipRow) -> str:
    end = "" if row.end_s is None else f" {row.start_s or 0:.2f}-{row.end_s:.2f} s"
    numbers = "".join(
        f"<span>{name} {html.escape(str(getattr(row, name)))}</span>"
        for name in _SHOWN
        if getattr(row, name) not in (None, "")
    )
    source = f"{html.escape(row.source)}{end}"
    caption = f"<strong>{html.escape(row.id)}</strong> {_verdict(row)} <small>{source}</small><br>{numbers}"
    return f"<figure><figcaption>{caption}</figcaption>{_picture(clips, row)}</figure>\n"


def _verdict(row: ClipRow) -> str:
    if row.status == "ok":
        return f'ok <b class="no">{_DAMAGED}</b>' if row.is_damaged else "ok"
    return f'<b class="no">{html.escape(row.reason)}</b> {html.escape(row.detail)}'


def _picture(clips: str | os.PathLike[str], row: ClipRow) -> str:
    image = rejected_image(clips, row.id)
    content = image.read_bytes() if row.status != "ok" and image.is_file() else None
    if row.status == "ok":
        strip = strip_of(Path(clips) / "video" / f"{row.id}.mp4")
        content = None if strip is None else jpeg(strip)
    if content is None:
        return "<p>no picture</p>"
    data = base64.b64encode(content).decode()
    return f'<img alt="{html.escape(row.id)}" src="data:image/jpeg;base64,{data}">'


def _summary(rows: Sequence[ClipRow]) -> str:
    reasons = Counter(row.reason for row in rows)
    lines = [f"<tr><td>ok</td><td>{reasons.pop('', 0)}</td><td></td></tr>"]
    if damaged := sum(row.is_damaged for row in rows if row.status == "ok"):
        lines.append(f"<tr><td>{_DAMAGED}</td><td>{damaged}</td><td>of those that are ok</td></tr>")
    for reason, count in reasons.most_common():
        meaning = html.escape(REASONS.get(reason, ""))
        lines.append(f"<tr><td>{html.escape(reason)}</td><td>{count}</td><td>{meaning}</td></tr>")
    head = "<tr><th>Result</th><th>Clips</th><th>Meaning</th></tr>"
    return f"<table>{head}{''.join(lines)}</table>"


def _contents(pages: Iterable[Sequence[ClipRow]]) -> str:
    links = (
        f'<li><a href="{_name(i)}">page {i + 1}</a>: {page[0].reason or "ok"} to {page[-1].reason or "ok"}</li>'
        for i, page in enumerate(pages)
    )
    return f"<ol>{''.join(links)}</ol>"


def _links(number: int, count: int) -> str:
    before = f'<a href="{_name(number - 1)}">before</a>' if number else ""
    after = f'<a href="{_name(number + 1)}">next</a>' if number + 1 < count else ""
    return f'<nav>{before}<a href="index.html">overview</a>{after}</nav>'


def _name(number: int) -> str:
    return f"page{number + 1:04d}.html"


def _head(title: str) -> str:
    start = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    return f"{start}<style>{_STYLE}</style><h1>{title}</h1>\n"
