"""What a run folder holds: the trainings that have come to their end, each with its manifests and results folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from .scored_system import ScoredSystem, scores_folder

LAST_CHECKPOINT = "checkpoint_last.pt"
# Written by the recipes beside the checkpoint when a training has come to its end.
DONE = "done"


@dataclass(frozen=True)
class FinishedTraining:
    """A trained checkpoint, and where its results go.

    Attributes:
        checkpoint: path of the checkpoint.
        data: manifest folder.
        system: name of the scored system.
        out: folder of the results.
        label: label stream to score, for a network with several; empty = the only one.
    """

    checkpoint: Path
    data: Path
    system: ScoredSystem
    out: Path
    label: str = ""

    @property
    def log(self) -> Path:
        """Path of fairseq's JSON log."""
        return self.checkpoint.parent / "train.log"


def finished_trainings(
    run: Path, data: Literal["real", "synthetic"], command: str, partitions: Sequence[str] = ("*",)
) -> list[FinishedTraining]:
    """Find the finished trainings of a run, in alphabetical order.

    They are in `train/<partition>/<system>/seed<k>/`, their manifests in `manifests/<partition>/`; `partitions` are
    patterns, such as `labels/*`.
    """
    train = run / "train"
    found = []
    for checkpoint in sorted(train.rglob(LAST_CHECKPOINT)):
        folder = checkpoint.parent
        # A partition may be several folders deep, such as labels/10.
        *parts, name, seed = folder.relative_to(train).parts
        partition, number = "/".join(parts), seed.removeprefix("seed")
        if not (folder / DONE).is_file() or not partition or not number.isdigit():
            continue
        if any(fnmatch(partition, pattern) for pattern in partitions):
            system = ScoredSystem(name, partition, int(number), data, command)
            out = system.folder(scores_folder(run))
            found.append(FinishedTraining(checkpoint, run / "manifests" / partition, system, out))
    return found


def check_partitions(run: Path, partitions: Sequence[str]) -> None:
    """Check that every pattern matches a partition of the run, whether or not its trainings have finished.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a pattern matches neither manifests nor a training.
    """
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: this run folder does not exist; check its name")
    manifests, train = run / "manifests", run / "train"
    known = {path.parent.relative_to(manifests).as_posix() for path in manifests.rglob("*.tsv")}
    known |= {path.parents[2].relative_to(train).as_posix() for path in train.rglob(f"*/*/{LAST_CHECKPOINT}")}
    known -= {"."}
    for pattern in partitions:
        if not any(fnmatch(name, pattern) for name in known):
            raise ValueError(
                f"{run}: no partition matches {pattern}, only {', '.join(sorted(known)) or 'none'} found; check "
                "--partitions and the folder"
            )
