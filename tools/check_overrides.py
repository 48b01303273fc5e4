#!/usr/bin/env python3
"""Composes the configurations of trainings as fairseq-hydra-train does, and trains nothing: is each key known?

Reads trainings from standard input, a line each as of train_all.py: row, config, partition, seed, overrides, with tabs
between them. A key that the configuration lacks, and a value of another type, end in a sentence and status 1.
"""

import argparse
import sys
import warnings
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conf", type=Path, required=True, help="folder of the configurations")
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext to use")
    return parser.parse_args()


def compose(conf: Path, config: str, overrides: list[str]) -> None:
    """Compose one; raises what Hydra, OmegaConf or fairseq say of it."""
    from fairseq.dataclass.initialize import add_defaults, hydra_init
    from hydra import compose, initialize_config_dir

    hydra_init(config)
    with initialize_config_dir(config_dir=str(conf.resolve()), version_base="1.1"):
        cfg = compose(config_name=config, overrides=overrides)
    add_defaults(cfg)


def main() -> None:
    """Compose each; the first that fails is said."""
    args = parse_args()
    lines = sys.stdin.read().splitlines()
    warnings.simplefilter("ignore")  # of fairseq about Hydra's and its own future
    from fairseq.utils import import_user_module
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    import_user_module(args)
    for line in lines:
        _, config, _, _, *overrides = line.split("\t")
        try:
            compose(args.conf, config, overrides)
        except (HydraException, OmegaConfBaseException) as error:
            reasons = (str(reason) for reason in (error, error.__cause__) if reason)
            sys.exit(
                f"check_overrides.py: {args.conf / config}.yaml: overrides with its keys and types expected, found "
                f"{' '.join(overrides)}: {' '.join(' '.join(reasons).split())}"
            )


if __name__ == "__main__":
    main()
