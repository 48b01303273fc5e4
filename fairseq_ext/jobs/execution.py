"""Where and how a run is executed, and the command-line options for it."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal


@dataclass(frozen=True, slots=True)
class Execution:
    """Where and how.

    Attributes:
        executor: "local": processes of this machine; "slurm": a job array, through submitit.
        workers: processes, on Slurm per job; 0 works in this process, to debug.
        shards: on Slurm, jobs of the array; otherwise parts, each for a command of its own.
        shard_id: which part this command does; from 0, not for Slurm.
        update: take other items than those of the first run; what has not changed is kept.
        retry_failed: try failed and quarantined items again.
        retry_rejected: try rejected items again.
        watch: start nothing, show the progress of a run that goes on elsewhere.
        max_deaths: an item at which so many attempts died is quarantined.
        lease_s: how long items stay with a worker that gives no sign of life.
        progress: show a progress bar.
        partition: of Slurm; None for its default.
        gpus: per job.
        cpus: per job; 0 for one per worker.
        mem_gb: per job; None for the partition's default.
        timeout_min: of a job, which is put into the queue again when it is over.
        max_requeues: how often at most, after timeouts; preemption does not count.
        slurm: further options of sbatch, such as {"account": "x"}.
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
            raise ValueError(f"executor: local or slurm expected, found {self.executor!r}; name one of them")
        for name, least in [("workers", 0), ("shards", 1), ("max_deaths", 1), ("timeout_min", 1)]:
            if getattr(self, name) < least:
                raise ValueError(f"{name}: at least {least} expected, found {getattr(self, name)}; raise it")
        if self.lease_s <= 0:
            raise ValueError(f"lease_s: more than 0 seconds expected, found {self.lease_s}; raise it")
        self._check_shard()

    def _check_shard(self) -> None:
        if self.executor == "slurm":
            if self.shard_id is not None:
                raise ValueError(
                    "shard_id: none expected with the executor slurm, which starts all shards itself, found "
                    f"{self.shard_id}; leave it out, or use the executor local in a job of your own"
                )
        elif self.shard_id is None and self.shards > 1:
            raise ValueError(
                f"shard_id: 0 to {self.shards - 1} expected with {self.shards} shards, found none; say which "
                "this command does"
            )
        elif self.shard_id is not None and not 0 <= self.shard_id < self.shards:
            raise ValueError(
                f"shard_id: 0 to {self.shards - 1} expected, found {self.shard_id}; count from 0"
            )

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> "Execution":
        """Takes the options that `add_arguments` added.

        Args:
            args: the parsed command line.

        Returns:
            The execution.

        Raises:
            ValueError: when they do not fit together.
        """
        given = {f.name: getattr(args, f.name) for f in fields(cls) if hasattr(args, f.name)}
        given["slurm"] = dict(_option(text) for text in args.slurm)
        return cls(**given)


def _option(text: str) -> tuple[str, str | bool]:
    key, separator, value = text.lstrip("-").partition("=")
    return key, value if separator else True


def add_arguments(parser: argparse.ArgumentParser, *, reruns: bool = True) -> None:
    """Add the options of `Execution`.

    Args:
        parser: parser of a command that calls `run`.
        reruns: False leaves out --update and --retry-*, for a command that always does so.
    """
    group = parser.add_argument_group("execution")
    group.add_argument(
        "--workers", type=int, default=1, help="processes, on Slurm per job; 0: this one (default: 1)"
    )
    group.add_argument("--shards", type=int, default=1, help="parts of the work; on Slurm, jobs (default: 1)")
    group.add_argument(
        "--shard-id", type=int, help="the part that this command does, from 0; for any scheduler"
    )
    group.add_argument(
        "--executor", choices=["local", "slurm"], default="local", help="where (default: local)"
    )
    group.add_argument(
        "--watch", action="store_true", help="start nothing, show the progress over all shards"
    )
    if reruns:
        group.add_argument(
            "--update",
            action="store_true",
            help="take up what was added, changed or removed; the rest is kept",
        )
        group.add_argument(
            "--retry-rejected", action="store_true", help="try rejected items again, whose files were fixed"
        )
        group.add_argument(
            "--retry-failed", action="store_true", help="try failed and quarantined items again"
        )
    group.add_argument("--max-deaths", type=int, default=3, help="processes an item may kill (default: 3)")
    group.add_argument(
        "--lease-s", type=float, default=60.0, help="a silent worker's items go to others after (default: 60)"
    )
    group.add_argument("--partition", help="of Slurm (default: Slurm's)")
    group.add_argument("--gpus", type=int, default=0, help="per Slurm job (default: 0)")
    group.add_argument("--cpus", type=int, default=0, help="per Slurm job (default: one per worker)")
    group.add_argument("--mem-gb", type=float, help="memory per Slurm job (default: the partition's)")
    group.add_argument(
        "--timeout-min", type=int, default=24 * 60, help="of a Slurm job, minutes (default: a day)"
    )
    group.add_argument("--max-requeues", type=int, default=20, help="of a job that timed out (default: 20)")
    group.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="further option of sbatch; repeatable",
    )
