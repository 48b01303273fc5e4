#!/usr/bin/env python3
"""Compose the configurations of a recipe's trainings as fairseq-hydra-train does, and train nothing.

One training of each entry in plan.yaml that a --set names is composed, with the size and settings given; entries that
differ in partition or checkpoint alone are composed once. A key that its configuration lacks, a value of another type
or out of range, and what model, optimizer or schedule refuse end in one sentence and status 1. Neither manifests nor
checkpoints are needed.
"""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from training_plan.choice import add_choice, check_choice, choice_of
from training_plan.plan_yaml import read_plan
from training_plan.trainings import Training, one_of_each
from training_plan.value_ranges import build_parts, out_of_range


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_choice(parser)
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext folder to train with")
    return parser.parse_args()


def compose(conf: Path, config: str, overrides: Sequence[str]) -> Any:
    """Return a configuration; raises what Hydra, OmegaConf or fairseq raise."""
    from fairseq.dataclass.initialize import add_defaults, hydra_init
    from hydra import compose, initialize_config_dir

    hydra_init(config)
    with initialize_config_dir(config_dir=str(conf.resolve()), version_base="1.1"):
        cfg = compose(config_name=config, overrides=list(overrides))
    add_defaults(cfg)
    return cfg


def problem_of(conf: Path, training: Training) -> str | None:
    """Return why a training could not begin; None = it could."""
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        cfg = compose(conf, training.config, training.overrides)
    except (HydraException, OmegaConfBaseException) as error:
        return " ".join(str(reason) for reason in (error, error.__cause__) if reason)
    usual = compose(conf, training.config, ())
    containers = (cast(dict[str, Any], OmegaConf.to_container(config)) for config in (cfg, usual))
    found = out_of_range(*containers)
    if found is not None:
        return found
    try:
        build_parts(cfg)
    except Exception as error:  # a part may refuse in any way; the overrides are the only thing that differs
        if _refusal(usual) == _sentence(error):
            return None  # it refuses the recipe's own values too: it cannot be built without its data
        return _sentence(error)
    return None


def _refusal(cfg: Any) -> str | None:
    try:
        build_parts(cfg)
    except Exception as error:
        return _sentence(error)
    return None


def _sentence(error: Exception) -> str:
    return str(error) or f"{type(error).__name__} in a part of the training"


def _configuration(training: Training) -> tuple[str, ...]:
    """Return what decides the configuration of a training, whatever it starts from."""
    return training.config, *(o for o in training.overrides if not o.startswith("model.pretrained_path="))


def main() -> None:
    """Compose one training of each entry; exit at the first that fails."""
    args = parse_args()
    plan, choice = read_plan(args.recipe), choice_of(args)
    check_choice(plan, choice)
    warnings.simplefilter("ignore")  # fairseq warns about Hydra's future and its own
    from fairseq.utils import import_user_module

    import_user_module(args)
    conf = args.recipe / "conf"
    named = {setting.partition(".")[0] for setting in choice.set}
    trainings = {_configuration(t): t for t in one_of_each(plan, choice, args.run) if t.config in named}
    for training in trainings.values():
        if problem := problem_of(conf, training):
            sys.exit(
                f"check_overrides.py: {conf / training.config}.yaml with {' '.join(training.overrides)}: "
                f"{' '.join(problem.split())}"
            )


if __name__ == "__main__":
    main()
