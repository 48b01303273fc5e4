#!/usr/bin/env python3
"""Expand recipes/NAME/plan.yaml, what a recipe trains, by the options that its run.sh was given.

tools/plan.py RECIPE RUN check              stop at the first option that makes no sense
tools/plan.py RECIPE RUN starts             stop where --start names a run without the checkpoint
tools/plan.py RECIPE RUN trainings STAGE    what STAGE trains, a line each; stops where a start is missing
tools/plan.py RECIPE RUN partitions STAGE   its partitions, a line each; --system and --seed choose among them
tools/plan.py RECIPE RUN tool NAME          options of a tool for this size, a line each
tools/plan.py RECIPE RUN choice             what decides about the content of a run folder, in one line
"""

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatch

from training_plan import plan_yaml
from training_plan.choice import add_choice, check_choice, choice_of, in_one_line
from training_plan.hydra_overrides import refuse_path
from training_plan.trainings import check_starts, one_of_each, stage_trainings, tool_options


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=plan_yaml.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    plan, choice = plan_yaml.read_plan(args.recipe), choice_of(args)
    check_choice(plan, choice)
    refuse_path(args.run, "--out", is_data=True)
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
