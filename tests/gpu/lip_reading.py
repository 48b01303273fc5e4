"""Step lip_reading: updates of the published lip reader in bfloat16, fed from memory and by the recipe's loader.

The network, losses, batches and transforms are those of recipes/vsr_low_resource (conf/talks.yaml with
talks_size/base.yaml); the mouth clips are drawn, and compressed as `fairseq-ext prepare mouth` writes them. Where the
loader keeps up, updates on clips that worker processes decode take as long as updates on batches that lie on the
device: the share of the two times is how busy the network is. Then the lip front end alone, against the plain module.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import lip_front_end
import numpy as np
import ssl_step
import torch
from fairseq import tasks, utils
from forks import in_fork
from omegaconf import OmegaConf
from results import Report, say
from torch import Tensor, nn

from fairseq_ext.corpora.clip_layout import audio_path, video_path
from fairseq_ext.dictionary import write_dictionary
from fairseq_ext.manifest import Utterance, write_manifest
from fairseq_ext.media.mouth.settings import FRAMES_PER_S, SIZE_PX, MouthSettings
from fairseq_ext.media.mouth.writer import GreyWriter
from fairseq_ext.media.sound import SAMPLE_RATE_HZ

CONF = Path(__file__).resolve().parents[2] / "recipes/vsr_low_resource/conf"
PER_FRAME = SAMPLE_RATE_HZ // FRAMES_PER_S  # samples
TOKENS_PER_FRAME = 0.15  # of 1,000 pieces
NUM_PIECES = 1000
WARM_UP = 3  # updates that do not count
READ_AHEAD = 2  # batches that a worker process of torch's loader reads ahead


@dataclass(frozen=True)
class Settings:
    """Size and repetitions.

    Attributes:
        size: overlay of conf/talks_size.
        clips: clips that are drawn; the manifest lists each `copies` times, so that an epoch is long enough.
        frames: frames of the longest clip; the shortest has half of them.
        updates: updates that count, of each kind.
        workers: processes that decode.
        front_end: size of tests/bench/lip_front_end.py.
    """

    device: str
    size: str = "base"
    dtype: str = "bf16"
    clips: int = 64
    copies: int = 16
    frames: int = 200
    updates: int = 60
    workers: int = 12
    front_end: str = "published"
    front_end_dtype: str = "bf16"


def settings(device: str, *, tiny: bool, seconds: float) -> Settings:
    """Return the settings of a run: the published size, or a toy."""
    if tiny:
        toy = {"clips": 4, "copies": 3, "frames": 12, "updates": 2, "workers": 1}
        # bfloat16 cannot be pooled on a CPU, as the tiny front end does first
        return Settings(device, "smoke", **toy, front_end="tiny", front_end_dtype="fp32")
    return Settings(device)


def run(chosen: Settings, work: Path, report: Report) -> None:
    """Draw clips, then measure; report after each."""
    start = time.monotonic()
    in_fork(draw, chosen, work)
    report(drawing_s=time.monotonic() - start)
    found = in_fork(measure, chosen, work)
    rates = {name: found["frames"] / found[f"{name}_s"] for name in ("resident", "loaded")}
    report(
        parameters=found["parameters"],
        frames_per_update=found["frames"] / chosen.updates,
        frames_per_s=rates,
        busy_share=min(1.0, found["resident_s"] / found["loaded_s"]),
        peak_mb=found["peak_mb"],
        hours_of_a_billion_frames=1e9 / rates["loaded"] / 3600,
    )
    say(f"lip_reading: {rates['loaded']:.0f} frames/s, from memory {rates['resident']:.0f}")
    steps = {name: in_fork(front_end_rate, chosen, name) for name in lip_front_end.SYSTEMS}
    report(front_end_frames_per_s=steps, front_end_speed_up=steps["ours"] / steps["plain"])
    say(f"lip_reading: front end {steps['ours']:.0f} frames/s, plain {steps['plain']:.0f}")


def draw(chosen: Settings, folder: Path) -> None:
    """Write clips of a mouth that opens and closes, their manifest and their pieces."""
    rows = []
    for number in range(chosen.clips):
        size = chosen.frames - number * chosen.frames // (2 * chosen.clips)
        name = f"clip{number}"
        _draw_clip(folder / video_path(audio_path(name)), size, seed=number)
        for copy in range(chosen.copies):
            rows.append(Utterance(f"{name}_{copy}", audio_path(name), size * PER_FRAME, size, language="es"))
    draws = np.random.default_rng(1)

    def pieces(row: Utterance) -> str:
        size = max(1, round(TOKENS_PER_FRAME * row.num_frames))
        return " ".join(f"▁{piece}" for piece in draws.integers(NUM_PIECES, size=size))

    labels = {"pieces": pieces, "piecesframes": lambda row: " ".join(["<s>"] * row.num_frames)}
    for split in ("train", "valid"):
        write_manifest(folder, split, rows, root=folder, labels=labels)
    write_dictionary(folder / "dict.pieces.txt", {f"▁{piece}": 1 for piece in range(NUM_PIECES)})


def _draw_clip(path: Path, num_frames: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draws = np.random.default_rng(seed)
    coarse = draws.uniform(90, 170, (7, 7))
    skin = np.kron(coarse, np.ones((14, 14)))[:SIZE_PX, :SIZE_PX]
    down, across = np.mgrid[-1 : 1 : SIZE_PX * 1j, -1 : 1 : SIZE_PX * 1j]
    writer = GreyWriter(path, crf=MouthSettings().crf)
    opening = 0.05
    for _ in range(num_frames):
        opening = float(np.clip(opening + draws.normal(scale=0.08), 0.02, 0.45))
        mouth = (across / 0.6) ** 2 + (down / opening) ** 2 < 1
        picture = np.where(mouth, 40, skin) + draws.normal(scale=3, size=skin.shape)
        writer.add(picture.clip(0, 255).astype(np.uint8))
    writer.close()


def measure(chosen: Settings, folder: Path) -> dict[str, float]:
    """Return the seconds of so many updates with the loader and from memory, their frames, and the peak of memory."""
    cfg = OmegaConf.merge(
        OmegaConf.load(CONF / "talks.yaml"), OmegaConf.load(CONF / "talks_size" / f"{chosen.size}.yaml")
    )
    cfg.task.data = str(folder)
    cfg.task.curriculum_frames = 0
    # fairseq gives the task those keys of the data set.
    cfg.task.train_subset = cfg.dataset.train_subset
    task = tasks.setup_task(cfg.task)
    task.load_dataset("train")
    torch.manual_seed(1)
    model = task.build_model(cfg.model).to(chosen.device, ssl_step.DTYPES[chosen.dtype]).train()
    step = _stepper(model, task.build_criterion(cfg.criterion), cfg.optimization.clip_norm)
    batches = _batches(task, cfg, chosen)
    kept = [_on_device(next(batches), chosen) for _ in range(WARM_UP)]
    for batch in kept:
        step(batch)
    before = ssl_step.peak_mb(chosen.device) if chosen.device == "cpu" else 0.0
    # What the workers have read ahead meanwhile would make the loader look faster than it is.
    for batch in islice(batches, READ_AHEAD * chosen.workers):
        step(_on_device(batch, chosen))
    loaded_s, frames = _timed(step, (_on_device(batch, chosen) for batch in batches), chosen)
    resident_s, resident_frames = _timed(step, cycle(kept), chosen)
    return {
        "frames": frames,
        "loaded_s": loaded_s,
        # of as many frames
        "resident_s": resident_s * frames / resident_frames,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "peak_mb": ssl_step.peak_mb(chosen.device) - before,
    }


def _batches(task: Any, cfg: Any, chosen: Settings) -> Iterator[dict[str, Any]]:
    """Yield the batches of training, epoch after epoch."""
    epochs = task.get_batch_iterator(
        task.datasets["train"],
        max_tokens=cfg.dataset.max_tokens,
        seed=1,
        num_workers=chosen.workers,
        required_batch_size_multiple=1,
    )
    while True:
        yield from epochs.next_epoch_itr(shuffle=True)


def _on_device(batch: dict[str, Any], chosen: Settings) -> dict[str, Any]:
    dtype = ssl_step.DTYPES[chosen.dtype]

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(chosen.device, dtype if tensor.is_floating_point() else None, non_blocking=True)

    moved: dict[str, Any] = utils.apply_to_sample(move, batch)
    return moved


def _stepper(model: Any, criterion: Any, clip_norm: float) -> Callable[[dict[str, Any]], None]:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, fused=True)
    criterion.train()
    updates = 0

    def step(batch: dict[str, Any]) -> None:
        nonlocal updates
        updates += 1
        model.set_num_updates(updates)
        loss, size, _ = criterion(model, batch)
        (loss / size).backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _timed(
    step: Callable[[dict[str, Any]], None], batches: Iterator[dict[str, Any]], chosen: Settings
) -> tuple[float, int]:
    """Return the seconds of the updates that count, and their frames, padding included."""
    ssl_step.synchronize(chosen.device)
    start, frames = time.perf_counter(), 0
    for batch in islice(batches, chosen.updates):
        step(batch)
        clips, _, longest = batch["net_input"]["video"].shape[:3]
        frames += clips * longest
    ssl_step.synchronize(chosen.device)
    return time.perf_counter() - start, frames


def front_end_rate(chosen: Settings, system: str) -> float:
    """Return the frames per second of a front end, forward and backward in training mode."""
    plain, ours, video = lip_front_end.pair(chosen.front_end)
    dtype = ssl_step.DTYPES[chosen.front_end_dtype]
    model = {"plain": plain, "ours": ours}[system].to(chosen.device, dtype).train()
    video = video.to(chosen.device, dtype)
    best = float("inf")
    for _ in range(WARM_UP + chosen.updates):
        ssl_step.synchronize(chosen.device)
        start = time.perf_counter()
        model(video).square().mean().backward()
        ssl_step.synchronize(chosen.device)
        best = min(best, time.perf_counter() - start)
        model.zero_grad()
    return len(video) * lip_front_end.NUM_FRAMES / best
