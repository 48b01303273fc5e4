"""The page's parts about recognisers: each is a function from a run to HTML, or None when there is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from ...scoring.scored_system import RECOGNITION, of_kind
from .. import page, plots, score_plots
from ..learning import learning_curves
from ..plots import Panel
from ..run import Run, Section
from ..tables import Table, in_order, system_title
from . import breakdowns, systems, tables
from .confusions import confusion_tables
from .listen import listen, read_heard

PANELS = (
    Panel("loss", "CTC loss", "loss"),
    Panel("wer", "Word error rate, greedy", "WER, %"),
    Panel("cer", "Character error rate, greedy", "CER, %"),
    Panel("uer", "Unit error rate, greedy", "errors per 100 units"),
)


def _html(made: Iterable[Table | None]) -> str | None:
    return "\n".join(page.table(table) for table in made if table) or None


def rates(run: Run) -> str | None:
    """Error rates under the first partitions, and the recipe's comparisons.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    shown = [tables.rates(run.results, partition) for partition in systems.shown_partitions(run.results)]
    return _html([*shown, *breakdowns.comparisons(run.results)])


def few_labels(run: Run) -> str | None:
    """WER against the minutes of labelled speech.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    parts = []
    for family in breakdowns.families(run.results):
        parts.append(page.table(breakdowns.label_efficiency(run.results, family)))
        curves = _curves(run.results, family)
        panels = {f"Word error rate, {systems.decoder_title(name)}": found for name, found in curves.items()}
        axis = {"xlabel": "labelled speech trained on, minutes", "ylabel": "word error rate, %"}
        drawing = plots.png(score_plots.efficiency(panels, **axis))
        words = f"{'; '.join(panels)}; against the minutes of labelled speech, as in the table above."
        parts.append(page.figure(drawing, words, wide=True))
    return "".join(parts) or None


def _curves(
    results: Mapping[str, Any], family: str
) -> dict[str, dict[str, dict[float, Mapping[str, float]]]]:
    """Decoder -> system -> minutes -> WER."""
    minutes = {partition: amount for amount, partition in breakdowns.families(results)[family]}
    found = [s for s in of_kind(results["summary"], RECOGNITION) if s["partition"] in minutes]
    curves: dict[str, dict[str, dict[float, Mapping[str, float]]]] = {d: {} for d in systems.decoders(found)}
    for name in in_order(results, [s["system"] for s in found]):
        for s in (s for s in found if s["system"] == name):
            for decoder, scores in s["decoders"].items():
                of_system = curves[decoder].setdefault(system_title(results, name), {})
                of_system[minutes[s["partition"]]] = scores["metrics"]["wer"]
    return curves


def groups(run: Run) -> str | None:
    """WER of each accent and gender, with bars, and of the hardest speakers.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    parts = []
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
        drawing = score_plots.interval_bars(
            values, f"Word error rate by {name}", "WER, % (line: 95 % interval)"
        )
        words = f"Bars of the word error rate by {name}; the table above holds the same figures."
        parts.append(page.table(table) + page.figure(plots.png(drawing), words))
    by_speaker = breakdowns.per_speaker(run.results)
    return "".join([*parts, *([page.table(by_speaker)] if by_speaker else [])]) or None


def confusions(run: Run) -> str | None:
    """The most frequent errors of the detailed system.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    heard = read_heard(run)
    made = confusion_tables(heard.references, heard.hypotheses) if heard else []
    if heard is None or not made:
        return None
    intro = f"<p>{escape(heard.title)}, {systems.decoder_title(heard.decoder)}, first seed.</p>"
    return f'{intro}<div class="side words">{_html(made)}</div>'


def learning(run: Run) -> str | None:
    """Learning curves under the first partitions.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    partitions = systems.shown_partitions(run.results)
    caption = "First seed. Error rates: greedy decoding of the validation split, as logged in training."
    return learning_curves(run, partitions, RECOGNITION, PANELS, caption)


def decoding(run: Run) -> str | None:
    """Kinds of errors, raw rates, settings and speed.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return _html(
        tables.decoding(run.results, partition) for partition in systems.shown_partitions(run.results)
    )


def others(run: Run) -> str | None:
    """Error rates under all other partitions.

    Args:
        run: the run.

    Returns:
        HTML, or None.
    """
    return _html(tables.other_rates(run.results))


SECTIONS: list[Section] = [
    Section("recognition", "Word error rates", rates),
    Section("labelled-speech", "Labelled speech", few_labels),
    Section("groups", "Groups and speakers", groups),
    Section("transcripts", "Transcripts", listen),
    Section("mistakes", "Frequent errors", confusions),
    Section("decoding", "Decoding", decoding),
    Section("recognition-learning", "Recognition: learning curves", learning),
    Section("recognition-others", "Recognition: other partitions", others),
]
