"""Runs trainings side by side, each as `fairseq-hydra-train` runs it, in a fork of a process that has imported fairseq.

Importing fairseq takes 5 to 10 s of a core, longer than many a training of a smoke run. What is finished is skipped,
what was killed continues (fairseq picks up checkpoint_last.pt), and all of it ends with the run that asked for it.
"""

import argparse
import ctypes
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # of prctl(2)
LINES_OF_A_FAILURE = 15


@dataclass(frozen=True)
class Training:
    """What is to be run, and where.

    Attributes:
        name: protocol, row and seed, for messages.
        folder: of its checkpoints and logs.
        arguments: of fairseq-hydra-train.
    """

    name: str
    folder: Path
    arguments: tuple[str, ...]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "list", type=Path, help="trainings, one a line: row, config, protocol, seed, overrides (tabs)"
    )
    parser.add_argument("run", type=Path, help="folder of the run: manifests/ and train/ are in it")
    parser.add_argument("--conf", type=Path, required=True, help="folder of the configurations")
    parser.add_argument("--user-dir", type=Path, required=True, help="the fairseq_ext to use")
    parser.add_argument("--jobs", type=int, default=1, help="side by side (default: %(default)s)")
    parser.add_argument("--pid", type=int, required=True, help="end when this process is gone")
    return parser.parse_args()


def read_trainings(args: argparse.Namespace) -> list[Training]:
    """Those in the list that are not finished."""
    trainings = []
    for line in args.list.read_text(encoding="utf-8").splitlines():
        row, config, protocol, seed, *overrides = line.split("\t")
        folder = args.run / "train" / protocol / row / f"seed{seed}"
        arguments = (
            *("--config-dir", str(args.conf), "--config-name", config),
            *(f"common.user_dir={args.user_dir}", f"common.seed={seed}"),
            *(f"common.log_file={folder / 'train.log'}", f"task.data={args.run / 'manifests' / protocol}"),
            *(f"checkpoint.save_dir={folder}", f"hydra.run.dir={folder}", *overrides),
        )
        if not (folder / "done").exists():
            trainings.append(Training(f"{protocol}/{row} seed {seed}", folder, arguments))
    return trainings


def train(training: Training) -> NoReturn:
    """The training, in a process of its own that ends with its parent; does not return."""
    parent, status = os.getppid(), 1
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
        unfinished = training.folder / "done.tmp"
        unfinished.write_text(f"{seconds:.0f}\n")
        unfinished.replace(training.folder / "done")
        return True
    log = training.folder / "stdout.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_OF_A_FAILURE:]
    print(*lines, sep="\n", file=sys.stderr)
    print(
        f"training {training.name} failed (exit {status}); the whole log: {log}", file=sys.stderr, flush=True
    )
    return False


def main() -> None:
    args = parse_args()
    waiting = read_trainings(args)
    if not waiting:
        return
    import fairseq_cli.hydra_train  # noqa: F401 - once, for all forks

    running: dict[int, tuple[Training, float]] = {}
    sound = True
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
            sound &= finish(training, os.waitstatus_to_exitcode(status), time.monotonic() - began)
        elif alive(args.pid):
            time.sleep(0.1)
        else:
            sys.exit(1)  # the trainings end with this process
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
