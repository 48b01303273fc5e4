#!/usr/bin/env python3
"""Compose the configurations of a recipe's trainings as fairseq-hydra-train does, and train nothing.

One training of each entry in plan.yaml is composed, with the size and settings given. A key that its configuration
lacks, or a value of another type, ends in one sentence and status 1. Neither manifests nor checkpoints are needed.
"""

import argparse
import sys
import warnings
from pathlib import Path

from training_plan.choice import add_choice, check_choice, choice_of
from training_plan.plan_yaml import read_plan
from training_plan.trainings import Training, one_of_each


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_choice(parser)
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext folder to train with")
    return parser.parse_args()


def compose(conf: Path, training: Training) -> None:
    """Compose a configuration; raises what Hydra, OmegaConf or fairseq raise."""
    from fairseq.dataclass.initialize import add_defaults, hydra_init
    from hydra import compose, initialize_config_dir

    hydra_init(training.config)
    with initialize_config_dir(config_dir=str(conf.resolve()), version_base="1.1"):
        cfg = compose(config_name=training.config, overrides=list(training.overrides))
    add_defaults(cfg)


def main() -> None:
    """Compose one training of each entry; exit at the first that fails."""
    args = parse_args()
    plan, choice = read_plan(args.recipe), choice_of(args)
    check_choice(plan, choice)
    warnings.simplefilter("ignore")  # fairseq warns about Hydra's future and its own
    from fairseq.utils import import_user_module
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    import_user_module(args)
    conf = args.recipe / "conf"
    for training in one_of_each(plan, choice, args.run):
        try:
            compose(conf, training)
        except (HydraException, OmegaConfBaseException) as error:
            reasons = " ".join(str(reason) for reason in (error, error.__cause__) if reason)
            sys.exit(
                f"check_overrides.py: {conf / training.config}.yaml with {' '.join(training.overrides)}: "
                f"{' '.join(reasons.split())}"
            )


if __name__ == "__main__":
    main()
