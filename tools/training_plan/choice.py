"""The options of a run.sh that decide what is trained, and which of them make no sense for a recipe."""

import argparse
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .hydra_overrides import refuse_path
from .plan_yaml import Plan


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
        whisper: folder of a Whisper, for the entries whose start it is; empty for none.
        start: NAME=FROM each, FROM a checkpoint, a folder of Hugging Face, or that of a run of the same recipe.
        set: CONFIG.KEY=VALUE each.
    """

    seeds: int = 1
    size: str = ""
    smoke: bool = False
    experiments: str = ""
    labels: str = ""
    pretrained: str = ""
    whisper: str = ""
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
            "start.pt, and give start.pt; that of a Whisper goes with --whisper"
        )
    if choice.pretrained and not pretrained.is_file():
        raise ValueError(f"--pretrained {pretrained}: no such file; give a checkpoint")
    refuse_path(pretrained, "--pretrained")
    if choice.whisper and not (Path(choice.whisper) / "config.json").is_file():
        raise ValueError(
            f"--whisper {choice.whisper}: no config.json; give the folder of a Whisper as Hugging Face lays it out"
        )
    refuse_path(Path(choice.whisper), "--whisper")
    for start in choice.start:
        name, _, source = start.partition("=")
        if not re.fullmatch("[a-z0-9_]+", name) or not source:
            raise ValueError(f"--start {start}: expected NAME=FROM, with a NAME of a-z, 0-9 and _")
        if not Path(source).exists():
            raise ValueError(f"--start {start}: no such checkpoint or run folder")
        refuse_path(Path(source), f"--start {name}")
    if len(choice.starts) < len(choice.start):
        raise ValueError(f"--start {choice.start[-1]}: this NAME was given before; choose another NAME")


def in_one_line(choice: Choice) -> str:
    """Return what decides about the content of a run folder; what may grow, seeds and partitions, does not."""
    pretrained = Path(choice.pretrained).resolve() if choice.pretrained else ""
    starts = " ".join(f"{name}={source.resolve()}" for name, source in choice.starts.items())
    smoke = str(choice.smoke).lower()
    # Folders of runs from before this option hold the line without it.
    whisper = f" whisper={Path(choice.whisper).resolve()}" if choice.whisper else ""
    return (
        f"size={choice.size} pretrained={pretrained} smoke={smoke} {starts} {' '.join(choice.set)}{whisper}"
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options of `Choice` and the recipe and run that they are for."""
    add = parser.add_argument
    add("recipe", type=Path, help="folder of the recipe: conf/ and plan.yaml are in it")
    add("run", type=Path, help="folder of the run: manifests/ and train/ are in it")
    add("--seeds", type=int, default=1, help="seeds 1 to this one (default: %(default)s)")
    add("--size", default="", help="name of a size (default: the settings of conf/*.yaml)")
    add("--smoke", action="store_true", help="take the size smoke")
    add("--experiments", default="", metavar="A,B,...", help="what to train (default: that of plan.yaml)")
    add("--labels", default="", metavar="A,B,...", help="partitions with labels, or patterns of them")
    add("--pretrained", default="", metavar="FILE", help="checkpoint that replaces pre-training")
    add("--whisper", default="", metavar="DIR", help="folder of a Whisper to start from too")
    several: dict[str, Any] = {"action": "append", "default": []}
    add("--start", **several, metavar="NAME=FROM", help="a further checkpoint, or run folder")
    add("--set", **several, metavar="CONFIG.KEY=V", help="a key of a configuration")


def choice_of(args: argparse.Namespace) -> Choice:
    """Return the options that `add_choice` added."""
    given: dict[str, Any] = {option.name: getattr(args, option.name) for option in fields(Choice)}
    lists: dict[str, Any] = {name: tuple(v) for name, v in given.items() if isinstance(v, list)}
    return Choice(**{**given, **lists})
