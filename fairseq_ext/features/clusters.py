"""k-means on dumped features, and the cluster of every frame as a label stream: the targets of masked prediction.

Shapes: N frames, D features, K clusters.

HuBERT (Hsu et al. 2021, section IV-B) learns the clusters from a tenth of the frames with MiniBatchKMeans, batches of
10,000 frames, k-means++ and 20 starts; those are the defaults here. Features come from `features.dump`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dictionary import write_dictionary
from ..files import atomic_path, atomic_write, read_lines
from ..jobs import Item, Work, one_by_one, outcomes
from ..jobs.plan import open_plan
from ..optional import import_optional
from .dump import JOBS, read_block

Floats = NDArray[np.float32]

CENTROIDS = "centroids.npy"
_CHUNK = 8192  # frames compared with all centroids at once: 16 MB for 500 clusters


@dataclass(frozen=True)
class Fit:
    """Settings of k-means.

    Attributes:
        num_clusters: K.
        share: share of all frames to learn from, above 0 to 1; drawn frame by frame.
        max_frames: largest number of frames in memory.
        batch_size: number of frames per step.
        num_starts: number of k-means++ initialisations, of which the best is used.
        max_passes: largest number of passes over the frames.
        seed: seed of the frames and the initialisations.
    """

    num_clusters: int = 100
    share: float = 0.1
    max_frames: int = 2_000_000
    batch_size: int = 10_000
    num_starts: int = 20
    max_passes: int = 100
    seed: int = 1


def blocks_of(features: Path, splits: Sequence[str]) -> list[str]:
    """Return the names of the blocks of splits, such as `train/000000256`, in the order of the manifest.

    Args:
        features: output folder of `fairseq-ext features dump`.
        splits: names of splits, such as `train`.

    Raises:
        ValueError: when a split has no block, or a failed one, without which rows and labels would not correspond.
    """
    found = []
    dumped = list(outcomes(features / JOBS))
    for split in splits:
        blocks = [outcome for outcome in dumped if outcome.id.rpartition("/")[0] == split]
        failed = [o.id for o in blocks if o.state in {"failed", "quarantined"}]
        if failed or not blocks:
            what = f"block {failed[0]} has failed" if failed else "no blocks of features"
            raise ValueError(
                f"{features}/{split}: {what}; run fairseq-ext features dump"
                + (" --retry-failed" if failed else "")
            )
        found += [outcome.id for outcome in blocks]
    return found


def version_of(features: Path) -> str:
    """Return a digest of dumped features, which changes with the manifest and with recordings that were fixed."""
    results = [(o.id, o.state, dict(o.result)) for o in outcomes(features / JOBS)]
    return hashlib.sha256(repr((open_plan(features / JOBS).token, results)).encode()).hexdigest()[:16]


def fit_work(features: Path, out: Path, fit: Fit) -> Work:
    """Make the work of a single item that learns the clusters of its `blocks` and writes `centroids.npy`, (K, D).

    Args:
        features: output folder of `features.dump`.
        out: output folder.
        fit: settings of k-means.
    """

    def learn(item: Item) -> Mapping[str, Any]:
        frames = draw_frames(features, item.data["blocks"], fit)
        centroids, inertia = learn_clusters(frames, fit)
        with atomic_path(out / CENTROIDS) as temporary, open(temporary, "wb") as file:
            np.save(file, centroids)
        return {"num_frames": len(frames), "mean_squared_distance": inertia}

    return one_by_one(learn)


def draw_frames(features: Path, names: Sequence[str], fit: Fit) -> Floats:
    """Draw the frames to learn from, (N, D), each with the same probability.

    Args:
        features: output folder of `features.dump`.
        names: names of the blocks.
        fit: settings: share, max_frames and seed.

    Raises:
        ValueError: when fewer frames than clusters are drawn.
    """
    rng = np.random.default_rng(fit.seed)
    total = sum(int(read_block(features / f"{name}.npz")[1].sum()) for name in names)
    share = min(fit.share, fit.max_frames / max(total, 1))
    blocks = (read_block(features / f"{name}.npz")[0] for name in names)
    drawn = [block[rng.random(len(block)) < share] for block in blocks]
    # Rejected blocks have shape (0, 0), which cannot be joined with (N, D).
    frames = np.concatenate([some for some in drawn if len(some)] or drawn).astype(np.float32)
    if len(frames) < fit.num_clusters:
        raise ValueError(
            f"{features}: expected {fit.num_clusters} or more frames, found {len(frames)} of {total}; raise the share "
            "or lower the number of clusters"
        )
    return frames


def learn_clusters(frames: Floats, fit: Fit) -> tuple[Floats, float]:
    """Learn the clusters of frames (N, D).

    Returns:
        Centroids (K, D), and the mean squared distance between a frame and its centroid.
    """
    k_means = import_optional("sklearn.cluster").MiniBatchKMeans(
        fit.num_clusters,
        batch_size=fit.batch_size,
        n_init=fit.num_starts,
        max_iter=fit.max_passes,
        max_no_improvement=100,  # this and the next as in HuBERT's learn_kmeans.py, in fairseq's examples
        reassignment_ratio=0.0,
        random_state=fit.seed,
    )
    model = k_means.fit(frames)
    return model.cluster_centers_.astype(np.float32), float(model.inertia_) / len(frames)


def nearest(frames: NDArray[Any], centroids: Floats) -> NDArray[np.int64]:
    """Return the cluster (N,), 0 to K - 1, of each frame (N, D), given the centroids (K, D)."""
    # |f - c|^2 without |f|^2, which is the same for all clusters.
    offset = (centroids**2).sum(axis=1)
    parts = [
        (offset - 2 * frames[start : start + _CHUNK].astype(np.float32) @ centroids.T).argmin(axis=1)
        for start in range(0, len(frames), _CHUNK)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])


def assign_work(features: Path, out: Path) -> Work:
    """Make the work of labelling the blocks that items name: `OUT/SPLIT/START.km`, a line of cluster indices per row.

    Args:
        features: output folder of `features.dump`.
        out: folder that holds `centroids.npy`.
    """
    centroids = np.load(out / CENTROIDS, allow_pickle=False)

    def assign(item: Item) -> Mapping[str, Any]:
        frames, lengths = read_block(features / f"{item.id}.npz")
        clusters = nearest(frames, centroids)
        with atomic_write(out / f"{item.id}.km") as file:
            # A row without frames gives an empty line, so that line and row numbers stay equal.
            for row in np.split(clusters, np.cumsum(lengths)[:-1]):
                file.write(" ".join(map(str, row.tolist())) + "\n")
        used = np.unique(clusters)
        return {
            "num_frames": len(clusters),
            "num_clusters": len(used),
            "num_empty": int((lengths == 0).sum()),
        }

    return one_by_one(assign)


def write_units(out: Path, num_clusters: int) -> None:
    """Write `OUT/dict.km.txt`, the clusters as a dictionary of fairseq: each counted once, as HuBERT's tools do."""
    write_dictionary(out / "dict.km.txt", {str(number): 1 for number in range(num_clusters)})


def join_labels(out: Path, split: str, names: Sequence[str]) -> int:
    """Join the labels of the blocks of a split to `OUT/SPLIT.km`, a line per row; return the number of rows.

    Args:
        out: output folder of `assign_work`.
        split: name of the split, such as `train`.
        names: names of its blocks, from `blocks_of`.
    """
    num_rows = 0
    with atomic_write(out / f"{split}.km") as file:
        for name in names:
            for line in read_lines(out / f"{name}.km"):
                file.write(line + "\n")
                num_rows += 1
    return num_rows
