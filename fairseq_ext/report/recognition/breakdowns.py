"""Tables of recognisers by groups of speakers, and of one system against another.

The functions take the results of a run; a table is None where nothing was recognised for it.
"""

from __future__ import annotations

from ..partitions import Results, Summary, bare_title, system_title
from ..tables import NOTHING, Table, filled, interval, number, percent, spread
from .comparison import Comparison, compare, pairs
from .systems import (
    decoder_title,
    decoders,
    detailed,
    rate_columns,
    speaker_sums,
    tested,
    updates_text,
)

# Of a table by speakers; results.json holds them all.
MAX_SPEAKERS = 15
GROUPS = {"per_accent": "accent", "per_gender": "gender"}


def per_group(results: Results, group: str) -> Table | None:
    """Make the table of error rates of each accent or gender, a key of `GROUPS`, of the detailed system.

    None where no speaker stated it.
    """
    s = detailed(results)
    if s is None or len(next(iter(s["decoders"].values()))[group]) < 2:
        return None
    names = decoders([s])
    header = (GROUPS[group].capitalize(), "Utterances", "Speakers", "Words", *rate_columns(names))
    groups = s["decoders"][names[0]][group]
    lines = []
    for item, of_group in groups.items():
        mine = [s["decoders"][name][group].get(item) for name in names]
        cells = [item, *(number(of_group[key]) for key in ("n", "num_speakers", "words"))]
        for name, found in zip(names, mine, strict=True):
            count = len(s["decoders"][name]["seeds"])
            cells += [spread(found["wer"], count), interval(found["wer"])] if found else [NOTHING, NOTHING]
        cells += [percent(found["cer"]["mean"]) if found else NOTHING for found in mine]
        lines.append(tuple(cells))
    by = {of_group["resampled"] for of_group in groups.values()}
    note = (
        "Intervals resample speakers; of groups with fewer than 5 speakers, utterances, which says nothing of others."
        if "utterances" in by
        else "Intervals resample speakers."
    )
    heading = f"WER by {GROUPS[group]}: {_whose(results, s)}"
    return Table(f"group-{GROUPS[group]}", heading, header, tuple(lines), note)


def per_speaker(results: Results) -> Table | None:
    """Make the table of the speakers with the highest error rates, of the detailed system, all seeds together."""
    s = detailed(results)
    if s is None:
        return None
    # Decoders of all seeds only, so that the columns sum over the same seeds.
    names = [name for name in decoders([s]) if s["decoders"][name]["seeds"] == s["seeds"]]
    systems = [system for of_seed in tested(results, s).values() for system in of_seed]
    sums = {name: speaker_sums(systems, name) for name in names}
    last = sums[names[-1]]
    spoken = [speaker for speaker, numbers in last.items() if numbers[2]]
    hardest = sorted(spoken, key=lambda speaker: (-last[speaker][1] / last[speaker][2], speaker))[
        :MAX_SPEAKERS
    ]
    columns = [f"{m} %, {decoder_title(name)}" for m in ("WER", "CER") for name in names]
    lines = []
    for speaker in hardest:
        n, _, words, *_ = (number(count / len(s["seeds"])) for count in last[speaker])
        # Word and character errors in `SPEAKER_COLUMNS`, each followed by the number of tokens.
        rates = [percent(sums[d][speaker][e] / sums[d][speaker][e + 1]) for e in (1, 3) for d in names]
        lines.append((speaker, n, words, *rates))
    note = f"The hardest {len(lines)} of {len(spoken)}, by their WER {decoder_title(names[-1])}; all seeds together."
    heading = f"WER by speaker: {_whose(results, s)}"
    return Table("group-speaker", heading, ("Speaker", "Utterances", "Words", *columns), tuple(lines), note)


def _whose(results: Results, summary: Summary) -> str:
    """Name the system and partition that a table breaks down."""
    return f"{system_title(results, summary['system'])}, {bare_title(results, summary['partition'])}"


def comparison(results: Results, first: str, second: str) -> Table | None:
    """Make the table of two systems side by side with the interval of their difference; None where none has both."""
    found = compare(results, first, second)
    if not found:
        return None
    names = [system_title(results, name) for name in (first, second)]
    header = ("Partition", *(f"WER %, {name}" for name in names), "Difference, points", "95 % interval")
    header += ("Seeds with fewer errors", "Updates")
    lines = tuple(_comparison_line(results, c) for c in found)
    note = (
        "Below 0 the first has fewer errors. The interval resamples speakers, both systems together, with the seeds' "
        "errors added up; it needs 5 speakers."
    )
    if not all(c.is_equal_training for c in found):
        note += " NOT at equal numbers of updates in every line."
    key = f"compare-{first}-{second}"
    return Table(key, " against ".join(names), header, lines, note)


def _comparison_line(results: Results, c: Comparison) -> tuple[str, ...]:
    bounds = NOTHING if c.interval is None else f"[{100 * c.interval[0]:+.1f}, {100 * c.interval[1]:+.1f}]"
    updates = [updates_text(values) for values in c.updates]
    trained = updates[0] if c.is_equal_training else " against ".join(updates)
    return (
        f"{bare_title(results, c.partition)}, {decoder_title(c.decoder)}",
        *(percent(wer) for wer in c.wers),
        f"{100 * c.difference:+.1f}",
        bounds,
        f"{c.num_better} of {len(c.seeds)}",
        trained,
    )


def comparisons(results: Results) -> list[Table]:
    """Make the tables of the recipe's comparisons."""
    return filled(comparison(results, *pair) for pair in pairs(results))
