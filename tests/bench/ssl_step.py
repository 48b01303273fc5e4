"""Seconds per update and peak memory of wav2vec 2.0 pre-training: stock fairseq's model and criterion against ours.

    python tests/bench/ssl_step.py                                         CPU, small model, batches of 320,000 samples
    python tests/bench/ssl_step.py --size recipe --samples 480000          what recipes/catalan_ssl trains on a CPU
    python tests/bench/ssl_step.py --device cuda --size base --dtype bf16   GPU, wav2vec 2.0 base, 1.4 million samples

Both systems get the same configuration, the same waveforms and the same optimiser (torch's fused Adam), each in a
process of its own, and the processes take turns, so that whatever else the machine does meets both. An update is
forward, backward, clipping, step. CPU seconds count what the process itself used, which a busy machine disturbs less.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

SIZES: dict[str, dict[str, Any]] = {
    "toy": {  # does it run, not how well
        "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16,2,2)] * 2",
        "encoder_layers": 1,
        "encoder_embed_dim": 32,
        "encoder_ffn_embed_dim": 64,
        "encoder_attention_heads": 2,
        "latent_vars": 16,
        "final_dim": 16,
    },
    "small": {
        "conv_feature_layers": "[(256, 10, 5)] + [(256, 3, 2)] * 4 + [(256,2,2)] * 2",
        "encoder_layers": 4,
        "encoder_embed_dim": 256,
        "encoder_ffn_embed_dim": 1024,
        "encoder_attention_heads": 4,
        "latent_vars": 320,
        "final_dim": 256,
    },
    "base": {
        "conv_feature_layers": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] * 2",
        "encoder_layers": 12,
        "encoder_embed_dim": 768,
        "encoder_ffn_embed_dim": 3072,
        "encoder_attention_heads": 12,
        "latent_vars": 320,
        "final_dim": 256,
    },
}
# As in fairseq's wav2vec2_base_librispeech.yaml.
RECIPE: dict[str, Any] = {
    "encoder_layerdrop": 0.05,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "dropout_input": 0.1,
    "dropout_features": 0.1,
    "feature_grad_mult": 0.1,
    "latent_temp": (2.0, 0.5, 0.999995),
    "num_negatives": 100,
}
RECIPE_YAML = Path(__file__).parents[2] / "recipes/catalan_ssl/conf/pretrain.yaml"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Step = Callable[[Tensor], float]


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", default="small", choices=[*SIZES, "recipe"])
    parser.add_argument("--dtype", default="fp32", choices=DTYPES)
    parser.add_argument(
        "--samples", type=int, help="per batch (default: 320000 on the CPU, 1400000 on a GPU)"
    )
    parser.add_argument(
        "--clip", type=int, help="samples per clip (default: 80000 on the CPU, 250000 on a GPU)"
    )
    parser.add_argument("--updates", type=int, default=5, help="measured updates per round (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="processes per system, in turn (default: 3)")
    parser.add_argument("--profile", action="store_true", help="print where our time goes instead")
    parser.add_argument("--measure", choices=["stock", "ours"], help=argparse.SUPPRESS)
    return parser.parse_args()


def keys_of_model(size: str) -> dict[str, Any]:
    """Return the model's keys: a size of this file, or those of the recipe that stock fairseq has too."""
    if size in SIZES:
        return {**RECIPE, **SIZES[size]}
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config

    model = OmegaConf.to_container(OmegaConf.load(RECIPE_YAML).model)
    stock = {item.name for item in fields(Wav2Vec2Config)} - {"_name"}
    return {key: value for key, value in model.items() if key in stock}


def build_stock(sizes: dict[str, Any]) -> tuple[torch.nn.Module, Any]:
    """Stock fairseq's model and criterion."""
    from fairseq.criterions.wav2vec_criterion import Wav2vecCriterion
    from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model

    keys = ["prob_perplexity", "code_perplexity", "temp"]
    model = Wav2Vec2Model(Wav2Vec2Config(**sizes, quantize_targets=True))
    return model, Wav2vecCriterion(None, True, [0.1, 10.0], keys)


def build_ours(sizes: dict[str, Any]) -> tuple[torch.nn.Module, Any]:
    """Our model and criterion."""
    from fairseq_ext.criterions.contrastive_diversity import ContrastiveDiversityCriterion
    from fairseq_ext.models.wav2vec2 import ExtWav2Vec2, Wav2Vec2Config

    return ExtWav2Vec2(Wav2Vec2Config(**sizes)), ContrastiveDiversityCriterion(None, 0.1, 10.0, 200)


def stepper(name: str, args: argparse.Namespace) -> Step:
    """Return a function that makes an update on a batch and returns the loss per target."""
    torch.manual_seed(1)
    model, criterion = {"stock": build_stock, "ours": build_ours}[name](keys_of_model(args.size))
    model.to(args.device, DTYPES[args.dtype]).train()
    criterion.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    updates = 0

    def step(source: Tensor) -> float:
        nonlocal updates
        updates += 1
        net_input = {"source": source, "padding_mask": None}
        if name == "ours":
            net_input["seeds"] = [1000 * updates + clip for clip in range(len(source))]
        sample = {
            "net_input": net_input,
            "id": torch.arange(len(source)),
            "nsentences": len(source),
            "ntokens": 1,
        }
        model.set_num_updates(updates)
        loss, size, _ = criterion(model, sample)
        loss.backward()
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad.div_(size)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        return float(loss.detach()) / float(size)

    return step


def batch_shape(args: argparse.Namespace) -> tuple[int, int]:
    """Clips, and samples of each."""
    return max(1, args.samples // args.clip), args.clip


def batches(args: argparse.Namespace) -> list[Tensor]:
    """Three different batches of noise."""
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(batch_shape(args), generator=generator) for _ in range(3)]
    return [batch.to(args.device, DTYPES[args.dtype]) for batch in noise]


def synchronize(device: str) -> None:
    """Wait until the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def peak_mb(device: str) -> float:
    """Highest memory so far: of the process, or of the tensors on the GPU."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(name: str, args: argparse.Namespace) -> dict[str, float]:
    """One system in this process, after two updates that do not count."""
    data = batches(args)
    step = stepper(name, args)
    before = peak_mb(args.device)
    for update in range(2):
        step(data[update])
    walls, cpus = [], []
    for update in range(args.updates):
        synchronize(args.device)
        wall, cpu = time.perf_counter(), time.process_time()
        step(data[update % len(data)])
        synchronize(args.device)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    growth = peak_mb(args.device) - (before if args.device == "cpu" else 0.0)
    return {"s": statistics.median(walls), "CPU s": statistics.median(cpus), "peak MB": growth}


def in_a_process(name: str) -> dict[str, float]:
    """Run `measure` in a fresh interpreter."""
    command = [sys.executable, __file__, *sys.argv[1:], "--measure", name]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def print_table(args: argparse.Namespace, rounds: dict[str, list[dict[str, float]]]) -> None:
    """One row per figure: the median of the rounds, their range, and how many times less ours needs."""
    shape = batch_shape(args)
    print(
        f"\n{args.size}, {args.dtype}, {args.device}, {shape[0]} clips of {shape[1]} samples, torch {torch.__version__}"
    )
    print(f"{'per update':12}{'stock':>10}{'range':>16}{'ours':>10}{'range':>16}{'ratio':>9}")
    for row in ("s", "CPU s", "peak MB"):
        line, medians = f"{row:12}", []
        for name in ("stock", "ours"):
            values = [found[row] for found in rounds[name]]
            medians.append(statistics.median(values))
            line += f"{medians[-1]:>10.4g}{f'{min(values):.4g}-{max(values):.4g}':>16}"
        print(f"{line}{medians[0] / medians[1]:>8.2f}x")


def print_profile(args: argparse.Namespace) -> None:
    """Where the time of an update of ours goes."""
    step, data = stepper("ours", args), batches(args)
    step(data[0])
    activities = [torch.profiler.ProfilerActivity.CPU]
    if args.device == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, record_shapes=True) as profile:
        step(data[1])
        synchronize(args.device)
    key = "self_cuda_time_total" if args.device == "cuda" else "self_cpu_time_total"
    for by_shape in (True, False):
        table = profile.key_averages(group_by_input_shape=by_shape)
        print(table.table(sort_by=key, row_limit=30, max_name_column_width=60))
    print_limit(args)


def matrix_rate(device: str, dtype: str, side: int = 0) -> float:
    """Return the rate at which the device multiplies large square matrices of random numbers, FLOP/s.

    The best of five means of several products, since a product on a GPU is over in a millisecond or two. A `side` of 0
    is one that fills the device.
    """
    from fairseq_ext.modules import products

    side = side or (2048 if device == "cpu" else 8192)
    repeats = 2 if device == "cpu" else 10
    left, right = (torch.randn(side, side, device=device, dtype=DTYPES[dtype]) for _ in range(2))
    products.product(left, right)  # the first one loads libraries
    best = float("inf")
    for _ in range(5):
        synchronize(device)
        start = time.perf_counter()
        for _ in range(repeats):
            products.product(left, right)
        synchronize(device)
        best = min(best, (time.perf_counter() - start) / repeats)
    return 2 * side**3 / best


def flops_of_update(name: str, args: argparse.Namespace) -> float:
    """Return the floating-point operations of an update's matrix products and convolutions, mean of four updates.

    Several, since layers are skipped at random.
    """
    from fairseq_ext.modules import products

    products.has_slow_mkl = lambda: False  # torch counts its own products only
    step, data, updates = stepper(name, args), batches(args), 4
    with FlopCounterMode(display=False) as counter:
        for update in range(updates):
            step(data[update % len(data)])
    return counter.get_total_flops() / updates


def print_limit(args: argparse.Namespace) -> None:
    """Print what an update costs in products, how long they would take at the machine's best, and its time."""
    seconds = measure("ours", args)["s"]
    rate = matrix_rate(args.device, args.dtype)
    total = flops_of_update("ours", args)
    print(
        f"products of an update: {total / 1e9:.0f} GFLOP; a product of large matrices runs at "
        f"{rate / 1e9:.0f} GFLOP/s, so they would take {total / rate:.3f} s; an update takes {seconds:.3f} s"
    )


def main() -> None:
    """Measure, print."""
    args = parse_args()
    warnings.simplefilter("ignore")
    args.samples = args.samples or (320_000 if args.device == "cpu" else 1_400_000)
    args.clip = args.clip or (80_000 if args.device == "cpu" else 250_000)
    if args.profile:
        print_profile(args)
    elif args.measure:
        print(json.dumps(measure(args.measure, args)))
    else:
        turns = [name for _ in range(args.rounds) for name in ("stock", "ours")]
        found = [(name, in_a_process(name)) for name in turns]
        print_table(args, {name: [f for which, f in found if which == name] for name in ("stock", "ours")})


if __name__ == "__main__":
    main()
