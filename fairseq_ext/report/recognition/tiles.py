"""The figures of recognisers to take away, on top of the page."""

from __future__ import annotations

from ..partitions import partition_title, system_title
from ..result_type import Tile
from ..run import Run
from ..tables import interval, percent
from . import systems


def tiles(run: Run) -> list[Tile]:
    """Return a word error rate per decoder of the system shown in detail, and the character error rate of the last."""
    summary = systems.detailed(run.results)
    if summary is None:
        return []
    title = system_title(run.results, summary["system"])
    whom = " on unseen speakers" if summary["num_shared_speakers"] == 0 else ""
    whom += f" ({partition_title(run.results, summary['partition'])})" if "folds" in summary else ""
    made = []
    for name in systems.decoders([summary]):
        found = summary["decoders"][name]
        count, wer, decoder = len(found["seeds"]), found["metrics"]["wer"], systems.decoder_title(name)
        seeds = "1 seed" if count == 1 else f"mean of {count} seeds"
        text = f"word error rate{whom}, {decoder}, {title}; 95 % interval {interval(wer)}, {seeds}"
        made.append(Tile(f"{percent(wer['mean'])} %", text))
    cer = found["metrics"]["cer"]
    return [*made, Tile(f"{percent(cer['mean'])} %", f"character error rate, {decoder}")]
