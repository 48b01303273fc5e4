"""Step ssl_step: updates of wav2vec 2.0 pre-training, stock fairseq's model and criterion against ours, in turns."""

import argparse
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ssl_step
from forks import in_fork
from results import Report, say

SYSTEMS = ("stock", "ours")


@dataclass(frozen=True)
class Settings:
    """Shapes and repetitions; names as of the options of tests/bench/ssl_step.py.

    `matrix_side` is that of the matrices that give the matrix rate; 0 = large enough for the device.
    """

    device: str
    size: str = "base"
    dtype: str = "bf16"
    samples: int = 1_400_000
    clip: int = 250_000
    updates: int = 20
    rounds: int = 3
    matrix_side: int = 0


def settings(device: str, *, tiny: bool, seconds: float) -> Settings:
    """Return the settings of a run: wav2vec 2.0 base, or a toy."""
    if tiny:
        return Settings(device, size="toy", samples=32_000, clip=16_000, updates=2, rounds=1, matrix_side=256)
    return Settings(device)


def run(chosen: Settings, work: Path, report: Report) -> None:
    """Measure the rate of matrix products, then both systems in turns, then count operations; report after each."""
    rate = in_fork(ssl_step.matrix_rate, chosen.device, chosen.dtype, chosen.matrix_side)
    report(matrix_flop_per_s=rate)
    say(f"ssl_step: matrix products run at {rate / 1e12:.3g} TFLOP/s")
    args = argparse.Namespace(**asdict(chosen))
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for _ in range(chosen.rounds):
        for name in SYSTEMS:
            found = in_fork(ssl_step.measure, name, args)
            rounds[name].append(found)
            report(**{name: summary(rounds[name])})
            say(f"ssl_step: {name} {1 / found['s']:.3g} updates/s, {found['peak MB']:.0f} MB")
    seconds, peaks = (
        {name: figure([found[key] for found in rounds[name]]) for name in SYSTEMS}
        for key, figure in (("s", statistics.median), ("peak MB", max))
    )
    report(speed_up=seconds["stock"] / seconds["ours"], memory_ratio=peaks["stock"] / peaks["ours"])
    for name in SYSTEMS:
        flops = in_fork(ssl_step.flops_of_update, name, args)
        # of the system's own products and convolutions, against a large product on the same device
        share = {"flop_per_update": flops, "share_of_matrix_rate": flops / seconds[name] / rate}
        report(**{name: summary(rounds[name]) | share})


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Return the figures of a system: of the median round, with the range of all."""
    seconds = sorted(found["s"] for found in rounds)
    return {
        "updates_per_s": 1 / statistics.median(seconds),
        "updates_per_s_range": [1 / seconds[-1], 1 / seconds[0]],
        "peak_mb": max(found["peak MB"] for found in rounds),
        "cpu_s_per_update": statistics.median(found["CPU s"] for found in rounds),
    }
