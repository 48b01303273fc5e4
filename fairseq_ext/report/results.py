"""results.json: every scored row of a run, and the summary over seeds; and RESULTS.md, made from it alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..manifest import atomic_write
from ..scoring.scored_system import COMMON, kind_of, scores_folder
from ..scoring.seeds import mean_of
from . import extras
from .earlier_formats import FORMAT, upgrade, with_current_keys
from .result_types import RESULT_TYPES

Results = Mapping[str, Any]


def read_rows(run: Path) -> list[dict[str, Any]]:
    """Reads every metrics.json below a run's `rows` folder.

    Args:
        run: run folder. Its own path is written as `RUN` in the rows' commands.

    Returns:
        The rows, ordered by partition, row and seed.

    Raises:
        ValueError: a file is not of the format, or two files describe the same row.
    """
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    for path in sorted(scores_folder(run).rglob("metrics.json")):
        row = _read_row(path)
        key = (row["partition"], row["system"], row["seed"])
        if key in rows:
            raise ValueError(
                f"{path}: expected one file per row, found {key} twice; remove one of the folders"
            )
        row["command"] = (
            str(row.get("command", "")).replace(str(run.resolve()), "RUN").replace(str(run), "RUN")
        )
        rows[key] = row
    return [rows[key] for key in sorted(rows)]


def _read_row(path: Path) -> dict[str, Any]:
    try:
        row = with_current_keys(json.loads(path.read_text(encoding="utf-8")))
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected JSON, found {error}; delete it and rerun tools/evaluate.py"
        ) from error
    if kind_of(row) not in RESULT_TYPES:
        raise ValueError(
            f"{path}: expected a kind among {list(RESULT_TYPES)}, found {row['kind']!r}; update the checkout "
            "or delete it"
        )
    required = (*COMMON, *RESULT_TYPES[kind_of(row)].required)
    if missing := [key for key in required if key not in row]:
        raise ValueError(
            f"{path}: expected the keys {required}, found none for {missing}; delete it and rerun the tool that "
            "wrote it"
        )
    return row


def summarise(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Puts the seeds of each system and partition together.

    Args:
        rows: what the metrics.json files hold.

    Returns:
        One entry per partition and row, in that order.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["partition"], row["system"]), []).append(row)
    return [_summary(partition, name, groups[partition, name]) for partition, name in sorted(groups)]


def _summary(partition: str, name: str, seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    kinds = sorted({kind_of(row) for row in seeds})
    if len(kinds) > 1:
        raise ValueError(
            f"{partition}/{name}: seeds of one kind expected, found {kinds}; score another system under another name"
        )
    return {
        "partition": partition,
        "system": name,
        "kind": kinds[0],
        "seeds": [row["seed"] for row in seeds],
        "n": seeds[0]["n"],
        "config_hashes": sorted({row["config_hash"] for row in seeds}),
        "num_parameters": seeds[0].get("num_parameters"),
        "train_s": mean_of(seeds, "train_s"),
        **RESULT_TYPES[kinds[0]].summarise(seeds),
    }


def collect(run: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Gathers a run's rows into what results.json holds.

    Args:
        run: run folder.
        about: what the recipe says of itself, see `about.KEYS`.

    Returns:
        The results.

    Raises:
        ValueError: there are no rows, or one is not of the format.
    """
    rows = read_rows(run)
    if not rows:
        raise ValueError(
            f"{scores_folder(run)}: expected metrics.json files, found none; run tools/evaluate.py first"
        )
    origins = {row["data"] for row in rows}
    extra = extras.read_tables(run)
    return {
        "format": FORMAT,
        "about": dict(about),
        "data": origins.pop() if len(origins) == 1 else "mixed",
        "summary": summarise(rows),
        **({"tables": extra} if extra else {}),
        "systems": rows,
    }


def dumps(results: Results) -> str:
    """Writes results as JSON with one row per line, so that a change shows as few lines.

    Args:
        results: what `collect` returned.

    Returns:
        The text of results.json.
    """
    parts = []
    for key, value in results.items():
        if isinstance(value, list):
            lines = ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in value)
            parts.append(f" {json.dumps(key)}: [\n{lines}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write_results(run: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Gathers a run's rows and writes results.json and RESULTS.md.

    Args:
        run: run folder.
        about: see `collect`.

    Returns:
        The results.
    """
    from .markdown import markdown

    results = json.loads(dumps(collect(run, about)))
    with atomic_write(run / "results.json") as file:
        file.write(dumps(results))
    with atomic_write(run / "RESULTS.md") as file:
        file.write(markdown(results))
    return dict(results)


def read_results(path: Path) -> dict[str, Any]:
    """Reads results.json.

    Args:
        path: the file.

    Returns:
        The results.

    Raises:
        ValueError: the file has another format.
    """
    results = upgrade(json.loads(Path(path).read_text(encoding="utf-8")))
    if results.get("format") != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, found {results.get('format')}; rerun tools/report.py"
        )
    return results


def stale_results_page(folder: Path) -> str | None:
    """Compares a committed RESULTS.md with what its results.json gives.

    Args:
        folder: folder that holds both.

    Returns:
        None when they agree; otherwise what to do.
    """
    from .markdown import markdown

    expected = markdown(read_results(folder / "results.json"))
    found = (folder / "RESULTS.md").read_text(encoding="utf-8")
    if found == expected:
        return None
    pairs = zip(expected.splitlines(), found.splitlines(), strict=False)
    line = next(
        (i for i, (a, b) in enumerate(pairs, 1) if a != b), min(expected.count("\n"), found.count("\n")) + 1
    )
    return (
        f"{folder}/RESULTS.md:{line}: expected the text that results.json gives, found another; "
        f"rerun tools/report.py --markdown {folder}"
    )


def rewrite_markdown(folder: Path) -> Path:
    """Writes RESULTS.md again from the results.json beside it.

    Args:
        folder: folder that holds both.

    Returns:
        The page's path.
    """
    from .markdown import markdown

    with atomic_write(folder / "RESULTS.md") as file:
        file.write(markdown(read_results(folder / "results.json")))
    return folder / "RESULTS.md"
