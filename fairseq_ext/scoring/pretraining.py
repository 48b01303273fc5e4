"""The result type `pretraining`: losses and accuracies at the end of a self-supervised training's log.

They are those of the validation where there was one, else of the last training epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import provenance
from .scored_system import PRETRAINING, is_scored, write_json
from .seeds import range_of
from .trainings import FinishedTraining

Read = Callable[[str], Mapping[str, Any]]

REQUIRED = ("metrics", "num_updates", "hours")
# As `criterions/contrastive_diversity.py` logs them; losses in bits, accuracy in percent, perplexities in codes.
METRICS = ("loss", "contrastive", "diversity", "accuracy", "code_perplexity", "prob_perplexity")


def read_figures(log: Path) -> dict[str, Any]:
    """Read the last figures of fairseq's JSON log.

    Returns:
        `metrics` (name -> number, those that were logged), `split` (whose they are), `num_updates`, `train_s`.

    Raises:
        ValueError: the log holds no losses.
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
        f"{log}: no line has train_loss or valid_loss; train with common.log_format=json and common.log_file"
    )


def _metrics(line: Mapping[str, Any], split: str) -> dict[str, float]:
    found = {name: line.get(f"{split}_{name}") for name in METRICS}
    return {name: value for name, value in found.items() if isinstance(value, float)}


def gather_all(
    trainings: Sequence[FinishedTraining], read_checkpoint: Read, *, force: bool = False
) -> Iterator[str]:
    """Write the results of pre-trainings one after another; what is already written is skipped.

    `read_checkpoint` returns the entries of a checkpoint, `cfg` and `model` among them.

    Yields:
        A line about each, for the terminal.
    """
    for training in trainings:
        name = training.system.title
        if is_scored(training.out) and not force:
            yield f"{name}: already gathered"
        else:
            yield f"{name}: {figures(gather(training, read_checkpoint(str(training.checkpoint))))}"


def gather(training: FinishedTraining, checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Write the results of one pre-training, given the entries of its last checkpoint; return those of metrics.json.

    Raises:
        ValueError: the log holds no losses.
    """
    from omegaconf import OmegaConf

    cfg = OmegaConf.create(checkpoint["cfg"])
    num_parameters = sum(tensor.numel() for tensor in checkpoint["model"].values())
    count, hours = provenance.training_audio(cfg, training.data)
    result = {
        **training.system.metadata(PRETRAINING, cfg, num_parameters=num_parameters),
        "n": count,
        "hours": hours,
        **read_figures(training.log),
    }
    write_json(training.out / "config.json", provenance.plain(cfg))
    write_json(training.out / "metrics.json", result)
    return result


def summarise(seeds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summarise the metrics.json of the seeds of one system and partition.

    Returns:
        `metrics` over seeds (`mean`, `min`, `max`), `hours`, `num_updates` (sorted, without repetitions), `split`.
    """
    names = [name for name in seeds[0]["metrics"] if all(name in row["metrics"] for row in seeds)]
    return {
        "metrics": {name: range_of([row["metrics"][name] for row in seeds]) for name in names},
        "hours": seeds[0]["hours"],
        "num_updates": sorted({row["num_updates"] for row in seeds}),
        "split": seeds[0].get("split", "train"),
    }


def figures(result: Mapping[str, Any]) -> str:
    """Format the main figures of a pre-training, such as `loss 3.21, accuracy 41.2, 2000 updates`."""
    shown = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in result["metrics"].items()]
    return ", ".join([*shown, f"{result['num_updates']} updates"])
