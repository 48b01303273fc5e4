"""tools/auto_label.py reports errors in one line, also those of worker processes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from preloaded import Preloaded

TOOL = Path(__file__).parents[3] / "tools" / "auto_label.py"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_model_that_cannot_be_loaded_is_reported(
    whisper: Path, make_clips: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    clips = make_clips(tmp_path / "clips", {"a": ("a.mp4", np.zeros(640, np.float32))})
    done = subprocess.run(
        [sys.executable, TOOL, "--clips", clips, "--out", tmp_path / "out", "--model", whisper / "ct2",
         "--device", "gpu", "--workers", str(workers)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    found = "device: cpu, cuda, cuda:N or auto expected, found 'gpu'; change the device"
    assert done.stderr.rpartition("\nauto_label.py: ")[2] == f"{found}\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (
            "it\tBuongiorno.\n",
            "a language of --languages fr, a tab and a text expected, found 'it\\tBuongiorno.'",
        ),
        ("fr\n", "a language of --languages fr, a tab and a text expected, found 'fr'"),
        (None, "no such file or folder"),
    ],
)
def test_prompts_without_effect_are_refused(
    whisper: Path, preloaded: Preloaded, tmp_path: Path, table: str | None, reason: str
) -> None:
    prompts = tmp_path / "prompts.tsv"
    if table is not None:
        prompts.write_text(table, encoding="utf-8")
    options = ("--model", whisper / "ct2", "--languages", "fr", "--prompts", prompts, "--check")
    done = preloaded.run([TOOL, "--clips", tmp_path, "--out", tmp_path / "out", *options])
    assert done.returncode == 1
    assert reason in done.stderr
    assert str(prompts) in done.stderr
