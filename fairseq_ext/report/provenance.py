"""Where figures come from: the data's origin, commits, devices, and every scored system with its command."""

from __future__ import annotations

from collections.abc import Sequence

from ..scoring.scored_system import result_type_of
from .partitions import Results, Summary, family_of, shown_family, system_title
from .pieces import Block, Piece
from .registry import RESULT_TYPES
from .result_type import Section
from .run import Run
from .tables import NOTHING, Table

# Nobody reads a longer table to its end.
MAX_SETTINGS = 100


def synthetic_note(results: Results) -> str | None:
    """Return the warning for figures that were not measured on real recordings, or None."""
    if results["data"] == "real":
        return None
    speech = "Synthetic speech" if results["data"] == "synthetic" else "Partly synthetic speech"
    return (
        f"{speech}: these figures show that the system runs. They say nothing about real speakers and must "
        "not be compared with published figures."
    )


def short_commit(commit: str) -> str:
    """Shorten a commit's hash to 12 digits, with `-dirty` where the checkout had changes."""
    return commit[:12] + ("-dirty" if commit.endswith("-dirty") else "")


def origins(results: Results) -> list[str]:
    """List the origin of the data, and the seeds, commits and devices of the scored systems."""
    systems = results["systems"]
    seeds = sorted({s["seed"] for s in systems})
    commits = sorted({short_commit(s["commit"]) for s in systems})
    devices = sorted({s.get("device", "unknown") for s in systems})
    mixed = [s for s in (*results["summary"], *results.get("pooled", [])) if len(s["config_hashes"]) > 1]
    return [
        f"Data: {results['data']}. Scored systems: {len(systems)}. Seeds: {', '.join(map(str, seeds))}.",
        f"Commit: {', '.join(commits)}. Device: {', '.join(devices)}.",
        *(
            f"Warning: the {'seeds and folds' if 'folds' in s else 'seeds'} of {s['system']} ({s['partition']}) were "
            f"trained with different settings ({', '.join(s['config_hashes'])})."
            for s in mixed
        ),
    ]


def settings(results: Results) -> Table:
    """List the configurations behind the summary; of more than `MAX_SETTINGS`, count them by family of partitions."""
    if len(results["summary"]) > MAX_SETTINGS:
        return _settings_of_families(results)
    header = ("System", "Partition", "Seeds", "Config hash", "Recordings")
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
    return Table("settings", "Settings", header, lines)


def _settings_of_families(results: Results) -> Table:
    families: dict[str, list[Summary]] = {}
    own = [family_of(s["partition"]) or s["partition"] for s in results["summary"]]
    for family, s in zip(own, results["summary"], strict=True):
        families.setdefault(shown_family(family, own), []).append(s)
    lines = []
    for family, found in families.items():
        partitions = {s["partition"]: s["n"] for s in found}
        seeds = sorted({seed for s in found for seed in s["seeds"]})
        counts = (
            len(partitions),
            len({s["system"] for s in found}),
            len({h for s in found for h in s["config_hashes"]}),
        )
        lines.append((family, *map(str, counts), ", ".join(map(str, seeds)), str(sum(partitions.values()))))
    header = ("Partitions", "Number", "Systems", "Config hashes", "Seeds", "Recordings")
    note = "results.json holds the configuration hash of each scored system."
    return Table("settings", "Settings", header, tuple(lines), note)


def provenance(run: Run) -> Sequence[Piece]:
    """Show every scored system and the commands that scored them."""
    systems = run.results["systems"]
    header = ("System", "Partition", "Seed", "n", "Figures", "Commit", "Config", "Device", "Data")
    lines = tuple(
        (
            *(system_title(run.results, s["system"]), s["partition"], str(s["seed"]), str(s["n"])),
            *(RESULT_TYPES[result_type_of(s)].figures(s), short_commit(s["commit"]), s["config_hash"]),
            *(s.get("device", NOTHING), s["data"]),
        )
        for s in systems
    )
    table = Table("systems", "Every scored system", header, lines)
    return [Block("provenance", {"table": table, "commands": sorted({s["command"] for s in systems})})]


SECTION = Section("provenance", "Provenance", provenance)
