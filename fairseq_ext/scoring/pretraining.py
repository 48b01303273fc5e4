"""Rows of the kind `pretraining`: what a self-supervised training's log says at its end. Nobody is scored by it.

The figures are those of the validation where there was one, else of the last training epoch.
How checkpoints are read is handed in, as in `runs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import provenance
from .runs import Job
from .scored_system import PRETRAINING, is_scored, write_json
from .seeds import range_of

Read = Callable[[str], Mapping[str, Any]]

REQUIRED = ("metrics", "num_updates", "hours")
# As `criterions/contrastive_diversity.py` logs them; losses in bits, accuracy in percent, perplexities in codes.
METRICS = ("loss", "contrastive", "diversity", "accuracy", "code_perplexity", "prob_perplexity")


def read_figures(log: Path) -> dict[str, Any]:
    """Reads what a log says at its end.

    Args:
        log: fairseq's JSON log of the training.

    Returns:
        `metrics` (name -> number, those that were logged), `split` (which they are of), `num_updates`, `train_s`.

    Raises:
        ValueError: the log holds no line of figures.
    """
    lines = provenance.read_log(log) if log.is_file() else []
    for split in ("valid", "train"):
        mine = [line for line in lines if f"{split}_num_updates" in line]
        metrics = _metrics(mine[-1], split) if mine else {}
        if metrics:
            updates = max(line.get(f"{s}_num_updates", 0) for line in lines for s in ("valid", "train"))
            seconds = provenance.training_seconds(log)
            return {"metrics": metrics, "split": split, "num_updates": int(updates), "train_s": seconds}
    raise ValueError(
        f"{log}: lines with train_loss or valid_loss expected, found none; train with common.log_format=json "
        "and common.log_file"
    )


def _metrics(line: Mapping[str, Any], split: str) -> dict[str, float]:
    found = {name: line.get(f"{split}_{name}") for name in METRICS}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def gather_all(jobs: Sequence[Job], read_checkpoint: Read, *, force: bool = False) -> Iterator[str]:
    """Writes a row for each pre-training; those that have one are skipped.

    Args:
        jobs: the finished trainings.
        read_checkpoint: path -> entries of the file, `cfg` and `model` among them.
        force: write again what was written.

    Yields:
        A line about each, for the terminal.
    """
    for job in jobs:
        name = f"{job.system.partition}/{job.system.name} seed {job.system.seed}"
        if is_scored(job.out) and not force:
            yield f"{name}: gathered before"
        else:
            yield f"{name}: {figures(gather(job, read_checkpoint(str(job.checkpoint))))}"


def gather(job: Job, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the row of one pre-training.

    Args:
        job: the training; its manifest folder tells the hours of audio.
        checkpoint: entries of its last checkpoint.

    Returns:
        What metrics.json holds.

    Raises:
        ValueError: the log holds no figures.
    """
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(checkpoint["cfg"])
    num_parameters = sum(tensor.numel() for tensor in checkpoint["model"].values())
    count, hours = provenance.training_audio(cfg, job.data)
    result = {
        **job.system.facts(PRETRAINING, cfg, num_parameters=num_parameters),
        "n": count,
        "hours": hours,
        **read_figures(job.checkpoint.parent / "train.log"),
    }
    write_json(job.out / "config.json", provenance.plain(cfg))
    write_json(job.out / "metrics.json", result)
    return result


def summarise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Puts the seeds of one system and partition together.

    Args:
        seeds: what the metrics.json files hold.

    Returns:
        `metrics` over seeds (`mean`, `min`, `max`), `hours`, `num_updates` that occur, `split`.
    """
    names = [name for name in seeds[0]["metrics"] if all(name in row["metrics"] for row in seeds)]
    return {
        "metrics": {name: range_of([row["metrics"][name] for row in seeds]) for name in names},
        "hours": seeds[0]["hours"],
        "num_updates": sorted({row["num_updates"] for row in seeds}),
        "split": seeds[0].get("split", "train"),
    }


def figures(row: Mapping[str, Any]) -> str:
    """The main figures of a row in one line.

    Args:
        row: what metrics.json holds.

    Returns:
        Such as `loss 3.21, accuracy 41.2, 2000 updates`.
    """
    shown = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in row["metrics"].items()]
    return ", ".join([*shown, f"{row['num_updates']} updates"])
