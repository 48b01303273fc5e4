"""Jobs for the heads of networks with several label streams: each is scored in the partition of one stream alone.

`train/accent_gender/joint_head` becomes the rows `accent/joint_head` and `gender/joint_head`, so that a table sets it
beside the systems that learned one stream. Both must then be scored on the same clips, which is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..manifest import read_labels, read_manifest
from .runs import Job
from .scored_system import scores_folder


def per_head(jobs: Iterable[Job], heads: Mapping[str, str], run: Path, split: str = "test") -> list[Job]:
    """Makes a job for each head of each job.

    Args:
        jobs: of networks with several label streams, from `runs.jobs_of_run`.
        heads: label stream -> partition of the row, such as `accent` -> `accent`.
        run: run folder; `manifests/<partition>` holds the clips that the partition's other rows are scored on.
        split: that is scored.

    Returns:
        The jobs, each with its label stream; they read the manifests that the network was trained with.

    Raises:
        FileNotFoundError: no manifests of a partition.
        ValueError: two trainings for one row, or clips other than those of the partition.
    """
    found: dict[Path, Job] = {}
    for job in jobs:
        for label, partition in heads.items():
            system = replace(job.system, partition=partition)
            head = replace(job, system=system, out=system.folder(scores_folder(run)), label=label)
            _check_name(head, found.get(head.out), run)
            check_same_clips(job.data, run / "manifests" / partition, split, label)
            found[head.out] = head
    return list(found.values())


def _check_name(head: Job, other: Job | None, run: Path) -> None:
    own = head.system.folder(run / "train")
    taken = other.checkpoint.parent if other else own if own.is_dir() else None
    if taken:
        raise ValueError(
            f"{head.out}: one training of this row expected, found {head.checkpoint.parent} and {taken}; give the "
            "system with several heads a name of its own, or score one partition at a time"
        )


def check_same_clips(data: Path, other: Path, split: str, label: str) -> None:
    """Refuses to compare scores of a label stream over different clips; clips without a class are not scored.

    Args:
        data: manifest folder.
        other: another, of the partition that the row is to stand in.
        split: that is scored.
        label: the label stream; both folders have it.

    Raises:
        FileNotFoundError: a folder lacks the split or the stream.
        ValueError: other clips, or other classes of the same clips.
    """
    mine, theirs = (_classes(folder, split, label) for folder in (data, other))
    if mine != theirs:
        odd = sorted(dict(mine.items() ^ theirs.items()))
        raise ValueError(
            f"{data}/{split}.{label}: the {len(theirs)} clips and classes of {other} expected, found {len(mine)}, of "
            f"which {len(mine.items() & theirs.items())} are the same; not the same: {', '.join(odd[:3])}; write both "
            "manifests in one preparation"
        )


def _classes(folder: Path, split: str, label: str) -> dict[str, str]:
    """Id -> class, of the clips that have one."""
    for path in (folder / f"{split}.tsv", folder / f"{split}.{label}"):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: expected a manifest with this label stream, found no file; prepare it"
            )
    rows = zip(read_manifest(folder, split), read_labels(folder, split, label), strict=True)
    return {utterance.id: name for utterance, name in rows if name}
