"""Word error rates in noise: a table with a column per ratio, and curves over the ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import plots, score_plots
from ..partitions import Results, Summary, bare_title, in_order, system_title
from ..pieces import Picture, Piece
from ..tables import NOTHING, Table, interval, slug, spread
from .systems import decoder_title, decoders, metric_of, recognised, shown_partitions, spread_of

# Of what reads pictures alone, under the ratios.
AS_CLEAN = "as clean"
CLEAN = "clean"


def noisy_partitions(results: Results) -> list[str]:
    """Return the partitions under which a system was scored in noise, those that come first first."""
    noisy = dict.fromkeys(s["partition"] for s in recognised(results) if _conditions(s))
    return [p for p in dict.fromkeys([*shown_partitions(results), *noisy]) if p in noisy]


def noise_table(results: Results, partition: str) -> Table:
    """Make the table of WER by noise, for one of `noisy_partitions`: a line per system and decoder."""
    found = _systems(results, partition)
    ratios = _ratios(found)
    lines = []
    for s in found:
        for decoder in decoders([s]):
            cells = [_clean(s, decoder), *(_noisy(s, decoder, ratio_db) for ratio_db in ratios)]
            lines.append((f"{system_title(results, s['system'])}, {decoder_title(decoder)}", *cells))
    header = ("System", "Clean", *(f"{_signed(ratio_db)} dB" for ratio_db in ratios))
    heading = f"Word error rate by noise: {bare_title(results, partition)}"
    return Table(f"noise-{slug(partition)}", heading, header, tuple(lines), _note(found))


def _note(found: list[Summary]) -> str:
    noise = next(s["noise"] for s in found if _conditions(s))
    note = (
        "WER %, mean over seeds (lowest–highest) with its 95 % interval, by the ratio of speech to noise. "
        f"{noise['source'].capitalize()}: {noise['voices']} other clips of the test at once, drawn by the clip, so "
        "that every system hears the same."
    )
    deaf = any(s.get("noise") and not s["noise"]["heard"] for s in found)
    return f"{note} What reads lips alone hears none and was scored once." if deaf else note


def noise_curves(results: Results, partition: str) -> Picture:
    """Draw WER over the ratio, for one of `noisy_partitions`; a level line is what hears no noise."""
    found = _systems(results, partition)
    panels: dict[str, dict[str, dict[float | str, Mapping[str, float]]]] = {}
    level = []
    for s in found:
        title = system_title(results, s["system"])
        if s.get("noise") and not s["noise"]["heard"]:
            level.append(title)
        for decoder in decoders([s]):
            curve: dict[float | str, Mapping[str, float]] = {CLEAN: s["decoders"][decoder]["metrics"]["wer"]}
            for condition in _conditions(s):
                if decoder in condition["decoders"]:
                    curve[condition["snr_db"]] = condition["decoders"][decoder]["metrics"]["wer"]
            panels.setdefault(f"Word error rate, {decoder_title(decoder)}", {})[title] = curve
    drawing = score_plots.noise_curves(panels, level)
    where = bare_title(results, partition)
    description = f"{'; '.join(panels)}, over the ratio of speech to noise: {where}; as in the table above."
    return Picture(plots.png(drawing), description, where, is_wide=len(panels) > 1)


def pieces(results: Results) -> list[Piece]:
    """Make the table and the curves of every partition with scores in noise."""
    return [
        piece
        for partition in noisy_partitions(results)
        for piece in (noise_table(results, partition), noise_curves(results, partition))
    ]


def _systems(results: Results, partition: str) -> list[Summary]:
    found = {s["system"]: s for s in recognised(results) if s["partition"] == partition}
    return [found[name] for name in in_order(results, found)]


def _conditions(summary: Summary) -> list[Mapping[str, Any]]:
    return list((summary.get("noise") or {}).get("conditions", []))


def _ratios(found: list[Summary]) -> list[float]:
    return sorted({c["snr_db"] for s in found for c in _conditions(s)}, reverse=True)


def _clean(summary: Summary, decoder: str) -> str:
    wer = metric_of(summary, decoder, "wer")
    return NOTHING if wer is None else f"{spread_of(summary, decoder, 'wer')} {interval(wer)}"


def _noisy(summary: Summary, decoder: str, ratio_db: float) -> str:
    if summary.get("noise") and not summary["noise"]["heard"]:
        return AS_CLEAN
    for condition in _conditions(summary):
        if condition["snr_db"] == ratio_db and decoder in condition["decoders"]:
            scores = condition["decoders"][decoder]
            wer = scores["metrics"]["wer"]
            return f"{spread(wer, len(scores['seeds']))} {interval(wer)}"
    return NOTHING


def _signed(ratio_db: float) -> str:
    """Print a ratio with the sign that readers expect, such as `−5`."""
    return f"{ratio_db:g}".replace("-", "−")
