"""Gather the scored systems of a run into results.json, summarise them over seeds, write RESULTS.md from it alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import atomic_write
from ..scoring.scored_system import COMMON, read_json, result_type_of, scores_folder
from . import extras
from .earlier_formats import FORMAT, upgrade, with_current_keys
from .folds import pooled_systems
from .markdown import markdown
from .partitions import Results
from .registry import RESULT_TYPES
from .seed_summaries import summarise
from .short_form import expand, rounded, shorten


def read_systems(run: Path) -> list[dict[str, Any]]:
    """Read every metrics.json of a run, ordered by partition, system and seed.

    In the commands that scored the systems, the path of the run is replaced by `RUN`, that of the home folder by `~`.

    Raises:
        ValueError: a file is damaged, or two files describe the same system.
    """
    systems: dict[tuple[str, str, int], dict[str, Any]] = {}
    for path in sorted(scores_folder(run).rglob("metrics.json")):
        system = _read_system(path)
        key = (system["partition"], system["system"], system["seed"])
        if key in systems:
            raise ValueError(f"{path}: {key} was scored twice; remove one of the two folders")
        command = str(system.get("command", ""))
        # The absolute path first, since a relative one is its end.
        command = command.replace(str(run.resolve()), "RUN").replace(str(run), "RUN")
        system["command"] = command.replace(f"{Path.home()}/", "~/")
        systems[key] = system
    return [systems[key] for key in sorted(systems)]


def _read_system(path: Path) -> dict[str, Any]:
    system = with_current_keys(read_json(path))
    if result_type_of(system) not in RESULT_TYPES:
        raise ValueError(
            f"{path}: expected a result type (kind) among {list(RESULT_TYPES)}, found {system['kind']!r}; update the "
            "checkout or delete the file"
        )
    required = (*COMMON, *RESULT_TYPES[result_type_of(system)].required)
    if missing := [key for key in required if key not in system]:
        raise ValueError(
            f"{path}: no value for {missing}, required are {required}; delete it and score the system again"
        )
    if system.get("choice"):  # everything that was compared stays in metrics.json
        system["choice"] = {key: value for key, value in system["choice"].items() if key != "inner"}
    return system


def _pooled(run: Path, systems: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarise the pooled folds of each family; `folds` lists their partitions."""
    found = list(pooled_systems(run, systems))
    folds = {(system["partition"], system["system"]): partitions for partitions, system in found}
    summary = summarise(system for _, system in found)
    hashes: dict[tuple[str, str], set[str]] = {}
    for system in systems:
        hashes.setdefault((system["partition"], system["system"]), set()).add(system["config_hash"])
    for s in summary:
        s["folds"] = folds[s["partition"], s["system"]]
        s["config_hashes"] = sorted(set[str]().union(*(hashes[p, s["system"]] for p in s["folds"])))
    return summary


def collect(run: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the scored systems of a run into what the report reads; results.json holds it in short.

    Raises:
        ValueError: nothing was scored, or a file is damaged.
    """
    systems = read_systems(run)
    if not systems:
        raise ValueError(
            f"{scores_folder(run)}: no metrics.json below it; score a system first (fairseq-ext score classifier)"
        )
    origins = {system["data"] for system in systems}
    optional = {"pooled": _pooled(run, systems), "tables": extras.read_tables(run)}
    return {
        "format": FORMAT,
        "about": dict(about),
        "data": origins.pop() if len(origins) == 1 else "mixed",
        "summary": summarise(systems),
        **{key: value for key, value in optional.items() if value},
        "systems": systems,
    }


def dumps(results: Results) -> str:
    """Write results as JSON with one system per line, so that a diff shows the few that changed."""
    parts = []
    for key, value in results.items():
        if isinstance(value, list):
            lines = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_results(run: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the scored systems of a run, write results.json and RESULTS.md, and return everything that was gathered.

    Args:
        run: the run folder.
        about: the recipe's report.json.
    """
    results: dict[str, Any] = rounded(json.loads(json.dumps(collect(run, about))))
    with atomic_write(run / "results.json") as file:
        file.write(dumps(shorten(results)))
    rewrite_markdown(run)
    return results


def read_results(path: Path) -> dict[str, Any]:
    """Read results.json, of this format or an earlier one.

    Raises:
        ValueError: the file has an unknown format.
    """
    results = upgrade(read_json(path, "rerun fairseq-ext report page"))
    if results.get("format") != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, found {results.get('format')}; rerun fairseq-ext report page"
        )
    return expand(results)


def stale_results_page(folder: Path) -> str | None:
    """Compare a committed RESULTS.md with what its results.json gives; return what to do, or None when they agree."""
    expected = markdown(read_results(folder / "results.json"))
    found = (folder / "RESULTS.md").read_text(encoding="utf-8")
    if found == expected:
        return None
    pairs = zip(expected.splitlines(), found.splitlines(), strict=False)
    line = next(
        (i for i, (a, b) in enumerate(pairs, 1) if a != b), min(expected.count("\n"), found.count("\n")) + 1
    )
    return (
        f"{folder}/RESULTS.md:{line}: differs from what results.json gives; run fairseq-ext report page --markdown "
        f"{folder}"
    )


def rewrite_markdown(folder: Path) -> Path:
    """Write RESULTS.md from the results.json beside it; return its path."""
    with atomic_write(folder / "RESULTS.md") as file:
        file.write(markdown(read_results(folder / "results.json")))
    return folder / "RESULTS.md"
