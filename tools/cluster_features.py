#!/usr/bin/env python3
"""k-means over features of tools/dump_features.py: OUT/centroids.npy, and OUT/SPLIT.km, the cluster of every frame."""

import argparse
import sys
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Command line."""
    from fairseq_ext import jobs
    from fairseq_ext.features.clusters import Fit

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, required=True, help="folder of tools/dump_features.py")
    parser.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="labelled (default: train valid)"
    )
    parser.add_argument("--learn-from", nargs="+", default=["train"], help="splits (default: train)")
    parser.add_argument("--out", type=Path, required=True, help="folder of centroids and labels")
    for option in fields(Fit):
        parser.add_argument(
            f"--{option.name.replace('_', '-')}",
            type=type(option.default),
            default=option.default,
            help=f"default: {option.default}",
        )
    jobs.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Learn the clusters once, label every block, join the blocks."""
    from fairseq_ext import jobs
    from fairseq_ext.features import clusters

    args = parse_args()
    features, out = args.features.resolve(), args.out.resolve()
    fit = clusters.Fit(**{option.name: getattr(args, option.name) for option in fields(clusters.Fit)})
    settings = {"features": str(features), **asdict(fit)}
    execution = jobs.Execution.from_args(args)
    try:
        version = clusters.version_of(features)
        learn_from = clusters.blocks_of(features, args.learn_from)
        learning = jobs.Item("centroids", {"blocks": learn_from, "version": version})
        labelling = [jobs.Item(n, {"version": version}) for n in clusters.blocks_of(features, args.splits)]
        for name, items, work in (
            ("learn", [learning], partial(clusters.fit_work, features, out, fit)),
            ("label", labelling, partial(clusters.assign_work, features, out)),
        ):
            summary = jobs.run(out / "jobs" / name, items, work, settings=settings, execution=execution)
            print(f"{name}: {summary}")
            if not summary.complete:
                return
            for outcome in jobs.outcomes(out / "jobs" / name):
                if outcome.state != "done":
                    sys.exit(f"cluster_features.py: {outcome.id}: {outcome.reason}: {outcome.detail}")
    except (ValueError, FileNotFoundError, jobs.WorkerError) as error:
        sys.exit(f"cluster_features.py: {error}")
    for split in args.splits:
        num_rows = clusters.join_labels(out, split, clusters.blocks_of(features, [split]))
        print(f"{num_rows} rows in {out / f'{split}.km'}")


if __name__ == "__main__":
    main()
