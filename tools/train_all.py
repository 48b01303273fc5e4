#!/usr/bin/env python3
"""Run the trainings of a recipe's stage side by side, each as `fairseq-hydra-train` does, in a fork of one process.

That process has imported fairseq, which takes 5 to 10 s of a core, longer than many a training of a smoke run. Finished
trainings are skipped, killed ones continue (fairseq picks up checkpoint_last.pt), and all of them end with the run.sh
that started them. tools/plan.py lists what a stage trains.
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm
from training_plan.choice import add_choice, choice_of
from training_plan.hydra_overrides import override
from training_plan.plan_yaml import read_plan
from training_plan.trainings import Training, check_starts, stage_trainings

LINES_OF_A_FAILURE = 15


@dataclass(frozen=True)
class Job:
    """A training with its place in the run.

    Attributes:
        name: partition, system and seed, for messages.
        folder: folder of its checkpoints and logs, train/PARTITION/SYSTEM/seedN.
        arguments: arguments of fairseq-hydra-train.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Return whether it has come to its end."""
        return (self.folder / "done").exists()


def parse_args() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_choice(parser)
    parser.add_argument("stage", help="stage of plan.yaml")
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext folder to train with")
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side (default: %(default)s)")
    parser.add_argument("--pid", type=int, required=True, help="stop when the process of this number is gone")
    often = 2.0 if sys.stderr.isatty() else 30.0  # a line now and then is enough for a log file
    parser.add_argument(
        "--every-s", type=float, default=often, help="seconds between progress lines (default: %(default)s)"
    )
    return parser.parse_args()


def job_of(training: Training, args: argparse.Namespace) -> Job:
    """Return a training with its folder and all of its arguments."""
    seed, partition = training.seed, training.partition
    folder = args.run / "train" / partition / training.system / f"seed{seed}"
    values = {
        "common.user_dir": args.user_dir,
        "common.log_file": folder / "train.log",
        "task.data": args.run / "manifests" / partition,
        "checkpoint.save_dir": folder,
        "hydra.run.dir": folder,
    }
    arguments = (
        *("--config-dir", str(args.recipe / "conf"), "--config-name", training.config),
        f"common.seed={seed}",
        *(override(key, value) for key, value in values.items()),
        *training.overrides,
    )
    return Job(str(training), folder, arguments)


def load_trainer(user_dir: Path) -> None:
    """Import fairseq and the plugin, once for all forks.

    Nothing of fairseq_ext may be imported before: fairseq believes a user dir in `sys.modules` to be registered.
    """
    with warnings.catch_warnings(action="ignore"):  # fairseq warns about Hydra's future and its own
        import fairseq_cli.hydra_train  # noqa: F401
        from fairseq.utils import import_user_module

        import_user_module(argparse.Namespace(user_dir=str(user_dir)))


def train(job: Job) -> None:
    """Train in this process, a fork."""
    with (job.folder / "stdout.log").open("wb") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    from fairseq_cli.hydra_train import cli_main

    sys.argv = ["fairseq-hydra-train", *job.arguments]
    cli_main()


def last_update(folder: Path) -> str:
    """Return `SYSTEM 120 loss 0.41` from the end of a training's JSON log; empty before its first line."""
    log = folder / "train.log"
    if not log.exists():
        return ""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 4096))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        start = line.find("{")
        if start >= 0 and '"num_updates"' in line:
            try:
                row = json.loads(line[start:])
            except json.JSONDecodeError:
                continue
            key = next((k for k in ("loss", "train_loss") if k in row), None)
            update = row.get("num_updates", row.get("train_num_updates"))
            return f"{folder.parent.name} {update}" + (f" loss {row[key]}" if key else "")
    return ""


def in_short(jobs: Iterable[Job]) -> str:
    """Return where each of the trainings is, for the progress bar."""
    return " | ".join(filter(None, (last_update(job.folder) for job in jobs)))[:100]


def alive(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_ready(job: Job) -> bool:
    """Make the folder; replace a damaged last checkpoint by the newest sound one, and say so; say what is wrong."""
    from fairseq_ext.torch_files import restore_last_checkpoint  # not before load_trainer: see there

    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        message = restore_last_checkpoint(job.folder)
    except (ValueError, OSError) as error:
        tqdm.write(f"training {job.name}: {error}", file=sys.stderr)
        return False
    if message:
        tqdm.write(f"training {job.name}: {message}", file=sys.stderr)
    return True


def finish(job: Job, status: int) -> bool:
    """Write `done` with the seconds of all attempts at a training, or print the end of its log; return which."""
    if status == 0:
        from fairseq_ext.files import atomic_write
        from fairseq_ext.scoring.provenance import training_seconds

        with atomic_write(job.folder / "done") as file:
            file.write(f"{training_seconds(job.folder / 'train.log') or 0:.0f}\n")
        return True
    log = job.folder / "stdout.log"
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
    message = f"training {job.name} failed (exit {status}); the whole log: {log}"
    tqdm.write("\n".join([*tail, message]), file=sys.stderr)
    return False


def run(waiting: list[Job], args: argparse.Namespace, bar: "tqdm[NoReturn]") -> bool:
    """Run trainings and return whether all succeeded; after a failure those under way end, and no other begins.

    Exits when the process of run.sh is gone.
    """
    from fairseq_ext.jobs.forks import start_fork  # not before load_trainer: see there

    running: dict[int, Job] = {}
    ok, shown = True, time.monotonic()
    while running or (waiting and ok):
        while waiting and ok and len(running) < args.jobs:
            job = waiting.pop(0)
            if not (ok := is_ready(job)):
                break
            running[start_fork(partial(train, job))] = job
        pid, status = os.waitpid(-1, os.WNOHANG) if running else (0, 0)
        if pid:
            done = finish(running.pop(pid), os.waitstatus_to_exitcode(status))
            bar.update(done)
            ok &= done
        elif not alive(args.pid):
            sys.exit(1)  # the trainings end with this process
        else:
            time.sleep(0.1)
        if time.monotonic() - shown >= args.every_s:
            shown = time.monotonic()
            bar.set_postfix_str(in_short(running.values()))
    return ok


def main() -> None:
    """Train what the stage lacks."""
    args = parse_args()
    try:
        trainings = stage_trainings(read_plan(args.recipe), args.stage, choice_of(args), args.run)
        check_starts(trainings)
    except (ValueError, OSError) as error:
        sys.exit(f"train_all.py: {error}")
    jobs = [job_of(training, args) for training in trainings]
    waiting = [job for job in jobs if not job.is_done]
    print(
        f"{len(jobs)} trainings, {args.jobs} side by side; logs: {args.run}/train/*/*/*/stdout.log",
        flush=True,
    )
    if not waiting:
        return
    load_trainer(args.user_dir)
    tqdm.monitor_interval = 0  # no thread, which could hold a lock at a fork
    begun = {"total": len(jobs), "initial": len(jobs) - len(waiting)}
    with tqdm(**begun, unit="training", smoothing=0.1, mininterval=args.every_s) as bar:
        ok = run(waiting, args, bar)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
