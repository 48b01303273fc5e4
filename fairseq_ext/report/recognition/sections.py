"""The page's sections about recognisers: functions from a run to pieces, none where there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...scoring.scored_system import RECOGNITION
from .. import plots, score_plots
from ..learning import learning_curves
from ..partitions import in_order, system_title
from ..pieces import Block, Picture, Piece
from ..plots import Panel
from ..result_type import Section
from ..run import Run
from . import breakdowns, systems, tables
from .confusions import confusion_tables
from .listen import listen, read_transcribed

PANELS = (
    Panel("loss", "CTC loss", "loss"),
    Panel("wer", "Word error rate, greedy", "WER, %"),
    Panel("cer", "Character error rate, greedy", "CER, %"),
    Panel("uer", "Unit error rate, greedy", "errors per 100 units"),
)

Pieces = Sequence[Piece]


def rates(run: Run) -> Pieces:
    """Show error rates under the first partitions and of each fold, and the recipe's comparisons."""
    shown = [tables.rates(run.results, partition) for partition in systems.shown_partitions(run.results)]
    return [*shown, *tables.fold_tables(run.results), *breakdowns.comparisons(run.results)]


def few_labels(run: Run) -> Pieces:
    """Show WER against the minutes of labelled speech."""
    pieces: list[Piece] = []
    for family in breakdowns.families(run.results):
        curves = _curves(run.results, family)
        panels = {f"Word error rate, {systems.decoder_title(name)}": found for name, found in curves.items()}
        drawing = score_plots.efficiency(
            panels, xlabel="labelled speech trained on, minutes", ylabel="word error rate, %"
        )
        description = f"{'; '.join(panels)}; against the minutes of labelled speech, as in the table above."
        pieces.append(breakdowns.label_efficiency(run.results, family))
        pieces.append(Picture(plots.png(drawing), description, is_wide=True))
    return pieces


def _curves(
    results: Mapping[str, Any], family: str
) -> dict[str, dict[str, dict[float, Mapping[str, float]]]]:
    """Return decoder -> system -> minutes -> WER."""
    minutes = {partition: amount for amount, partition in breakdowns.families(results)[family]}
    found = [s for s in systems.recognised(results) if s["partition"] in minutes]
    curves: dict[str, dict[str, dict[float, Mapping[str, float]]]] = {d: {} for d in systems.decoders(found)}
    for name in in_order(results, [s["system"] for s in found]):
        for s in (s for s in found if s["system"] == name):
            for decoder, scores in s["decoders"].items():
                of_system = curves[decoder].setdefault(system_title(results, name), {})
                of_system[minutes[s["partition"]]] = scores["metrics"]["wer"]
    return curves


def groups(run: Run) -> Pieces:
    """Show WER of each accent and gender, with bars, and of the hardest speakers."""
    pieces: list[Piece] = []
    for group, name in breakdowns.GROUPS.items():
        table = breakdowns.per_group(run.results, group)
        summary = systems.detailed(run.results)
        if table is None or summary is None:
            continue
        values = {
            systems.decoder_title(decoder): {
                g: f["wer"] for g, f in summary["decoders"][decoder][group].items()
            }
            for decoder in systems.decoders([summary])
        }
        title = f"Word error rate by {name}"
        drawing = score_plots.interval_bars(values, title, "WER, % (line: 95 % interval)")
        description = f"Bars of the word error rate by {name}; the table above holds the same figures."
        pieces += [table, Picture(plots.png(drawing), description)]
    by_speaker = breakdowns.per_speaker(run.results)
    return [*pieces, by_speaker] if by_speaker else pieces


def confusions(run: Run) -> Pieces:
    """Show the most frequent errors of the detailed system."""
    found = read_transcribed(run)
    made = confusion_tables(found.references, found.hypotheses) if found else []
    if found is None or not made:
        return []
    return [
        f"{found.title}, {systems.decoder_title(found.decoder)}, first seed.",
        Block("side", {"pieces": made, "text_column": True}),
    ]


def learning(run: Run) -> Pieces:
    """Draw the learning curves under the first partitions."""
    partitions = systems.shown_partitions(run.results)
    caption = "First seed. Error rates: greedy decoding of the validation split, as logged in training."
    return learning_curves(run, partitions, RECOGNITION, PANELS, caption)


def decoding(run: Run) -> Pieces:
    """Show types of errors, raw rates, settings and speed."""
    return [tables.decoding(run.results, partition) for partition in systems.shown_partitions(run.results)]


def others(run: Run) -> Pieces:
    """Show error rates under all other partitions."""
    return tables.other_rates(run.results)


SECTIONS = (
    Section("recognition", "Word error rates", rates),
    Section("labelled-speech", "Labelled speech", few_labels),
    Section("groups", "Groups and speakers", groups),
    Section("transcripts", "Transcripts", listen),
    Section("mistakes", "Frequent errors", confusions),
    Section("decoding", "Decoding", decoding),
    Section("recognition-learning", "Recognition: learning curves", learning),
    Section("recognition-others", "Recognition: other partitions", others),
)
