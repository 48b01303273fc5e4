"""Step pretraining: an encoder pre-trained for minutes, then CTC on 10 minutes of labels, against random weights.

The configurations are those of recipes/catalan_ssl, trained by fairseq-hydra-train through tools/train_all.py and
scored by fairseq-ext score recognition. A short pre-training that is thrown away measures updates per second first: the
learning rate's schedule must know how many updates there will be.
"""

import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpus
from forks import run_program
from results import Report, say

from fairseq_ext.scoring.provenance import read_log

RECIPE = corpus.REPOSITORY / "recipes" / "catalan_ssl"
TOOLS = corpus.REPOSITORY / "tools"
CHECKPOINT = Path("train/ssl/wav2vec2/seed1/checkpoint_last.pt")
# Of the updates that the rate of the short pre-training promises; the rest is for epochs that begin and validation.
PLANNED = 0.9
SCORE_S = 20.0  # kept for scoring
START_S = 25.0  # of fine-tuning, beside its updates: CUDA and data at its start, validation and checkpoints at its end


@dataclass(frozen=True)
class Settings:
    """Time for each part, and what differs from the recipe's configurations.

    Attributes:
        seconds: for the whole step.
        pretrain_s: for pre-training at most, the short one not counted.
        finetune_s: kept for fine-tuning and scoring.
        probe_updates: updates of the short pre-training.
        seeds: of fine-tuning; there is one pre-training.
        overrides: CONFIG.KEY=VALUE, as of --set of the recipe.
        smoke: the recipe's size smoke, five updates of each training.
    """

    device: str
    seconds: float
    pretrain_s: float
    finetune_s: float
    probe_updates: int
    seeds: int
    overrides: tuple[str, ...]
    smoke: bool


def settings(device: str, *, tiny: bool, seconds: float) -> Settings:
    """Return the settings of a run that has so many seconds, of which 4 minutes at most go into pre-training."""
    overrides = [f"{config}.common.cpu=true" for config in ("pretrain", "finetune") if device == "cpu"]
    if not tiny:
        overrides += [
            # 120 s of speech instead of 30: a small network leaves a GPU idle otherwise
            "pretrain.dataset.max_tokens=1920000",
            # The recipe keeps recordings in memory and augments them beside the network; here cores do it ahead of it.
            *("pretrain.task.cache_audio=false", "pretrain.dataset.num_workers=12"),
            *("finetune.task.cache_audio=false", "finetune.dataset.num_workers=2"),
        ]
    return Settings(
        device,
        seconds,
        pretrain_s=240.0,
        finetune_s=140.0,
        probe_updates=3 if tiny else 100,
        seeds=1 if tiny else 3,
        overrides=tuple(overrides),
        smoke=tiny,
    )


def run(chosen: Settings, work: Path, report: Report) -> None:
    """Wait for the corpus; measure, pre-train, fine-tune and score; report after each."""
    deadline = time.monotonic() + chosen.seconds
    report(corpus=_wait_for_corpus(work, deadline - chosen.finetune_s))
    folder, label = work.parent / "corpus" / "run", corpus.partition(tiny=chosen.smoke)
    probe = _probe(chosen, work, folder)
    report(probe=probe)
    say(f"pretraining: {probe['updates_per_s']:.3g} updates/s")
    left_s = min(chosen.pretrain_s, deadline - time.monotonic() - chosen.finetune_s)
    report(pretraining=_pretrain(chosen, work, folder, probe, left_s))
    report(finetuning=_finetune(chosen, work, folder, label, deadline))
    _score(chosen, work, folder, label, deadline)
    report(**_figures(folder, label))


def _wait_for_corpus(work: Path, deadline: float) -> dict[str, Any]:
    """Wait until run.py has made the corpus; raise RuntimeError with the end of its output where it could not."""
    status, log = work.parent / "corpus" / corpus.STATUS, work.parent / "corpus" / "corpus.log"
    start = time.monotonic()
    while not status.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the corpus is not ready; its output: {log}")
        time.sleep(0.2)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if status.read_text() != "0":
        raise RuntimeError("\n".join(["the corpus could not be made:", *lines[-15:]]))
    seconds = dict(
        line.removeprefix("seconds of ").split(": ") for line in lines if line.startswith("seconds of ")
    )
    amounts = [" ".join(line.split()) for line in lines if line.startswith(("asr", "ssl"))]
    return {"waited_s": time.monotonic() - start, "seconds": seconds, "partitions": amounts}


def _train(
    chosen: Settings, work: Path, folder: Path, stage: str, timeout_s: float, *options: Any, jobs: int = 1
) -> float:
    """Train a stage of the recipe; return the seconds."""
    arguments = [RECIPE, folder, stage, "--user-dir", corpus.REPOSITORY / "fairseq_ext"]
    arguments += ["--pid", os.getpid(), "--jobs", jobs, *(["--smoke"] if chosen.smoke else []), *options]
    for setting in chosen.overrides:
        arguments += ["--set", setting]
    log = work / "logs" / f"{stage}_{folder.name}.log"
    return run_program(TOOLS / "train_all.py", arguments, log, max(1.0, timeout_s))


def _probe(chosen: Settings, work: Path, folder: Path) -> dict[str, float]:
    """Pre-train briefly in a folder of its own; return updates per second, and the seconds of all else."""
    probe = work / "probe"
    probe.mkdir()
    (probe / "manifests").symlink_to(folder / "manifests")
    limit = ["--set", f"pretrain.optimization.max_update={chosen.probe_updates}"]
    seconds = _train(chosen, work, probe, "pretrain", 90.0, *limit, "--set", "pretrain.common.log_interval=1")
    rows = [row for row in read_log(probe / CHECKPOINT.parent / "train.log") if "num_updates" in row]
    # Of the later half: before that, workers have read batches ahead of the network.
    seconds_each = [1 / row["ups"] for row in rows[len(rows) // 2 :] if row.get("ups")]
    if not seconds_each:
        raise RuntimeError(f"no updates per second in {probe / CHECKPOINT.parent / 'train.log'}")
    rate = 1 / statistics.mean(seconds_each)
    return {
        "updates_per_s": rate,
        "other_s": max(0.0, seconds - chosen.probe_updates / rate),
        "seconds": seconds,
    }


def _pretrain(
    chosen: Settings, work: Path, folder: Path, probe: dict[str, float], seconds: float
) -> dict[str, Any]:
    """Pre-train for about so many seconds; return what was reached."""
    updates = 5 if chosen.smoke else int((seconds - probe["other_s"]) * probe["updates_per_s"] * PLANNED)
    if updates < 1:
        raise TimeoutError(
            f"{seconds:.0f} s are left for pre-training, {probe['other_s']:.0f} s go into its start"
        )
    options = ["--set", f"pretrain.optimization.max_update={updates}"]
    # Should updates be slower than they were: training ends by itself, with its checkpoint.
    stop_s = max(1.0, seconds - probe["other_s"])
    options += ["--set", f"pretrain.optimization.stop_time_hours={stop_s / 3600:.5f}"]
    took = _train(chosen, work, folder, "pretrain", seconds + 30, *options)
    log = read_log(folder / CHECKPOINT.parent / "train.log")
    valid = next((row for row in reversed(log) if "valid_num_updates" in row), {})
    reached = max(int(value) for row in log for key, value in row.items() if key.endswith("num_updates"))
    say(
        f"pretraining: {reached} of {updates} updates in {took:.0f} s, accuracy {valid.get('valid_accuracy')} %"
    )
    keys = ("valid_contrastive", "valid_accuracy", "valid_code_perplexity")
    rows = [row for row in log if "contrastive" in row]
    curve = [
        [row["num_updates"], row["contrastive"], row["accuracy"]] for row in rows[:: 1 + len(rows) // 50]
    ]
    figures = {key: valid.get(key) for key in keys} | {"curve_of_update_contrastive_accuracy": curve}
    return {"updates": reached, "planned": updates, "seconds": took, **figures}


def _finetune(chosen: Settings, work: Path, folder: Path, label: str, deadline: float) -> dict[str, Any]:
    """Fine-tune from the pre-trained encoder and from random weights, every seed at once."""
    left_s = deadline - time.monotonic() - SCORE_S
    options = ["--labels", label, "--seeds", chosen.seeds, "--pretrained", folder / CHECKPOINT]
    options += ["--set", f"finetune.optimization.stop_time_hours={max(10.0, left_s - START_S) / 3600:.5f}"]
    seconds = _train(chosen, work, folder, "finetune", left_s, *options, jobs=2 * chosen.seeds)
    say(f"pretraining: fine-tuned {2 * chosen.seeds} recognisers in {seconds:.0f} s")
    return {"seconds": seconds, "trainings": 2 * chosen.seeds}


def _score(chosen: Settings, work: Path, folder: Path, label: str, deadline: float) -> None:
    arguments = ["--run", folder, "--partitions", label, "--origin", "synthetic", "--device", chosen.device]
    log = work / "logs" / "score.log"
    run_program(TOOLS / "evaluate_recognition.py", arguments, log, max(5.0, deadline - time.monotonic()))


def _figures(folder: Path, label: str) -> dict[str, Any]:
    """Return the word error rates of each system by seed, and their means."""
    systems: dict[str, Any] = {}
    for path in sorted((folder / "scores" / label).glob("*/seed*/metrics.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics = found["decoders"]["greedy"]["metrics"]
        row = systems.setdefault(path.parent.parent.name, {"wer": {}, "cer": {}, "updates": {}})
        for name in ("wer", "cer"):
            row[name][path.parent.name] = {key: metrics[name][key] for key in ("value", "low", "high")}
        row["updates"][path.parent.name] = found["num_updates"]
    for name, row in systems.items():
        row["mean_wer"] = statistics.mean(wer["value"] for wer in row["wer"].values())
        say(f"pretraining: {name}: WER {row['mean_wer']:.1%} over {len(row['wer'])} seeds")
    return {"partition": label, "systems": systems}
