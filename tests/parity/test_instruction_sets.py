"""Run the comparisons of floats under each instruction set that the processor has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

# Both are read when torch starts, hence a process each: what torch's own kernels use, and what oneDNN may use.
SETS = {
    "DEFAULT": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
}
# Without vectors all files take minutes. The longest sums are those of CTC, where a tolerance first fails.
FILES = {"DEFAULT": "test_ctc.py"}

PROGRAM = """
import sys, pytest, torch
assert torch.backends.cpu.get_cpu_capability() == sys.argv[1], torch.backends.cpu.get_cpu_capability()
# This file's own test has no such mark: no run starts another.
sys.exit(pytest.main(["-q", "-x", "-m", "precision", "-p", "no:cacheprovider", sys.argv[2]]))
"""


@pytest.mark.parametrize("name", SETS)
def test_float_comparisons_hold_under_each_instruction_set(name: str) -> None:
    # What torch reports is what this run uses, and the most that the processor has unless a variable says less.
    used = torch.backends.cpu.get_cpu_capability()
    if used not in SETS:
        pytest.skip(f"torch reports one instruction set here: {used}")
    if list(SETS).index(name) > list(SETS).index(used):
        pytest.skip(f"{name} is beyond this processor, or beyond ATEN_CPU_CAPABILITY: torch reports {used}")
    if name == used == "AVX2":
        pytest.skip(
            "this run itself uses AVX2; with AVX512 more than AVX512_CORE may be in use, so that one runs"
        )
    command = [sys.executable, "-c", PROGRAM, name, str(Path(__file__).parent / FILES.get(name, ""))]
    done = subprocess.run(
        command, env={**os.environ, **SETS[name]}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
