"""Where and how a run is executed, and the command-line options for it."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how a run is executed.

    Attributes:
        executor: "local": processes of this machine; "slurm": a job array, through submitit.
        workers: number of worker processes, on Slurm per job; 0 works in this process, for debugging.
        shards: number of shards, one command each; on Slurm, number of jobs of the array.
        shard_id: shard of this command, from 0; None on Slurm.
        update: accept other items than those of the first run; items that have not changed keep their outcome.
        retry_failed: try failed and quarantined items again.
        watch: only show the progress of a run that was started elsewhere.
        max_deaths: number of worker processes that may die at an item before it is quarantined.
        lease_s: seconds without a sign of life after which a worker loses its items to others.
        partition: partition of Slurm; None for its default.
        gpus: number of GPUs per Slurm job.
        cpus: number of CPUs per Slurm job; 0 for one per worker.
        mem_gb: memory per Slurm job; None for the default of the partition.
        timeout_min: time limit of a Slurm job; a job that reaches it is requeued.
        max_requeues: how often a job is requeued after timeouts; preemption does not count.
        slurm: further options for sbatch, such as {"account": "x"}.
    """

    executor: Literal["local", "slurm"] = "local"
    workers: int = 1
    shards: int = 1
    shard_id: int | None = None
    update: bool = False
    retry_failed: bool = False
    retry_rejected: bool = False
    watch: bool = False
    max_deaths: int = 3
    lease_s: float = 60.0
    progress: bool = True
    partition: str | None = None
    gpus: int = 0
    cpus: int = 0
    mem_gb: float | None = None
    timeout_min: int = 24 * 60
    max_requeues: int = 20
    slurm: Mapping[str, str | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.executor not in {"local", "slurm"}:
            raise ValueError(f"executor: expected local or slurm, found {self.executor!r}")
        for name, least in [("workers", 0), ("shards", 1), ("max_deaths", 1), ("timeout_min", 1)]:
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, found {getattr(self, name)}")
        if self.lease_s <= 0:
            raise ValueError(f"lease_s: expected more than 0 seconds, found {self.lease_s}")
        self._check_shard()

    def _check_shard(self) -> None:
        if self.executor == "slurm":
            if self.shard_id is not None:
                raise ValueError(
                    f"shard_id: {self.shard_id} given, but the executor slurm starts all shards itself; leave it out, "
                    "or use the executor local in a job of your own"
                )
        elif self.shard_id is None and self.shards > 1:
            raise ValueError(
                f"shard_id: with {self.shards} shards each command needs its own number; give 0 to "
                f"{self.shards - 1} (--shard-id)"
            )
        elif self.shard_id is not None and not 0 <= self.shard_id < self.shards:
            raise ValueError(
                f"shard_id: expected 0 to {self.shards - 1}, found {self.shard_id}; count from 0"
            )

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "Execution":
        """Build from the options that `add_arguments` added; raise ValueError where they contradict each other."""
        given = {f.name: getattr(args, f.name) for f in fields(cls) if hasattr(args, f.name)}
        given["slurm"] = dict(_option(text) for text in args.slurm)
        return cls(**given)


def _option(text: str) -> tuple[str, str | bool]:
    key, separator, value = text.lstrip("-").partition("=")
    return key, value if separator else True


_HELP: Mapping[str, tuple[Callable[[str], object], str]] = {
    "workers": (int, "worker processes, on Slurm per job; 0: this process (default: 1)"),
    "shards": (int, "number of shards; on Slurm, of jobs (default: 1)"),
    "shard_id": (int, "shard of this command, from 0; for any scheduler"),
    "watch": (bool, "only show the progress of all shards"),
    "update": (bool, "process items that were added or changed, drop removed ones, keep the rest"),
    "retry_rejected": (bool, "retry rejected items (after fixing their files)"),
    "retry_failed": (bool, "retry failed and quarantined items"),
    "max_deaths": (int, "deaths of workers at an item before it is quarantined (default: 3)"),
    "lease_s": (float, "seconds after which a silent worker loses its items (default: 60)"),
    "partition": (str, "partition of Slurm (default: that of Slurm)"),
    "gpus": (int, "GPUs per Slurm job (default: 0)"),
    "cpus": (int, "CPUs per Slurm job (default: one per worker)"),
    "mem_gb": (float, "memory per Slurm job, GB (default: that of the partition)"),
    "timeout_min": (int, "time limit of a Slurm job, minutes (default: a day)"),
    "max_requeues": (int, "requeues of a job after timeouts (default: 20)"),
}


def add_arguments(parser: argparse.ArgumentParser, *, reruns: bool = True, workers: str = "") -> None:
    """Add the options of `Execution`.

    Args:
        reruns: False: no --update and --retry-*, for a command that always does so.
        workers: help of --workers for a command with another default, which it sets where the option is None.
    """
    group = parser.add_argument_group("execution")
    defaults = Execution()
    group.add_argument(
        "--executor", choices=["local", "slurm"], default="local", help="where to run (default: local)"
    )
    for name, (of, text) in _HELP.items():
        flag = f"--{name.replace('_', '-')}"
        if of is bool and (reruns or name == "watch"):
            group.add_argument(flag, action="store_true", help=text)
        elif of is not bool:
            is_own = name == "workers" and workers
            default, text = (None, workers) if is_own else (getattr(defaults, name), text)
            group.add_argument(flag, type=of, default=default, help=text)
    text = "further option for sbatch; repeatable"
    group.add_argument("--slurm", action="append", default=[], metavar="KEY=VALUE", help=text)
