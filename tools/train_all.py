#!/usr/bin/env python3
"""Runs trainings side by side, each as `fairseq-hydra-train` runs it, in a fork of a process that has imported fairseq.

Importing fairseq takes 5 to 10 s of a core, longer than many a training of a smoke run. What is finished is skipped,
what was killed continues (fairseq picks up checkpoint_last.pt), and all of it ends with the run that asked for it. One
progress bar, with the update and loss of those under way.
"""

import argparse
import ctypes
import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

PR_SET_PDEATHSIG = 1  # of prctl(2)
LINES_OF_A_FAILURE = 15


@dataclass(frozen=True)
class Training:
    """What is to be run, and where.

    Attributes:
        name: partition, row and seed, for messages.
        folder: of its checkpoints and logs; PROTOCOL/ROW/seedN.
        arguments: of fairseq-hydra-train.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether it is finished."""
        return (self.folder / "done").exists()


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "list", type=Path, help="trainings, one a line: row, config, partition, seed, overrides (tabs)"
    )
    parser.add_argument("run", type=Path, help="folder of the run: manifests/ and train/ are in it")
    parser.add_argument("--conf", type=Path, required=True, help="folder of the configurations")
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext to use")
    parser.add_argument("--jobs", type=int, default=1, help="side by side (default: %(default)s)")
    parser.add_argument("--pid", type=int, required=True, help="end when this process is gone")
    often = 2.0 if sys.stderr.isatty() else 30.0  # a log file wants a line now and then
    parser.add_argument(
        "--every-s", type=float, default=often, help="seconds between lines (default: %(default)s)"
    )
    return parser.parse_args()


def read_trainings(args: argparse.Namespace) -> list[Training]:
    """Those in the list, in its order."""
    trainings = []
    for line in args.list.read_text(encoding="utf-8").splitlines():
        row, config, partition, seed, *overrides = line.split("\t")
        folder = args.run / "train" / partition / row / f"seed{seed}"
        arguments = (
            *("--config-dir", str(args.conf), "--config-name", config),
            *(f"common.user_dir={args.user_dir}", f"common.seed={seed}"),
            *(f"common.log_file={folder / 'train.log'}", f"task.data={args.run / 'manifests' / partition}"),
            *(f"checkpoint.save_dir={folder}", f"hydra.run.dir={folder}", *overrides),
        )
        trainings.append(Training(f"{partition}/{row} seed {seed}", folder, arguments))
    return trainings


def load_trainer(user_dir: Path) -> None:
    """Imports fairseq and the plugin, once for all forks.

    Nothing of fairseq_ext may be imported before: fairseq takes a user dir found in `sys.modules` for registered.
    """
    with warnings.catch_warnings(action="ignore"):  # of fairseq about Hydra's and its own future
        import fairseq_cli.hydra_train  # noqa: F401
        from fairseq.utils import import_user_module

        import_user_module(argparse.Namespace(user_dir=str(user_dir)))


def train(training: Training) -> NoReturn:
    """The training, in a process of its own that ends with its parent; does not return."""
    parent, status = os.getppid(), 1
    if sys.platform == "linux":  # elsewhere nobody ends it when its parent is killed outright
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    with (training.folder / "stdout.log").open("wb") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    try:
        from fairseq_cli.hydra_train import cli_main

        sys.argv = ["fairseq-hydra-train", *training.arguments]
        if os.getppid() == parent:
            cli_main()
            status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def last_update(folder: Path) -> str:
    """`row 120 loss 0.41` from the end of a training's JSON log; empty before its first line."""
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


def in_short(trainings: Iterable[Training]) -> str:
    """Where each of them is."""
    return " | ".join(filter(None, (last_update(training.folder) for training in trainings)))[:100]


def alive(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def finish(training: Training, status: int, seconds: float) -> bool:
    """Notes how a training ended: `done` with its seconds, or the end of its log on the terminal."""
    if status == 0:
        from fairseq_ext.files import atomic_write  # not before load_trainer: see there

        with atomic_write(training.folder / "done") as file:
            file.write(f"{seconds:.0f}\n")
        return True
    log = training.folder / "stdout.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
    said = [*lines, f"training {training.name} failed (exit {status}); the whole log: {log}"]
    tqdm.write("\n".join(said), file=sys.stderr)
    return False


def run(waiting: list[Training], args: argparse.Namespace, bar: "tqdm[NoReturn]") -> bool:
    """Runs trainings; after a failure those under way end, and nothing more begins.

    Returns:
        Whether all went well. Does not return when the process that asked is gone.
    """
    running: dict[int, tuple[Training, float]] = {}
    sound, shown = True, time.monotonic()
    while running or (waiting and sound):
        while waiting and sound and len(running) < args.jobs:
            training = waiting.pop(0)
            training.folder.mkdir(parents=True, exist_ok=True)
            pid = os.fork()
            if pid == 0:
                train(training)
            running[pid] = training, time.monotonic()
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            training, began = running.pop(pid)
            done = finish(training, os.waitstatus_to_exitcode(status), time.monotonic() - began)
            bar.update(done)
            sound &= done
        elif not alive(args.pid):
            sys.exit(1)  # the trainings end with this process
        else:
            time.sleep(0.1)
        if time.monotonic() - shown >= args.every_s:
            shown = time.monotonic()
            bar.set_postfix_str(in_short(training for training, _ in running.values()))
    return sound


def main() -> None:
    args = parse_args()
    trainings = read_trainings(args)
    waiting = [training for training in trainings if not training.is_done]
    if waiting:
        load_trainer(args.user_dir)
    tqdm.monitor_interval = 0  # no thread, which a fork could catch with a lock
    with tqdm(
        total=len(trainings),
        initial=len(trainings) - len(waiting),
        unit="training",
        smoothing=0.1,
        mininterval=args.every_s,
    ) as bar:
        sound = run(waiting, args, bar)
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
