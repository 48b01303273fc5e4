"""The plan.yaml of a recipe, what it trains; `trainings` expands it by the options of a run.

plan.yaml holds, all of it optional:

  trainings     stage -> entries; an entry is a training for each of its systems, partitions and seeds:
    system        name, or several; checkpoints go to RUN/train/PARTITION/SYSTEM/seedN. A * stands for the NAME of each
                  --start NAME=FROM, such as ctc_from_*
    config        conf/CONFIG.yaml (default: named as the system)
    partitions    patterns of folders below RUN/manifests, or `--labels`: those that this option chooses
    among         patterns: of those partitions only the ones that match (default: all of them)
    start         PARTITION/SYSTEM of the training whose checkpoint of the same seed goes to model.pretrained_path;
                  --pretrained takes its place and is not trained, as does FROM for a system with *: a checkpoint, a
                  folder of Hugging Face or, where the entry has a start, a run. `--whisper`: the folder of that option;
                  without it the entry is not trained
    overrides     further arguments of fairseq-hydra-train; or system -> its own, in the place of `system`
    seeds         most seeds (default: as many as --seeds says)
    one_seed_partitions   most partitions of a pattern where --seeds is 1
    experiments   the entry is for these --experiments; where it names several, all of them must be chosen
  experiments   those that are trained unless --experiments says otherwise
  labels        patterns of the partitions that --labels chooses among (default: all of them)
  sizes         name of --size, or `default` -> what differs beside the overlays conf/*size/NAME.yaml:
    settings      as of --set: CONFIG.KEY=VALUE
    labels        as of --labels
    partitions_per_pattern   most partitions of a pattern
    tools         tool -> its options, which take the place of those of `default`
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

LABELS = ["--labels"]  # as `partitions` of an entry
WHISPER = "--whisper"  # as `start` of an entry


@dataclass(frozen=True)
class Entry:
    """An entry of `trainings`; the docstring of the module explains the keys."""

    system: tuple[str, ...]
    partitions: tuple[str, ...]
    config: str = ""
    start: str = ""
    overrides: tuple[str, ...] = ()
    seeds: int = 0
    one_seed_partitions: int = 0
    experiments: tuple[str, ...] = ()
    among: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    """What a --size changes; the docstring of the module explains the keys."""

    settings: tuple[str, ...] = ()
    labels: str = ""
    partitions_per_pattern: int = 0
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The content of a plan.yaml."""

    recipe: Path
    trainings: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    experiments: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        """Return the entries of all stages."""
        return [entry for stage in self.trainings.values() for entry in stage]

    @property
    def known_experiments(self) -> list[str]:
        """Return every name that --experiments may have, in the order of the file."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.experiments))

    @property
    def starts(self) -> set[str]:
        """Return PARTITION/SYSTEM of the trainings that others start from."""
        return {entry.start for entry in self.entries}


def _build(cls: Any, content: Any, where: str, **given: Any) -> Any:
    """Make a dataclass of a mapping; raise ValueError for keys that it lacks, and where one is missing."""
    if not isinstance(content, dict):
        raise ValueError(f"{where}: expected keys with values, found {content!r}; see tools/plan.py --help")
    known = [f.name for f in fields(cls) if f.name not in given]
    if unknown := [str(key) for key in content if key not in known]:
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; choose from {', '.join(known)}")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in content.items()}
    try:
        return cls(**given, **values)
    except TypeError as error:
        raise ValueError(f"{where}: {str(error).partition(') ')[2]}; see tools/plan.py --help") from error


def _entry(content: Any, where: str) -> Entry:
    several = ("system", "partitions", "overrides", "experiments", "among")
    if isinstance(content, dict):
        content = {k: [v] if k in several and isinstance(v, str) else v for k, v in content.items()}
    entry: Entry = _build(Entry, content, where)
    return entry


def _of_each_system(content: Any, where: str) -> Iterator[Entry]:
    """Yield an entry for each system that `overrides` names, or the entry itself."""
    if not isinstance(content, dict) or not isinstance(of_system := content.get("overrides"), dict):
        yield _entry(content, where)
        return
    if "system" in content:
        raise ValueError(f"{where}: the overrides name the systems; leave system out")
    for system, overrides in of_system.items():
        yield _entry({**content, "system": system, "overrides": overrides}, where)


def read_plan(recipe: Path) -> Plan:
    """Read the plan.yaml of a recipe; raise ValueError if it is no YAML, or has a key that nothing reads."""
    path = recipe / "plan.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    plan: Plan = _build(Plan, content, str(path), recipe=recipe)
    trainings = {
        stage: tuple(
            entry
            for i, content in enumerate(entries, start=1)
            for entry in _of_each_system(content, f"{path}: {stage}, entry {i}")
        )
        for stage, entries in plan.trainings.items()
    }
    sizes = {name: _build(Size, size, f"{path}: size {name}") for name, size in plan.sizes.items()}
    return Plan(recipe, trainings, plan.experiments, plan.labels, sizes)
