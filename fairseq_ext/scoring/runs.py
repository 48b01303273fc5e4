"""Scores everything that a run trained, in one start-up; what is already scored is skipped.

How checkpoints are loaded is handed in (`checkpoints.load.load_model`), and it is called only when there is
something to score: a rerun with nothing to do does not wait for fairseq.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, Protocol

from tqdm import tqdm

from . import classification
from .evaluation import evaluate, probe
from .scored_system import ScoredSystem, is_scored, scores_folder
from .trained import TrainedModel

LAST_CHECKPOINT = "checkpoint_last.pt"
# Written by the recipes beside the checkpoint when a training has come to its end.
DONE = "done"
Load = Callable[[str], TrainedModel]


class LoadHead(Protocol):
    """How a classifier is loaded: its path, and which of its label streams is asked for; empty = the only one."""

    def __call__(self, path: str, /, *, label: str) -> TrainedModel:
        """Load it."""


@dataclass(frozen=True)
class Job:
    """One checkpoint to be scored.

    Attributes:
        checkpoint: the trained network.
        data: manifest folder.
        system: name of the result.
        out: folder of the result.
        label: label stream to score, of a network with several; empty = the only one.
    """

    checkpoint: Path
    data: Path
    system: ScoredSystem
    out: Path
    label: str = ""


def jobs_of_run(
    run: Path, data: Literal["real", "synthetic"], command: str, partitions: Sequence[str] = ("*",)
) -> list[Job]:
    """Finds what a run has trained to the end.

    Args:
        run: run folder, with `train/<partition>/<system>/seed<k>/` and `manifests/<partition>/`.
        data: origin of the recordings.
        command: command line, for the results.
        partitions: patterns of those to be scored, such as `labels/*`.

    Returns:
        One job per finished training, in alphabetical order.
    """
    train = run / "train"
    jobs = []
    for checkpoint in sorted(train.rglob(LAST_CHECKPOINT)):
        folder = checkpoint.parent
        *partition, name, seed = folder.relative_to(train).parts
        if not (folder / DONE).is_file() or not partition or not seed.removeprefix("seed").isdigit():
            continue
        if not any(fnmatch("/".join(partition), pattern) for pattern in partitions):
            continue
        system = ScoredSystem(name, "/".join(partition), int(seed.removeprefix("seed")), data, command)
        jobs.append(
            Job(checkpoint, run / "manifests" / system.partition, system, system.folder(scores_folder(run)))
        )
    return jobs


def check_partitions(run: Path, partitions: Sequence[str]) -> None:
    """Tells a mistyped name from a partition that was not trained, or not yet.

    Args:
        run: run folder.
        partitions: patterns, as of `jobs_of_run`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a pattern names neither manifests nor a training of it.
    """
    if not run.is_dir():
        raise FileNotFoundError(f"{run}: the folder of a run expected, found none; check its name")
    manifests, train = run / "manifests", run / "train"
    known = {path.parent.relative_to(manifests).as_posix() for path in manifests.rglob("*.tsv")}
    known |= {path.parents[2].relative_to(train).as_posix() for path in train.rglob(f"*/*/{LAST_CHECKPOINT}")}
    known -= {"."}
    for pattern in partitions:
        if not any(fnmatch(name, pattern) for name in known):
            raise ValueError(
                f"{run}: a partition {pattern} expected, found {', '.join(sorted(known)) or 'none'}; check "
                "--partitions and the folder"
            )


def evaluate_all(
    jobs: list[Job], load_model: LoadHead, *, force: bool = False, label: str = "", **options: Any
) -> Iterator[str]:
    """Scores checkpoints one after another.

    Args:
        jobs: what to score.
        load_model: path and label stream -> loaded network.
        force: score again what was scored.
        label: label stream of the jobs that name none.
        options: of `evaluation.evaluate`.

    Yields:
        A line about each, for the terminal.
    """
    for job in tqdm(jobs, desc="evaluate", unit="row", disable=None if len(jobs) > 1 else True):
        name = f"{job.system.partition}/{job.system.name} seed {job.system.seed}"
        if is_scored(job.out) and not force:
            yield f"{name}: scored before"
            continue
        stream = job.label or label
        loaded = load_model(str(job.checkpoint), label=stream)
        if not loaded.labels:
            yield f"{name}: no classifier; tools/probe.py scores its embeddings"
            continue
        log = job.checkpoint.parent / "train.log"
        result = evaluate(loaded, job.system, job.out, data=job.data, label=stream, train_log=log, **options)
        yield f"{name}: {_figures(result)}"


def _figures(result: Mapping[str, Any]) -> str:
    unread = f", {result['num_unreadable']} unreadable" if result["num_unreadable"] else ""
    return f"{classification.figures(result)} of {result['n']} recordings{unread}"


def probe_checkpoint(
    checkpoint: Path,
    manifests: Mapping[ScoredSystem, Path],
    scores_folder: Path,
    load_model: Load,
    *,
    force: bool = False,
    **options: Any,
) -> Iterator[str]:
    """Fits a linear probe for each manifest folder on one checkpoint's embeddings.

    Args:
        checkpoint: pre-trained or trained network.
        manifests: name of the result -> folder with a training and a test split.
        scores_folder: folder of all scored systems.
        load_model: path -> loaded network; with fresh weights for the untrained control.
        force: fit again what was fitted.
        options: of `evaluation.probe`.

    Yields:
        A line about each, for the terminal.
    """
    wanted = {
        system: data
        for system, data in manifests.items()
        if force or not is_scored(system.folder(scores_folder))
    }
    for system in manifests.keys() - wanted.keys():
        yield f"{system.partition}/{system.name} seed {system.seed}: scored before"
    if not wanted:
        return
    loaded = load_model(str(checkpoint))
    results = probe(loaded, list(wanted), list(wanted.values()), scores_folder, **options)
    for system, result in zip(wanted, results, strict=True):
        yield f"{system.partition}/{system.name} seed {system.seed}: {_figures(result)}"
