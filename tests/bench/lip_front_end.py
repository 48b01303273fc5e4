"""Frames per second of the lip front end, forward and backward, against the plain torch module of the same parameters.

    python tests/bench/lip_front_end.py                   all sizes, on 1 and 2 threads
    python tests/bench/lip_front_end.py --sizes tiny --threads 1 --turns 5

`plain` is the module as papers write it: Conv3d, BatchNorm3d, torch's PReLU, MaxPool3d, a ResNet of Conv2d; torch's
default layout, and torch's memory as it comes. Both start from the same state dict and meet the same pictures; outputs
and gradients are compared in float32 (in float64 they agree to rounding: tests/unit/test_lip_front_end.py). Each has
processes of its own, which take turns: a busy machine slows both. Frames per second of CPU time are of the process's
own seconds divided by its threads, those of wall time in brackets, both the best found. `forward` is in evaluation mode
without gradients, `step` forward and backward in training mode.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_ext.modules.heap import keep_large_blocks
from fairseq_ext.modules.lip_front_end import LipFrontEnd, block_counts

# width, blocks, pool, clips of 75 frames
SIZES = {
    "published": (64, "2,2,2,2", 1, 2),
    "small": (16, "2,2,2,2", 1, 8),
    "tiny": (16, "1,1,1", 2, 16),
}
NUM_FRAMES, SIDE = 75, 88
SYSTEMS, PASSES = ("plain", "ours"), ("forward", "step")


class PlainBlock(nn.Module):
    """The residual block as He et al. 2016 draw it."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(out), nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(out), nn.PReLU(out)
        self.downsample = None
        if stride > 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to (N, C, H, W)."""
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        result: Tensor = self.relu2(y + (x if self.downsample is None else self.downsample(x)))
        return result


class Plain(nn.Module):
    """The front end, written plainly."""

    def __init__(self, width: int, blocks: str, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.PReLU(width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = nn.Sequential()
        into = width
        for stage, count in enumerate(block_counts(blocks)):
            layer = nn.Sequential()
            for number in range(count):
                layer.append(PlainBlock(into, width * 2**stage, 2 if stage and not number else 1))
                into = width * 2**stage
            self.trunk.add_module(f"layer{stage + 1}", layer)

    def forward(self, video: Tensor) -> Tensor:
        """Encode (B, 1, T, H, W): (B, T, D)."""
        if self.pool > 1:
            video = nn.functional.avg_pool3d(video, (1, self.pool, self.pool))
        planes = self.frontend3D(video).transpose(1, 2)
        clips, frames = planes.shape[:2]
        result: Tensor = self.trunk(planes.flatten(0, 1)).mean((2, 3)).view(clips, frames, -1)
        return result


def pair(size: str) -> tuple[Plain, LipFrontEnd, Tensor]:
    """Build both with the same parameters, and pictures for them."""
    width, blocks, pool, clips = SIZES[size]
    torch.manual_seed(1)
    plain, ours = Plain(width, blocks, pool), LipFrontEnd(width, blocks, pool)
    ours.load_state_dict(plain.state_dict())
    return plain, ours, torch.randn(clips, 1, NUM_FRAMES, SIDE, SIDE)


def differences(plain: nn.Module, ours: nn.Module, video: Tensor) -> dict[str, float]:
    """Return the largest differences of outputs and gradients, relative to the largest value of each tensor."""
    found = []
    for model in (plain, ours):
        model.zero_grad()
        output = model(video)
        weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
        (output * weights).sum().backward()
        found.append((output.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    (plain_out, plain_grad), (our_out, our_grad) = found
    relative = [float((our_grad[n] - g).norm() / g.norm()) for n, g in plain_grad.items()]
    return {
        "output": float((our_out - plain_out).abs().max() / plain_out.abs().max()),
        "gradient": max(relative),
    }


def seconds(model: nn.Module, video: Tensor, train: bool) -> tuple[float, float]:
    """Return CPU seconds per thread and wall seconds of a forward pass, with its backward pass in training."""
    model.train(train)
    model.zero_grad()
    cpu, wall = time.process_time(), time.perf_counter()
    with torch.set_grad_enabled(train):
        output = model(video)
    if train:
        output.square().mean().backward()
    return (time.process_time() - cpu) / torch.get_num_threads(), time.perf_counter() - wall


def measure(size: str, system: str, threads: int, rounds: int) -> dict[str, Any]:
    """Time a system of a size after a round that counts nowhere: least CPU and wall seconds of each kind of pass."""
    torch.set_num_threads(threads)
    plain, ours, video = pair(size)
    row: dict[str, Any] = {}
    if system == "ours":
        row["differences"] = differences(plain, ours, video[:1])
        keep_large_blocks()  # as every task that reads clips does
    model = ours if system == "ours" else plain
    for what in PASSES:
        found = [seconds(model, video, what == "step") for _ in range(rounds + 1)][1:]
        row[what] = [len(video) * NUM_FRAMES / min(times) for times in zip(*found, strict=True)]
    return row


def in_own_process(size: str, system: str, threads: int, rounds: int) -> dict[str, Any]:
    """Run `measure` in a process of its own."""
    command = [sys.executable, __file__, "--one", system, "--sizes", size, "--threads", str(threads)]
    done = subprocess.run([*command, "--rounds", str(rounds)], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a line per size, threads and kind of pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2, help="passes of a process that count (default: 2)")
    parser.add_argument("--turns", type=int, default=2, help="processes of each system (default: 2)")
    parser.add_argument("--one", choices=SYSTEMS, help="measure one system in this process, and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.sizes[0], args.one, args.threads[0], args.rounds)))
        return
    print("size       threads pass      plain f/s (wall)    ours f/s (wall)   ratio (wall)")
    for size in args.sizes:
        for threads in args.threads:
            found: dict[str, list[dict[str, Any]]] = {system: [] for system in SYSTEMS}
            for _ in range(args.turns):
                for system, rows in found.items():
                    rows.append(in_own_process(size, system, threads, args.rounds))
            for what in PASSES:
                best = {
                    system: [max(values) for values in zip(*(row[what] for row in rows), strict=True)]
                    for system, rows in found.items()
                }
                (plain, plain_wall), (ours, ours_wall) = best["plain"], best["ours"]
                print(
                    f"{size:10} {threads:7} {what:8} {plain:8.0f} ({plain_wall:5.0f}) {ours:10.0f} ({ours_wall:5.0f})"
                    f"   {ours / plain:8.2f} ({ours_wall / plain_wall:.2f})"
                )
            print(f"{'':18} largest relative differences: {found['ours'][0]['differences']}", flush=True)


if __name__ == "__main__":
    main()
