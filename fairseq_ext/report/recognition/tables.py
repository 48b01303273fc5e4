"""Tables of recognisers by partition, from the results of a run: error rates, and how they were decoded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...scoring.scored_system import RECOGNITION, of_result_type
from ..partitions import (
    Results,
    Summary,
    bare_title,
    family_title,
    headline_summaries,
    num_labels,
    summaries,
    system_title,
)
from ..tables import NOTHING, Table, filled, fold_cells, interval, percent, seconds, shown_folds, slug
from .breakdowns import GROUPS, comparisons, per_group, per_speaker
from .labelled_speech import families, label_efficiency
from .noise import noise_table, noisy_partitions
from .systems import (
    decoder_title,
    decoders,
    metric_of,
    minutes_text,
    rate_columns,
    recognised,
    shown_partitions,
    spread_of,
    updates_text,
)

RATES_NOTE = (
    "Errors per 100 words or characters of the reference, after normalising both sides: lower is better, and it may "
    "exceed 100. Mean over seeds, with the lowest and highest seed in parentheses. {n:,} utterances ({length}) of "
    "{speakers} speaker{plural}{overlap}. Intervals: percentile bootstrap over {resampled}, bounds averaged over seeds."
)
TRAINING_NOTE = "Training seconds are those of the last step alone, without pre-training."
VISEMES_NOTE = "VER: errors per 100 visemes, the classes of sounds that lips tell apart."
FOLDS_NOTE = " Each fold tests other utterances; the transcripts of all {} folds are scored together."
SHARES_NOTE = (
    "Shares of the reference's words. Raw: both texts compared as they are, case and punctuation of the reference "
    "included."
)
SETTINGS_NOTE = (
    "alpha, beta, unk_score and prior_scale were chosen on the split that the settings name; several values: one per "
    "seed"
)


def rates(results: Results, partition: str) -> Table:
    """Make the table of error rates, a line per system."""
    found = headline_summaries(results, partition, RECOGNITION)
    names = decoders(found)
    header = ["System", "Seeds", *rate_columns(names)]
    seen = [name for name in names if any(metric_of(s, name, "ver") for s in found)]
    header += [f"VER %, {decoder_title(name)}" for name in seen]
    # A labeller that was downloaded has neither.
    is_trained = any(s["num_updates"] or s["train_s"] is not None for s in found)
    header += ["Updates", "Training s"] if is_trained else []
    lines = []
    for s in found:
        cells = [system_title(results, s["system"]), str(len(s["seeds"]))]
        for name in names:
            wer = metric_of(s, name, "wer")
            cells += [spread_of(s, name, "wer"), NOTHING if wer is None else interval(wer)]
        cells += [
            NOTHING if (cer := metric_of(s, name, "cer")) is None else percent(cer["mean"]) for name in names
        ]
        training = [updates_text(s["num_updates"]), seconds(s["train_s"])] if is_trained else []
        visemes = [_viseme_rate(s, name) for name in seen]
        lines.append((*cells, *visemes, *training))
    first = found[0]
    tested = {
        "overlap": _overlap(first),
        "n": first["n"],
        "length": minutes_text(60 * first["hours"]),
        "speakers": first["num_speakers"],
        "plural": "" if first["num_speakers"] == 1 else "s",
    }
    resampled = next(iter(first["decoders"].values()))["resampled"]
    note = RATES_NOTE.format(**tested, resampled=resampled) + (f" {TRAINING_NOTE}" if is_trained else "")
    note += f" {VISEMES_NOTE}" if seen else ""
    note += FOLDS_NOTE.format(len(first["folds"])) if "folds" in first else ""
    heading = f"Word error rates: {bare_title(results, partition)}"
    return Table(f"wer-{slug(partition)}", heading, tuple(header), tuple(lines), note)


def _viseme_rate(summary: Summary, decoder: str) -> str:
    """Print the viseme error rate of a lip reader; others have none."""
    ver = metric_of(summary, decoder, "ver")
    return NOTHING if ver is None else percent(ver["mean"])


def _overlap(summary: Summary) -> str:
    """Describe which speakers and sentences of the test were trained on."""
    shared, known = summary["num_shared_speakers"], summary["num_known_sentences"]
    if shared is None:
        return ""
    speakers = "none of them trained on" if not shared else f"{shared} OF THEM TRAINED ON"
    sentences = "no sentence of the training" if not known else f"{known:,} with a sentence of the training"
    return f", {speakers}; {sentences}"


def decoding(results: Results, partition: str) -> Table:
    """Make the table of types of errors, raw rates, settings and speed, a line per system and decoder."""
    found = headline_summaries(results, partition, RECOGNITION)
    header: tuple[str, ...] = ("System", "Decoder", "Substituted %", "Left out %", "Put in %")
    header += ("Raw WER %", "Raw CER %")
    of_decoders = [of_decoder for s in found for of_decoder in s["decoders"].values()]
    has_settings = any(any(d["settings"]) for d in of_decoders)
    is_timed = any(d["real_time_factor"] is not None for d in of_decoders)
    header += ("Settings",) if has_settings else ()
    header += ("Seconds per second of audio",) if is_timed else ()
    lines = []
    for s in found:
        for name in decoders([s]):
            of_decoder = s["decoders"][name]
            words = of_decoder["counts"]["words"]
            shares = (words[k] / words["num_reference"] for k in ("substitutions", "deletions", "insertions"))
            factor = of_decoder["real_time_factor"]
            cells = (system_title(results, s["system"]), decoder_title(name), *(percent(x) for x in shares))
            raw = (spread_of(s, name, "wer_raw"), spread_of(s, name, "cer_raw"))
            how = [_settings(of_decoder["settings"])] if has_settings else []
            if is_timed:
                how.append(NOTHING if factor is None else f"{factor:.3g}")
            lines.append((*cells, *raw, *how))
    one_per = " and fold" if any("folds" in s for s in found) else ""
    note = SHARES_NOTE + (f" {SETTINGS_NOTE}{one_per}." if has_settings else "")
    heading = f"Decoding: {bare_title(results, partition)}"
    return Table(f"decoding-{slug(partition)}", heading, header, tuple(lines), note)


def _settings(settings: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for one in settings for name in one))
    parts = []
    for name in names:
        values = dict.fromkeys(_value(one[name]) for one in settings if one.get(name) is not None)
        if values:
            parts.append(f"{name.replace('_', ' ')} {' | '.join(values)}")
    return ", ".join(parts) or NOTHING


def _value(value: Any) -> str:
    return (
        f"{value:.3g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    )


def fold_tables(results: Results) -> list[Table]:
    """Make a table per family of folds that are pooled: WER of each fold, the worst named."""
    pooled = of_result_type(results.get("pooled", []), RECOGNITION)
    families_ = dict.fromkeys(s["partition"] for s in pooled)
    return [_folds(results, family) for family in families_ if num_labels(family) is None]


def _folds(results: Results, family: str) -> Table:
    found = summaries(results, family, RECOGNITION)
    rates_of: dict[str, dict[str, float]] = {}
    for s in found:
        for name in decoders([s]):
            title = f"{system_title(results, s['system'])}, {decoder_title(name)}"
            wer = s["decoders"][name]["metrics"]["wer"]["mean"]
            rates_of.setdefault(title, {})[s["partition"].removeprefix(family)] = wer
    shown, left_out = shown_folds(rates_of)
    fold = "speaker" if all(s["num_speakers"] == 1 for s in found) else "fold"
    lines = [
        (title, *fold_cells(scores, max(scores, key=scores.__getitem__), shown))
        for title, scores in rates_of.items()
    ]
    note = f"Each column is a system tested on one {fold} and not trained on it; mean over seeds.{left_out}"
    heading = (
        f"{family_title(results, family)}: WER % of each {'unseen speaker' if fold == 'speaker' else fold}"
    )
    return Table(
        f"wer-folds-{slug(family)}", heading, ("System", f"Worst {fold}", *shown), tuple(lines), note
    )


def main_tables(results: Results) -> list[Table]:
    """Make the tables for the terminal: error rates, comparisons, amounts of labels, noise."""
    return [
        *(rates(results, partition) for partition in shown_partitions(results)),
        *fold_tables(results),
        *comparisons(results),
        *(label_efficiency(results, family) for family in families(results)),
        *(noise_table(results, partition) for partition in noisy_partitions(results)),
    ]


def other_rates(results: Results) -> list[Table]:
    """Make the tables of error rates under the partitions that do not come first."""
    shown = shown_partitions(results)
    every = dict.fromkeys(s["partition"] for s in recognised(results))
    return [rates(results, partition) for partition in every if partition not in shown]


def all_tables(results: Results) -> list[Table]:
    """Make every table of recognisers."""
    groups = filled([*(per_group(results, group) for group in GROUPS), per_speaker(results)])
    details = [decoding(results, partition) for partition in shown_partitions(results)]
    return [*main_tables(results), *groups, *details, *other_rates(results)]
