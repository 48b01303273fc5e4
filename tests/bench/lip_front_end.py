"""Frames per second of the lip front end, forward and backward, against the plain torch module of the same parameters.

    python tests/bench/lip_front_end.py                   sizes 64 and 16 on 1 and 2 threads, in turns
    python tests/bench/lip_front_end.py --threads 1 --rounds 5

`plain` is the module as papers write it: Conv3d, BatchNorm3d, torch's PReLU, MaxPool3d, a ResNet of Conv2d; torch's
default layout. Both start from the same state dict and meet the same pictures; outputs and gradients are compared in
float32. Each size has a process of its own, in which the two take turns: a busy machine slows both. Seconds are the
process's own CPU time divided by its threads, least of the rounds; wall time is printed beside it. `forward` is in
evaluation mode without gradients, `step` forward and backward in training mode.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from fairseq_ext.modules.lip_front_end import LipFrontEnd, block_counts

# width, blocks, pool, clips of 75 frames
SIZES = {
    "published": (64, "2,2,2,2", 1, 2),
    "small": (16, "2,2,2,2", 1, 8),
    "tiny": (16, "1,1,1", 2, 16),
}
NUM_FRAMES, SIDE = 75, 88


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


def measure(size: str, threads: int, rounds: int) -> dict[str, Any]:
    """Time both systems of a size in turns, after a round that counts nowhere."""
    torch.set_num_threads(threads)
    plain, ours, video = pair(size)
    row: dict[str, Any] = {
        "size": size,
        "threads": threads,
        "differences": differences(plain, ours, video[:1]),
    }
    num_frames = len(video) * NUM_FRAMES
    for what, train in (("forward", False), ("step", True)):
        best = {"plain": (float("inf"),) * 2, "ours": (float("inf"),) * 2}
        for number in range(rounds + 1):
            for name, model in (("plain", plain), ("ours", ours)):
                if number:
                    found = seconds(model, video, train)
                    best[name] = (min(best[name][0], found[0]), min(best[name][1], found[1]))
                else:
                    seconds(model, video, train)
        row[what] = {name: [num_frames / value for value in pair_] for name, pair_ in best.items()}
    return row


def main() -> None:
    """Print a line per size, threads and kind of pass."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="measure in this process, and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.sizes[0], args.threads[0], args.rounds)))
        return
    print("size       threads pass      plain f/s (wall)   ours f/s (wall)    ratio (wall)")
    for size in args.sizes:
        for threads in args.threads:
            command = [sys.executable, __file__, "--one", "--sizes", size, "--threads", str(threads)]
            command += ["--rounds", str(args.rounds)]
            row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for what in ("forward", "step"):
                (plain, plain_wall), (ours, ours_wall) = row[what]["plain"], row[what]["ours"]
                print(
                    f"{size:10} {threads:7} {what:8} {plain:8.0f} ({plain_wall:5.0f}) {ours:10.0f} ({ours_wall:5.0f})"
                    f"   {ours / plain:8.2f} ({ours_wall / plain_wall:.2f})"
                )
            print(f"{'':18} largest relative difference: {row['differences']}", flush=True)


if __name__ == "__main__":
    main()
