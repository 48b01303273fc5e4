"""Networks with several label streams: each head is scored as a system in the partition of its stream alone.

`train/accent_gender/joint_head` becomes the scored systems `accent/joint_head` and `gender/joint_head`, so that a table
sets it beside the systems that learned one stream. Both must be scored on the same clips, which is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..manifest import read_labels, read_manifest
from .scored_system import scores_folder
from .trainings import FinishedTraining


def per_head(
    trainings: Iterable[FinishedTraining], heads: Mapping[str, str], run: Path, split: str = "test"
) -> list[FinishedTraining]:
    """List each training once per head, with that head's label stream and results folder.

    `heads` maps label streams to partitions of the scored systems, such as `accent` to `accent`. The run's
    `manifests/<partition>` lists the clips that the partition's other systems are scored on.

    Raises:
        FileNotFoundError: a partition has no manifests.
        ValueError: two trainings for one scored system, or clips other than those of the partition.
    """
    found: dict[Path, FinishedTraining] = {}
    for training in trainings:
        for label, partition in heads.items():
            system = replace(training.system, partition=partition)
            out = system.folder(scores_folder(run))
            head = replace(training, system=system, out=out, label=label)
            _check_name(head, found.get(out), run)
            check_same_clips(training.data, run / "manifests" / partition, split, label)
            found[out] = head
    return list(found.values())


def _check_name(head: FinishedTraining, other: FinishedTraining | None, run: Path) -> None:
    same_name = head.system.folder(run / "train")
    taken = other.checkpoint.parent if other else same_name if same_name.is_dir() else None
    if taken:
        raise ValueError(
            f"{head.out}: two trainings of this system, {head.checkpoint.parent} and {taken}; rename "
            "the system with several heads, or score one partition at a time"
        )


def check_same_clips(data: Path, other: Path, split: str, label: str) -> None:
    """Check that two manifest folders have the same clips and classes; clips without a class are not scored.

    Raises:
        FileNotFoundError: a folder lacks the split or the stream.
        ValueError: the clips, or the classes of the same clips, differ.
    """
    mine, theirs = (_classes(folder, split, label) for folder in (data, other))
    if mine != theirs:
        different = sorted(dict(mine.items() ^ theirs.items()))
        raise ValueError(
            f"{data}/{split}.{label}: expected the {len(theirs)} clips and classes of {other}, found {len(mine)}, of "
            f"which {len(mine.items() & theirs.items())} are the same; {', '.join(different[:3])} differ; write both "
            "manifests in one preparation"
        )


def _classes(folder: Path, split: str, label: str) -> dict[str, str]:
    """Return id -> class of the clips that have one."""
    for path in (folder / f"{split}.tsv", folder / f"{split}.{label}"):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: this file is missing; prepare the manifests with this label stream"
            )
    rows = zip(read_manifest(folder, split), read_labels(folder, split, label), strict=True)
    return {utterance.id: name for utterance, name in rows if name}
