"""The page's learning curves, of any kind of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..scoring.provenance import read_log
from . import page, plots, tables
from .plots import Panel
from .run import Run


def learning_curves(
    run: Run, partitions: Sequence[str], kind: str, panels: Sequence[Panel], caption: str
) -> str | None:
    """Draws the logs of the first seed of every system, a figure per partition.

    Args:
        run: the run.
        partitions: under which systems were trained.
        kind: of their rows.
        panels: metrics to draw.
        caption: below each figure.

    Returns:
        HTML, or None without logs.
    """
    drawn = []
    for partition in partitions:
        logs = _logs(run, partition, kind)
        if logs:
            title = tables.partition_title(run.results, partition) if len(partitions) > 1 else ""
            words = f"{', '.join(p.title for p in panels)} over the updates of {', '.join(logs)}."
            image = plots.png(plots.learning_curves(logs, panels))
            below = f"{title}. {caption}" if title else caption
            drawn.append(page.figure(image, words, below, wide=True))
    return "".join(drawn) or None


def _logs(run: Run, partition: str, kind: str) -> dict[str, list[dict[str, Any]]]:
    logs = {}
    for s in tables.summaries(run.results, partition, kind):
        path = run.folder / "train" / partition / s["system"] / f"seed{min(s['seeds'])}" / "train.log"
        if path.is_file() and (lines := read_log(path)):
            logs[tables.system_title(run.results, s["system"])] = lines
    return logs
