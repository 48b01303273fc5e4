"""The command of preflight: one bad folder of several fails, limits without a rate are refused."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from unit.preflight.defects import ERRORS

REPOSITORY = Path(__file__).parents[3]


def run_command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Return the command line."""
    command = [sys.executable, "tools/check_data.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)


def test_the_command_fails_when_any_folder_does(
    healthy: Path, planted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = run_command(
        healthy / "manifest", "--sample-rate-hz", "8000", "--ctc", "ltr", "--ctc-stride-samples", "160"
    )
    assert (good.returncode, good.stderr.count("Traceback")) == (0, 0)
    ERRORS["label row lost"][0](planted)
    folders = [str(folder / "manifest") for folder in (healthy, planted)]
    monkeypatch.setattr(sys, "argv", ["check_data.py", *folders, "--quiet", "--decode", "all"])
    with pytest.raises(SystemExit, match="1"):
        runpy.run_path(str(REPOSITORY / "tools" / "check_data.py"), run_name="__main__")
    bad = capsys.readouterr()
    assert "OK: 0 errors" in bad.out
    assert "FAILED: 1 errors" in bad.out
    assert bad.err == ""


def test_the_command_refuses_limits_it_cannot_apply(healthy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["check_data.py", str(healthy / "manifest"), "--max-duration-s", "3"])
    with pytest.raises(SystemExit, match=r"check_data\.py: .*sample_rate_hz"):
        runpy.run_path(str(REPOSITORY / "tools" / "check_data.py"), run_name="__main__")
