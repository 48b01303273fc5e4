"""Options of the commands that run jobs, objects that are sent between processes, and the tool that shows a run."""

import argparse
import functools
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairseq_ext.jobs import Execution, Item, Rejected, add_arguments, one_by_one, run

HERE = Execution(workers=0, progress=False)


def test_rejections_and_executions_can_be_pickled() -> None:
    rejected = pickle.loads(pickle.dumps(Rejected("no_face", "none", {"rate": 0.0})))
    assert (rejected.reason, rejected.detail, rejected.result, str(rejected)) == (
        "no_face",
        "none",
        {"rate": 0.0},
        "no_face: none",
    )
    assert pickle.loads(pickle.dumps(HERE)) == HERE


def parse(*arguments: str) -> Execution:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return Execution.from_args(parser.parse_args(arguments))


def test_the_command_line() -> None:
    assert parse() == Execution()
    assert parse("--workers", "4", "--shards", "8", "--shard-id", "7", "--retry-failed") == Execution(
        workers=4, shards=8, shard_id=7, retry_failed=True
    )
    slurm = [
        "--executor",
        "slurm",
        "--shards",
        "9",
        "--partition",
        "gpu",
        "--gpus",
        "1",
        "--timeout-min",
        "30",
    ]
    assert parse(*slurm, "--slurm", "account=me", "--slurm", "exclusive") == Execution(
        executor="slurm",
        shards=9,
        partition="gpu",
        gpus=1,
        timeout_min=30,
        slurm={"account": "me", "exclusive": True},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--shards 4", "with 4 shards each command needs its own number; give 0 to 3"),
        ("--shards 4 --shard-id 4", "expected 0 to 3, found 4; count from 0"),
        ("--shard-id -1", "expected 0 to 0, found -1"),
        ("--shards 0", "shards: expected 1 or more, found 0"),
        ("--workers -1", "workers: expected 0 or more, found -1"),
        ("--executor slurm --shards 2 --shard-id 1", "1 given, but the executor slurm starts all shards"),
    ],
)
def test_options_that_do_not_fit_together(arguments: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(*arguments.split())


def test_the_tool_shows_a_run(tmp_path: Path, repository: Path) -> None:
    def tool(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, str(repository / "tools" / "jobs.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    items = [Item(f"i{i}") for i in range(6)]
    execution = replace(HERE, shards=2, shard_id=0)
    settings: dict[str, Any] = {}
    call = functools.partial(
        run, tmp_path / "run", items, lambda: one_by_one(lambda item: {}), settings=settings
    )
    call(execution=execution)
    half = f"{tmp_path / 'run'}: 6 items: 3 done, 3 missing; "
    assert tool("status", str(tmp_path / "run")).stdout.startswith(half)
    assert tool("status", str(tmp_path)).stdout.startswith(half)  # found below the folder
    call(execution=HERE)
    watched = tool("watch", str(tmp_path / "run"))
    assert watched.stdout == f"{tmp_path / 'run'}: 6 items: 6 done\n"
    assert "6/6" in watched.stderr
    (tmp_path / "empty").mkdir()
    assert tool("status", str(tmp_path / "empty")).stderr.startswith("jobs.py: ")
