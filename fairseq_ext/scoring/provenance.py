"""Where a score comes from: commit, configuration, device, and the cost and log of the training."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..line_index import AudioIndex

# Sections of a training configuration that change what is learnt; the others are logging, folders and workers.
LEARNING_SECTIONS = ("task", "model", "criterion", "optimizer", "lr_scheduler", "optimization", "ema")
# Keys in them that differ between seeds and machines, which share a hash.
PLACE_KEYS = ("data", "seed", "pretrained_path", "store_ema_path")


def commit() -> str:
    """Return the full hash of this checkout's commit.

    It ends in `-dirty` when tracked files differ from it, and is `unknown` outside a checkout.
    """
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return f"{head}-dirty" if _git(folder, "status", "--porcelain", "--untracked-files=no") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


def plain(config: Any) -> Any:
    """Convert a configuration, any nesting of OmegaConf, dataclass, namespace or mapping, to plain JSON values.

    Interpolations are kept as text.
    """
    from omegaconf import OmegaConf

    if OmegaConf.is_config(config):
        return plain(OmegaConf.to_container(config, resolve=False, enum_to_str=True))
    if isinstance(config, Mapping):
        return {str(key): plain(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [plain(value) for value in config]
    if config is None or isinstance(config, str | int | float | bool):
        return config
    return plain(vars(config)) if hasattr(config, "__dict__") else str(config)


def augment_settings(config: Any) -> dict[str, Any]:
    """Return the augmentation that a training used: keys of `WaveformAugmentConfig` -> value, empty without."""
    settings = plain(config.task).get("augment") or {}
    return {key: value for key, value in settings.items() if not key.startswith("_")}


def config_hash(config: Any) -> str:
    """Hash the settings of a training to 12 digits: equal for equal settings, whatever the seed or folder."""
    settings = plain(config)
    chosen = {
        name: _without_places(settings[name]) for name in LEARNING_SECTIONS if settings.get(name) is not None
    }
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:12]


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items() if key not in PLACE_KEYS}
    return value


def device_name(device: str) -> str:
    """Return the name of a torch device: `cpu`, or the model of the GPU."""
    if not device.startswith("cuda"):
        return device
    import torch

    return torch.cuda.get_device_name(device)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the JSON lines of a fairseq training log (`common.log_format=json`, `common.log_file=...`), by update.

    fairseq adds one handler per epoch, so a line may be there many times, and a resumed run repeats updates:
    the last line of each split and update counts. Numbers, which fairseq writes as text, are converted.
    """
    unique: dict[tuple[str, float], dict[str, Any]] = {}
    for entry in _json_lines(path):
        numbers = {key: _number(value) for key, value in entry.items()}
        prefix = next((k.removesuffix("num_updates") for k in numbers if k.endswith("num_updates")), None)
        if prefix is not None:
            unique[prefix, float(numbers[f"{prefix}num_updates"])] = numbers
    return [unique[key] for key in sorted(unique, key=lambda key: key[1])]


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        for line in file:
            start = line.find("{")
            if start < 0:
                continue
            try:
                entry = json.loads(line[start:])
            except json.JSONDecodeError:  # other log text, or a line cut off when the run was killed
                continue
            if isinstance(entry, dict):
                yield entry


def _number(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return value


def training_seconds(path: Path) -> float | None:
    """Return the seconds that a training took, validation included; None when the log is absent or has no times.

    An epoch's `train_wall` counts from the start of the process, so it falls where a killed run was resumed: the
    last value before each fall is added.
    """
    if not Path(path).is_file():
        return None
    # Lines within an epoch have a `train_wall` of another meaning: the seconds since the line before.
    epochs = [entry for entry in _json_lines(path) if "train_num_updates" in entry]
    walls = [float(entry["train_wall"]) for entry in epochs if "train_wall" in entry]
    if not walls:
        return None
    return sum(now for now, after in zip(walls, [*walls[1:], 0.0], strict=True) if after < now)


def training_audio(config: Any, data: Path) -> tuple[int, float | None]:
    """Count the recordings and hours that a training had; 0 and None when its manifest folder lacks the split."""
    path = Path(data) / f"{config.dataset.train_subset}.tsv"
    if not path.is_file():
        return 0, None
    sizes = AudioIndex(path).sizes
    return len(sizes), float(sizes.sum(dtype="int64")) / config.task.sample_rate_hz / 3600
