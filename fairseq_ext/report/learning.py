"""Draw the page's learning curves, of results of any type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..scoring.provenance import read_log
from . import plots
from .partitions import headline_summaries, partition_title, system_title
from .pieces import Picture
from .plots import Panel
from .run import Run

Log = list[dict[str, Any]]


def learning_curves(
    run: Run, headlines: Sequence[str], result_type: str, panels: Sequence[Panel], caption: str
) -> list[Picture]:
    """Draw the logs of the first seed of every system: a picture per headline with logs, a curve per fold."""
    drawn = []
    for headline in headlines:
        if logs := _logs(run, headline, result_type):
            title = partition_title(run.results, headline) if len(headlines) > 1 else ""
            description = f"{', '.join(p.title for p in panels)} over the updates of {', '.join(logs)}."
            below = f"{title}. {caption}" if title else caption
            if headline.endswith("/"):
                below = f"{below} One curve per fold.".lstrip()
            image = plots.png(plots.learning_curves(logs, panels))
            drawn.append(Picture(image, description, below, is_wide=True))
    return drawn


def _logs(run: Run, headline: str, result_type: str) -> dict[str, list[Log]]:
    logs: dict[str, list[Log]] = {}
    for s in headline_summaries(run.results, headline, result_type):
        trainings = run.trainings(headline, s["system"], result_type).values()
        paths = [train / "train.log" for train, _ in trainings]
        if found := [lines for path in paths if path.is_file() and (lines := read_log(path))]:
            logs[system_title(run.results, s["system"])] = found
    return logs
