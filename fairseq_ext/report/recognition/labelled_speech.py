"""Word error rates by how much labelled speech was trained on: a table, and curves.

Speech counts as labelled where people wrote its text. What recognisers labelled beside it is said with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .. import plots, score_plots
from ..partitions import Results, Summary, bare_title, in_order, partition_title, system_title
from ..pieces import Picture, Piece
from ..tables import NOTHING, Table, interval, slug
from .systems import decoder_title, decoders, metric_of, minutes_text, recognised, spread_of

NOTE = "WER %, mean over seeds (lowest–highest) with its 95 % interval. Columns: labelled speech trained on"
NOTE_AUTOMATIC = ", labelled by people; after the plus, by recognisers"
Curve = dict[float, Mapping[str, float]]


@dataclass(frozen=True, order=True)
class Amount:
    """The labelled speech that a partition trains on.

    Attributes:
        minutes: labelled by people.
        automatic_minutes: labelled by recognisers beside it.
        partition: name of the partition.
    """

    minutes: float
    automatic_minutes: float
    partition: str

    @property
    def text(self) -> str:
        """Amounts for readers, such as `5 min + 35 min automatic`."""
        by_people = minutes_text(self.minutes)
        return (
            f"{by_people} + {minutes_text(self.automatic_minutes)} automatic"
            if self.automatic_minutes
            else by_people
        )


def families(results: Results) -> dict[str, list[Amount]]:
    """Group partitions with one test set that differ in how much labelled speech was trained on.

    Returns partition with the most labels of people -> amounts, rising, its own the last; partitions without others are
    left out.
    """
    found: dict[str, dict[str, Amount]] = {}
    for s in recognised(results):
        if s["labelled_minutes"] is not None:
            automatic = float(s.get("automatic_minutes") or 0.0)
            amount = Amount(float(s["labelled_minutes"]), automatic, s["partition"])
            found.setdefault(s["test"], {})[s["partition"]] = amount
    ordered = [sorted(group.values()) for group in found.values()]
    several = [amounts for amounts in ordered if len({amount.text for amount in amounts}) > 1]
    return {amounts[-1].partition: amounts for amounts in several}


def label_efficiency(results: Results, family: str) -> Table:
    """Make the table of WER against the labelled speech, for a key of `families`."""
    amounts = families(results)[family]
    found = [s for s in recognised(results) if s["partition"] in {amount.partition for amount in amounts}]
    by_name = {(s["system"], s["partition"]): s for s in found}
    lines = []
    for name in in_order(results, [s["system"] for s in found]):
        for decoder in decoders([s for s in found if s["system"] == name]):
            cells = [_cell(by_name.get((name, amount.partition)), decoder) for amount in amounts]
            lines.append((f"{system_title(results, name)}, {decoder_title(decoder)}", *cells))
    header = ("System", *_columns(results, amounts))
    note = NOTE + (NOTE_AUTOMATIC if any(amount.automatic_minutes for amount in amounts) else "") + "."
    which = f": {bare_title(results, family)}" if len(families(results)) > 1 else ""
    return Table(
        f"labels-{slug(family)}", f"Word error rate by labelled speech{which}", header, tuple(lines), note
    )


def _cell(summary: Summary | None, decoder: str) -> str:
    wer = metric_of(summary, decoder, "wer") if summary else None
    return (
        NOTHING if summary is None or wer is None else f"{spread_of(summary, decoder, 'wer')} {interval(wer)}"
    )


def _columns(results: Results, amounts: list[Amount]) -> list[str]:
    """Return the amounts, with the partition's name where two are equal."""
    texts = [amount.text for amount in amounts]
    names = [partition_title(results, amount.partition) for amount in amounts]
    return [
        f"{text}, {name}" if texts.count(text) > 1 else text for text, name in zip(texts, names, strict=True)
    ]


def pieces(results: Results) -> list[Piece]:
    """Make the table of every family and curves of WER against the minutes that people labelled."""
    made: list[Piece] = []
    for family in families(results):
        made.append(label_efficiency(results, family))
        if panels := _panels(results, family):
            drawing = score_plots.efficiency(
                panels, xlabel="speech trained on that people labelled, minutes", ylabel="word error rate, %"
            )
            description = (
                f"{'; '.join(panels)}; against the minutes of labelled speech, as in the table above."
            )
            made.append(Picture(plots.png(drawing), description, is_wide=True))
    return made


def _panels(results: Results, family: str) -> dict[str, dict[str, Curve]]:
    """Return decoder's title -> system -> minutes -> WER; systems with automatic labels beside are curves of their own.

    The axis is logarithmic: what people have labelled nothing of is in the table alone.
    """
    amounts = {amount.partition: amount for amount in families(results)[family] if amount.minutes > 0}
    found = [s for s in recognised(results) if s["partition"] in amounts]
    panels: dict[str, dict[str, Curve]] = {
        f"Word error rate, {decoder_title(name)}": {} for name in decoders(found)
    }
    for name in in_order(results, [s["system"] for s in found]):
        for s in (s for s in found if s["system"] == name):
            amount = amounts[s["partition"]]
            beside = " and automatic labels" if amount.automatic_minutes else ""
            for decoder, scores in s["decoders"].items():
                curves = panels[f"Word error rate, {decoder_title(decoder)}"]
                of_system = curves.setdefault(f"{system_title(results, name)}{beside}", {})
                of_system[amount.minutes] = scores["metrics"]["wer"]
    return panels
