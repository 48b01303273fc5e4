"""Learn k-means clusters of dumped features: OUT/centroids.npy, and OUT/SPLIT.km, the cluster of every frame.

fairseq-ext features dump --manifest MANIFESTS --out FEATURES
fairseq-ext features cluster --features FEATURES --num-clusters 100 --out CLUSTERS
"""

import argparse
from pathlib import Path

SUMMARY = "Cluster dumped features: targets of HuBERT"
# The help of the fields of features.clusters.Fit.
HELP = {
    "num_clusters": "number of clusters",
    "share": "share of the frames to learn from, above 0 to 1, drawn frame by frame",
    "max_frames": "most frames held in memory",
    "batch_size": "frames per step",
    "num_starts": "k-means++ initialisations, of which the best is taken",
    "max_passes": "most passes over the frames",
    "seed": "seed of all draws",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, one per field of Fit among them."""
    from dataclasses import fields

    from .. import jobs
    from ..features.clusters import Fit

    parser.add_argument(
        "--features", type=Path, required=True, help="folder that `fairseq-ext features dump` wrote"
    )
    parser.add_argument(
        "--splits", nargs="+", default=["train", "valid"], help="splits to label (default: train valid)"
    )
    parser.add_argument(
        "--learn-from", nargs="+", default=["train"], help="splits to learn from (default: train)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of centroids and labels")
    for item in fields(Fit):
        option, text = f"--{item.name.replace('_', '-')}", f"{HELP[item.name]} (default: {item.default})"
        parser.add_argument(option, type=type(item.default), default=item.default, help=text)
    jobs.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Learn the clusters once, label every block, join the blocks."""
    from dataclasses import asdict, fields
    from functools import partial

    from .. import jobs
    from ..features import clusters

    features, out = args.features.resolve(), args.out.resolve()
    fit = clusters.Fit(**{item.name: getattr(args, item.name) for item in fields(clusters.Fit)})
    settings = {"features": str(features), **asdict(fit)}
    execution = jobs.Execution.from_args(args)
    version = clusters.version_of(features)
    blocks = clusters.blocks_of(features, args.learn_from)
    learning = jobs.Item("centroids", {"blocks": blocks, "version": version})
    labelling = [jobs.Item(n, {"version": version}) for n in clusters.blocks_of(features, args.splits)]
    for name, items, work in (
        ("learn", [learning], partial(clusters.fit_work, features, out, fit)),
        ("label", labelling, partial(clusters.assign_work, features, out)),
    ):
        summary = jobs.run(out / "jobs" / name, items, work, settings=settings, execution=execution)
        print(f"{name}: {summary}")
        if not summary.complete:
            return 0
        for outcome in jobs.outcomes(out / "jobs" / name):
            if outcome.state != "done":
                raise ValueError(f"{outcome.id}: {outcome.reason}: {outcome.detail}")
    clusters.write_units(out, fit.num_clusters)
    for split in args.splits:
        num_rows = clusters.join_labels(out, split, clusters.blocks_of(features, [split]))
        print(f"{num_rows} rows in {out / f'{split}.km'}")
    return 0
