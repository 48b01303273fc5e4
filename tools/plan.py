#!/usr/bin/env python3
"""Expand recipes/NAME/plan.yaml, what a recipe trains, by the options that its run.sh was given.

plan.yaml holds, all of it optional:

  trainings     stage -> entries; an entry is a training for each of its systems, partitions and seeds:
    system        name, or several; checkpoints go to RUN/train/PARTITION/SYSTEM/seedN. A * stands for the NAME of each
                  --start NAME=FROM, such as ctc_from_*
    config        conf/CONFIG.yaml (default: named as the system)
    partitions    patterns of folders below RUN/manifests, or `--labels`: those that this option chooses
    start         PARTITION/SYSTEM of the training whose checkpoint of the same seed goes to model.pretrained_path;
                  --pretrained takes its place and is not trained, as does FROM for a system with *
    overrides     further arguments of fairseq-hydra-train
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

  tools/plan.py RECIPE RUN check              stop at the first option that makes no sense
  tools/plan.py RECIPE RUN starts             stop where --start names a run without the checkpoint
  tools/plan.py RECIPE RUN trainings STAGE    what STAGE trains, a line each; stops where a start is missing
  tools/plan.py RECIPE RUN partitions STAGE   its partitions, a line each; --system and --seed choose among them
  tools/plan.py RECIPE RUN tool NAME          options of a tool for this size, a line each
  tools/plan.py RECIPE RUN choice             what decides about the content of a run folder, in one line
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

LABELS = ["--labels"]  # as `partitions` of an entry
LAST_CHECKPOINT = "checkpoint_last.pt"


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


@dataclass(frozen=True)
class Choice:
    """The options of run.sh that decide what is trained.

    Attributes:
        seeds: trainings have the seeds 1 to this one.
        size: name of the size; empty for the settings of conf/*.yaml.
        smoke: take the size `smoke` instead of `size`.
        experiments: names of those to train; empty for the plan's own choice.
        labels: patterns of partitions with labels, with commas between them; empty for those of the size.
        pretrained: checkpoint that takes the place of every `start`; empty for none.
        start: NAME=FROM each, FROM a checkpoint or the folder of a run of the same recipe.
        set: CONFIG.KEY=VALUE each.
    """

    seeds: int = 1
    size: str = ""
    smoke: bool = False
    experiments: str = ""
    labels: str = ""
    pretrained: str = ""
    start: tuple[str, ...] = ()
    set: tuple[str, ...] = ()

    @property
    def overlay(self) -> str:
        """Return the name of the size that counts."""
        return "smoke" if self.smoke else self.size

    @property
    def starts(self) -> dict[str, Path]:
        """Return the checkpoint or run folder of each --start, by its NAME."""
        return {name: Path(source) for name, _, source in (text.partition("=") for text in self.start)}


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
    several = ("system", "partitions", "overrides", "experiments")
    if isinstance(content, dict):
        content = {k: [v] if k in several and isinstance(v, str) else v for k, v in content.items()}
    entry: Entry = _build(Entry, content, where)
    return entry


def read_plan(recipe: Path) -> Plan:
    """Read the plan.yaml of a recipe.

    Args:
        recipe: folder of the recipe.

    Returns:
        The plan.

    Raises:
        ValueError: it is no YAML, or has a key that nothing reads.
    """
    path = recipe / "plan.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    plan: Plan = _build(Plan, content, str(path), recipe=recipe)
    trainings = {
        stage: tuple(_entry(entry, f"{path}: {stage}, entry {i}") for i, entry in enumerate(entries, start=1))
        for stage, entries in plan.trainings.items()
    }
    sizes = {name: _build(Size, size, f"{path}: size {name}") for name, size in plan.sizes.items()}
    return Plan(recipe, trainings, plan.experiments, plan.labels, sizes)


def check_choice(plan: Plan, choice: Choice) -> None:
    """Raise ValueError for the first option that makes no sense for a recipe, whatever its run folder holds."""
    known = plan.known_experiments
    for name in filter(None, choice.experiments.split(",")):
        if name not in known:
            raise ValueError(f"--experiments {name}: no such experiment; choose from {', '.join(known)}")
    _check_size(plan, choice.size)
    _check_starts(choice)
    configs = sorted(path.stem for path in (plan.recipe / "conf").glob("*.yaml"))
    for setting in choice.set:
        key, _, value = setting.partition("=")
        if key.partition(".")[0] not in configs or not key.partition(".")[2] or not value:
            raise ValueError(
                f"--set {setting}: expected CONFIG.KEY=VALUE with a CONFIG of {', '.join(configs)}"
            )


def _check_size(plan: Plan, size: str) -> None:
    overlays = {path.stem for path in (plan.recipe / "conf").glob("*size/*.yaml")}
    if size and size not in overlays | plan.sizes.keys():
        sizes = sorted((overlays | plan.sizes.keys()) - {"default"})
        raise ValueError(
            f"--size {size}: no such size; choose from {', '.join(sizes)}, or add conf/size/{size}.yaml"
        )


def _check_starts(choice: Choice) -> None:
    pretrained = Path(choice.pretrained)
    if (pretrained / "config.json").is_file():
        raise ValueError(
            f"--pretrained {pretrained}: a Hugging Face folder; run tools/convert_checkpoint.py {pretrained} "
            "start.pt, and give start.pt"
        )
    if choice.pretrained and not pretrained.is_file():
        raise ValueError(f"--pretrained {pretrained}: no such file; give a checkpoint")
    for start in choice.start:
        name, _, source = start.partition("=")
        if not re.fullmatch("[a-z0-9_]+", name) or not source:
            raise ValueError(f"--start {start}: expected NAME=FROM, with a NAME of a-z, 0-9 and _")
        if not Path(source).exists():
            raise ValueError(f"--start {start}: no such checkpoint or run folder")
    if len(choice.starts) < len(choice.start):
        raise ValueError(f"--start {choice.start[-1]}: this NAME was given before; choose another NAME")


def stage_trainings(plan: Plan, stage: str, choice: Choice, run: Path) -> list[Training]:
    """List what a stage trains.

    Args:
        plan: the plan of the recipe.
        stage: name of the stage, a key of `trainings`.
        choice: options of run.sh.
        run: run folder, with the manifests.

    Returns:
        The trainings, by seed, then as the plan lists them.

    Raises:
        ValueError: there is no such stage, or --labels names a partition that the run lacks.
    """
    if stage not in plan.trainings:
        raise ValueError(
            f"{plan.recipe / 'plan.yaml'}: no stage {stage}; choose from {', '.join(plan.trainings)}"
        )
    chosen = [entry for entry in plan.trainings[stage] if _is_chosen(entry, plan, choice)]
    partitions = {entry: _partitions(entry, plan, choice, run / "manifests") for entry in chosen}
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
            raise ValueError(
                f"--labels {chosen}: {manifests} has no {pattern}; choose from {' '.join(known)}"
            )
        found += [name for name in matching if name not in found]
    if not found:
        raise ValueError(f"--labels {chosen}: nothing in {manifests} matches; choose from {' '.join(known)}")
    return found


def _of_entry(
    entry: Entry, partition: str, seed: int, plan: Plan, choice: Choice, run: Path
) -> Iterator[Training]:
    for system, start, origin in _starts(entry, seed, choice, run):
        config = entry.config or system
        overrides = [*entry.overrides]
        if start:
            overrides.append(f"model.pretrained_path={start}")
        if not (run / "manifests" / partition / "valid.tsv").is_file():
            overrides.append("dataset.disable_validation=true")  # no learning curve without a valid split
        overrides += _sized(plan, config, system, choice)
        yield Training(system, config, partition, seed, tuple(overrides), start, origin)


def _starts(entry: Entry, seed: int, choice: Choice, run: Path) -> Iterator[tuple[str, Path | None, str]]:
    """Yield each system of an entry with its first checkpoint, and what to do where that is missing."""
    path: Path | None
    for system in entry.system:
        if "*" in system:
            for name, source in choice.starts.items():
                path = _checkpoint(source, entry.start, seed) if source.is_dir() else source
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

    An overlay is for every training (size/), for those of a config (finetune_size/), or for those of one of its systems
    (finetune_random_size/, for ctc_random).
    """
    for folder in ("size", f"{config}_size", f"{config}_{system.partition('_')[2]}_size"):
        if choice.overlay and (plan.recipe / "conf" / folder / f"{choice.overlay}.yaml").is_file():
            yield f"+{folder}={choice.overlay}"
    for setting in (*_size(plan, choice).settings, *choice.set):
        if setting.startswith(f"{config}."):
            yield setting.removeprefix(f"{config}.")


def check_starts(trainings: Sequence[Training]) -> None:
    """Raise FileNotFoundError for the first training whose start is missing."""
    for training in trainings:
        if training.start and not training.start.is_file():
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


def in_one_line(choice: Choice) -> str:
    """Return what decides about the content of a run folder; what may grow, seeds and partitions, does not."""
    pretrained = Path(choice.pretrained).resolve() if choice.pretrained else ""
    starts = " ".join(f"{name}={source.resolve()}" for name, source in choice.starts.items())
    smoke = str(choice.smoke).lower()
    return f"size={choice.size} pretrained={pretrained} smoke={smoke} {starts} {' '.join(choice.set)}"


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Choice` and the recipe and run that they are for."""
    add = parser.add_argument
    add("recipe", type=Path, help="folder of the recipe: conf/ and plan.yaml are in it")
    add("run", type=Path, help="folder of the run: manifests/ and train/ are in it")
    add("--seeds", type=int, default=1, help="seeds 1 to this one (default: %(default)s)")
    add("--size", default="", help="name of a size (default: the settings of conf/*.yaml)")
    add("--smoke", action="store_true", help="take the size smoke")
    add(
        "--experiments",
        default="",
        metavar="A,B,...",
        help="what to train (default: the choice of plan.yaml)",
    )
    add("--labels", default="", metavar="A,B,...", help="partitions with labels, or patterns of them")
    add("--pretrained", default="", metavar="FILE", help="checkpoint that replaces pre-training")
    add(
        "--start",
        action="append",
        default=[],
        metavar="NAME=FROM",
        help="a further checkpoint, or run folder",
    )
    add("--set", action="append", default=[], metavar="CONFIG.KEY=V", help="a key of a configuration")


def choice_of(args: argparse.Namespace) -> Choice:
    """Return the options that `add_choice` added."""
    given: dict[str, Any] = {}
    for option in fields(Choice):
        value = getattr(args, option.name)
        given[option.name] = tuple(value) if isinstance(value, list) else value
    return Choice(**given)


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_choice(parser)
    parser.add_argument(
        "what", choices=("check", "starts", "choice", "trainings", "partitions", "tool"), help="what to print"
    )
    parser.add_argument("name", nargs="?", default="", help="stage, or tool")
    parser.add_argument("--system", default="*", metavar="PATTERN", help="print only lines of these systems")
    parser.add_argument("--seed", type=int, default=0, help="print only lines of this seed")
    return parser.parse_args()


def lines(args: argparse.Namespace) -> Iterator[str]:
    """Yield what is to be printed."""
    plan, choice = read_plan(args.recipe), choice_of(args)
    check_choice(plan, choice)
    if args.what == "tool":
        yield from tool_options(plan, args.name, choice)
    elif args.what == "choice":
        yield in_one_line(choice)
    elif args.what == "starts":
        check_starts([t for t in one_of_each(plan, choice, args.run) if t.origin.startswith("--start")])
    elif args.what != "check":
        found = stage_trainings(plan, args.name, choice, args.run)
        trainings = [t for t in found if fnmatch(t.system, args.system) and args.seed in (0, t.seed)]
        if args.what == "partitions":
            yield from dict.fromkeys(training.partition for training in trainings)
        else:
            check_starts(trainings)
            for t in trainings:
                yield "\t".join((str(t), f"{t.config}.yaml", *t.overrides))


def main() -> None:
    """Print the answer, or the reason why there is none."""
    args = parse_args()
    try:
        print("".join(f"{line}\n" for line in lines(args)), end="")
    except (ValueError, OSError) as error:
        sys.exit(f"recipes/{args.recipe.name}/run.sh: {error}")


if __name__ == "__main__":
    main()
