"""Start run.sh of a recipe, and read what its run left."""

import json
import os
import signal
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

from fairseq_ext.manifest import read_manifest

REPOSITORY = Path(__file__).resolve().parents[2]
SMOKE = ("--smoke", "--corpus", "synthetic")


def launch(recipe: Path, out: Path, *options: str, log_name: str = "") -> subprocess.Popen[str]:
    """Start run.sh in a new process group; its output is beside `out`, `log_name` or OUT.log."""
    log = (out.parent / (log_name or f"{out.name}.log")).open("w", encoding="utf-8")
    return subprocess.Popen(
        [str(recipe / "run.sh"), "--out", str(out), *options],
        cwd=out.parent,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait(process: subprocess.Popen[str], timeout_s: float) -> int:
    """Return the exit status; kill a run that takes too long, with its children."""
    try:
        return process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def finish(recipe: Path, out: Path, *options: str) -> str:
    """Run to the end and return the output."""
    status = wait(launch(recipe, out, *options), 580)
    text = (out.parent / f"{out.name}.log").read_text(encoding="utf-8")
    assert status == 0, f"exit status {status}:\n{text[-4000:]}"
    return text


def results(out: Path) -> dict[str, Any]:
    """Return results.json of a run."""
    found: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return found


def speakers(out: Path, partition: str, *splits: str) -> set[str]:
    """Return the speakers in splits of a partition."""
    read = (read_manifest(out / "manifests" / partition, split) for split in splits)
    return {str(utterance.speaker) for utterance in chain.from_iterable(read)}
