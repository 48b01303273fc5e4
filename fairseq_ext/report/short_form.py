"""What results.json keeps of the results of a run: what RESULTS.md is made of, each thing once.

A run of many systems and folds repeats itself. What several scored systems share, such as the command, is listed once
under `origins`. Figures keep 7 significant digits. A type of result may leave out details (`ShortForm`), which
metrics.json of each scored system holds; the summaries of its single folds are left out too, and are made again from
the scored systems when the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..scoring.scored_system import result_type_of
from .partitions import detailed_system, headlines
from .registry import RESULT_TYPES
from .result_type import ShortForm
from .seed_summaries import summarise

Entry = dict[str, Any]
Entries = Sequence[Mapping[str, Any]]
DIGITS = 7
# What many scored systems share: one command scored them.
ORIGIN = ("commit", "command", "device")


def rounded(value: Any) -> Any:
    """Round every float of a JSON structure to `DIGITS` significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def shorten(results: Mapping[str, Any]) -> Entry:
    """Return what results.json holds of the results that `results.collect` gathers."""
    shown = {
        (headline, detailed_system(results, headline, name))
        for name in RESULT_TYPES
        for headline in headlines(results, name)
    }
    folds = {(p, result_type_of(s)) for s in results.get("pooled", []) for p in s["folds"]}
    single = [
        s for s in results["summary"] if not (_form(s) and (s["partition"], result_type_of(s)) in folds)
    ]
    short: Entry = {**results, "summary": _short_summaries(single, shown)}
    if "pooled" in results:
        short["pooled"] = _short_summaries(results["pooled"], shown)
    systems = [form.system(s) if (form := _form(s)) else s for s in results["systems"]]
    return {**short, **_origins_apart(systems)}


def expand(stored: Mapping[str, Any]) -> Entry:
    """Return the results that the report reads, of what results.json holds; nothing that was left out is needed."""
    full = {key: value for key, value in stored.items() if key != "origins"}
    full["systems"] = [_with_origin(s, stored.get("origins", [])) for s in stored["systems"]]
    known = {(s["partition"], s["system"]) for s in stored["summary"]}
    folds = summarise(s for s in full["systems"] if (s["partition"], s["system"]) not in known)
    full["summary"] = sorted([*stored["summary"], *folds], key=lambda s: (s["partition"], s["system"]))
    return full


def _form(entry: Mapping[str, Any]) -> ShortForm | None:
    return RESULT_TYPES[result_type_of(entry)].short_form


def _short_summaries(entries: Entries, shown: set[tuple[str, str | None]]) -> list[Mapping[str, Any]]:
    return [
        form.summary(s, (s["partition"], s["system"]) in shown) if (form := _form(s)) else s for s in entries
    ]


def _origins_apart(systems: Entries) -> Entry:
    """Return `origins`, each once, and `systems` with the number of theirs."""
    origins: dict[str, int] = {}
    numbered = []
    for system in systems:
        origin = {key: system[key] for key in ORIGIN if key in system}
        number = origins.setdefault(json.dumps(origin), len(origins))
        numbered.append({**{k: v for k, v in system.items() if k not in ORIGIN}, "origin": number})
    return {"origins": [json.loads(origin) for origin in origins], "systems": numbered}


def _with_origin(system: Mapping[str, Any], origins: Entries) -> Entry:
    found = dict(system)
    return found | dict(origins[found.pop("origin")]) if "origin" in found else found
