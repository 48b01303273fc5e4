"""The trainings of a recipe's stage: plan.yaml expanded by the options of a run."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .choice import Choice
from .hydra_overrides import override
from .plan_yaml import LABELS, WHISPER, Entry, Plan, Size

LAST_CHECKPOINT = "checkpoint_last.pt"
HUGGING_FACE = "config.json"  # a folder that holds it is an encoder and no run


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        system: name of the system.
        config: name of its file in conf/, without .yaml.
        partition: folder below manifests/.
        seed: random seed.
        overrides: arguments of fairseq-hydra-train beside those that every training has.
        start: checkpoint that it begins with, if any.
        origin: what to do where `start` is missing.
    """

    system: str
    config: str
    partition: str
    seed: int
    overrides: tuple[str, ...] = ()
    start: Path | None = None
    origin: str = ""

    def __str__(self) -> str:
        """Return the name for messages."""
        return f"{self.partition}/{self.system} seed {self.seed}"


def stage_trainings(plan: Plan, stage: str, choice: Choice, run: Path) -> list[Training]:
    """List what a stage trains, by seed, then as the plan lists it.

    Raises:
        ValueError: there is no such stage, or --labels names a partition that the run folder lacks.
    """
    if stage not in plan.trainings:
        raise ValueError(
            f"{plan.recipe / 'plan.yaml'}: no stage {stage}; choose from {', '.join(plan.trainings)}"
        )
    chosen = [entry for entry in plan.trainings[stage] if _is_chosen(entry, plan, choice)]
    partitions = {
        entry: _matching_any(entry.among, _partitions(entry, plan, choice, run / "manifests"))
        for entry in chosen
    }
    return [
        training
        for seed in range(1, choice.seeds + 1)
        for entry in chosen
        if seed <= (entry.seeds or choice.seeds)
        for partition in partitions[entry]
        for training in _of_entry(entry, partition, seed, plan, choice, run)
        if not (choice.pretrained and f"{partition}/{training.system}" in plan.starts)
    ]


def one_of_each(plan: Plan, choice: Choice, run: Path) -> list[Training]:
    """List one training of each entry, system and seed, its first pattern as partition: manifests are not needed."""
    pairs = [(entry, seed) for entry in plan.entries for seed in range(1, choice.seeds + 1)]
    return [
        t for entry, seed in pairs for t in _of_entry(entry, entry.partitions[0], seed, plan, choice, run)
    ]


def _is_chosen(entry: Entry, plan: Plan, choice: Choice) -> bool:
    experiments = choice.experiments.split(",") if choice.experiments else plan.experiments
    return set(entry.experiments) <= set(experiments)


def _size(plan: Plan, choice: Choice) -> Size:
    return plan.sizes.get(choice.overlay or "default", Size())


def _partitions(entry: Entry, plan: Plan, choice: Choice, manifests: Path) -> list[str]:
    if list(entry.partitions) == LABELS:
        return _labels(plan, choice, manifests)
    one_seed = entry.one_seed_partitions if choice.seeds == 1 else 0
    limits = [limit for limit in (one_seed, _size(plan, choice).partitions_per_pattern) if limit]
    found = (_matching(manifests, pattern)[: min(limits, default=None)] for pattern in entry.partitions)
    return list(dict.fromkeys(name for names in found for name in names))


def _matching_any(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    return [name for name in names if not patterns or any(fnmatch(name, pattern) for pattern in patterns)]


def _matching(manifests: Path, pattern: str) -> list[str]:
    folders = (path for path in manifests.glob(pattern) if path.is_dir())
    return sorted(path.relative_to(manifests).as_posix() for path in folders)


def _labels(plan: Plan, choice: Choice, manifests: Path) -> list[str]:
    known = list(dict.fromkeys(name for pattern in plan.labels for name in _matching(manifests, pattern)))
    chosen = choice.labels or _size(plan, choice).labels or ",".join(plan.labels)
    found: list[str] = []
    for pattern in chosen.split(","):
        matching = [name for name in known if fnmatch(name, pattern)]
        # a corpus may be too small for a pattern, but a name must be there
        if not matching and not re.search(r"[*?]", pattern):
            raise ValueError(f"--labels {chosen}: {manifests} has no {pattern}; {_offered(known, manifests)}")
        found += [name for name in matching if name not in found]
    if not found:
        raise ValueError(f"--labels {chosen}: nothing in {manifests} matches; {_offered(known, manifests)}")
    return found


def _offered(known: Sequence[str], manifests: Path) -> str:
    """Say which partitions can be chosen, or of a corpus too small for any which folders there are."""
    if known:
        return f"choose from {' '.join(known)}"
    folders = " ".join(_matching(manifests, "*")) or "no folder"
    return f"there is only {folders}, which the recipe does not train on; is the corpus too small? See its problems"


def _of_entry(
    entry: Entry, partition: str, seed: int, plan: Plan, choice: Choice, run: Path
) -> Iterator[Training]:
    for system, start, origin in _starts(entry, seed, choice, run):
        config = entry.config or system
        overrides = [*entry.overrides]
        if start:
            overrides.append(override("model.pretrained_path", start))
        if not (run / "manifests" / partition / "valid.tsv").is_file():
            overrides.append("dataset.disable_validation=true")  # no learning curve without a valid split
        overrides += _sized(plan, config, system, choice)
        yield Training(system, config, partition, seed, tuple(overrides), start, origin)


def _starts(entry: Entry, seed: int, choice: Choice, run: Path) -> Iterator[tuple[str, Path | None, str]]:
    """Yield each system of an entry with its first checkpoint, and what to do where that is missing."""
    path: Path | None
    for system in entry.system:
        if entry.start == WHISPER:
            if choice.whisper:
                yield system, Path(choice.whisper).resolve(), "--whisper: no folder {}"
        elif "*" in system:
            for name, source in choice.starts.items():
                is_run = entry.start and source.is_dir() and not (source / HUGGING_FACE).is_file()
                path = _checkpoint(source, entry.start, seed) if is_run else source
                hint = f"--start {name}={source}: no checkpoint {{}}; pre-train as many --seeds there"
                yield system.replace("*", name), path.resolve(), hint
        elif choice.pretrained and entry.start:
            yield system, Path(choice.pretrained).resolve(), "--pretrained: no checkpoint {}"
        else:
            path = _checkpoint(run, entry.start, seed) if entry.start else None
            yield system, path, "no checkpoint {}; run stage pretrain first"


def _checkpoint(run: Path, name: str, seed: int) -> Path:
    return run / "train" / name / f"seed{seed}" / LAST_CHECKPOINT


def _sized(plan: Plan, config: str, system: str, choice: Choice) -> Iterator[str]:
    """Yield overlays and settings of the size, then those of --set, which come last so that they win.

    An overlay is for every training (size/), for those of a config (finetune_size/), for those of one of its systems
    (finetune_random_size/, for ctc_random), or for such a system of any config (unpretrained_size/).
    """
    kind = system.partition("_")[2]
    for folder in ("size", f"{config}_size", f"{kind}_size", f"{config}_{kind}_size"):
        if choice.overlay and (plan.recipe / "conf" / folder / f"{choice.overlay}.yaml").is_file():
            yield f"+{folder}={choice.overlay}"
    for setting in (*_size(plan, choice).settings, *choice.set):
        if setting.startswith(f"{config}."):
            yield setting.removeprefix(f"{config}.")


def check_starts(trainings: Sequence[Training]) -> None:
    """Raise FileNotFoundError for the first training whose start is missing."""
    for training in trainings:
        if training.start and not training.start.exists():
            raise FileNotFoundError(training.origin.replace("{}", str(training.start)))


def tool_options(plan: Plan, tool: str, choice: Choice) -> list[str]:
    """List the options of a tool that the size decides, those of the size `default` where it is silent."""
    sizes = (_size(plan, choice), plan.sizes.get("default", Size()))
    options: Mapping[str, Any] = next((size.tools[tool] for size in sizes if tool in size.tools), {})
    found: list[str] = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [] if value is True else [value]
        found += [f"--{name}", *map(str, values)]
    return found
