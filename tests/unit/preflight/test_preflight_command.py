"""The command of preflight: one bad folder of several fails, limits without a rate are refused."""

import subprocess
import sys
from pathlib import Path

from unit.preflight.defects import ERRORS

REPOSITORY = Path(__file__).parents[3]


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Return the command line."""
    command = [sys.executable, "tools/check_data.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)


def test_the_command_fails_when_any_folder_does(healthy: Path, planted: Path) -> None:
    good = run_command(
        healthy / "manifest", "--sample-rate-hz", "8000", "--ctc", "ltr", "--ctc-stride-samples", "160"
    )
    assert (good.returncode, good.stderr.count("Traceback")) == (0, 0)
    ERRORS["label row lost"][0](planted)
    bad = run_command(healthy / "manifest", planted / "manifest", "--quiet", "--decode", "all")
    assert bad.returncode == 1
    assert "OK: 0 errors" in bad.stdout
    assert "FAILED: 1 errors" in bad.stdout
    assert bad.stderr == ""


def test_the_command_refuses_limits_it_cannot_apply(healthy: Path) -> None:
    done = run_command(healthy / "manifest", "--max-duration-s", "3")
    assert done.returncode == 1
    assert "sample_rate_hz" in done.stderr
    assert "Traceback" not in done.stderr
