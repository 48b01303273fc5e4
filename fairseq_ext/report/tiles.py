"""The handful of figures to take away, on top of the page."""

from __future__ import annotations

from html import escape

from . import tables
from .recognition import systems
from .run import Run

Tile = tuple[str, str]
METRIC_WORDS = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


def tiles(run: Run) -> str:
    """The main figures of the systems shown in detail.

    Args:
        run: the run.

    Returns:
        HTML; empty when there are none.
    """
    made = [*_recognition(run), *_classification(run)]
    inside = "".join(
        f'<div class="tile"><b>{escape(figure)}</b><span>{escape(words)}</span></div>'
        for figure, words in made
    )
    return f'<div class="tiles">{inside}</div>' if inside else ""


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"mean of {count} seeds"


def _recognition(run: Run) -> list[Tile]:
    summary = systems.detailed(run.results)
    if summary is None:
        return []
    title = tables.system_title(run.results, summary["system"])
    whom = " on unseen speakers" if summary["num_shared_speakers"] == 0 else ""
    made = []
    for name in systems.decoders([summary]):
        found = summary["decoders"][name]
        wer, words = found["metrics"]["wer"], systems.decoder_title(name)
        about = f"word error rate{whom}, {words}, {title}; 95 % interval {tables.interval(wer)}"
        made.append((f"{tables.percent(wer['mean'])} %", f"{about}, {_seeds(len(found['seeds']))}"))
    cer = found["metrics"]["cer"]
    made.append((f"{tables.percent(cer['mean'])} %", f"character error rate, {words}"))
    return made


def _classification(run: Run) -> list[Tile]:
    heads = tables.headlines(run.results)
    compared = str(run.results["about"].get("metric", "macro_f1"))
    metrics = tuple(METRIC_WORDS) if len(heads) == 1 else (compared,)
    made: list[Tile] = []
    for partition in heads:
        name = tables.detailed_system(run.results, partition)
        summary = next(s for s in tables.summaries(run.results, partition) if s["system"] == name)
        where = f" ({tables.partition_title(run.results, partition)})" if len(heads) > 1 else ""
        # Rows that do not say it were scored on disjoint splits.
        whom = "" if summary.get("num_shared_speakers") else " on unseen speakers"
        about = f"{tables.system_title(run.results, str(name))}, {_seeds(len(summary['seeds']))}"
        for metric in metrics:
            found = summary["metrics"][metric]
            words = f"{METRIC_WORDS[metric]}{whom}{where}; 95 % interval {tables.interval(found)}, {about}"
            made.append((f"{tables.percent(found['mean'])} %", words))
        made += _speaker_tiles(run, str(name))
    return made


def _speaker_tiles(run: Run, name: str) -> list[Tile]:
    found = [s for s in tables.summaries(run.results, tables.LEFT_OUT) if s["system"] == name]
    if not found:
        return []
    scores = {s["partition"].removeprefix(tables.LEFT_OUT): s["metrics"]["macro_f1"]["mean"] for s in found}
    worst = min(scores, key=lambda speaker: scores[speaker])
    mean = sum(scores.values()) / len(scores)
    return [
        (f"{tables.percent(mean)} %", f"macro-F1, each of {len(scores)} speakers left out in turn"),
        (f"{tables.percent(scores[worst])} %", f"macro-F1 of the hardest speaker, {worst}"),
    ]
