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
    """Measure the rate of matrix products, then both systems in turns; report after each."""
    rate = in_fork(ssl_step.matrix_rate, chosen.device, chosen.dtype, chosen.matrix_side)
    report(matrix_flop_per_s=rate)
    say(f"ssl_step: matrix products run at {rate / 1e12:.3g} TFLOP/s")
    args = argparse.Namespace(**asdict(chosen))
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    flops: dict[str, float] = {}
    for number in range(chosen.rounds):
        for name in SYSTEMS:
            found = in_fork(_measure, name, args, count=number == 0)
            flops[name] = found.pop("flops", 0.0) or flops[name]
            rounds[name].append(found)
            report(**{name: summary(rounds[name], flops[name], rate)})
            say(f"ssl_step: {name} {1 / found['s']:.3g} updates/s, {found['peak MB']:.0f} MB")
    medians = {name: statistics.median(found["s"] for found in rounds[name]) for name in SYSTEMS}
    peaks = {name: max(found["peak MB"] for found in rounds[name]) for name in SYSTEMS}
    report(speed_up=medians["stock"] / medians["ours"], memory_ratio=peaks["stock"] / peaks["ours"])


def _measure(name: str, args: argparse.Namespace, *, count: bool) -> dict[str, float]:
    """Measure a system in this process, a fork; count its operations after that, since counting is slow."""
    found = ssl_step.measure(name, args)
    return {**found, "flops": ssl_step.flops_of_update(name, args)} if count else found


def summary(rounds: list[dict[str, float]], flops: float, rate: float) -> dict[str, Any]:
    """Return the figures of a system: of the median round, with the range of all.

    `share_of_matrix_rate` is the operations of the system's own products and convolutions per second, divided by those
    of a large product on the same device.
    """
    seconds = sorted(found["s"] for found in rounds)
    median = statistics.median(seconds)
    return {
        "updates_per_s": 1 / median,
        "updates_per_s_range": [1 / seconds[-1], 1 / seconds[0]],
        "peak_mb": max(found["peak MB"] for found in rounds),
        "cpu_s_per_update": statistics.median(found["CPU s"] for found in rounds),
        "flop_per_update": flops,
        "share_of_matrix_rate": flops / median / rate,
    }
