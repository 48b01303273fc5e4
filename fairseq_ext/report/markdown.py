"""RESULTS.md: every table that the results fill, and where the figures come from."""

from __future__ import annotations

from collections.abc import Callable

from tabulate import tabulate

from ..scoring.scored_system import CLASSIFICATION, of_kind
from . import extras, pretraining_tables
from .partition_tables import label_efficiency, leaky_controls, leaky_partitions, left_out, selection
from .recognition import tables as recognition_tables
from .score_tables import headline, one_speaker, per_class, per_speaker, scores_table
from .tables import (
    INNER,
    LABELS,
    LEFT_OUT,
    ONE_SPEAKER,
    Results,
    Table,
    belongs,
    headlines,
    partition_title,
    system_title,
)

Tables = Callable[[Results], list[Table]]


def main_tables(results: Results) -> list[Table]:
    """The tables of classifiers to take away.

    Args:
        results: the results.

    Returns:
        Those that the results fill.
    """
    made = [
        *(headline(results, partition) for partition in headlines(results)),
        left_out(results),
        label_efficiency(results),
        *leaky_controls(results),
    ]
    return [table for table in made if table]


def classification_tables(results: Results) -> list[Table]:
    """Every table of classifiers.

    Args:
        results: the results.

    Returns:
        Those that the results fill, in the order of the page.
    """
    heads = headlines(results)
    made = [
        *(headline(results, partition) for partition in heads),
        one_speaker(results),
        left_out(results),
        label_efficiency(results),
        *leaky_controls(results),
        *(per_speaker(results, partition) for partition in heads),
        *(per_class(results, partition) for partition in heads),
        selection(results),
    ]
    return [*(table for table in made if table), *other_partitions(results)]


# The tables of each kind of rows, in the order of the page; and those for the terminal.
KIND_TABLES: list[Tables] = [
    recognition_tables.all_tables,
    pretraining_tables.all_tables,
    classification_tables,
]
MAIN_TABLES: list[Tables] = [recognition_tables.main_tables, pretraining_tables.all_tables, main_tables]


def other_partitions(results: Results) -> list[Table]:
    """A plain table for every partition that no other table shows.

    Args:
        results: the results.

    Returns:
        The tables, in alphabetical order.
    """
    shown = [*headlines(results), ONE_SPEAKER, LEFT_OUT, LABELS, INNER, *leaky_partitions(results)]
    partitions = {s["partition"] for s in of_kind(results["summary"], CLASSIFICATION)}
    rest = sorted(p for p in partitions if not any(belongs(p, prefix) for prefix in shown))
    tables = [
        scores_table(results, p, f"partition-{p.replace('/', '-')}", partition_title(results, p))
        for p in rest
    ]
    return [table for table in tables if table]


def all_tables(results: Results) -> list[Table]:
    """Every table that the results fill.

    Args:
        results: the results.

    Returns:
        The tables, in the order of the page.
    """
    return [*(table for make in KIND_TABLES for table in make(results)), *extras.tables(results)]


def synthetic_note(results: Results) -> str | None:
    """The warning for figures that were not measured on real recordings.

    Args:
        results: the results.

    Returns:
        The warning, or None for real recordings.
    """
    if results["data"] == "real":
        return None
    kind = "Synthetic speech" if results["data"] == "synthetic" else "Partly synthetic speech"
    return (
        f"{kind}: these figures show that the system runs. They say nothing about real speakers and must "
        "not be compared with published figures."
    )


def short_commit(commit: str) -> str:
    """Shortens a commit's hash and keeps the mark of a changed checkout.

    Args:
        commit: from metrics.json.

    Returns:
        12 digits, with `-dirty` where the checkout had changes.
    """
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def provenance(results: Results) -> list[str]:
    """Where the figures come from, in a few lines.

    Args:
        results: the results.

    Returns:
        Sentences.
    """
    rows = results["systems"]
    seeds = sorted({row["seed"] for row in rows})
    commits = sorted({short_commit(row["commit"]) for row in rows})
    devices = sorted({row.get("device", "unknown") for row in rows})
    return [
        f"Data: {results['data']}. Rows: {len(rows)}. Seeds: {', '.join(map(str, seeds))}.",
        f"Commit: {', '.join(commits)}. Device: {', '.join(devices)}.",
        *_mixed_settings(results),
    ]


def _mixed_settings(results: Results) -> list[str]:
    mixed = [s for s in results["summary"] if len(s["config_hashes"]) > 1]
    return [
        f"Warning: the seeds of {s['system']} ({s['partition']}) were trained with different settings "
        f"({', '.join(s['config_hashes'])})."
        for s in mixed
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def markdown(results: Results) -> str:
    """RESULTS.md.

    Args:
        results: what results.json holds.

    Returns:
        The page's text.
    """
    about = results["about"]
    parts = [f"# {about.get('title', 'Results')}: results", "Generated by tools/report.py from results.json."]
    if warning := synthetic_note(results):
        parts.append(f"> **{warning}**")
    if about.get("intro"):
        parts.append(about["intro"])
    for table in all_tables(results):
        parts += [f"## {table.title}", _markdown_table(table)]
        if table.note:
            parts.append(table.note)
    parts += ["## Provenance", "\n".join(f"- {line}" for line in provenance(results)), _settings(results)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [table.header, tuple("---" if i == 0 else "---:" for i in range(len(table.header))), *table.rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _settings(results: Results) -> str:
    header = ("System", "Protocol", "Seeds", "Config hash", "Recordings")
    lines = tuple(
        (
            system_title(results, s["system"]),
            s["partition"],
            ", ".join(map(str, s["seeds"])),
            ", ".join(s["config_hashes"]),
            str(s["n"]),
        )
        for s in results["summary"]
    )
    return _markdown_table(Table("settings", "Settings", header, lines))


def summary_text(results: Results) -> str:
    """The main tables for a terminal.

    Args:
        results: what results.json holds.

    Returns:
        Text.
    """
    made = [table for make in MAIN_TABLES for table in make(results)]
    shown = made or other_partitions(results)
    parts = [
        f"{t.title}\n{tabulate(t.rows, headers=t.header, disable_numparse=True, maxheadercolwidths=12)}"
        for t in shown
    ]
    warning = synthetic_note(results)
    return "\n\n".join([*parts, *([warning] if warning else [])])
